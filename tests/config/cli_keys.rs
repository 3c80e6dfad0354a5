//! `sealtail keys`: the files that it makes.

use clap::Parser;
use sealtail::chain::host_key::{HostKey, HostPublic};
use sealtail::cli::keys::Keys;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    keys: Keys,
}

/// What `sealtail keys ARGUMENTS` prints, or its error.
fn keys(arguments: &[&str], file: Option<&Path>) -> Result<String, String> {
    let path = file.map(|file| file.to_str().unwrap());
    let arguments = std::iter::once("keys").chain(arguments.iter().copied()).chain(path);
    let command = Command::try_parse_from(arguments).map_err(|error| error.to_string())?;
    let mut output = Vec::new();
    command.keys.run(&mut output).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(output).unwrap())
}

/// Identity file as age-keygen writes it: returns the recipient.
fn check_identity(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let [created, public, secret] = lines[..] else { panic!("{text}") };
    let created = created.strip_prefix("# created: ").unwrap();
    time::OffsetDateTime::parse(created, &time::format_description::well_known::Rfc3339).unwrap();
    let identity: age::x25519::Identity = secret.parse().unwrap();
    assert!(secret.starts_with("AGE-SECRET-KEY-1"));
    let recipient = identity.to_public().to_string();
    assert_eq!(public.strip_prefix("# public key: "), Some(recipient.as_str()));
    recipient
}

#[test]
fn an_auditor_gets_an_identity_file_and_sees_its_recipient() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auditor.key");
    let printed = keys(&["auditor", "--out"], Some(&path)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(printed, check_identity(&text) + "\n");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let error = keys(&["auditor", "--out"], Some(&path)).unwrap_err();
    assert!(error.contains("never written over"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn without_a_file_the_identity_itself_is_printed() {
    check_identity(&keys(&["auditor"], None).unwrap());
}

#[test]
fn a_host_gets_either_kind_of_key() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, alg) in [
        (&["host", "--out"][..], "ed25519"),
        (&["host", "--type", "ed25519", "--out"], "ed25519"),
        (&["host", "--type", "p256", "--out"], "ecdsa-p256"),
    ] {
        let path = folder.path().join(format!("{}.key", arguments.len() + alg.len()));
        let printed = keys(arguments, Some(&path)).unwrap();
        assert!(printed.contains(".pub: give it to verifiers"), "{printed}");
        let public = HostPublic::load(&path.with_extension("pub")).unwrap();
        assert_eq!((public.alg(), public), (alg, HostKey::load(&path).unwrap().public()));
        assert!(keys(arguments, Some(&path)).unwrap_err().contains("never written over"));
    }
    assert!(keys(&["host"], None).unwrap_err().contains("--out"));
    assert!(keys(&["host", "--type", "rsa", "--out", "x"], None).unwrap_err().contains("p256"));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = keys(&["auditor", "--out"], Some(Path::new("/nonexistent/a.key"))).unwrap_err();
    assert!(error.starts_with("/nonexistent/a.key: cannot make"), "{error}");
}
