//! Policies that nobody would write, made at random from what policies are made of.

use crate::Both;
use crate::dice::Dice;

const POLICIES: usize = 500;
const LINES: usize = 400;

/// A policy under construction.
struct Writer<'d> {
    dice: &'d mut Dice,
    /// Helpers that stand above: rules and functions of one text.
    rules: Vec<String>,
    functions: Vec<String>,
    /// Variables that have a value, and how many there have been.
    variables: Vec<String>,
    named: usize,
    /// Not in front of an `else`, which the RVM does not reach from behind a loop (policies/README.md says so).
    may_loop: bool,
}

const WORDS: [&str; 8] = ["", "a", "b", "ab", "a b", "root", "é", "12"];
const PATHS: [&str; 9] = [
    "input.message",
    "input.fields.a",
    "input.fields.b",
    "input.fields.c.a",
    "input.fields.c.b.a",
    "input.fields[\"a\"]",
    "input.fields.msg",
    "input.fields.appname",
    "input.fields.json.a",
];

impl Writer<'_> {
    fn word(&mut self) -> String {
        format!("\"{}\"", self.dice.pick(&WORDS))
    }

    /// Something that may be a text.
    fn text(&mut self, depth: usize) -> String {
        if depth == 0 || self.dice.one_in(2) {
            if self.dice.one_in(4) && !self.variables.is_empty() {
                let at = self.dice.below(self.variables.len());
                return self.variables[at].clone();
            }
            return self.dice.pick(&PATHS).to_owned();
        }
        let (text, word) = (self.text(depth - 1), self.word());
        match self.dice.below(9) {
            0 => format!("lower({text})"),
            1 => format!("trim({text}, {word})"),
            2 => format!("substring({text}, {}, {})", self.dice.below(4), self.dice.pick(&["-1", "0", "2"])),
            3 => format!("substring({text}, indexof({text}, {word}) + 1, -1)"),
            4 => format!("split({text}, \" \")[{}]", self.dice.below(3)),
            5 => format!("replace({text}, \"a\", \"b\")"),
            6 => format!("object.get(input.fields, \"{}\", {word})", self.dice.pick(&["a", "c", "z"])),
            7 => format!("concat(\"-\", [{text}, {word}])"),
            _ => format!(
                "input.{}",
                self.dice.pick(&["host", "time", "source.type", "source.name", "source.path", "labels.a"])
            ),
        }
    }

    fn value(&mut self) -> String {
        match self.dice.below(7) {
            0 => self.dice.below(3).to_string(),
            1 => self.dice.pick(&["null", "true", "false", "[\"a\"]", "{\"a\": \"b\"}", "{\"a\", 1}"]).to_owned(),
            2 => self.text(1),
            _ => self.word(),
        }
    }

    fn list(&mut self) -> String {
        let (text, word) = (self.text(1), self.word());
        match self.dice.below(7) {
            0 => format!("split({text}, {word})"),
            1 => format!("[{word}, {text}]"),
            2 => "[\"a\", \"b\", \"root\"]".to_owned(),
            3 => "{\"a\", \"b\", 1, null}".to_owned(),
            4 => format!("regex.find_n(`[ab]+`, {text}, {})", 1 + self.dice.below(3)),
            5 => format!("[y | some y in split({text}, \" \"); y != {word}]"),
            _ => self.dice.pick(&["input.fields.a", "input.fields.c", "input.fields.d"]).to_owned(),
        }
    }

    fn condition(&mut self) -> String {
        let (text, word) = (self.text(2), self.word());
        match self.dice.below(17) {
            0 => format!("contains({text}, {word})"),
            1 => format!("startswith({text}, {word})"),
            2 => format!("endswith({text}, {word})"),
            3 => format!("{text} == {}", self.value()),
            4 => format!("{} != {text}", self.value()),
            5 => format!("{text} in {}", self.list()),
            6 => format!("count({}) {} {}", self.list(), self.dice.pick(&["<", ">=", "==", "!="]), self.dice.below(4)),
            7 => format!("regex.match(`{}`, {text})", self.dice.pick(&["^a", "b$", r"\ba\b", "[0-9]{2}", "é"])),
            8 => format!("{text} {} {}", self.dice.pick(&["<", "<=", ">", ">="]), self.value()),
            9 => text,
            10 if !self.functions.is_empty() => {
                let at = self.dice.below(self.functions.len());
                format!("{}({text})", self.functions[at])
            }
            11 => format!("to_number({text}) == {}", self.dice.below(13)),
            12 => format!("every z in {} {{ z != {word} }}", self.list()),
            13 => format!("contains(input.message, {word})"),
            14 => format!("input.fields.c.a in {{{word}, \"b\"}}"),
            _ if !self.rules.is_empty() => {
                let at = self.dice.below(self.rules.len());
                self.rules[at].clone()
            }
            _ => format!("{text} == {word}"),
        }
    }

    fn statement(&mut self) -> String {
        match self.dice.below(9) {
            0 | 1 => {
                let condition = self.condition();
                if condition.starts_with("every") { condition } else { format!("not {condition}") }
            }
            2 => self.assigned(),
            3 if self.may_loop => {
                let list = self.list();
                let name = self.name();
                format!("some {name} in {list}")
            }
            _ => self.condition(),
        }
    }

    fn assigned(&mut self) -> String {
        let value = self.text(2);
        format!("{} := {value}", self.name())
    }

    fn name(&mut self) -> String {
        self.named += 1;
        let name = format!("v{}", self.named);
        self.variables.push(name.clone());
        name
    }

    fn body(&mut self, own: &[&str]) -> String {
        self.variables = own.iter().map(|name| (*name).to_owned()).collect();
        let statements: Vec<String> = (0..=self.dice.below(3)).map(|_| self.statement()).collect();
        statements.join("\n\t")
    }

    fn policy(mut self) -> String {
        let mut policy = "package sealtail.random\n".to_owned();
        for n in 0..self.dice.below(5) {
            let name = format!("r{n}");
            match self.dice.below(5) {
                0 => {
                    self.may_loop = false;
                    policy +=
                        &format!("{name} := {} if {{\n\t{}\n}} else := {}\n", self.word(), self.body(&[]), self.word());
                    self.may_loop = true;
                }
                1 => policy += &format!("{name} := {}\n", self.word()),
                2 => {
                    policy += &format!("default {name} := false\n");
                    policy += &format!("{name} if {{\n\t{}\n}}\n", self.body(&[]));
                }
                3 => {
                    policy += &format!("{name}(x) if {{\n\t{}\n}}\n", self.body(&["x"]));
                    self.functions.push(name);
                    continue;
                }
                _ => {
                    for _ in 0..=self.dice.below(2) {
                        policy += &format!("{name} if {{\n\t{}\n}}\n", self.body(&[]));
                    }
                }
            }
            self.rules.push(name);
        }
        for n in 0..=self.dice.below(3) {
            policy += &format!("verdicts contains {{\"id\": \"x{n}\"}} if {{\n\t{}\n}}\n", self.body(&[]));
        }
        policy
    }
}

fn line(dice: &mut Dice) -> String {
    let words = |dice: &mut Dice| (0..dice.below(5)).map(|_| dice.pick(&WORDS)).collect::<Vec<_>>().join(" ");
    let value = |dice: &mut Dice| match dice.below(8) {
        0 => dice.pick(&["null", "true", "12", "1.5", "-1", "1e1", "\"\\u0061\""]).to_owned(),
        1 => format!("[\"{}\", 1]", dice.pick(&WORDS)),
        2 => format!("{{\"a\":\"{}\"}}", dice.pick(&WORDS)),
        _ => format!("\"{}\"", words(dice)),
    };
    match dice.below(6) {
        0 => words(dice),
        1 => format!("Jan 12 06:25:41 web-1 {}[7]: {}", dice.pick(&["a", "b", "root"]), words(dice)),
        2 => format!("{{\"a\":{},\"c\":{}", value(dice), value(dice)),
        3 => format!("Jan 12 06:25:41 web-1 a: {{\"a\":{}}}", value(dice)),
        4 => format!("{{\"a\":{},\"b\":{},\"a\":{}}}", value(dice), value(dice), value(dice)),
        _ => format!(
            "{{\"a\":{},\"d\":{},\"c\":{{\"a\":{},\"b\":{{\"a\":{}}}}}}}",
            value(dice),
            value(dice),
            value(dice),
            value(dice)
        ),
    }
}

#[test]
fn random_policies_say_the_same() {
    let run = |part: usize| move || (part..POLICIES).step_by(2).map(differences).collect::<Vec<_>>();
    let (one, other) = (std::thread::spawn(run(0)), std::thread::spawn(run(1)));
    let all = [one.join().unwrap(), other.join().unwrap()].concat();
    let verdicts: usize = all.iter().map(|(verdicts, _)| verdicts).sum();
    assert!(verdicts > POLICIES * LINES / 20, "{verdicts}");
    let differ: Vec<&String> = all.iter().filter_map(|(_, first)| first.as_ref()).collect();
    assert!(differ.is_empty(), "{} of {POLICIES} policies differ, the first so: {}", differ.len(), differ[0]);
}

/// How many verdicts the lines get, and the first difference.
fn differences(policy: usize) -> (usize, Option<String>) {
    let mut dice = Dice::new(1000 + policy as u64);
    let lines: Vec<String> = (0..LINES).map(|_| line(&mut dice)).collect();
    let writer = Writer {
        dice: &mut dice,
        rules: Vec::new(),
        functions: Vec::new(),
        variables: Vec::new(),
        named: 0,
        may_loop: true,
    };
    let text = writer.policy();
    let mut both = Both::new(&[("random.rego", &text)]);
    let mut verdicts = 0;
    for line in &lines {
        let (found, plain) = (both.by_rvm(line), both.by_interpreter(line));
        // where plain regorus gives up, as it does on a loop over what is no collection, there is nothing to agree on
        let Some(plain) = plain else { continue };
        if found != plain {
            return (verdicts, Some(format!("{line:?}\n{text}\n{found:?}\ninstead of {plain:?}")));
        }
        verdicts += found.len();
    }
    (verdicts, None)
}
