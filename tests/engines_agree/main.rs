//! The RVM behind its gates gives what regorus' interpreter gives without them: the packs on lines of all kinds, and
//! policies written to lead the gates astray.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

mod dice;
mod long;
mod many;
mod random;

use std::collections::BTreeSet;
use std::fs;

use regorus::{Engine, Value};
use sealtail::policy::{Config, Evaluator, LineContext, PolicySet, SourceContext, packs};
use sealtail::record::Format;

type Found = BTreeSet<(String, String)>;

/// Both engines on the same policies.
struct Both {
    evaluator: Evaluator,
    interpreter: Engine,
    source: SourceContext,
    /// Of auditd: records of the same event in lines before.
    earlier: String,
}

fn context<'a>(source: &'a SourceContext, earlier: &'a str, line: &'a str) -> LineContext<'a> {
    let (message, earlier) = (line.as_bytes(), earlier.as_bytes());
    LineContext { message, earlier, is_piece: false, source, host: "h", time: "2026-01-12T00:00:00Z" }
}

impl Both {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut interpreter = Engine::new();
        interpreter.set_strict_builtin_errors(false);
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            interpreter.add_policy((*name).to_owned(), (*text).to_owned()).unwrap();
        }
        let config = Config::of(vec![dir.path().into()]);
        let set = PolicySet::load(&config).unwrap_or_else(|faults| panic!("{faults:?}\n{files:#?}"));
        // one rule that has the verdicts of all packages: the interpreter takes its time for each question
        let member = |package| format!("found contains verdict if some verdict in data.{package}.verdicts\n");
        let all: String = set.packages().map(member).collect();
        interpreter.add_policy("all.rego".to_owned(), format!("package all\n{all}")).unwrap();
        Self {
            evaluator: Evaluator::new(&set),
            interpreter,
            source: SourceContext { kind: "file", name: "x".into(), ..SourceContext::default() },
            earlier: String::new(),
        }
    }

    /// Ids and decisions, by the evaluator.
    fn by_rvm(&mut self, line: &str) -> Found {
        let json = self.evaluator.verdicts(&context(&self.source, &self.earlier, line)).json;
        let verdicts: Vec<sealtail::record::Verdict> =
            if json.is_empty() { Vec::new() } else { serde_json::from_slice(&json).unwrap() };
        let decision = |verdict: &sealtail::record::Verdict| format!("{:?}", verdict.decision).to_lowercase();
        verdicts.iter().map(|verdict| (verdict.id.clone(), decision(verdict))).collect()
    }

    /// The same, by the interpreter; none if it fails.
    fn by_interpreter(&mut self, line: &str) -> Option<Found> {
        let document = self.evaluator.document(&context(&self.source, &self.earlier, line));
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        let mut input = serde_json::json!({
            "message": line, "host": "h", "time": "2026-01-12T00:00:00Z", "source": {"type": "file", "name": "x"}, "labels": {},
        });
        match serde_json::from_str(line) {
            Ok(fields @ serde_json::Value::Object(_)) => input["fields"] = fields,
            // there is no second reader of the other formats: their fields are the evaluator's own
            _ => drop(document.get("fields").map(|fields| input["fields"] = fields.clone())),
        }
        if self.source.kind == "journald" {
            let fields = input["fields"].clone();
            input["message"] = fields["MESSAGE"].clone();
            input["source"] = serde_json::json!({"type": "journald", "name": "j", "unit": fields["_SYSTEMD_UNIT"]});
        }
        self.interpreter.set_input(Value::from(input));
        let verdicts = self.interpreter.eval_rule("data.all.found".to_owned()).ok()?;
        let text = |verdict: &Value, key: &str| verdict[key].as_string().map(|text| text.to_string());
        let found =
            |verdict| (text(verdict, "id").unwrap(), text(verdict, "decision").unwrap_or_else(|_| "flag".to_owned()));
        Some(verdicts.as_set().unwrap().iter().map(found).collect())
    }

    fn agree(&mut self, line: &str) -> usize {
        let found = self.by_rvm(line);
        assert_eq!(Some(&found), self.by_interpreter(line).as_ref(), "{line:?}");
        found.len()
    }
}

/// Lines of every kind that the packs know, whole and damaged.
fn text_lines() -> Vec<String> {
    let whole = [
        "Jan 12 06:25:41 web-1 sshd[812]: Failed password for invalid user admin from 203.0.113.7 port 51514 ssh2",
        "Jan 12 06:25:40 web-1 sshd-session[812]: Invalid user admin from 203.0.113.7 port 51514",
        "Jan 12 06:26:01 web-1 sshd[900]: Accepted password for root from 198.51.100.4 port 40022 ssh2",
        "Jan 12 06:25:49 web-1 sshd[812]: error: maximum authentication attempts exceeded for root from 203.0.113.7",
        "Jan 12 06:30:01 web-1 sudo:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/apt update",
        "Jan 12 06:30:09 web-1 sudo:  mallory : user NOT in sudoers ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/su",
        "Jan 12 06:31:09 web-1 su[99]: pam_unix(su:auth): authentication failure; logname=bob uid=1001 user=root",
        "Jan 12 06:31:00 web-1 su: pam_unix(su-l:session): session opened for user postgres by (uid=0)",
        "Jan 12 07:00:00 web-1 useradd[321]: new user: name=eve, UID=1002, GID=1002, home=/home/eve",
        "Jan 12 07:00:09 web-1 userdel[340]: delete user 'eve'",
        "Jan 12 07:02:00 web-1 passwd[360]: pam_unix(passwd:chauthtok): password changed for alice",
        "type=DAEMON_END msg=audit(1768199999.123:402): op=terminate auid=0 uid=0 res=success",
        "type=USER_CMD msg=audit(1768199999.123:9): pid=8 uid=1000 msg='cwd=\"/\" cmd=6C73 res=failed'",
        "type=ADD_USER msg=audit(1768199999.123:9): pid=8 uid=0 msg='op=x acct=\"eve\" res=success'",
        "Jan 12 08:00:00 web-1 systemd[1]: Stopped auditd.service - Security Audit Logging Service.",
        "2026-01-12 06:40:00 install nmap:amd64 <none> 7.93+dfsg1-1",
        "2026-01-12 06:41:00 remove telnet:amd64 0.17-44 <none>",
        "Commandline: apt-get install nmap",
        "Install: nmap:amd64 (7.93+dfsg1-1)",
        "Unpacking nmap (7.93+dfsg1-1) ...",
        "type=SYSCALL msg=audit(1768199999.123:9): syscall=44\ntype=CONFIG_CHANGE msg=audit(1768199999.123:9): op=set",
        "node=web-1 type=USER_AUTH msg=audit(1768199999.123:9): pid=8 msg='op=x acct=\"eve\" res=failed'",
        "<86>1 2026-01-12T06:25:41Z web-1 sshd 812 - - Failed password for root from 203.0.113.7 port 51514 ssh2",
        "2026-01-12T06:25:41.123456+00:00 web-1 sshd[812]: Accepted password for root from 198.51.100.4 port 40022 ssh2",
        "nothing that anybody asked for: äöü \u{1F600} \"quoted\" \\ back",
    ];
    let mut lines: Vec<String> = whole.iter().map(|line| (*line).to_owned()).collect();
    for line in whole {
        let words: Vec<&str> = line.split(' ').collect();
        for at in 0..words.len() {
            let without = words.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, word)| *word);
            lines.push(without.collect::<Vec<_>>().join(" "));
            lines.push(words[at..].join(" "));
            lines.push(words[..at].join(" "));
        }
    }
    lines
}

fn kubernetes_lines() -> Vec<String> {
    let mut lines = Vec::new();
    let objects = [
        r#"{"resource":"secrets","name":"db"}"#,
        r#"{"resource":"pods","subresource":"exec"}"#,
        r#"{"resource":"clusterroles"}"#,
        r#"{"resource":"p\u006fds","subresource":"attach"}"#,
        r#"{"resource":["secrets"]}"#,
        "null",
    ];
    let users = ["alice", "system:anonymous", "system:apiserver", "system:serviceaccount:shop:web", ""];
    for (n, object) in objects.iter().enumerate() {
        for (m, user) in users.iter().enumerate() {
            for (k, verb) in ["get", "create", "watch", "patch"].iter().enumerate() {
                let stage = ["ResponseComplete", "ResponseStarted", "RequestReceived", "Panic"][(n + m + k) % 4];
                let code = ["200", "403", "401", "4.03e2", "404", "403.0", "\"403\""][(n + 2 * m + 3 * k) % 7];
                let uri = ["/healthz", "/api/v1/secrets", "/version?x", "/livez/x", "/healthzz"][(n + m * k) % 5];
                let kind = if (n * m + k) % 11 == 10 { "Status" } else { "Event" };
                lines.push(format!(
                    r#"{{"kind":"{kind}","apiVersion":"audit.k8s.io/v1","auditID":"8f3e4a-{n}e{m}","stage":"{stage}","requestURI":"{uri}","verb":"{verb}","user":{{"username":"{user}"}},"objectRef":{object},"responseStatus":{{"code":{code}}}}}"#
                ));
            }
        }
    }
    let damaged: Vec<String> = lines.iter().step_by(7).map(|line| line[..line.len() / 2].to_owned()).collect();
    let spaced: Vec<String> = lines.iter().step_by(5).map(|line| format!("  {}\t", line.replace(':', " : "))).collect();
    [lines, damaged, spaced].concat()
}

/// The packs' sample logs, whole and without their first or last third.
fn sample_lines() -> Vec<String> {
    let packs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let folders = fs::read_dir(packs).unwrap().map(|entry| entry.unwrap().path().join("samples"));
    let logs = folders.filter(|folder| folder.is_dir()).flat_map(|folder| fs::read_dir(folder).unwrap());
    let logs = logs.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "log"));
    let mut lines = Vec::new();
    for line in logs.flat_map(|log| fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()) {
        let third = (0..=line.len() / 3).rev().find(|at| line.is_char_boundary(*at)).unwrap();
        let two_thirds = (0..=line.len() * 2 / 3).rev().find(|at| line.is_char_boundary(*at)).unwrap();
        lines.extend([line[third..].to_owned(), line[..two_thirds].to_owned()]);
        lines.push(line);
    }
    lines
}

#[test]
fn on_the_packs() {
    let mut both = Both::new(&[packs::PACKS, packs::LEFT_OUT].concat());
    let lines = [text_lines(), kubernetes_lines(), sample_lines()].concat();
    assert!(lines.len() > 1500);
    let verdicts: usize = lines.iter().map(|line| both.agree(line)).sum();
    assert!(verdicts > 200, "{verdicts}");
}

/// The message of a journal's entry stands in its JSON in another spelling, and beside other fields.
#[test]
fn on_entries_of_a_journal() {
    let mut both = Both::new(&[packs::PACKS, packs::LEFT_OUT].concat());
    both.source =
        SourceContext { kind: "journald", name: "j".into(), format: Format::Json, ..SourceContext::default() };
    let identifiers = ["sshd", "sudo", "su", "CRON", "systemd", "kernel", "useradd", "\u{1b}odd \"one\""];
    let entries = sample_lines().into_iter().enumerate().map(|(at, line)| {
        let identifier = identifiers[at % identifiers.len()];
        let message = line.split_once("]: ").map_or(line.as_str(), |(_, message)| message);
        serde_json::json!({
            "__CURSOR": "s=0;i=1", "PRIORITY": "6", "SYSLOG_IDENTIFIER": identifier, "_COMM": identifier,
            "_SYSTEMD_UNIT": format!("{identifier}.service"), "MESSAGE": message,
        })
        .to_string()
    });
    let verdicts: usize = entries.map(|entry| both.agree(&entry)).sum();
    assert!(verdicts > 100, "{verdicts}");
}

#[test]
fn on_policies_that_lead_gates_astray() {
    let lines = [
        "zz",
        "a",
        "a zz",
        "",
        "{",
        "{}",
        r#"{"k":"v"}"#,
        r#"{"k":"\u0076"}"#,
        r#"{"k":403}"#,
        r#"{"k":4.03e2}"#,
        r#"{"k":[4030E-1]}"#,
        r#"{"k":4030E-1}"#,
        r#"{"k" : 0.403e+3 }"#,
        r#"{"x":"403"}"#,
        r#"{"k":"a\"b"}"#,
        r#"{"k":"a/b"}"#,
        r#"{"k":"a\/b"}"#,
        r#"{"k":{"k":"v"}}"#,
        r#"{"message":"zz"}"#,
        r#"{"k":null}"#,
        " {\"k\":\"v\"} ",
    ];
    for rules in [
        // a function with the name of a builtin
        "contains(a, b) if a != b\nverdicts contains {\"id\": \"x\"} if contains(input.message, \"zz\")",
        // a rule that is defined without its condition
        "default is_z := true\nis_z := true if contains(input.message, \"zz\")\nverdicts contains {\"id\": \"x\"} if is_z",
        "is_z := 1 if { contains(input.message, \"zz\") } else := 2\nverdicts contains {\"id\": \"x\"} if is_z == 2",
        "is_z := 1 if { contains(input.message, \"zz\") } else := 2\nverdicts contains {\"id\": \"x\"} if is_z",
        "is_z contains 1 if contains(input.message, \"zz\")\nverdicts contains {\"id\": \"x\"} if is_z",
        // conditions that must not hold
        "verdicts contains {\"id\": \"x\"} if not contains(input.message, \"zz\")",
        "is_z if contains(input.message, \"zz\")\nverdicts contains {\"id\": \"x\"} if not is_z",
        "verdicts contains {\"id\": \"x\"} if contains(input.message, \"zz\") == false",
        "verdicts contains {\"id\": \"x\"} if input.fields.k != \"v\"",
        // several rules, one without a condition
        "verdicts contains {\"id\": \"x\"} if startswith(input.message, \"zz\")\nverdicts contains {\"id\": \"y\"}",
        // values that JSON can write in several ways
        "verdicts contains {\"id\": \"x\"} if input.fields.k == \"v\"",
        "verdicts contains {\"id\": \"x\"} if \"v\" == input.fields.k",
        "verdicts contains {\"id\": \"x\"} if input.fields.k == 403",
        "verdicts contains {\"id\": \"x\"} if input.fields.k in [401, 403]",
        "verdicts contains {\"id\": \"x\"} if 403 in input.fields.k",
        "verdicts contains {\"id\": \"x\"} if input.fields.k in {\"v\", null}",
        "verdicts contains {\"id\": \"x\"} if input.fields.k == \"a\\\"b\"",
        "verdicts contains {\"id\": \"x\"} if input.fields.k == `a/b`",
        "verdicts contains {\"id\": \"x\"} if contains(input.fields.k, \"/\")",
        "verdicts contains {\"id\": \"x\"} if input.fields[\"k\"][\"k\"] == \"v\"",
        // the fields by other ways
        "verdicts contains {\"id\": \"x\"} if { some k, v in input; k == \"fields\"; v.k == \"v\" }",
        "import input.fields as f\nverdicts contains {\"id\": \"x\"} if f.k == \"v\"",
        "all := input\nverdicts contains {\"id\": \"x\"} if all.fields.k == \"v\"",
        "f(x) if input[x].k == \"v\"\nverdicts contains {\"id\": \"x\"} if f(\"fields\")",
        "verdicts contains {\"id\": \"x\"} if json.unmarshal(input.message).k == \"v\"",
    ] {
        let mut both = Both::new(&[("p.rego", &format!("package sealtail.astray\n{rules}\n"))]);
        let hits: usize = lines.iter().map(|line| both.agree(line)).sum();
        assert!(hits > 0, "no line is hit: {rules}");
    }
}

#[test]
fn on_fields_of_syslog_and_auditd() {
    let lines = [
        "<34>1 2003-10-11T22:14:15.003Z web-1 su 77 ID47 [a@1 k=\"q\\\"v\" n=\"34\"] msg v",
        "<34>Oct 11 22:14:15 web-1 su: 'su root' failed",
        "Oct 11 22:14:15 web-1 su[77]: {\"k\":\"v\",\"n\":403}",
        "2024-01-01T00:00:00Z web-1 su[77]: @cee: {\"k\":\"\\u0076\",\"n\":4.03e2}",
        "Oct 11 22:14:15 web-1 su[77]: {\"k\": \"v\"",
        "{\"hostname\":\"web-1\",\"severity\":\"crit\",\"types\":[\"EXECVE\"],\"comm\":\"l s\",\"json\":{\"k\":\"v\"}}",
        "type=SYSCALL msg=audit(1364481363.243:7): auid=1000 comm=6C2073 exe=\"/bin/ls\"",
        "type=EXECVE msg=audit(1364481363.243:7): argc=2 a0=\"ls\" a1=612062",
        "type=CWD msg=audit(1364481363.243:7): cwd=\"/\"",
        "node=n type=USER_CMD msg=audit(1364481363.243:8): pid=8 msg='cmd=6C73 res=failed' web-1 su crit",
        "type=USER_CMD no record",
        "Oct 11 22:14:15 web-2 su: x",
        "web-1 su crit 34 v",
        "",
    ];
    let rules = [
        "input.fields.hostname == \"web-1\"",
        "input.fields[\"hostname\"] in {\"web-1\", \"web-2\"}",
        "startswith(input.fields.hostname, \"web\")",
        "input.fields.appname == \"su\"",
        "input.fields.severity == \"crit\"",
        "input.fields.facility in {\"auth\", \"kern\"}",
        "contains(input.fields.severity, \"ri\")",
        "input.fields.priority == 34",
        "input.fields.procid == \"77\"",
        "input.fields.structured_data[\"a@1\"].k == \"q\\\"v\"",
        "input.fields.structured_data[\"a@1\"].n == \"34\"",
        "input.fields.json.k == \"v\"",
        "input.fields.json.n == 403",
        "endswith(input.fields.msg, \"v\")",
        "input.fields.comm == \"l s\"",
        "contains(input.fields.comm, \" \")",
        "input.fields.cmd == \"ls\"",
        "input.fields.exe == \"/bin/ls\"",
        "input.fields.node == \"n\"",
        "input.fields.serial == 7",
        "input.fields.type == \"SYSCALL\"",
        "input.fields.argv[1] == \"a b\"",
        "input.fields.time == \"2013-03-28T14:36:03.243Z\"",
        "\"EXECVE\" in input.fields.types",
        "{ some record in input.fields.records; record.cwd == \"/\" }",
        "{ not input.fields.hostname; contains(input.message, \"web\") }",
        "input.fields.hostname != \"web-1\"",
    ];
    for rule in rules {
        let policy = format!("package sealtail.formats\nverdicts contains {{\"id\": \"x\"}} if {rule}\n");
        let mut both = Both::new(&[("p.rego", &policy)]);
        let mut hits = 0;
        for format in [Format::Auto, Format::Syslog, Format::Auditd] {
            both.source.format = format;
            for earlier in ["", lines[6]] {
                both.earlier = earlier.to_owned();
                // as an object of another format has no fields, and the interpreter's would have them
                let is_known = |line: &&&str| format == Format::Auto || !line.starts_with('{');
                hits += lines.iter().filter(is_known).map(|line| both.agree(line)).sum::<usize>();
            }
        }
        assert!(hits > 0, "no line is hit: {rule}");
    }
}

#[test]
fn on_fields_that_another_package_looks_at() {
    let helper = "package sealtail.helper\nis_v if input.fields.k == \"v\"";
    for uses in ["import data.sealtail.helper\nis_v if helper.is_v", "is_v if data.sealtail.helper.is_v"] {
        let policy = format!("package sealtail.p\n{uses}\nverdicts contains {{\"id\": \"x\"}} if is_v");
        let mut both = Both::new(&[("h.rego", helper), ("p.rego", &policy)]);
        assert_eq!((both.agree(r#"{"k":"v"}"#), both.agree("v")), (1, 0));
    }
}

/// What is not written out is the engine's own, so that it is the RVM that is asked here.
#[test]
fn on_assignments_of_nothing() {
    for rule in [
        "v := input.fields.k",
        "{ v := input.fields.k; not v == \"a\" }",
        "{ v := lower(input.fields.k); not contains(v, \"a\") }",
    ] {
        let policy =
            format!("package sealtail.p\nverdicts contains {{\"id\": concat(\"\", [\"x\", \"y\"])}} if {rule}");
        let mut both = Both::new(&[("p.rego", &policy)]);
        assert_eq!((both.agree(r#"{"k":"v"}"#), both.agree(r#"{"j":"v"}"#)), (1, 0), "{rule}");
    }
}

/// A package over its bound is undecided, also where we could have answered without the engine.
#[test]
fn on_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let policy = "package sealtail.p\nverdicts contains {\"id\": \"x\"} if contains(input.message, \"x\")";
    fs::write(dir.path().join("p.rego"), policy).unwrap();
    let decision = |max_instructions| {
        let set = PolicySet::load(&Config { max_instructions, ..Config::of(vec![dir.path().into()]) }).unwrap();
        let source = SourceContext::default();
        let json = Evaluator::new(&set).verdicts(&context(&source, "", "x")).json;
        serde_json::from_slice::<serde_json::Value>(&json).unwrap()[0]["decision"].clone()
    };
    assert_eq!((decision(3), decision(100), decision(100_000)), ("undecided".into(), "flag".into(), "flag".into()));
}
