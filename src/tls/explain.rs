//! What a failed call means.

/// The whole chain of causes, since reqwest's own words stop at "error sending request", and what to do about those that an
/// operator meets; without the URL, which may hold a secret.
pub(crate) fn explain(error: reqwest::Error) -> String {
    causes(&error.without_url())
}

/// Of a URL, or what should be one, what may be shown: scheme, host and port. Its path may be a secret, as webhooks have it, and its
/// query too; before the host a password may stand.
pub(crate) fn origin(url: &str) -> String {
    let [scheme, authority, _] = divided(url);
    let host = authority.rsplit('@').next().unwrap_or_default();
    // a slash in a password makes a port of what is before it; what ends in a bracket is an IPv6 address, or what is to be put in
    let is_bracketed = (host.starts_with('[') && host.ends_with(']')) || (host.contains("${") && host.ends_with('}'));
    let is_port = |text: &str| is_bracketed || text.bytes().all(|c| c.is_ascii_digit());
    let host = host.rsplit_once(':').filter(|(_, port)| !is_port(port)).map_or(host, |(host, _)| host);
    format!("{scheme}{host}")
}

/// A URL's scheme with what ends it, its authority, and the rest.
fn divided(url: &str) -> [&str; 3] {
    let is_scheme = |at: &usize| url[..*at].bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c));
    let (scheme, rest) = url.split_at(url.find("://").filter(is_scheme).map_or(0, |at| at + 3));
    let (authority, rest) = rest.split_at(rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len()));
    [scheme, authority, rest]
}

/// What the server of `url` said, in one line, and not much of it. Many repeat the path that they were asked for.
pub(crate) fn said_by(url: &str, said: &[u8]) -> String {
    const WORD_MIN_BYTES: usize = 6;
    const SAID_MAX_CHARS: usize = 500;
    let [_, _, path] = divided(url);
    let mut words: Vec<_> = path.split(['/', '\\', '?', '&', '=', '#']).collect();
    words.retain(|word| word.len() >= WORD_MIN_BYTES && !word.contains('{'));
    // before it is cut, since a half would show as much
    let text = String::from_utf8_lossy(said).into_owned();
    let text = words.iter().fold(text, |text, word| text.replace(word, "…"));
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_MAX_CHARS).collect()
}

const HUNG_UP: &str =
    "the server hung up after the handshake, which is how a refusal of our client certificate looks over HTTP/2";

/// As [`explain`], of any error.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = if text.is_empty() { words } else { format!("{text}: {words}") };
        }
        cause = error.source();
    }
    const HINTS: [(&str, &str); 22] = [
        ("CertificateRequired", "the server wants a client certificate, tls.cert and tls.key"),
        ("UnknownCA", "the server does not know the CA of our client certificate"),
        (
            "DecryptError",
            "the server's check of our client certificate failed: its CA is another of the same name, or the key is",
        ),
        ("alert: CertificateExpired", "the server says that our client certificate has expired"),
        ("alert: CertificateRevoked", "the server says that our client certificate is revoked"),
        ("UnknownIssuer", "the server's certificate is not from the CA in tls.ca"),
        ("UnknownRevocationStatus", "an authority that signed the server's certificate has no list in tls.crl"),
        ("Revoked", "the server's certificate is revoked, by a list in tls.crl"),
        ("certificate expired", "the server's certificate has expired"),
        (
            "certificate not valid yet",
            "the server's certificate is not valid yet: mend the clock here, or the certificate there",
        ),
        ("ProtocolVersion", "the server does not speak TLS 1.3"),
        ("PeerIncompatible", "the server does not speak TLS 1.3"),
        ("peer is incompatible", "the server does not speak TLS 1.3"),
        ("InvalidContentType", "the server does not speak TLS on this port; is it plain http?"),
        ("NotValidForName", "the server's certificate is for another name than the url's"),
        (
            "not valid for name",
            "the server's certificate is for another name than the url's; tls.server_name may give it",
        ),
        ("none of tls.pin", "the server shows another key than those that are expected"),
        ("channel closed", HUNG_UP),
        ("connection was not ready", HUNG_UP),
        ("operation was canceled", HUNG_UP),
        ("stream closed because of a broken pipe", HUNG_UP),
        ("proxy auth", "the proxy wants proxy.user and proxy.password, or others"),
    ];
    match HINTS.iter().find(|(sign, _)| text.contains(sign)) {
        Some((_, hint)) => format!("{hint} ({text})"),
        None => text,
    }
}
