//! Configurations that load: defaults, substitutions, paths, the shipped file.

use crate::{RECIPIENT, agent_text, load, load_in, put_secret};
use sealtail::alert;
use sealtail::config::Config;
use sealtail::forward::Kind;
use sealtail::receive::{Limits, Quota};
use sealtail::record::{Decision, Format, Secret, Severity};
use sealtail::source::{self, Encoding, JournaldConfig, Multiline, Namespaces, Opens, Priority, Since, StartAt};
use sealtail::tls::{self, Version};
use std::fs;
use std::time::Duration;

#[test]
fn defaults_are_filled_in_and_paths_made_absolute() {
    let folder = tempfile::tempdir().unwrap();
    let config = load_in(folder.path(), &agent_text("")).unwrap();
    let agent = config.agent.unwrap();
    assert_eq!(agent.host.name, rustix::system::uname().nodename().to_str().unwrap());
    assert_eq!(agent.host.key, folder.path().join("host.key"));
    assert_eq!(agent.recipients[0].to_string(), RECIPIENT);
    let [source::Config::File(file)] = &agent.sources[..] else { panic!("{:?}", agent.sources) };
    assert_eq!((file.name.as_str(), file.start_at, file.max_line_bytes), ("file", StartAt::Beginning, 256 * 1024));
    assert_eq!((file.include.as_slice(), file.exclude.len()), (&["/var/log/*.log".to_owned()][..], 0));
    assert_eq!((agent.policy.paths.len(), agent.policy.max_instructions), (0, 100_000));
    assert_eq!(agent.chain.flush_interval, Duration::from_secs(1));
    assert_eq!(agent.chain.max_stream_age, Duration::from_secs(24 * 60 * 60));
    assert_eq!((agent.spool.dir, agent.spool.max_size_bytes), (folder.path().join("spool"), 1 << 30));
    let target = &agent.targets[0];
    let Kind::Https(https) = &target.kind else { panic!("{target:?}") };
    assert_eq!(
        (target.name.as_str(), https.url.as_str(), target.required),
        ("archive", "https://a.internal:7443", true)
    );
    assert_eq!((target.batch_max_size_bytes, target.batch_max_age), (4 << 20, Duration::from_secs(1)));
    assert_eq!(https.tls.ca, Some(folder.path().join("ca.pem")));
    assert_eq!((config.telemetry.listen, config.telemetry.socket), (None, None));
    assert_eq!((config.telemetry.log.as_str(), config.receive), ("info", None));
}

#[test]
fn ports_and_rights_are_those_that_targets_and_listeners_take() {
    use rustix::thread::CapabilitySet;
    let folder = tempfile::tempdir().unwrap();
    let tls = "tls = { ca = \"ca.pem\", cert = \"client.pem\", key = \"client.key\" }";
    let target = |keys: &str| format!("[[target]]\nname = \"b\"\n{keys}\n");
    let https = target(&format!("type = \"https\"\nurl = \"https://b.internal\"\n{tls}"));
    let proxy = target(&format!(
        "type = \"https\"\nurl = \"https://b.internal:8443\"\nproxy = {{ url = \"http://proxy.internal:3128\" }}\n{tls}"
    ));
    let kafka = target(&format!("type = \"kafka\"\nbrokers = [\"k.internal:9093\"]\ntopic = \"audit\"\n{tls}"));
    let nats = target(&format!(
        "type = \"nats\"\nurl = \"tls://n.internal\"\nstream = \"A\"\nsubject = \"a.{{host}}\"\n{tls}"
    ));
    let (reading, all) = (CapabilitySet::DAC_READ_SEARCH, CapabilitySet::empty());
    let (binding, immutable) = (CapabilitySet::NET_BIND_SERVICE, CapabilitySet::LINUX_IMMUTABLE);
    for (more, connect, rights) in [
        (String::new(), &[53, 7443, 9999][..], all),
        (https, &[53, 443, 7443, 9999], all),
        (proxy, &[53, 3128, 7443, 9999], all),
        (kafka, &[53, 7443, 9093, 9999], all),
        (nats, &[53, 4222, 7443, 9999], all),
        (target("type = \"file\"\ndir = \"b\"\nimmutable = true"), &[53, 7443, 9999], immutable),
        ("[telemetry]\nlisten = \"127.0.0.1:98\"\n".to_owned(), &[53, 7443, 9999], binding),
    ] {
        let needs = |text: &str| {
            let config = load_in(folder.path(), &agent_text(text)).unwrap();
            let needs = config.agent_needs(&folder.path().join("sealtail.toml")).unwrap();
            let listen = config.telemetry.listen.map(|at| at.port());
            assert_eq!(needs.ports.bind.iter().copied().collect::<Vec<_>>(), listen.as_slice());
            assert_eq!(needs.capabilities, reading | rights, "{text}");
            needs.ports.connect
        };
        assert_eq!(needs(&more), None, "nothing was said of ports");
        let named = needs(&format!("{more}[hardening]\nconnect = [\"9999\"]\n"));
        assert_eq!(named, Some(connect.iter().copied().collect()), "{more}");
    }
    let wrong = load_in(folder.path(), &agent_text("[hardening]\nconnect = [\"https\", \"0\"]\n")).unwrap_err();
    assert!(wrong.len() == 2 && wrong.iter().all(|fault| fault.contains("no TCP port")), "{wrong:?}");
}

#[test]
fn what_is_written_counts() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        r#"
        [host]
        name = "web-1"
        key = "/etc/sealtail/host.key"
        [auditors]
        recipients = ["{RECIPIENT}"]
        [[source]]
        type = "file"
        name = "app"
        include = ["logs/**/*.json", "./b.log", "/var/log/a.log"]
        exclude = ["/var/log/*.gz"]
        start_at = "end"
        format = "plain"
        max_line = "512KiB"
        [[source]]
        type = "stdin"
        max_line = "1KiB"
        encoding = "utf-16le"
        multiline = {{ start = '^\d{{4}}-' }}
        labels = {{ env = "${{PATH}}", "a.b/c_d-e" = "" }}
        downward_api = "podinfo"
        [policy]
        paths = ["policies", "/p"]
        max_instructions = 5_000
        on_undecided = "withhold"
        [erasure]
        keys = ["erasure.pub", "/e.pub"]
        [chain]
        flush_interval = "10ms"
        max_stream_age = "7d"
        [spool]
        dir = "/s"
        max_size = "8MiB"
        when_full = "block"
        [[target]]
        name = "a"
        type = "https"
        url = "https://a.internal:7443/base/"
        required = false
        batch = {{ max_size = "64KiB", max_age = "5m" }}
        tls = {{ ca = "ca.pem", cert = "c.pem", key = "c.key" }}
        [[target]]
        name = "b"
        type = "https"
        url = "https://[::1]:7443"
        [target.tls]
        ca = "ca.pem"
        cert = "c.pem"
        key = "c.key"
        [[alert]]
        name = "oncall"
        type = "webhook"
        url = "https://hooks.internal/${{file:token}}?x=1"
        secret = "${{file:token}}"
        min_severity = "high"
        decision = "deny"
        tls = {{ ca = "ca.pem" }}
        group_interval = "1s"
        max_per_minute = 6000
        timeout = "100ms"
        give_up_after = "1d"
        [[alert]]
        name = "am"
        type = "alertmanager"
        url = "http://[::1]:9093"
        decision = "undecided"
        [[alert]]
        name = "page"
        type = "command"
        argv = ["/usr/local/bin/page", "{{id}}"]
        min_severity = "info"
        [telemetry]
        listen = "127.0.0.1:9598"
        socket = "status.sock"
        log = "warn,sealtail=debug"
        "#
    );
    put_secret(&folder.path().join("token"), "t0ken\n");
    let config = load_in(folder.path(), &text).unwrap();
    assert!(!format!("{config:?}").contains("Secret(t0ken"));
    let agent = config.agent.unwrap();
    assert_alerts(folder.path(), &agent.alerts);
    assert_eq!(agent.host.name, "web-1");
    let [source::Config::File(file), source::Config::Stdin(stdin)] = &agent.sources[..] else { panic!() };
    let below = |path: &str| folder.path().join(path).to_str().unwrap().to_owned();
    assert_eq!(file.include, [below("logs/**/*.json"), below("b.log"), "/var/log/a.log".to_owned()]);
    assert_eq!((file.start_at, file.max_line_bytes), (StartAt::End, 512 * 1024));
    assert_eq!((stdin.name.as_str(), stdin.max_line_bytes), ("stdin", 1024));
    assert_eq!((file.text.format, stdin.text.encoding), (Format::Plain, Encoding::Utf16Le));
    let multiline = Multiline { opens: Opens::Start(r"^\d{4}-".into()), timeout: Duration::from_secs(1) };
    assert_eq!((&file.text.multiline, &stdin.text.multiline), (&None, &Some(multiline)));
    assert_eq!(stdin.labels.fixed["env"], std::env::var("PATH").unwrap());
    assert_eq!((stdin.labels.fixed.len(), &stdin.labels.downward_api), (2, &Some(folder.path().join("podinfo"))));
    assert_eq!(agent.policy.paths, [folder.path().join("policies"), "/p".into()]);
    assert_eq!((agent.policy.max_instructions, agent.policy.withhold_undecided), (5_000, true));
    assert_eq!(agent.erasure, [folder.path().join("erasure.pub"), "/e.pub".into()]);
    assert_eq!(agent.chain.max_stream_age, Duration::from_secs(7 * 24 * 60 * 60));
    assert_eq!((agent.targets[0].required, agent.targets[0].batch_max_size_bytes), (false, 64 * 1024));
    let Kind::Https(https) = &agent.targets[0].kind else { panic!("{:?}", agent.targets[0]) };
    assert_eq!((https.url.as_str(), agent.targets[1].required), ("https://a.internal:7443/base", true));
    assert_eq!(config.telemetry.log, "warn,sealtail=debug");
    assert_eq!(config.telemetry.listen, Some(([127, 0, 0, 1], 9598).into()));
    assert_eq!(config.telemetry.socket, Some(folder.path().join("status.sock")));
}

fn assert_alerts(folder: &std::path::Path, alerts: &[alert::Config]) {
    let [webhook, manager, command] = alerts else { panic!("{alerts:?}") };
    let tls = tls::Config { ca: Some(folder.join("ca.pem")), min_version: Version::Tls12, ..tls::Config::default() };
    let url = "https://hooks.internal/t0ken?x=1".to_owned();
    let expected = alert::Config {
        name: "oncall".into(),
        kind: alert::Kind::Webhook { url, secret: Secret::new("t0ken"), tls },
        min_severity: Some(Severity::High),
        decision: Some(Decision::Deny),
        group_interval: Duration::from_secs(1),
        max_per_minute: 6000,
        timeout: Duration::from_millis(100),
        give_up_after: Duration::from_secs(24 * 60 * 60),
    };
    assert_eq!(*webhook, expected);
    let (url, tls) =
        ("http://[::1]:9093".to_owned(), tls::Config { min_version: Version::Tls12, ..tls::Config::default() });
    assert_eq!(manager.kind, alert::Kind::Alertmanager { url, tls });
    assert_eq!((manager.min_severity, manager.decision), (None, Some(Decision::Undecided)));
    assert_eq!((manager.group_interval, manager.max_per_minute), (Duration::from_secs(60), 30));
    assert_eq!((manager.timeout, manager.give_up_after), (Duration::from_secs(5), Duration::from_secs(15 * 60)));
    assert_eq!(command.kind, alert::Kind::Command { argv: vec!["/usr/local/bin/page".into(), "{id}".into()] });
}

#[test]
fn bundles_are_asked_for_and_checked_as_written() {
    use sealtail::policy::bundle::Keys;
    let folder = tempfile::tempdir().unwrap();
    put_secret(&folder.path().join("token"), "t0ken\n");
    let policy = |lines: &str| {
        let text = agent_text(&format!("[policy]\n{lines}"));
        load_in(folder.path(), &text).unwrap().agent.unwrap().policy
    };
    let found = policy(
        "verify = { keys = { a = \"a.pub\" }, key_id = \"a\", scope = \"write\" }\nbundle = { url = \"https://a/b?c\", poll = \"5m\", \
         token = \"${file:token}\", tls = { ca = \"ca.pem\", cert = \"c.pem\", key = \"c.key\" } }",
    );
    let (verify, bundle) = (found.verify.unwrap(), found.bundle.unwrap());
    assert_eq!(verify.keys, Keys::ById([("a".to_owned(), folder.path().join("a.pub"))].into()));
    assert_eq!((verify.key_id.as_deref(), verify.scope.as_str()), (Some("a"), "write"));
    assert_eq!((bundle.url.as_str(), bundle.poll), ("https://a/b?c", Duration::from_secs(300)));
    assert_eq!(bundle.token, Some(Secret::new("t0ken".to_owned())));
    let tls = bundle.tls.unwrap();
    let key = tls.client.unwrap().key;
    assert_eq!((tls.ca, key), (Some(folder.path().join("ca.pem")), folder.path().join("c.key")));
    assert!(bundle.kept_in.starts_with(folder.path().join("spool")));
    let found = policy("verify = { secret = \"${file:token}\" }\nbundle = { url = \"http://[::1]:8181/b\" }");
    assert_eq!(found.bundle.as_ref().unwrap().poll, Duration::from_secs(60));
    assert!(!format!("{found:?}").contains("t0ken"));
    assert_eq!(policy("verify = { key = \"k\" }").verify.unwrap().keys, Keys::One(folder.path().join("k")));
}

#[test]
fn a_folder_with_pattern_characters_in_its_name_is_taken_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("a[1]");
    fs::create_dir(&odd).unwrap();
    let config = load_in(&odd, &agent_text("").replace("/var/log/*.log", "*.log")).unwrap();
    let [source::Config::File(file)] = &config.agent.unwrap().sources[..] else { panic!() };
    let pattern = globset::Glob::new(&file.include[0]).unwrap().compile_matcher();
    assert!(pattern.is_match(odd.join("x.log")), "{file:?}");
}

#[test]
fn strings_take_variables_and_files() {
    let folder = tempfile::tempdir().unwrap();
    put_secret(&folder.path().join("recipient"), &format!("{RECIPIENT}\n"));
    let text = agent_text("").replace(RECIPIENT, "${file:recipient}").replace("\"spool\"", "\"${PATH}/$${x}\"");
    let agent = load_in(folder.path(), &text).unwrap().agent.unwrap();
    assert_eq!(agent.recipients[0].to_string(), RECIPIENT);
    let path = std::env::var("PATH").unwrap();
    assert!(agent.spool.dir.ends_with("${x}"), "{:?}", agent.spool.dir);
    assert!(agent.spool.dir.to_str().unwrap().contains(path.split('/').next_back().unwrap()));
}

#[test]
fn a_journald_source_has_defaults_and_takes_what_is_written() {
    let journald = |more: &str| {
        let text = agent_text("")
            .replace("type = \"file\"\ninclude = [\"/var/log/*.log\"]", &format!("type = \"journald\"\n{more}"));
        let mut agent = load(&text).unwrap().agent.unwrap();
        let Some(source::Config::Journald(journald)) = agent.sources.pop() else { panic!("{:?}", agent.sources) };
        journald
    };
    assert_eq!(journald(""), JournaldConfig::named("journald"));
    let written = r#"
        name = "j"
        units = ["sshd", "user@*.service"]
        priority = "notice"
        namespaces = ["default", "web"]
        directories = ["/j"]
        since = "now"
        max_line = "1KiB"
    "#;
    let expected = JournaldConfig {
        name: "j".into(),
        units: vec!["sshd".into(), "user@*.service".into()],
        priority: Some(Priority::Notice),
        namespaces: Namespaces::These(vec!["default".into(), "web".into()]),
        directories: vec!["/j".into()],
        since: Since::Now,
        max_line_bytes: 1024,
    };
    assert_eq!(journald(written), expected);
    assert_eq!(journald("namespaces = [\"*\"]").namespaces, Namespaces::All);
}

const RECEIVE: &str = r#"
[receive]
listen = "127.0.0.1:7443"
dir = "archive"
tls = { ca = "ca.pem", cert = "server.pem", key = "server.key" }
"#;

#[test]
fn a_receiver_needs_no_agent() {
    let folder = tempfile::tempdir().unwrap();
    let config = load_in(folder.path(), RECEIVE).unwrap();
    assert_eq!(config.agent, None);
    let receive = config.receive.unwrap();
    assert_eq!(receive.listen, "127.0.0.1:7443".parse().unwrap());
    assert_eq!(receive.dir, folder.path().join("archive"));
    assert_eq!((receive.trust, receive.receipt_key), (None, folder.path().join("receipt.key")));
    let text = format!("{RECEIVE}trust = \"trust.toml\"\nreceipt_key = \"/k/r.key\"\n");
    let receive = load_in(folder.path(), &text).unwrap().receive.unwrap();
    assert_eq!(receive.trust, Some(folder.path().join("trust.toml")));
    assert_eq!(receive.receipt_key.to_str(), Some("/k/r.key"));
}

#[test]
fn a_receivers_limits_have_defaults_and_its_quotas_none() {
    let receive = load(RECEIVE).unwrap().receive.unwrap();
    assert_eq!((receive.limits, receive.quota), (Limits::default(), Quota::default()));
    let text = format!(
        "{RECEIVE}[receive.limits]\nmax_batch = \"1MiB\"\nconnections_per_host = 3\nmin_rate = \"1KiB\"\n\
         [receive.quota]\nsize = \"1MiB\"\nrequests_per_second = 7\n"
    );
    let receive = load(&text).unwrap().receive.unwrap();
    let limits =
        Limits { batch_max_bytes: 1 << 20, connections_per_host: 3, min_rate_bytes: 1 << 10, ..Limits::default() };
    let quota = Quota { size_bytes: Some(1 << 20), requests_per_second: Some(7), day_bytes: None };
    assert_eq!((receive.limits, receive.quota), (limits, quota));
    // a batch that never fits would be sent again for ever
    let faults = load(&format!("{RECEIVE}[receive.quota]\nday = \"63MiB\"\n")).unwrap_err();
    assert!(faults.len() == 1 && faults[0].contains("quota.day") && faults[0].contains("64MiB"), "{faults:?}");
}

#[test]
fn one_file_may_be_for_both_with_folders_apart() {
    assert!(load(&agent_text(RECEIVE)).unwrap().receive.is_some());
    let faults = load(&agent_text(&RECEIVE.replace("\"archive\"", "\"spool/archive\""))).unwrap_err();
    assert!(faults[0].contains("[receive] dir: the archive and the spool are in one another"), "{faults:?}");
}

#[test]
fn an_optional_target_may_lag_by_a_quarter_of_the_spool_and_a_required_one_for_ever() {
    let second = |keys: &str| {
        load(&agent_text(&format!("[[target]]\nname = \"copy\"\ntype = \"file\"\ndir = \"/mnt/worm\"\n{keys}\n")))
    };
    let lags = |config: Config| config.agent.unwrap().targets.iter().map(|t| t.max_lag_bytes).collect::<Vec<_>>();
    assert_eq!(lags(second("").unwrap()), [None, None]);
    assert_eq!(lags(second("required = false").unwrap()), [None, Some(256 << 20)]);
    assert_eq!(lags(second("required = false\nmax_lag = \"2MiB\"").unwrap()), [None, Some(2 << 20)]);
    let faults = second("max_lag = \"2MiB\"").unwrap_err();
    assert!(faults.len() == 1 && faults[0].contains("set required = false"), "{faults:?}");
    let faults = second("required = false\nmax_lag = \"513MiB\"").unwrap_err();
    assert!(faults.len() == 1 && faults[0].contains("choose 1MiB to 512MiB"), "{faults:?}");
}

#[test]
fn the_digest_is_that_of_the_bytes() {
    use sha2::{Digest, Sha256};
    let digest: [u8; 32] = Sha256::digest(RECEIVE).into();
    assert_eq!(load(RECEIVE).unwrap().digest, digest);
}

/// The shipped file, in a folder of its own with the auditor's recipient beside it, as its comments say.
fn shipped(change: impl Fn(String) -> String) -> Result<Config, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("auditor.pub"), format!("{RECIPIENT}\n")).unwrap();
    put_secret(&folder.path().join("webhook.secret"), "s3cret\n");
    load_in(folder.path(), &change(include_str!("../../config/sealtail.toml").to_owned()))
}

#[test]
fn the_shipped_file_loads_and_so_does_everything_it_shows() {
    shipped(|text| text).unwrap();
    // a comment that begins with a key or a table shows a default or an option
    let shows = |line: &str| {
        let key = line.split([' ', '=']).next().unwrap_or_default();
        line.starts_with('[') || (line.contains(" = ") && key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    let uncomment = |line: &str| match line.strip_prefix("# ") {
        Some(shown) if shows(shown) => shown.to_owned(),
        _ => line.to_owned(),
    };
    let everything = |text: String| text.lines().map(|line| uncomment(line) + "\n").collect();
    let config = shipped(everything).unwrap();
    let agent = config.agent.unwrap();
    let [webhook, manager, command] = &agent.alerts[..] else { panic!("{:?}", agent.alerts) };
    // what it shows are the defaults
    let limits =
        |alert: &alert::Config| (alert.group_interval, alert.max_per_minute, alert.timeout, alert.give_up_after);
    assert_eq!((limits(webhook), limits(webhook)), (limits(manager), limits(command)));
    assert_eq!((agent.sources.len(), agent.targets.len(), agent.policy.paths.len()), (3, 7, 1));
    assert!(agent.policy.verify.is_some() && agent.policy.bundle.is_some());
    assert!(config.receive.unwrap().trust.is_some());
}

#[test]
fn the_files_for_kubernetes_load() {
    for (text, sources) in
        [(include_str!("../../config/sidecar.toml"), 1), (include_str!("../../config/kubernetes-node.toml"), 2)]
    {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("auditor.pub"), format!("{RECIPIENT}\n")).unwrap();
        // the one variable that they take, and the machine that runs the tests has
        let text = text.replace("${NODE_NAME}", "node-1").replace("${POD_NAME}", "web-7d4b-x");
        let agent = load_in(folder.path(), &text).unwrap_or_else(|faults| panic!("{faults:?}")).agent.unwrap();
        assert_eq!(agent.sources.len(), sources);
    }
}

#[test]
fn what_the_shipped_file_shows_are_the_defaults() {
    let config = shipped(|text| text).unwrap();
    let defaults = load(&agent_text("")).unwrap();
    let (shown, defaults) = (config.agent.unwrap(), defaults.agent.unwrap());
    assert_eq!(shown.chain, defaults.chain);
    assert_eq!(shown.policy, defaults.policy);
    assert_eq!(shown.spool.max_size_bytes, defaults.spool.max_size_bytes);
}
