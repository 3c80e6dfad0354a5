//! What `quickstart` makes in its folder: a development CA, certificates, keys, policies, a configuration.

use crate::chain::{auditor_key, host_key::HostKey, key_file};
use crate::policy::packs;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use time::{Duration, OffsetDateTime};

/// How long the development certificates are good for.
const VALID: Duration = Duration::days(825);

/// Makes the folder whole. It is made aside and renamed, so that a half-made one is never taken for a whole one.
pub(super) fn make(dir: &Path, host: &str, include: &[String]) -> Result<(), String> {
    let aside = dir.with_extension("new");
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("{path}: {error}")
    };
    if aside.exists() {
        std::fs::remove_dir_all(&aside).map_err(at(&aside))?;
    }
    make_private_dir(&aside).map_err(at(&aside))?;
    certificates(&aside, host)?;
    auditor_key::save_new(&aside.join("auditor.key")).map_err(|e| e.to_string())?;
    let key = HostKey::generate_ed25519().map_err(|e| e.to_string())?;
    key.save_new(&aside.join("host.key")).map_err(|e| e.to_string())?;
    packs::unpack(&aside.join("policies"))?;
    for folder in ["spool", "archive"] {
        make_private_dir(&aside.join(folder)).map_err(at(&aside))?;
    }
    let readme = aside.join("README");
    std::fs::write(&readme, README).map_err(at(&readme))?;
    write_config(&aside, host, include)?;
    // an empty folder that is there already may be taken
    std::fs::rename(&aside, dir).map_err(|error| {
        format!("{}: {error}; is there a folder with other things in it? Choose another with --dir", dir.display())
    })
}

/// The machine's name, as far as it can name a host of sealtail's.
pub(in crate::cli) fn host_name() -> String {
    let machine = rustix::system::uname();
    let name = machine.nodename().to_string_lossy();
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).collect();
    let name = name.trim_start_matches('.');
    if crate::record::is_name(name) { name.to_owned() } else { "localhost".to_owned() }
}

fn make_private_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes the configuration; a port that is free now is taken for the receiver.
fn write_config(dir: &Path, host: &str, include: &[String]) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    let address = listener.map_err(|e| format!("no free port on 127.0.0.1: {e}"))?;
    let text = config_text(host, &recipient(dir)?, address.port(), include);
    let path = dir.join("sealtail.toml");
    std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Follows other files from now on: the `include` of a configuration that `quickstart` wrote is replaced.
pub(super) fn follow(dir: &Path, include: &[String]) -> Result<(), String> {
    let path = dir.join("sealtail.toml");
    let at = |e: io::Error| format!("{}: {e}", path.display());
    let text = std::fs::read_to_string(&path).map_err(at)?;
    let line = include_line(include);
    let mut replaced = 0;
    let lines = text.lines().map(|old| match old.starts_with("include = ") {
        true => {
            replaced += 1;
            line.as_str()
        }
        false => old,
    });
    let mut new = lines.collect::<Vec<_>>().join("\n");
    new.push('\n');
    if replaced != 1 {
        return Err(format!(
            "{}: it was edited; name the files in its `include`, and call quickstart without files",
            path.display()
        ));
    }
    std::fs::write(&path, new).map_err(at)
}

/// The auditor's recipient, from the comment in the identity file.
fn recipient(dir: &Path) -> Result<String, String> {
    let path = dir.join("auditor.key");
    let text = key_file::read_secret(&path).map_err(|e| e.to_string())?;
    let found = text.lines().find_map(|line| line.strip_prefix("# public key: ").map(str::to_owned));
    found.ok_or_else(|| format!("{}: no recipient in it", path.display()))
}

fn include_line(include: &[String]) -> String {
    format!("include = {}", toml_list(include))
}

/// Strings as a list of TOML.
pub(in crate::cli) fn toml_list(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| toml::Value::String(item.clone()).to_string()).collect();
    format!("[{}]", quoted.join(", "))
}

fn config_text(host: &str, recipient: &str, port: u16, include: &[String]) -> String {
    let include = include_line(include);
    format!(
        r#"# Written by `sealtail quickstart`. For real use see config/sealtail.toml in sealtail's repository.
[host]
name = "{host}"
key = "host.key"

[auditors]
recipients = ["{recipient}"]

[[source]]
type = "file"
name = "logs"
{include}

[policy]
paths = ["policies"]

[chain]
flush_interval = "250ms"

[spool]
dir = "spool"

[[target]]
name = "archive"
type = "https"
url = "https://localhost:{port}"
batch = {{ max_age = "250ms" }}
tls = {{ ca = "ca.pem", cert = "client.pem", key = "client.key" }}

[telemetry]
log = "warn"

[receive]
listen = "127.0.0.1:{port}"
dir = "archive"
tls = {{ ca = "ca.pem", cert = "server.pem", key = "server.key" }}
receipt_key = "receipt.key"
"#
    )
}

/// The CA's own key is dropped: nobody can issue a further certificate under it.
fn certificates(dir: &Path, host: &str) -> Result<(), String> {
    let failed = |e: rcgen::Error| format!("cannot make the development certificates: {e}");
    let ca_key = KeyPair::generate().map_err(failed)?;
    let mut ca = params(&[], "sealtail development CA").map_err(failed)?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_pem = ca.self_signed(&ca_key).map_err(failed)?.pem();
    let issuer = Issuer::new(ca, ca_key);
    let write = |name: &str, pem: &str, mode: u32| {
        key_file::create(&dir.join(name), pem.as_bytes(), mode).map_err(|e| e.to_string())
    };
    write("ca.pem", &ca_pem, 0o644)?;
    let roles = [
        ("server", ["localhost".to_owned(), "127.0.0.1".to_owned()].to_vec(), ExtendedKeyUsagePurpose::ServerAuth),
        ("client", vec![host.to_owned()], ExtendedKeyUsagePurpose::ClientAuth),
    ];
    for (role, names, usage) in roles {
        let key = KeyPair::generate().map_err(failed)?;
        let mut leaf = params(&names, &names[0]).map_err(failed)?;
        leaf.extended_key_usages = vec![usage];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let leaf = leaf.signed_by(&key, &issuer).map_err(failed)?;
        write(&format!("{role}.pem"), &leaf.pem(), 0o644)?;
        write(&format!("{role}.key"), &key.serialize_pem(), 0o600)?;
    }
    Ok(())
}

fn params(names: &[String], common_name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
    let now = OffsetDateTime::now_utc();
    // a clock that is set back a little must not make them invalid
    (params.not_before, params.not_after) = (now - Duration::days(1), now + VALID);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Files as absolute globs that match just them; what is a glob already stays one.
pub(super) fn globs(files: &[PathBuf]) -> Result<Vec<String>, String> {
    files.iter().map(|file| glob(file)).collect()
}

fn glob(file: &Path) -> Result<String, String> {
    let path = std::path::absolute(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let text = path.to_str().ok_or_else(|| format!("{}: the name is not UTF-8", file.display()))?;
    match std::fs::metadata(&path) {
        Ok(meta) if meta.is_dir() => Err(format!(
            "{}: a folder; name files in it, or a glob in quotes: '{}/*.log'",
            file.display(),
            text.trim_end_matches('/')
        )),
        Ok(_) => {
            std::fs::File::open(&path)
                .map_err(|e| format!("{}: {e}; run as a user who may read it", file.display()))?;
            Ok(globset::escape(text))
        }
        Err(_) if text.contains(['*', '?', '[', '{']) => Ok(text.to_owned()),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

const README: &str = "\
What `sealtail quickstart` made here. It is for trying things out: the auditor's identity lies beside the archive, which
in real use it never does.

ca.pem                    development CA; its key was thrown away
server.pem, server.key    the receiver's certificate (localhost, 127.0.0.1) and key
client.pem, client.key    this host's certificate and key
auditor.key               the auditor's identity (age): opens the keys of every stream
host.key, host.pub        this host's signing key, which endorses streams, and what verifiers need of it
receipt.key, receipt.pub  the receiver's key for receipts
policies/                 Rego, yours to change; `sealtail policy try` shows what it says of a line
sealtail.toml             the configuration of agent and receiver
spool/                    lines that the receiver has not stored yet
archive/                  lines that it has

Verify:  sealtail verify archive --identity auditor.key --host-key host.pub
Read:    sealtail cat archive
Delete the folder to begin anew.
";
