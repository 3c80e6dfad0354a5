//! What people do wrong first, and what they are told: the place, and something that they can act on.

use super::{err, folder, policy, rule};

fn told(files: &[(&str, &str)]) -> String {
    let dir = folder(files);
    let output = policy(&["check", dir.path().to_str().unwrap()]);
    assert!(!output.status.success(), "{files:?} is taken for right");
    err(&output).replace(&format!("{}/", dir.path().display()), "")
}

fn verdict(rule: &str) -> String {
    told(&[("p.rego", &format!("package sealtail.a\n\n{rule}\n"))])
}

#[test]
fn whole_rules() {
    let condition = "if contains(input.message, \"a\")";
    for (rule, place, says) in [
        (r#"verdicts contains {"severity": "low"}"#, "p.rego:3:19:", "a verdict needs an `id`"),
        (r#"verdicts contains {"id": "x", "decision": "block"}"#, "p.rego:3:43:", "allow, flag or deny"),
        (r#"verdicts contains {"id": "x", "severity": "HIGH"}"#, "p.rego:3:43:", "info, low, medium, high or critical"),
        (r#"verdicts contains {"id": "x", "msg": "y"}"#, "p.rego:3:31:", "no key `msg`"),
        (r#"verdicts contains {"id": "x", "redact": ["message"]}"#, "p.rego:3:41:", "write `input.message`"),
        (r#"verdicts contains {"id": "x", "redact": ["input.x"]}"#, "p.rego:3:41:", "goes below input.fields"),
        (r#"verdicts contains {"id": "x", "redact": ["(a"]}"#, "p.rego:3:41:", "not a regular expression"),
        (r#"verdicts contains {"id": "x" "severity": "low"}"#, "p.rego:3:31:", "comma"),
        ("verdicts contains {'id': 'x'}", "p.rego:3:20:", "between double quotes"),
        (r#"verdict contains {"id": "x"}"#, "p.rego:3:1:", "did you mean `verdicts`?"),
        (r#"verdicts := [{"id": "x"}]"#, "p.rego:3:1:", "write `verdicts contains"),
    ] {
        let told = verdict(&format!("{rule} {condition}"));
        assert!(told.contains(says) && told.starts_with(place), "{rule}: {told}");
    }
}

#[test]
fn bodies() {
    for (body, place, says) in [
        ("contains(input.msg, \"a\")", "p.rego:4:11:", "no line has `input.msg`"),
        ("input.source.kind == \"file\"", "p.rego:4:2:", "it has type, name, path"),
        ("input.source.type == \"journal\"", "p.rego:4:2:", "there are file, journald, stdin"),
        ("input.message.user == \"root\"", "p.rego:4:2:", "is text and has nothing below it"),
        ("contains(message, \"a\")", "p.rego:4:11:", "did you mean `input.message`?"),
        ("input.message.contains(\"a\")", "p.rego:4:2:", "write `contains(…)`"),
        ("regex.mach(\"a\", input.message)", "p.rego:4:2:", "did you mean `regex.match`?"),
        ("regex.match(\"(a\", input.message)", "p.rego:4:2:", "not a regular expression: unclosed group"),
        (r"regex.match(`(\w{9}){99}`, input.message)", "p.rego:4:2:", "`[0-9]` for \\d"),
        ("startswith(input.message, \"a\") and endswith(input.message, \"b\")", "p.rego:4:", "Rego has no `and`"),
        ("startswith(input.message, \"a\") || endswith(input.message, \"b\")", "p.rego:4:", "write a second rule"),
        ("input.fields.verb == \"get\"\n\tinput.fields.verb == \"list\"", "p.rego:5:2:", "can't fire on any line"),
        ("input.fields.verb in {\"get\"}\n\tstartswith(input.fields.verb, \"l\")", "p.rego:5:2:", "can't fire"),
        ("startswith(input.message, \"ab\")\n\tstartswith(input.message, \"ac\")", "p.rego:5:2:", "can't fire"),
        (
            "http.send({\"method\": \"get\", \"url\": \"http://x\"}).status_code == 200",
            "p.rego:4:",
            "can't reach the network",
        ),
    ] {
        let told = told(&[("p.rego", &rule(body))]);
        assert!(told.contains(says) && told.starts_with(place), "{body}: {told}");
    }
}

#[test]
fn conditions_that_fit_together_are_left_alone() {
    for body in [
        "startswith(input.message, \"a\")\n\tstartswith(input.message, \"ab\")",
        "input.fields.verb in {\"get\", \"list\"}\n\tinput.fields.verb == \"list\"",
        "input.fields.a == \"x\"\n\tinput.fields.b == \"y\"",
        "input.fields.a.b.c == 1\n\tcontains(input.source.path, \"x\")\n\tinput.labels.team == \"y\"",
    ] {
        let dir = folder(&[("p.rego", &rule(body))]);
        let output = policy(&["check", dir.path().to_str().unwrap()]);
        assert!(output.status.success(), "{body}: {}", err(&output));
    }
}

#[test]
fn packages_and_ids() {
    let text = "verdicts contains {\"id\": \"x\"} if contains(input.message, \"a\")\n";
    let of = |package: &str| format!("package {package}\n\n{text}");
    let wrong = told(&[("p.rego", &of("linux"))]);
    assert!(wrong.starts_with("p.rego:1:1: `package linux`") && wrong.contains("package sealtail.linux"), "{wrong}");
    let one_wrong = told(&[("a.rego", &of("sealtail.a")), ("p.rego", &of("linux"))]);
    assert!(one_wrong.starts_with("p.rego:1:1: `package linux` is not looked at"), "{one_wrong}");
    let shadowed = told(&[("a.rego", &of("sealtail.a")), ("b.rego", &of("sealtail.b"))]);
    assert!(shadowed.starts_with("b.rego:3:1: the id `x` is that of a rule of `sealtail.a`"), "{shadowed}");
    let old = told(&[("p.rego", "package sealtail.a\n\nverdicts contains {\"id\": \"x\"} { input.message }\n")]);
    assert!(old.starts_with("p.rego:3:") && old.contains("write `verdicts contains {\"id\": …} if { … }`"), "{old}");
}

#[test]
fn controls() {
    let of = |control: &str| {
        format!(
            "package sealtail.a\n\n# METADATA\n# custom:\n#   controls: [{control}]\nverdicts contains {{\"id\": \"x\"}}\n"
        )
    };
    // the numbers of PCI DSS 3.2.1
    let told = told(&[("p.rego", &of("PCI-DSS-10.2.5"))]);
    assert!(told.starts_with("p.rego:5:16: unknown control `PCI-DSS-10.2.5`; the nearest known one is"), "{told}");
    let own =
        folder(&[("p.rego", &of("ACME-7")), ("data.json", r#"{"own_controls": {"ACME-7": "Quarterly review"}}"#)]);
    assert!(policy(&["check", own.path().to_str().unwrap()]).status.success());
}
