//! `sealtail init`: what it writes works.

use crate::world::{World, run, sealtail, text};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

/// The recipient that age's own manual shows.
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

/// What the quickstart's configuration says of a key.
fn quickstart(world: &World, key: &str) -> String {
    let config = fs::read_to_string(world.config()).unwrap();
    let line = config.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

/// `init` for this host with the quickstart's certificates, which asks nothing.
fn init(world: &World, more: &[&str]) -> Output {
    let (output, spool) = (world.text_path("etc/sealtail.toml"), world.text_path("spool"));
    let files = ["ca.pem", "client.pem", "client.key"].map(|name| world.text_path(&format!("q/{name}")));
    let url = quickstart(world, "url");
    let log = world.text_path("logs/app.log");
    let name = quickstart(world, "name");
    let flags = [
        "init",
        "--yes",
        "--output",
        &output,
        "--spool",
        &spool,
        "--target",
        &url,
        "--ca",
        &files[0],
        "--cert",
        &files[1],
        "--key",
        &files[2],
        "--include",
        &log,
        "--host-name",
        &name,
    ];
    run(&[&flags[..], more].concat())
}

#[test]
fn what_it_writes_for_a_host_ships_lines_that_the_new_auditor_verifies() {
    let mut world = World::new();
    let identity = world.text_path("auditor.key");
    let made = init(&world, &["--new-auditor", &identity]);
    assert!(made.status.success(), "{}", text(&made));
    let config = world.text_path("etc/sealtail.toml");
    for secret in ["etc/host.key", "auditor.key"] {
        assert_eq!(fs::metadata(world.path(secret)).unwrap().permissions().mode() & 0o777, 0o600, "{secret}");
    }
    world.append("Nov 26 05:00:00 web sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2\n");
    world.start_receiver();
    for args in [&["check", "--config", &config][..], &["run", "--once", "--config", &config]] {
        let output = run(args);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
    }
    let archive = world.text_path("q/archive");
    let key = world.text_path("etc/host.pub");
    let verified = run(&["verify", &archive, "--identity", &identity, "--host-key", &key]);
    assert!(verified.status.success() && text(&verified).contains("intact"), "{}", text(&verified));
    let line = &world.archive().into_iter().find(|line| line["h"]["type"] == "log").unwrap();
    assert!(!line["h"]["verdicts"].as_array().unwrap().is_empty(), "its policies speak: {line:#}");
}

#[test]
fn it_writes_over_nothing_unless_forced_and_never_over_keys() {
    let world = World::new();
    assert!(init(&world, &["--auditor", RECIPIENT]).status.success());
    let read = |name: &str| fs::read_to_string(world.path(name)).unwrap();
    let (config, key) = (read("etc/sealtail.toml"), read("etc/host.key"));
    fs::write(world.path("etc/sealtail.toml"), "# mine\n").unwrap();
    let again = init(&world, &["--auditor", RECIPIENT]);
    assert!(again.status.code() == Some(1) && text(&again).contains("--force"), "{}", text(&again));
    assert_eq!(read("etc/sealtail.toml"), "# mine\n");
    let forced = init(&world, &["--auditor", RECIPIENT, "--force"]);
    assert!(forced.status.success(), "{}", text(&forced));
    assert_eq!((read("etc/sealtail.toml"), read("etc/host.key")), (config, key));
}

#[test]
fn what_check_faults_is_not_put_in_place() {
    let world = World::new();
    let output = init(&world, &["--auditor", "age1nonsense"]);
    let said = text(&output);
    assert!(
        output.status.code() == Some(1) && said.contains("sealtail.toml:") && said.contains("age1nonsense"),
        "{said}"
    );
    fs::set_permissions(world.path("q/client.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let output = init(&world, &["--auditor", RECIPIENT]);
    assert!(output.status.code() == Some(1) && text(&output).contains("chmod 600"), "{}", text(&output));
    let left: Vec<_> = fs::read_dir(world.path("etc")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("sealtail.toml")), "{left:?}");
}

#[test]
fn without_a_terminal_it_names_every_flag_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("sealtail.toml");
    let output = run(&["init", "--output", output.to_str().unwrap(), "--target", "https://a.internal:7443"]);
    assert_eq!(output.status.code(), Some(1));
    for flag in ["--auditor", "--new-auditor", "--ca", "--cert", "--key"] {
        assert!(text(&output).contains(flag), "{flag}: {}", text(&output));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made before all is known");
}

#[test]
fn for_pods_it_writes_what_the_pods_see() {
    for (kind, variable, source) in
        [("sidecar", "POD_NAME", "/var/log/app/*.log"), ("daemonset", "NODE_NAME", "/host/var/log/pods/*/*/*.log")]
    {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealtail.toml");
        let file = path.to_str().unwrap();
        let flags = ["--kind", kind, "--output", file, "--target", "https://a.internal:7443", "--auditor", RECIPIENT];
        let made = run(&[&["init"], &flags[..]].concat());
        assert!(made.status.success() && text(&made).contains("kubectl"), "{}", text(&made));
        let config = fs::read_to_string(&path).unwrap();
        for part in [
            &format!("${{{variable}}}"),
            source,
            "/etc/sealtail/host.key",
            "/etc/sealtail/client.pem",
            "\nlisten = \"0.0.0.0:9598\"",
        ] {
            assert!(config.contains(part), "{kind}: no {part} in\n{config}");
        }
        // what is mounted isn't here; nothing else may be wrong
        let checked = sealtail(&["check", "--offline", "--config", file]).env(variable, "web-7d4b-x").output().unwrap();
        let said = text(&checked);
        assert!(
            said.lines().all(|line| line.contains("/etc/sealtail/") || line.contains("/var/lib/sealtail")),
            "{said}"
        );
    }
}

/// On a terminal, which `script` makes; what is answered wrongly is asked again.
#[test]
fn on_a_terminal_it_asks() {
    if Command::new("script").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI must have script (Debian: bsdutils)");
        eprintln!("SKIPPED: script makes the terminal");
        return;
    }
    let world = World::new();
    let command = format!(
        "{} init --output {} --spool {} --include {}",
        env!("CARGO_BIN_EXE_sealtail"),
        world.text_path("etc/sealtail.toml"),
        world.text_path("spool"),
        world.text_path("logs/app.log")
    );
    let name = quickstart(&world, "name");
    let folder = world.text_path("worm");
    fs::create_dir(&folder).unwrap();
    let answers = format!("hots\nhost\n{name}\n\n{RECIPIENT}\n{folder}\n");
    let mut child = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), answers.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = text(&output);
    assert!(output.status.success() && said.contains("\"hots\" is none of them"), "{said}");
    let config = fs::read_to_string(world.path("etc/sealtail.toml")).unwrap();
    for part in [&name, RECIPIENT, &folder, "type = \"file\""] {
        assert!(config.contains(part), "no {part} in\n{config}");
    }
}
