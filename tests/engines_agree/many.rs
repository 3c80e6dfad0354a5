//! The packs on a great many lines, each made from lines that the packs know: spoilt, mixed, wrapped.

use sealtail::policy::packs;

use crate::dice::Dice;
use crate::{Both, kubernetes_lines, sample_lines, text_lines};

/// On each of two cores.
pub(crate) fn agree_on(lines: usize) {
    let half = |seed: u64| move || agree_on_from(seed, lines / 2);
    let (one, other) = (std::thread::spawn(half(1)), std::thread::spawn(half(2)));
    let verdicts = one.join().unwrap() + other.join().unwrap();
    assert!(verdicts > lines / 20, "{verdicts}");
}

fn agree_on_from(seed: u64, lines: usize) -> usize {
    let known = [text_lines(), kubernetes_lines(), sample_lines()].concat();
    let mut dice = Dice::new(seed);
    let mut both = Both::new(&[packs::PACKS, packs::LEFT_OUT].concat());
    (0..lines).map(|_| both.agree(&line(&mut dice, &known))).sum()
}

fn line(dice: &mut Dice, known: &[String]) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let one = dice.pick(&known).to_owned();
    match dice.below(8) {
        0 => one,
        1 => exchanged(dice, &one, dice_words(&known)),
        2 => spoilt(dice, &one),
        3 => half_of_each(dice, &one, &known),
        4 => renumbered(dice, &one),
        5 => wrapped(dice, &one),
        6 => {
            let one = exchanged(dice, &one, dice_words(&known));
            spoilt(dice, &one)
        }
        _ => object(dice),
    }
}

fn dice_words<'a>(known: &'a [&'a str]) -> impl Fn(&mut Dice) -> &'a str {
    |dice| {
        let words: Vec<&str> = dice.pick(known).split(' ').collect();
        dice.pick(&words)
    }
}

/// Some words are those of other lines.
fn exchanged<'a>(dice: &mut Dice, line: &str, other: impl Fn(&mut Dice) -> &'a str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    for _ in 0..=dice.below(3) {
        let (at, word) = (dice.below(words.len()), other(dice));
        words[at] = word;
    }
    words.join(" ")
}

/// Characters are gone, doubled, or others.
fn spoilt(dice: &mut Dice, line: &str) -> String {
    let others = ["", "\\", "\"", "{", "}", "é", "\u{FFFD}", "=", ":", " ", "0", "\n", "\u{0}", "[", ","];
    let mut chars: Vec<String> = line.chars().map(String::from).collect();
    for _ in 0..=dice.below(4) {
        let at = dice.below(chars.len());
        if let Some(char) = chars.get_mut(at) {
            *char = if dice.one_in(4) { char.repeat(2) } else { dice.pick(&others).to_owned() };
        }
    }
    chars.concat()
}

fn half_of_each(dice: &mut Dice, one: &str, known: &[&str]) -> String {
    let other = dice.pick(known);
    let half = |text: &str| text.chars().count() / 2;
    let first: String = one.chars().take(half(one)).collect();
    first + &other.chars().skip(half(other)).collect::<String>()
}

fn renumbered(dice: &mut Dice, line: &str) -> String {
    let digit = |c: char, dice: &mut Dice| match c.is_ascii_digit() {
        true => char::from(b'0' + dice.below(10) as u8),
        false => c,
    };
    // a number that no f64 holds is a test of its own: src/policy/input.rs
    if line.contains(['e', 'E']) && line.starts_with('{') {
        return line.to_owned();
    }
    line.chars().map(|c| digit(c, dice)).collect()
}

/// The line inside another.
fn wrapped(dice: &mut Dice, line: &str) -> String {
    match dice.below(4) {
        0 => serde_json::json!({ "msg": line, "message": line, "kind": "Event" }).to_string(),
        1 => {
            format!("<86>1 2026-01-12T06:25:41Z web-1 {} 812 - - {line}", dice.pick(&["sshd", "sudo", "su", "kernel"]))
        }
        2 => format!("Jan 12 06:25:41 web-1 {}: {line}", dice.pick(&["sshd[1]", "sudo", "systemd[1]", "useradd[7]"])),
        _ => format!("node=a {line} "),
    }
}

/// An object with the keys that the packs read, and values that they may not expect.
fn object(dice: &mut Dice) -> String {
    let value = |dice: &mut Dice| {
        let plain = [
            "\"Event\"",
            "\"secrets\"",
            "\"get\"",
            "\"create\"",
            "\"ResponseComplete\"",
            "\"audit.k8s.io/v1\"",
            "\"alice\"",
            "200",
            "403",
            "null",
            "true",
            "[]",
            "{}",
            "[\"system:masters\"]",
            "\"system:anonymous\"",
            "\"a\\u0062c\"",
            "\"/version?x\"",
            "4.03e2",
            "-1",
            "\"Failed password for root from 1.2.3.4 port 1 ssh2\"",
            "\"exec\"",
            "\"pods\"",
            "\"sshd\"",
            "\"sudo\"",
            "\"alice@example.com\"",
        ];
        dice.pick(&plain).to_owned()
    };
    let event = [
        "kind",
        "apiVersion",
        "stage",
        "verb",
        "requestURI",
        "MESSAGE",
        "SYSLOG_IDENTIFIER",
        "appname",
        "msg",
        "eventVersion",
    ];
    let mut pairs: Vec<String> = Vec::new();
    if dice.one_in(2) {
        pairs.push(r#""kind":"Event","apiVersion":"audit.k8s.io/v1","stage":"ResponseComplete""#.to_owned());
    }
    for _ in 0..dice.below(6) {
        pairs.push(format!("\"{}\":{}", dice.pick(&event), value(dice)));
    }
    for (key, inner) in [
        ("user", ["username", "groups"]),
        ("objectRef", ["resource", "subresource"]),
        ("responseStatus", ["code", "status"]),
        ("requestObject", ["spec", "roleRef"]),
    ] {
        if dice.one_in(2) {
            let of = inner.map(|key| format!("\"{key}\":{}", value(dice)));
            pairs.push(match dice.one_in(6) {
                true => format!("\"{key}\":{}", value(dice)),
                false => format!("\"{key}\":{{{}}}", of.join(",")),
            });
        }
    }
    format!("{{{}}}", pairs.join(dice.pick(&[",", ", "])))
}

#[test]
fn the_packs_say_the_same_of_spoilt_and_mixed_lines() {
    agree_on(8_000);
}
