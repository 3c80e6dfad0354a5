//! Host keys: made, saved, loaded, refused; what they sign.

use sealtail::chain::host_key::{HostKey, HostPublic};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

fn both() -> [HostKey; 2] {
    [HostKey::generate_ed25519().unwrap(), HostKey::generate_p256().unwrap()]
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_one_key_signs_only_it_verifies() {
    let [ed25519, p256] = both();
    for (key, other) in [(&ed25519, &p256), (&p256, &ed25519)] {
        let signature = key.sign(b"genesis");
        assert_eq!(signature.len(), 64);
        assert!(key.public().verify(b"genesis", &signature));
        assert!(!key.public().verify(b"genesis!", &signature));
        assert!(!key.public().verify(b"genesis", &signature[..63]));
        assert!(!other.public().verify(b"genesis", &signature));
        let mut bent = signature.clone();
        bent[40] ^= 1;
        assert!(!key.public().verify(b"genesis", &bent));
    }
    assert_eq!([ed25519.public().alg(), p256.public().alg()], ["ed25519", "ecdsa-p256"]);
}

#[test]
fn a_saved_key_comes_back_and_its_public_half_beside_it() {
    for key in both() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.key");
        let public_path = key.save_new(&path).unwrap();
        assert_eq!(public_path, folder.path().join("host.pub"));
        assert_eq!((mode(&path), mode(&public_path)), (0o600, 0o644));
        let loaded = HostKey::load(&path).unwrap();
        let public = HostPublic::load(&public_path).unwrap();
        assert_eq!(loaded.public(), key.public());
        assert_eq!(public, key.public());
        assert_eq!(HostPublic::from_spki_der(&public.to_spki_der()), Some(public));
        assert!(public.verify(b"x", &loaded.sign(b"x")));
    }
}

#[test]
fn a_key_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.key");
    let [first, second] = both();
    first.save_new(&path).unwrap();
    let error = second.save_new(&path).unwrap_err().to_string();
    assert!(error.contains("never written over"), "{error}");
    // with only one of the two there, the other is not made either
    fs::remove_file(folder.path().join("host.pub")).unwrap();
    second.save_new(&path).unwrap_err();
    assert!(!folder.path().join("host.pub").exists());
    assert_eq!(HostKey::load(&path).unwrap().public(), first.public());
    let error = second.save_new(&folder.path().join("host.pub")).unwrap_err().to_string();
    assert!(error.contains("host.key"), "{error}");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.key");
    HostKey::generate_ed25519().unwrap().save_new(&path).unwrap();
    for exposed in [0o660, 0o604, 0o620] {
        fs::set_permissions(&path, Permissions::from_mode(exposed)).unwrap();
        let error = HostKey::load(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600") && error.contains(&format!("{exposed:04o}")), "{error}");
    }
    // root's may be for a service's group
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    assert_eq!(HostKey::load(&path).is_ok(), fs::metadata(&path).unwrap().uid() == 0);
}

#[test]
fn a_file_that_holds_something_else_is_named_for_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.key");
    let public_path = HostKey::generate_ed25519().unwrap().save_new(&path).unwrap();
    let error = HostPublic::load(&path).unwrap_err().to_string();
    assert!(error.contains("secret key"), "{error}");
    fs::set_permissions(&public_path, Permissions::from_mode(0o600)).unwrap();
    let error = HostKey::load(&public_path).unwrap_err().to_string();
    assert!(error.contains("public key"), "{error}");
    for (text, hint) in [
        ("", "PKCS#8"),
        ("-----BEGIN EC PRIVATE KEY-----", "topk8"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "encrypted"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "neither Ed25519 nor P-256"),
    ] {
        fs::write(&path, text).unwrap();
        let error = HostKey::load(&path).unwrap_err().to_string();
        assert!(error.contains(hint) && error.contains("host.key"), "{error}");
    }
    let error = HostKey::load(&folder.path().join("none")).unwrap_err().to_string();
    assert!(error.contains("none") && error.contains("open"), "{error}");
}

#[test]
fn debug_shows_no_secret() {
    for key in both() {
        let shown = format!("{key:?}");
        assert!(shown.contains(key.public().alg()), "{shown}");
        assert_eq!(shown, format!("HostKey({:?})", key.public()));
    }
}

#[test]
fn a_weak_public_key_is_refused() {
    let mut der = HostKey::generate_ed25519().unwrap().public().to_spki_der();
    // the point of order 1: one signature would fit every message
    der[12..].fill(0);
    der[12] = 1;
    assert_eq!(HostPublic::from_spki_der(&der), None);
    assert_eq!(HostPublic::from_spki_der(b""), None);
}

#[test]
fn openssl_reads_both_halves() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: no openssl here");
        return;
    }
    for key in both() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.key");
        let public_path = key.save_new(&path).unwrap();
        let secret = Command::new("openssl").args(["pkey", "-noout", "-in"]).arg(&path).output().unwrap();
        let public =
            Command::new("openssl").args(["pkey", "-pubin", "-noout", "-in"]).arg(&public_path).output().unwrap();
        assert!(secret.status.success(), "{}", String::from_utf8_lossy(&secret.stderr));
        assert!(public.status.success(), "{}", String::from_utf8_lossy(&public.stderr));
    }
}

#[test]
fn reads_what_openssl_makes() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: no openssl here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (name, arguments) in
        [("ed.key", &["ED25519"][..]), ("ec.key", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..])]
    {
        let path = folder.path().join(name);
        let made =
            Command::new("openssl").args(["genpkey", "-out"]).arg(&path).arg("-algorithm").args(arguments).output();
        assert!(made.unwrap().status.success());
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        HostKey::load(&path).unwrap();
    }
}
