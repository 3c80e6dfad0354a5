//! The commands of docs/hosts.md, run as they stand there, with other folders and another port.

use crate::world::{run, text};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// The blocks of shell of a page.
fn blocks(page: &str) -> Vec<String> {
    let parts = page.split("```sh\n").skip(1);
    parts.map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

fn shell(folder: &Path, script: &str) -> Output {
    let bin = Path::new(env!("CARGO_BIN_EXE_sealtail")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    Command::new("bash").args(["-euc", script]).current_dir(folder).env("PATH", path).output().unwrap()
}

#[test]
fn the_page_for_hosts_leads_to_a_verified_archive() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fs::write(folder.path().join("app.log"), "one\ntwo\n").unwrap();
    for name in ["etc", "lib"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o700)).unwrap();
    }
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hosts.md")).unwrap();
    let here_instead = page
        .replace("/etc/sealtail", &format!("{here}/etc"))
        .replace("/var/lib/sealtail", &format!("{here}/lib"))
        .replace("archive.internal", "localhost")
        .replace("7443", &port.to_string())
        .replace("0.0.0.0", "127.0.0.1")
        // what this machine has besides is not the test's
        .replace("init --yes", &format!("init --yes --include {here}/app.log"))
        .replace("sealtail run", "sealtail run --once")
        // a test's folder may well be on tmpfs, of which it warns
        .replace("sealtail doctor --config", "doctor_warns_at_most --config");
    let blocks = blocks(&here_instead);
    assert_eq!(blocks.len(), 5, "{blocks:#?}");
    let (receiver, others) = (&blocks[2], [&blocks[..2], &blocks[3..]].concat());
    let receiver = receiver.replace(
        "sealtail receive --config receive.toml",
        "sealtail receive --config receive.toml 2>receive.log &\nreceiver=$!\ntrap 'kill $receiver' EXIT",
    );
    let awaited =
        format!("until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do kill -0 $receiver; sleep 0.05; done\n");
    let doctor = "doctor_warns_at_most() { sealtail doctor \"$@\" || [ $? = 1 ]; }\n";
    let script = [doctor, &others[0], &others[1], &receiver, &awaited, &others[2], &others[3]].concat();
    let output = shell(folder.path(), &script);
    let said = text(&output);
    assert!(output.status.success() && said.contains("intact"), "{said}");
    let shown = run(&["cat", &format!("{here}/lib/archive")]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "one\ntwo\n");
}

#[test]
fn the_pages_for_pods_and_for_security_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().to_str().unwrap();
    fs::write(
        folder.path().join("app.log"),
        "Nov 26 05:00:00 web sshd[1]: Failed password for root from 192.0.2.1 port 1\n",
    )
    .unwrap();
    assert!(shell(folder.path(), "sealtail keys auditor --out auditor.key > auditor.pub").status.success());
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let read = |name: &str| {
        fs::read_to_string(docs.join(name)).unwrap().replace("/var/log/dpkg.log", &format!("{here}/app.log"))
    };
    let security = blocks(&read("security.md"));
    let pods = blocks(&read("pods.md"));
    assert_eq!((security.len(), pods.len()), (1, 2));
    for block in security.iter().chain(&pods) {
        let output = shell(folder.path(), block);
        assert!(output.status.success(), "{block}{}", text(&output));
    }
    for made in ["sidecar", "daemonset"].map(|kind| folder.path().join(kind)) {
        assert!(["sealtail.toml", "host.key", "host.pub", "policies"].iter().all(|name| made.join(name).exists()));
    }
}
