//! Configurations that don't load, and what is said of them.

use crate::{RECIPIENT, agent_text, load, load_in, put_secret};
use std::fs;

/// The one fault of an agent's configuration after a change.
fn fault(from: &str, to: &str) -> String {
    let text = agent_text("");
    assert!(text.contains(from), "nothing to change: {from}");
    let faults = load(&text.replacen(from, to, 1)).unwrap_err();
    let [fault] = &faults[..] else { panic!("{to}: {faults:#?}") };
    fault.clone()
}

#[test]
fn six_faults_are_told_at_once_with_their_places() {
    let text = r#"[host]
key = "host.key"
[auditors]
recipients = ["age1nonsense"]
[[source]]
type = "file"
include = ["/var/log/*.log"]
exlude = ["/var/log/*.gz"]
[chain]
flush_interval = "5ms"
[spool]
dir = "spool"
max_size = "1GB"
[[target]]
name = "archive"
type = "https"
url = "http://a.internal:7443"
required = "yes"
tls = { ca = "ca.pem", cert = "client.pem", key = "client.key" }
"#;
    let expected = [
        "sealtail.toml:4:15: [auditors] recipients: \"age1nonsense\": no age X25519 recipient",
        "sealtail.toml:8:1: [[source]] exlude: not known here; did you mean exclude?",
        "sealtail.toml:10:18: [chain] flush_interval: \"5ms\": out of bounds; choose 10ms to 1m",
        "sealtail.toml:13:12: [spool] max_size: \"1GB\": no quantity; write \"1GiB\"",
        "sealtail.toml:17:7: [[target]] url: \"http://a.internal:7443\": plain http lets everybody",
        "sealtail.toml:18:12: [[target]] required: is a string, not true or false; write true or false, without quotes",
    ];
    let faults = load(text).unwrap_err();
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.starts_with(expected), "{fault}\n{expected}");
    }
}

#[test]
fn each_value_of_a_bundle_that_cannot_be_is_told() {
    let tls = "tls = { ca = \"ca.pem\" }";
    let url = |url: &str, more: &str| format!("bundle = {{ url = \"{url}\", {more} }}");
    for (line, place, what) in [
        (url("https://a/b", ""), "policy] bundle.url", "nobody is trusted for this https URL; write tls ="),
        (url("http://a/b", ""), "policy] bundle.url", "anybody on the way could change the bundle; write https"),
        (url("http://127.0.0.1/b", tls), "policy] bundle.url", "plain http, and tls is configured"),
        (url("https://me:s3cret@a/b", tls), "policy] bundle.url", "holds a user name or a password"),
        (url("ftp://a/b?s3cret", tls), "policy] bundle.url", "is no https URL"),
        (url("s3cret", tls), "policy] bundle.url", "is no URL"),
        (url("https://a/b", "poll = \"10ms\", tls = { ca = \"c\" }"), "policy] bundle.poll", "choose 1s to 1d"),
        (
            url("https://a/b", "token = \"s3 cret\", tls = { ca = \"c\" }"),
            "policy] bundle.token",
            "ASCII without white",
        ),
        (url("https://a/b", "tls = { ca = \"c\", cert = \"c\" }"), "policy] bundle.tls", "one of cert and key"),
        (url("https://a/b", "tls = { }"), "policy] bundle.tls.ca", "missing"),
        ("bundle = { }".to_owned(), "policy] bundle.url", "missing"),
        ("verify = { }".to_owned(), "policy] verify", "needs one key"),
        ("verify = { key = \"a\", secret = \"b\" }".to_owned(), "policy] verify", "needs one key"),
        ("verify = { key = \"a\", key_id = \"b\" }".to_owned(), "policy] verify.key_id", "is not among verify.keys"),
        ("verify = { keys = { \"a b\" = \"c\" } }".to_owned(), "policy] verify.keys.a b", "cannot be a name"),
        ("verify = { key = \"a\", keyid = \"b\" }".to_owned(), "policy] verify.keyid", "did you mean key_id?"),
    ] {
        let fault = fault("[spool]", &format!("[policy]\n{line}\n[spool]"));
        assert!(fault.contains(place) && fault.contains(what) && !fault.contains("s3"), "{fault}");
    }
}

#[test]
fn each_value_of_a_journald_source_that_cannot_be_is_told() {
    for (line, place, what) in [
        ("units = [\"a/b\"]", "7:10: [[source]] units", "no unit is called so"),
        ("units = [\"user@[\"]", "7:10: [[source]] units", "unclosed character class"),
        ("priority = \"loud\"", "7:12: [[source]] priority", "choose \"emerg\" or \"alert\""),
        ("namespaces = [\"a b\"]", "7:15: [[source]] namespaces", "no namespace is called so"),
        ("namespaces = \"web\"", "7:14: [[source]] namespaces", "not a list of strings"),
        ("directories = [\"\"]", "7:16: [[source]] directories", "no path"),
        ("since = \"end\"", "7:9: [[source]] since", "choose \"beginning\" or \"now\""),
        ("include = [\"/var/log/*.log\"]", "7:1: [[source]] include", "not known here"),
    ] {
        let text = agent_text("").replace("type = \"file\"", "type = \"journald\"");
        let faults = load(&text.replace("include = [\"/var/log/*.log\"]", line)).unwrap_err();
        let found = faults.iter().any(|fault| fault.contains(place) && fault.contains(what));
        assert!(found && faults.len() == 1, "{line}: {faults:#?}");
    }
}

#[test]
fn each_value_that_cannot_be_is_told() {
    for (from, to, place, what) in [
        ("key = \"host.key\"", "key = \"client-certificate\"", "2:7: [host] key", "not in this version yet"),
        ("key = \"host.key\"", "key = 7", "2:7: [host] key", "is a whole number, not a string"),
        ("key = \"host.key\"", "key = \"~/host.key\"", "2:7: [host] key", "${HOME}"),
        ("key = \"host.key\"", "", "1:1: [host] key", "missing; make one with `sealtail keys host"),
        ("[host]\n", "[host]\nname = \"a b\"\n", "2:8: [host] name", "cannot be a name"),
        ("[host]\n", "[host]\nname = \"..\"\n", "2:8: [host] name", "cannot be a name"),
        (&format!("[\"{RECIPIENT}\"]"), "[]", "3:1: [auditors] recipients", "missing"),
        (&format!("[\"{RECIPIENT}\"]"), "\"x\"", "4:14: [auditors] recipients", "not a list of strings"),
        (&format!("\"{RECIPIENT}\""), &format!("\"{RECIPIENT}\", \"{RECIPIENT}\""), "4:81: [auditors]", "listed twice"),
        ("type = \"file\"", "type = \"tail\"", "6:8: [[source]] type", "choose \"file\" or \"journald\" or \"stdin\""),
        ("type = \"file\"", "", "5:1: [[source]] type", "missing"),
        ("/var/log/*.log", "/var/log/[", "7:12: [[source]] include", "unclosed character class"),
        ("/var/log/*.log", "/var/log/", "7:12: [[source]] include", "matches no file"),
        ("/var/log/*.log", "/var/../*.log", "7:12: [[source]] include", "with .. matches nothing"),
        ("[\"/var/log/*.log\"]", "[]", "5:1: [[source]] include", "missing"),
        ("[spool]", "max_line = \"1MiB\"\n[spool]", "8:12: [[source]] max_line", "choose 1KiB to 512KiB"),
        ("[spool]", "max_line = 4096\n[spool]", "8:12: [[source]] max_line", "write \"4096B\", in quotes"),
        ("[spool]", "format = \"xml\"\n[spool]", "8:10: [[source]] format", "\"syslog\" or \"auditd\""),
        ("[spool]", "encoding = \"latin1\"\n[spool]", "8:12: [[source]] encoding", "\"utf-16le\" or \"utf-16be\""),
        ("[spool]", "multiline = '^x'\n[spool]", "8:13: [[source]] multiline", "write multiline = {"),
        (
            "[spool]",
            "multiline = { timeout = '1s' }\n[spool]",
            "8:13: [[source]] multiline",
            "either start or continue",
        ),
        (
            "[spool]",
            "multiline = { start = 'a', continue = 'b' }\n[spool]",
            "8:13: [[source]] multiline",
            "either start or",
        ),
        ("[spool]", "multiline = { start = '(' }\n[spool]", "8:23: [[source]] multiline.start", "unclosed group"),
        ("[spool]", "multiline = { begin = 'a' }\n[spool]", "8:15: [[source]] multiline.begin", "not known here"),
        (
            "[spool]",
            "multiline = { start = 'a', timeout = '1h' }\n[spool]",
            "8:38: [[source]] multiline.timeout",
            "10ms to 1m",
        ),
        (
            "[spool]",
            "format = 'cri'\nmultiline = { start = 'a' }\n[spool]",
            "9:13: [[source]] multiline",
            "this format says",
        ),
        ("[spool]", "format = 'auditd'\nmultiline = { start = 'a' }\n[spool]", "9:13: [[source]]", "this format says"),
        ("[spool]", "labels = { 'a b' = 'c' }\n[spool]", "8:12: [[source]] labels.a b", "cannot be a name"),
        ("[spool]", "labels = { a = 1 }\n[spool]", "8:16: [[source]] labels.a", "is a whole number, not a string"),
        ("[spool]", "labels = ['a']\n[spool]", "8:10: [[source]] labels", "write labels = {"),
        ("[spool]", "downward_api = ''\n[spool]", "8:16: [[source]] downward_api", "no path"),
        ("[spool]", "start_at = \"now\"\n[spool]", "8:12: [[source]] start_at", "\"beginning\" or \"end\""),
        ("dir = \"spool\"", "dir = \"\"", "9:7: [spool] dir", "no path"),
        ("dir = \"spool\"", "dir = \"s\"\nmax_size = \"1MiB\"", "10:12: [spool] max_size", "choose 8MiB to"),
        ("dir = \"spool\"", "dir = \"s\"\nwhen_full = \"drop\"", "10:13: [spool] when_full", "not in this version yet"),
        ("[spool]\ndir = \"spool\"\n", "", "1:1: [spool] dir", "missing"),
        ("\"archive\"", "\"a/b\"", "11:8: [[target]] name", "cannot be a name"),
        ("\"https\"", "\"syslog\"", "12:8: [[target]] type", "not known here"),
        ("https://a", "ftp://a", "13:7: [[target]] url", "not an https URL"),
        ("https://a.internal:7443", "a.internal", "13:7: [[target]] url", "no URL"),
        ("7443", "7443/?q=1", "13:7: [[target]] url", "query"),
        ("key = \"client.key\"", "", "14:7: [[target]] tls.key", "missing"),
        ("tls = {", "tls = { insecure = true,", "14:9: [[target]] tls.insecure", "use one of: ca, cert, key"),
        (
            "tls = {",
            "tls = { server_name = \"a b\",",
            "14:23: [[target]] tls.server_name",
            "a DNS name or an IP address",
        ),
        ("tls = {", "tls = { pin = [\"sha256//AAAA\"],", "14:16: [[target]] tls.pin", "openssl"),
        ("tls = {", "tls = { crl = \"a.pem\",", "14:15: [[target]] tls.crl", "not a list"),
        ("tls = {", "tls = { min_version = \"1.1\",", "14:23: [[target]] tls.min_version", "choose \"1.2\" or \"1.3\""),
        ("tls = {", "proxy = { }\ntls = {", "14:9: [[target]] proxy.url", "missing"),
        (
            "tls = {",
            "proxy = { url = \"https://a\" }\ntls = {",
            "14:17: [[target]] proxy.url",
            "not the http URL of a proxy",
        ),
        ("tls = {", "proxy = { url = \"http://u:p@a\" }\ntls = {", "14:17: [[target]] proxy.url", "user = "),
        (
            "tls = {",
            "proxy = { url = \"http://a\", user = \"u\" }\ntls = {",
            "14:9: [[target]] proxy",
            "one of user and password",
        ),
        (
            "type = \"https\"",
            "type = \"https\"\nprotocol = \"grpc\"",
            "13:12: [[target]] protocol",
            "choose \"sealtail\" or \"generic\"",
        ),
        ("type = \"https\"", "type = \"https\"\nprotocol = \"generic\"", "10:1: [[target]]", "durable = true"),
        (
            "type = \"https\"\nurl = \"https://a.internal",
            "type = \"https\"\nprotocol = \"generic\"\nurl = \"https://a.internal/{hots}",
            "14:7: [[target]] url",
            "use {host} {stream}",
        ),
        (
            "type = \"https\"\nurl = \"https://a.internal",
            "type = \"https\"\nprotocol = \"generic\"\nurl = \"https://{host}",
            "14:7: [[target]] url",
            "a host of its own",
        ),
        ("type = \"https\"", "type = \"otlp\"", "10:1: [[target]] protocol", "choose protocol = \"http\" or \"grpc\""),
        (
            "type = \"https\"",
            "type = \"otlp\"\nprotocol = \"http\"",
            "10:1: [[target]]",
            "no required target says that what it took is durable",
        ),
        ("tls = {", "batch = {", "10:1: [[target]] tls", "missing"),
        ("tls = {", "required = false\ntls = {", "10:1: [[target]]", "no target is required"),
    ] {
        let told = match to {
            _ if to.starts_with("batch") => fault_first(from, to, "tls: missing"),
            // and that neither start nor continue is there
            _ if to.contains("begin =") => fault_first(from, to, "not known here"),
            _ => fault(from, to),
        };
        assert!(told.starts_with(&format!("sealtail.toml:{place}")) && told.contains(what), "{to}: {told}");
    }
}

/// The first of several faults that says `what`.
fn fault_first(from: &str, to: &str, what: &str) -> String {
    let faults = load(&agent_text("").replacen(from, to, 1)).unwrap_err();
    faults.iter().find(|fault| fault.contains(what)).unwrap_or_else(|| panic!("{faults:#?}")).clone()
}

#[test]
fn tables_that_cannot_be_are_told() {
    for (more, place, what) in [
        ("[telemetry]\nlisten = \"9598\"", "16:10: [telemetry] listen", "no address with a port"),
        ("[telemetry]\nlog = \"verbose\"", "16:7: [telemetry] log", "no filter"),
        ("[telemetry]\nlog = \"sealtail=loud\"", "16:7: [telemetry] log", "choose error, warn"),
        ("[telemetry]\nlog = \"\"", "16:7: [telemetry] log", "no filter"),
        (
            "[telemetry]\nsocket = \"/run/sealtail/a/folder/with/a/name/that/no/socket/of/this/kernel/can/have/because/it/is/long.sock\"",
            "16:10: [telemetry] socket",
            "longer than a socket's path can be",
        ),
        ("[[alert]]\nname = \"a\"", "15:1: [[alert]] type", "missing; choose type = \"webhook\""),
        ("[erasure]\nkeys = [\"\"]", "16:9: [erasure] keys", "no path"),
        ("[polcy]\npaths = []", "15:2: [polcy]", "did you mean policy?"),
        ("[unheard]\nx = 1", "15:2: [unheard]", "use one of: host, auditors"),
        ("[policy]\nmax_instructions = 0", "16:20: [policy] max_instructions", "choose 1 to"),
        ("[policy]\nmax_instructions = \"many\"", "16:20: [policy] max_instructions", "not a whole number"),
        ("[policy]\non_undecided = \"hide\"", "16:16: [policy] on_undecided", "choose \"ship\" or \"withhold\""),
        ("[chain]\nmax_stream_age = \"10s\"", "16:18: [chain] max_stream_age", "choose 1m to"),
        ("[chain]\nflush_interval = 1", "16:18: [chain] flush_interval", "write \"1s\", in quotes"),
        ("[[chain]]\nflush_interval = \"1s\"", "15:1: [chain]", "write [chain], once and in single brackets"),
        ("[[source]]\ntype = \"file\"\ninclude = [\"/x\"]", "15:1: [[source]]", "the one on line 5 has this name too"),
        (
            "[receive]\nlisten = \"x\"\ndir = \"d\"\ntls = { ca = \"a\", cert = \"b\", key = \"c\" }",
            "16:10: [receive] listen",
            "address",
        ),
    ] {
        let faults = load(&agent_text(more)).unwrap_err();
        let [told] = &faults[..] else { panic!("{more}: {faults:#?}") };
        assert!(told.starts_with(&format!("sealtail.toml:{place}")) && told.contains(what), "{more}: {told}");
    }
    let faults = load("[source]\ntype = \"file\"\n").unwrap_err();
    assert!(
        faults.iter().any(|fault| fault.contains("1:1: [[source]]: is a table, not a list of tables")),
        "{faults:#?}"
    );
}

#[test]
fn each_value_of_an_alert_target_that_cannot_be_is_told() {
    let webhook = r#"[[alert]]
name = "oncall"
type = "webhook"
url = "https://hooks.internal/audit?x=1"
secret = "s"
min_severity = "high"
"#;
    assert!(load(&agent_text(webhook)).is_ok());
    let command = "type = \"command\"\nargv = ";
    for (from, to, place, what) in [
        ("\"oncall\"", "\"on call\"", "16:8: [[alert]] name", "cannot be a name"),
        ("\"webhook\"", "\"mail\"", "17:8: [[alert]] type", "\"alertmanager\" or \"command\""),
        ("https://hooks.internal", "http://10.0.0.1", "18:7: [[alert]] url", "plain http is for 127.0.0.1"),
        ("https://hooks.internal", "http://localhost.evil.org", "18:7: [[alert]] url", "plain http is for 127.0.0.1"),
        ("https://hooks.internal", "file://", "18:7: [[alert]] url", "not an https URL"),
        ("https://hooks", "https://me:hunter2@hooks", "18:7: [[alert]] url", "user name or a password"),
        ("?x=1", "#x", "18:7: [[alert]] url", "fragment"),
        ("\"webhook\"", "\"alertmanager\"", "18:7: [[alert]] url", "query"),
        ("secret = \"s\"\n", "", "15:1: [[alert]] secret", "missing; name what signs"),
        ("\"s\"", "\"\"", "19:10: [[alert]] secret", "anybody could sign"),
        ("\"high\"", "\"severe\"", "20:16: [[alert]] min_severity", "\"high\" or \"critical\""),
        ("min_severity = \"high\"", "decision = \"denied\"", "20:12: [[alert]] decision", "\"deny\" or \"undecided\""),
        ("min_severity = \"high\"\n", "", "15:1: [[alert]] min_severity", "say which verdicts"),
        ("secret", "tls = { cert = \"c.pem\" }\nsecret", "19:7: [[alert]] tls.key", "missing"),
        (
            "https://hooks.internal/audit?x=1\"",
            "http://127.0.0.1/\"\ntls = { ca = \"a\" }",
            "19:7: [[alert]] tls",
            "for https",
        ),
        ("secret", "group_interval = \"10ms\"\nsecret", "19:18: [[alert]] group_interval", "choose 1s to 1h"),
        ("secret", "max_per_minute = 0\nsecret", "19:18: [[alert]] max_per_minute", "choose 1 to 6000"),
        ("secret", "timeout = \"1h\"\nsecret", "19:11: [[alert]] timeout", "choose 100ms to 1m"),
        ("secret", "give_up_after = \"1h30m\"\nsecret", "19:17: [[alert]] give_up_after", "no quantity"),
        ("type = \"webhook\"", &format!("{command}[\"page\"]"), "18:9: [[alert]] argv", "absolute path"),
        ("type = \"webhook\"", &format!("{command}[\"/page\", \"{{message}}\"]"), "18:18: [[alert]] argv", "{…}"),
        ("type = \"webhook\"", &format!("{command}[]"), "15:1: [[alert]] argv", "missing"),
    ] {
        assert!(webhook.contains(from), "nothing to change: {from}");
        let faults = load(&agent_text(&webhook.replacen(from, to, 1))).unwrap_err();
        let found =
            faults.iter().any(|told| told.starts_with(&format!("sealtail.toml:{place}")) && told.contains(what));
        assert!(found, "{to}: {faults:#?}");
        // a url and a secret are not a command's, nor a secret an Alertmanager's
        assert!(faults.len() == 1 || to.contains("command") || to.contains("alertmanager"), "{to}: {faults:#?}");
        assert!(!faults.iter().any(|told| told.contains("hunter2")), "{faults:#?}");
    }
}

#[test]
fn standard_input_is_read_once() {
    let more = "[[source]]\ntype = \"stdin\"\nname = \"a\"\n[[source]]\ntype = \"stdin\"\nname = \"b\"";
    let faults = load(&agent_text(more)).unwrap_err();
    assert!(faults[0].contains("18:1: [[source]]: standard input is read on line 15 already"), "{faults:?}");
}

#[test]
fn an_agent_needs_all_its_parts() {
    let faults = load("[policy]\n").unwrap_err();
    let subjects = ["[[source]]", "[[target]]", "[auditors] recipients", "[host] key", "[spool] dir"];
    for subject in subjects {
        assert!(faults.iter().any(|fault| fault.contains(&format!("{subject}: missing"))), "{subject}: {faults:#?}");
    }
    assert_eq!(faults.len(), subjects.len(), "{faults:#?}");
    assert!(load("").unwrap_err()[0].contains("neither an agent nor a receiver"));
}

#[test]
fn bad_syntax_is_one_fault_with_its_place() {
    for (text, place) in [
        ("[host]\nkey = \n", "sealtail.toml:2:"),
        ("[host]\nkey = \"a\"\nkey = \"b\"\n", "sealtail.toml:3:1: duplicate key"),
        ("[host]\n# é\nkey é = 1\n", "sealtail.toml:3:5: "),
        ("[host\n", "sealtail.toml:1:"),
    ] {
        let faults = load(text).unwrap_err();
        assert!(faults.len() == 1 && faults[0].starts_with(place), "{text}: {faults:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_as_text_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealtail.toml");
    fs::write(&path, b"[host]\nname = \"\xff\"\n").unwrap();
    let faults = sealtail::config::Config::load(&path).unwrap_err();
    assert!(faults[0].to_string().contains("sealtail.toml:2:9: this byte is not UTF-8"), "{faults:?}");
    let faults = sealtail::config::Config::load(&folder.path().join("none")).unwrap_err();
    assert!(faults[0].to_string().contains("none: cannot read this file"), "{faults:?}");
}

#[test]
fn a_secret_never_shows() {
    let folder = tempfile::tempdir().unwrap();
    put_secret(&folder.path().join("secret"), "hunter2[");
    let secret = "\"${file:secret}\"";
    let text = format!(
        "[host]\nname = {secret}\nkey = \"k\"\n[auditors]\nrecipients = [{secret}]\n\
         [[source]]\ntype = \"file\"\nname = {secret}\ninclude = [{secret}]\nstart_at = {secret}\nmax_line = {secret}\n\
         [[source]]\ntype = {secret}\n[policy]\non_undecided = {secret}\n[chain]\nflush_interval = {secret}\n\
         [spool]\ndir = \"s\"\nmax_size = {secret}\n\
         [[target]]\nname = {secret}\ntype = \"https\"\nurl = {secret}\nbatch = {{ max_size = {secret} }}\n\
         tls = {{ ca = \"a\", cert = \"b\", key = \"c\" }}\n\
         [[alert]]\nname = {secret}\ntype = \"webhook\"\nurl = {secret}\nsecret = {secret}\nmin_severity = {secret}\n\
         timeout = {secret}\n[[alert]]\nname = \"c\"\ntype = \"command\"\nargv = [{secret}]\ndecision = {secret}\n[telemetry]\nlog = {secret}\n[receive]\nlisten = {secret}\n"
    );
    let faults = load_in(folder.path(), &text).unwrap_err();
    assert!(faults.len() >= 15, "{faults:#?}");
    for fault in faults {
        assert!(!fault.contains("hunter2"), "{fault}");
    }
}

#[test]
fn a_secret_that_is_written_where_none_belongs_is_not_repeated() {
    let identity = "AGE-SECRET-KEY-1QQPQZRFR7ZZ2WCV98GR4S5XM0UUN6CVPKEAAAAAAAAAAAAAAAAAAAAAAAA";
    let told = fault(RECIPIENT, identity);
    assert!(told.contains("secret identity") && !told.contains("QQPQ"), "{told}");
    let told = fault("https://a", "https://me:hunter2@a");
    assert!(told.contains("password") && !told.contains("hunter2"), "{told}");
}

/// Nor where the URL is at fault for something else, so that nothing says what of it would be a password.
#[test]
fn a_password_in_a_url_that_is_none_is_not_repeated() {
    let https = "name = \"t\"\ntype = \"https\"\n";
    let webhook = "[[alert]]\nname = \"oncall\"\ntype = \"webhook\"\nsecret = \"s\"\nmin_severity = \"high\"\n";
    let tables = [
        format!("[[target]]\n{https}"),
        format!("[[target]]\n{https}protocol = \"generic\"\n"),
        "[[target]]\nname = \"t\"\ntype = \"otlp\"\nprotocol = \"http\"\nrequired = false\n".into(),
        "[[target]]\nname = \"t\"\ntype = \"s3\"\nbucket = \"audit\"\n".into(),
        "[[target]]\nname = \"t\"\ntype = \"nats\"\nstream = \"AUDIT\"\nsubject = \"audit.{host}\"\n".into(),
        webhook.into(),
    ];
    let urls = [
        ("https://me:hunter2@archive.internal:99999/x", "\"https://archive.internal:99999/…\": no URL"),
        ("https://me:hunter2@archive.internal/{nope}", "\"https://archive.internal/…\": "),
        ("https://me:p@ss:hunter2@archive.internal:99999", "\"https://archive.internal:99999/…\": no URL"),
        // all behind the slash is a path, and what is before it no port
        ("https://me:hunter2/ss@archive.internal", "\"https://me/…\": no URL"),
        ("https:me:hunter2@archive.internal:99999/x://y", "\"archive.internal:99999/…\": no URL"),
    ];
    for (table, (url, shown)) in tables.iter().flat_map(|table| urls.map(|url| (table, url))) {
        let faults = load(&agent_text(&format!("{table}url = \"{url}\"\n"))).unwrap_err();
        assert!(!faults.iter().any(|told| told.contains("hunter2")), "{table}{faults:#?}");
        let is_told = faults.iter().any(|told| told.contains(shown) || told.contains("a user name or a password"));
        assert!(is_told, "{table}{faults:#?}");
    }
    let proxied = "https://a\"\nproxy = { url = \"http://me:hunter2@proxy:99999\" }#";
    let told = fault("https://a", proxied);
    assert!(told.contains("proxy.url: \"http://proxy:99999/…\": no URL") && !told.contains("hunter2"), "{told}");
    let brokers =
        "[[target]]\nname = \"t\"\ntype = \"kafka\"\ntopic = \"audit\"\nbrokers = [\"https://me:hunter2@k:9093\"]\n";
    let faults = load(&agent_text(brokers)).unwrap_err();
    assert!(faults.iter().any(|told| told.contains("\"https://k:9093/…\": not a host and a port")), "{faults:#?}");
    assert!(!faults.iter().any(|told| told.contains("hunter2")), "{faults:#?}");
}

#[test]
fn what_cannot_be_put_in_is_told() {
    let told = fault("\"spool\"", "\"${SEALTAIL_TEST_IS_NOT_SET}\"");
    assert!(
        told.starts_with("sealtail.toml:9:7: [spool] dir: ${SEALTAIL_TEST_IS_NOT_SET}: this environment"),
        "{told}"
    );
    let told = fault("\"spool\"", "\"${file:none}\"");
    assert!(told.contains("${file:none}: cannot read"), "{told}");
}
