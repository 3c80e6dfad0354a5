//! What verdicts hide, in lines of all kinds: `#` stands for what was hidden, `*` for all of the line.

use sealtail::chain::redact::{Redacted, RedactionKey};
use sealtail::policy::{Config, Evaluator, LineContext, PolicySet, SourceContext};
use sealtail::record::{Hidden, Redaction, Verdicts};
use std::fs;

fn set(rules: &str) -> PolicySet {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("p.rego"), format!("package sealtail.p\n\n{rules}\n")).unwrap();
    PolicySet::load(&Config::of(vec![folder.path().to_owned()])).unwrap_or_else(|f| panic!("{rules}: {f:?}"))
}

fn verdicts(rules: &str, kind: &'static str, line: &str) -> Verdicts {
    let set = set(rules);
    let source = SourceContext { kind, ..SourceContext::default() };
    let context = LineContext {
        message: line.as_bytes(),
        earlier: b"",
        is_piece: false,
        source: &source,
        host: "h",
        time: "2026-01-12T06:25:41Z",
    };
    Evaluator::new(&set).verdicts(&context)
}

fn shown(line: &str, verdicts: &Verdicts) -> String {
    let Some(redaction) = &verdicts.redaction else { return line.to_owned() };
    let redacted = Redacted::of(line.as_bytes(), redaction, &RedactionKey::of(&[7; 32]).unwrap());
    let text = String::from_utf8(redacted.message).unwrap();
    if *redaction == Redaction::Whole {
        return "*".to_owned();
    }
    let mut shape = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("[redacted:") {
        shape = shape + before + "#";
        rest = after.split_once(']').unwrap().1;
    }
    shape + rest
}

/// The line after a policy with this `redact`.
fn hidden(redact: &str, line: &str) -> String {
    let verdicts = verdicts(&format!("verdicts contains {{\"id\": \"x\", \"redact\": {redact}}}"), "file", line);
    shown(line, &verdicts)
}

#[test]
fn paths_texts_and_patterns_hide_what_they_name() {
    for (redact, line, expected) in [
        // a key that stands twice, and one that is written with an escape
        (r#"["input.fields.a"]"#, r#"{"a":"one1","a":"two2"}"#, r##"{"a":"#","a":"#"}"##),
        (r#"["input.fields.a"]"#, r#"{"\u0061":"one1"}"#, r##"{"\u0061":"#"}"##),
        (r#"["input.fields[\"a b\"][1].c"]"#, r#"{"a b":[0,{"c":true}]}"#, r##"{"a b":[0,{"c":"#"}]}"##),
        // a short value only where it is named, a long one also in keys, numbers and other texts
        (r#"["input.fields.a"]"#, r#"{"a":1,"b":1,"c":"1"}"#, r##"{"a":"#","b":1,"c":"1"}"##),
        (r#"["input.fields.a"]"#, r#"{"a":1234,"b":[912345],"1234":"x1234"}"#, r##"{"a":"#","b":["#"],"#":"x#"}"##),
        // all that is in an object is hidden elsewhere too; its keys are not
        (r#"["input.fields.a"]"#, r#"{"a":{"name":["eve1"]},"name":"eve1","b":5}"#, r##"{"a":"#","name":"#","b":5}"##),
        // JSON in a text in JSON stays JSON
        (r#"["input.fields.a"]"#, r#"{"a":12345,"b":"{\"n\":12345}"}"#, r##"{"a":"#","b":"{\"n\":\"#\"}"}"##),
        // one absent, one there
        (r#"["input.fields.b", "input.fields.a"]"#, r#"{"a":"x"}"#, r##"{"a":"#"}"##),
        (r#"["input.fields.b"]"#, r#"{"a":"x"}"#, "*"),
        (r#"["input.message"]"#, "x", "*"),
        // groups, overlaps, and what reaches over several texts
        (r#"[`u=(\w+) p=(\w+)`]"#, "u=eve p=pw", "u=# p=#"),
        (r#"["abcd", "cdef"]"#, "xabcdefx", "x##x"),
        (r#"["abcdef", "bcde"]"#, "xabcdefx bcde", "x#x #"),
        (r#"[`"pin":.[0-9]+`]"#, r#"{"pin":"12345","b":"12345"}"#, r##"{"#":"#","b":"#"}"##),
        // an escape does not hide it
        (r#"["secret"]"#, r#"{"a":"s\u0065cret"}"#, r##"{"a":"#"}"##),
        (r#"[{"text": "a+b"}]"#, "1 a+b 2", "1 # 2"),
        (r#"[{"text": "ab"}]"#, "ab abc [ab]", "# abc [#]"),
        (r#"[{"text": "gone"}, "here"]"#, "here", "*"),
        // what there is too much of
        (r#"["x"]"#, &"x ".repeat(1024), &"# ".repeat(1024)),
        (r#"["x"]"#, &"x ".repeat(1025), "*"),
        // syslog: what stands in the text, and what is made of it
        (
            r#"["input.fields.procid"]"#,
            "<34>Oct 11 22:14:15 m su[4711]: pid 4711",
            "<34>Oct 11 22:14:15 m su[#]: pid #",
        ),
        (r#"["input.fields.facility"]"#, "<34>Oct 11 22:14:15 m su: x", "*"),
        // no JSON after all
        (r#"["1234"]"#, r#"{"a":1234"#, r##"{"a":#"##),
    ] {
        assert_eq!(hidden(redact, line), expected, "{redact} {line}");
    }
}

#[test]
fn an_entry_of_the_journal_hides_the_message_in_all_its_fields() {
    let entry = r#"{"MESSAGE":"pin 12345","_CMDLINE":"x --pin 12345","N":"12345"}"#;
    let rules = r#"verdicts contains {"id": "x", "redact": [`pin ([0-9]+)`]}"#;
    let shape = r##"{"MESSAGE":"pin #","_CMDLINE":"x --pin #","N":"#"}"##;
    assert_eq!(shown(entry, &verdicts(rules, "journald", entry)), shape);
    // a message that is no text is written as its bytes, in which nothing can be found
    let bytes = r#"{"MESSAGE":[112,105,110,32,49,50,51,52,53]}"#;
    assert_eq!(shown(bytes, &verdicts(rules, "journald", bytes)), "*");
}

#[test]
fn nothing_of_it_is_left_in_verdicts() {
    let rules = r#"verdicts contains {"id": "x", "redact": [{"text": "4111 1111"}], "reason": sprintf("%s, in short 41111111", [input.message])}
verdicts contains {"id": concat("-", ["made", input.message]), "controls": ["4111"]}"#;
    let said = verdicts(rules, "file", "4111 1111");
    let json = String::from_utf8(said.json).unwrap();
    assert!(!json.contains("1111 ") && !json.contains("41111111"), "{json}");
    assert!(json.contains("[redacted], in short [redacted]") && json.contains("made-[redacted]"), "{json}");
    // a reason is not cut before that: half of a value would not be known again
    let long = format!(
        "verdicts contains {{\"id\": \"x\", \"redact\": [`s[0-9]+s`], \"reason\": sprintf(\"{}%s\", [input.message])}}",
        ".".repeat(250)
    );
    let said = verdicts(&long, "file", "s123456789s");
    let json = String::from_utf8(said.json).unwrap();
    assert!(!json.contains("s1") && json.contains("[redac"), "{json}");
}

#[test]
fn a_line_in_which_a_pattern_matches_too_often_is_hidden_as_a_whole() {
    let line = |quotes: usize| format!("card 4111111111111111 {}5500000000000004 end", "\"\" ".repeat(quotes));
    let redact = r#"[`"[^"]*"|([0-9]{16})`]"#;
    assert!(hidden(redact, &line(4200)) == "*");
    assert_eq!(hidden(redact, &line(2)), "card # \"\" \"\" # end");
}

#[test]
fn of_a_path_with_too_many_values_the_line_is_hidden_without_a_look_at_each() {
    let line = |count: usize| format!("{{\"a\":[{}1]}}", "1,".repeat(count - 1));
    // each value beside each other would take longer than a test may
    assert!(hidden(r#"["input.fields.a[_]"]"#, &line(400_000)) == "*");
    assert!(hidden(r#"["input.fields.a[_]"]"#, &line(1025)) == "*");
    assert!(hidden(r#"["input.fields.a[_]"]"#, &line(1024)).matches('#').count() == 1024);
}

/// The verdicts' JSON of a policy with these rules.
fn said(rules: &str, kind: &'static str, line: &str) -> String {
    String::from_utf8(verdicts(rules, kind, line).json).unwrap()
}

#[test]
fn a_reason_keeps_no_value_as_the_line_writes_it() {
    let quoting = |redact: &str, what: &str| {
        format!("verdicts contains {{\"id\": \"x\", \"redact\": [{redact}], \"reason\": sprintf(\"%v\", [{what}])}}")
    };
    for (redact, what, line) in [
        (r#""input.fields.name""#, "input.message", r#"{"name":"J\u00f6rg Secretman"}"#),
        (r#""input.fields.name""#, "input.message", r#"{"name":"\u004a\u00F6rg \"Secretman\""}"#),
        (r#""input.fields.name""#, "input.fields", r#"{"name":"\u004a\u00F6rg \"Secretman\""}"#),
        ("`J.rg \"?Secretman`", "input.message", r#"{"log":"{\"name\":\"J\\u00f6rg Secretman\"}"}"#),
        ("`J.rg \"?Secretman`", "input.fields.log", r#"{"log":"{\"name\":\"J\\u00f6rg Secretman\"}"}"#),
        (
            "\"input.fields.a0\"",
            "input.message",
            "type=EXECVE msg=audit(1364481363.243:24287): argc=1 a0=5365637265746D616E2078",
        ),
        ("`[A-Z]{4}[0-9]{4}`, `[0-9]{4}[a-z]{9}`", "input.message", "card ABCD1234secretman"),
    ] {
        let json = said(&quoting(redact, what), "file", line);
        let is_kept = ["ecret", "u00f6", "u00F6", "5365637265"].iter().any(|part| json.contains(part));
        assert!(!is_kept && json.contains("[redacted]"), "{redact} {line}: {json}");
    }
    let json = said(&quoting("`rg Se.*n`", "input.message"), "journald", r#"{"MESSAGE":"J\u00f6rg Secretman"}"#);
    assert!(!json.contains("ecret"), "{json}");
}

#[test]
fn of_a_line_that_is_hidden_as_a_whole_controls_are_what_policies_write() {
    let rules = r#"verdicts contains {"id": concat("-", ["made", reverse]), "controls": ["OWN-1", "HIPAA-164.312(b)", reverse], "redact": ["input.message"]} if {
    reverse := concat("", ["x", lower(split(input.message, ":")[1])])
}"#;
    for (kind, line) in [("file", "pin:SECRET"), ("journald", r#"{"MESSAGE":"pin:SECRET"}"#)] {
        let json = said(rules, kind, line);
        assert!(!json.contains("secret"), "{kind}: {json}");
        assert!(json.contains("OWN-1") && json.contains("HIPAA-164.312(b)"), "{kind}: {json}");
    }
}

#[test]
fn what_another_line_hides_is_taken_out_of_verdicts() {
    let rules =
        r#"verdicts contains {"id": "x", "controls": ["OWN-1", upper(input.message)], "reason": input.message}"#;
    let set = set(rules);
    let hide = |value: &str| Hidden { span: 0..0, value: Some(value.as_bytes().into()), quote: "" };
    let whole = Redaction::Whole;
    let overlapping = Redaction::Spans(vec![hide("abcd1234"), hide("1234efgh")]);
    let hex = Redaction::Spans(vec![hide("secret man")]);
    for (line, redaction) in [("secret", &whole), ("abcd1234efgh", &overlapping), ("736563726574206D616E", &hex)] {
        let mut verdicts = verdicts(rules, "file", line);
        Evaluator::new(&set).clean(&mut verdicts, redaction);
        let json = String::from_utf8(verdicts.json).unwrap();
        assert!(!json.contains("efgh") && !json.contains("SECRET") && !json.contains("\"7365"), "{json}");
        assert!(json.contains("OWN-1"), "{json}");
    }
}

#[test]
fn a_value_that_is_written_otherwise_in_a_line_that_is_not_json_hides_all_of_it() {
    let cee = "<34>Oct 11 22:14:15 m app[1]: @cee: ";
    let audit = "type=EXECVE msg=audit(1364481363.243:24287): argc=2 a0=";
    for (redact, before, after, expected) in [
        ("json.name", cee, r#"{"name":"J\u00f6rg M","greeting":"Hallo Jörg M"}"#, "*"),
        ("json.name", cee, r#"{"name":"a\/bcd","greeting":"a/bcd"}"#, "*"),
        // another escape may stand anywhere
        ("json.name", cee, r#"{"name":"Eve M","path":"C:\\x"}"#, "*"),
        ("json.name", cee, r#"{"name":"Jörg M"}"#, "*"),
        ("json.name", cee, r#"{"name":"Eve M","greeting":"Hello Eve M"}"#, r##"{"name":"#","greeting":"Hello #"}"##),
        ("a0", audit, "4AC3B67267204D a1=\"x\"", "# a1=\"x\""),
        ("a0", audit, "612262 a1=\"x\"", "# a1=\"x\""),
        ("a0", audit, "\"J\u{f6}rg\" a1=\"x\"", "*"),
        ("a0", audit, "\"eve1\" a1=\"x\\y\"", "*"),
    ] {
        let line = format!("{before}{after}");
        let expected = if expected == "*" { "*".to_owned() } else { format!("{before}{expected}") };
        assert_eq!(hidden(&format!("[\"input.fields.{redact}\"]"), &line), expected, "{line}");
    }
    // arguments that the kernel divides by NUL, and the same with a space elsewhere
    let divided = "type=PROCTITLE msg=audit(1364481363.243:24287): proctitle=636174006162 comm=\"cat ab\"";
    assert_eq!(hidden(r#"["input.fields.proctitle"]"#, divided), "*");
    // no value, nothing that could be written otherwise
    assert_eq!(hidden(r#"["input.fields.json.no", "Eve"]"#, &format!(r"{cee}{{}} \ Eve")), format!(r"{cee}{{}} \ #"));
}

#[test]
fn a_package_may_redact_if_a_key_of_its_verdicts_is_not_written_out() {
    let key = r#"k := concat("", ["red", "act"])"#;
    for (verdicts, may) in [
        (r#"{"id": "x", "redact": ["x"]}"#, true),
        (r#"{"id": "x", k: ["x"]}"#, true),
        (r#"{concat("", ["i", "d"]): "x", k: ["x"]}"#, true),
        (r#"{name: value | some name, value in {"id": "x"}}"#, true),
        (r#"{"id": "x", "reason": {"a": "b"}[input.message]}"#, false),
        (r#"{"id": {"name": "x", input.message: "y"}[input.message]}"#, false),
        (r#"{"id": "x", "reason": {1: "b"}[input.fields.n]}"#, false),
    ] {
        let rules = format!("verdicts contains {verdicts} if contains(input.message, \"x\")\n\n{key}");
        assert_eq!(Evaluator::new(&set(&rules)).may_redact(), may, "{verdicts}");
    }
}
