//! Policies that the engine's parser can't bear: refused at once, at their place, before it sees them.

use std::fs;
use std::time::{Duration, Instant};

use super::{err, folder, policy, rule};

/// Far from what the parser takes for one that is not refused: hours.
const AT_ONCE: Duration = Duration::from_secs(60);

fn nested(open: &str, inside: &str, close: &str, depth: usize) -> String {
    rule(&format!("x := {}{inside}{}\n\tx != 1", open.repeat(depth), close.repeat(depth)))
}

/// The line in which `check` finds the fault, in a policy and in its tests.
fn assert_refused(text: &str, line: usize, why: &str) {
    let begun = Instant::now();
    let dir = folder(&[("p.rego", text)]);
    let path = dir.path().to_str().unwrap();
    fs::write(dir.path().join("line.log"), "x\n").unwrap();
    let log = dir.path().join("line.log");
    for args in [
        vec!["check", path],
        vec!["test", path],
        vec!["try", "--once", "--policies", path, log.to_str().unwrap()],
        vec!["explain", "--policies", path, "x"],
    ] {
        let output = policy(&args);
        let said = err(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(&format!("p.rego:{line}:")) && said.contains(why), "{args:?}: {said}");
    }
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
}

#[test]
fn brackets_deep_in_brackets_are_refused() {
    const WHY: &str = "brackets are nested more than 16 deep";
    assert_refused(&nested("[\n", "1", "\n]", 8_000), 19, WHY);
    assert_refused(&nested("[", "1", "]", 26), 4, WHY);
    assert_refused(&nested("{", "1", "}", 26), 4, WHY);
    assert_refused(&nested("(", "1", ")", 26), 4, WHY);
    assert_refused(&nested("f(", "1", ")", 26), 4, WHY);
    assert_refused(&nested("{1: ", "1", "}", 26), 4, WHY);
    assert_refused(&nested("[1 | ", "true", "]", 26), 4, "too much stands in nested brackets");
    assert_refused(&nested("a[", "1", "]", 26), 4, WHY);
    // a test is read by the same parser
    let dir = folder(&[("p.rego", &rule("true")), ("p_test.rego", &nested("[", "1", "]", 26))]);
    let output = policy(&["test", dir.path().to_str().unwrap()]);
    assert!(!output.status.success() && err(&output).contains("p_test.rego:4:"), "{}", err(&output));
    let place = err(&policy(&["check", folder(&[("p.rego", &nested("[", "1", "]", 26))]).path().to_str().unwrap()]));
    // one for the body, and the tab counts as one column
    assert!(place.contains("p.rego:4:22: "), "{place}");
}

#[test]
fn what_only_looks_deep_is_not_refused() {
    let deep = "[".repeat(40);
    for body in [
        format!("contains(input.message, \"\\\"{deep}\")"),
        format!("contains(input.message, `{deep}\n\\`)"),
        format!("true # {deep} \"\n\ttrue"),
        format!("x := [{}]\n\tx != input.message", "-1, \"a\",\n".repeat(3_000)),
    ] {
        let dir = folder(&[("p.rego", &rule(&body))]);
        let output = policy(&["check", dir.path().to_str().unwrap()]);
        assert!(output.status.success(), "{}: {}", &body[..body.len().min(80)], err(&output));
    }
}

#[test]
fn long_expressions_are_refused() {
    const WHY: &str = "more than 256 operators and brackets in one expression";
    for (part, end, line) in [
        ("1 +\n", "1", 259),
        ("1 *\n", "1", 259),
        ("1 ==\n", "1", 259),
        ("1 in\n", "[1]", 259),
        ("{1} |\n", "{2}", 258),
        ("- ", "1", 4),
    ] {
        for times in [400, 15_000] {
            assert_refused(&rule(&format!("x := {}{end}", part.repeat(times))), line, WHY);
        }
    }
    assert_refused(&rule(&format!("input{} == 1", "[1]".repeat(300))), 4, WHY);
    assert_refused(&rule(&format!("input{} == 1", ".a".repeat(300))), 4, WHY);
}

#[test]
fn what_the_parser_would_read_over_and_over_is_refused() {
    let item = format!("{}1{}", "[".repeat(12), "]".repeat(12));
    let text = rule(&format!("x := [\n{}1]", format!("{item},\n").repeat(10_000)));
    assert_refused(&text, 68, "too much stands in nested brackets");
    let item = format!("{}0{}", "[1 | ".repeat(13), ", 0]".repeat(13));
    assert_refused(&rule(&format!("x := {item}")), 4, "too much stands in nested brackets");
}
