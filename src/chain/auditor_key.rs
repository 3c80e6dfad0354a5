//! The identity of an auditor: an age X25519 key, in the file format of age-keygen, so that `age` opens what we seal.

use super::key_file::{self, SECRET};
use age::secrecy::ExposeSecret;
use age::x25519::{Identity, Recipient};
use std::path::Path;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

/// A new identity as the text of its file.
pub fn generate() -> (Zeroizing<String>, Recipient) {
    let identity = Identity::generate();
    let recipient = identity.to_public();
    let now = OffsetDateTime::now_utc();
    let created = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339);
    let created = created.expect("a clock before the year 10000 has an RFC 3339 form");
    let secret = identity.to_string();
    let text = format!("# created: {created}\n# public key: {recipient}\n{}\n", secret.expose_secret());
    (Zeroizing::new(text), recipient)
}

/// Makes a new identity in the file `path`, mode 0600, which must not exist yet.
pub fn save_new(path: &Path) -> Result<Recipient, key_file::Error> {
    let (text, recipient) = generate();
    key_file::create(path, text.as_bytes(), SECRET)?;
    Ok(recipient)
}
