//! `# METADATA` comments. regorus does not read them, so this does, by OPA's rules:
//!
//! - a block is the comment `# METADATA` at the start of a line and the comment lines that follow it without a gap;
//!   what stands after each `#` is YAML;
//! - it belongs to the next rule, or to the package if `package` comes next; `scope` widens it: `document` is for all
//!   rules of the same name in the package, `package` for the package in all files, `subpackages` for what is below too;
//! - a scope may be described once; the nearest scope that has a value gives it.
//!
//! sealtail reads `title`, `description`, `custom.controls` and `custom.severity`, and leaves the rest alone.

use std::collections::BTreeMap;

use super::Fault;
use super::syntax::Syntax;
use super::yaml::{self, Kind, Node};
use crate::record::Severity;

/// Bound of a block, in lines.
const LINES_MAX: usize = 200;
/// Bound of the controls of one block; as many as a verdict may carry.
const CONTROLS_MAX: usize = super::verdict::CONTROLS_MAX;

/// What is said of a rule besides the rule itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// A short name.
    pub title: Option<String>,
    /// What the rule finds and why it matters.
    pub description: Option<String>,
    /// Ids of the controls that the rule answers, in the order they were written.
    pub controls: Vec<String>,
    /// How bad a finding is.
    pub severity: Option<Severity>,
}

impl Metadata {
    /// Takes from `wider` what is not said here.
    fn or(mut self, wider: Option<&Metadata>) -> Self {
        let Some(wider) = wider else { return self };
        self.title = self.title.or_else(|| wider.title.clone());
        self.description = self.description.or_else(|| wider.description.clone());
        self.severity = self.severity.or(wider.severity);
        if self.controls.is_empty() {
            self.controls.clone_from(&wider.controls);
        }
        self
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Rule,
    Document,
    Package,
    Subpackages,
}

/// The annotations of a whole set.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    /// By file and line of the rule.
    rules: BTreeMap<(String, u32), Metadata>,
    /// By package and rule name.
    documents: BTreeMap<(String, String), Metadata>,
    packages: BTreeMap<String, Metadata>,
    subpackages: BTreeMap<String, Metadata>,
}

impl Annotations {
    /// Reads the blocks of a file.
    pub(super) fn add(&mut self, file: &str, text: &str, syntax: &Syntax, faults: &mut Vec<Fault>) {
        for block in blocks(text) {
            if let Err((line, what)) = self.attach(file, &block, syntax) {
                faults.push(Fault::at(file, (line, 1), format!("METADATA: {what}")));
            }
        }
    }

    /// What holds for the rule at `line` of `file`: the nearest scope that says something.
    pub(super) fn of_rule(&self, file: &str, line: u32, syntax: &Syntax, name: &str) -> Metadata {
        let package = syntax.package_name();
        let own = self.rules.get(&(file.to_owned(), line)).cloned().unwrap_or_default();
        own.or(self.documents.get(&(package.clone(), name.to_owned()))).or(Some(&self.of_package(&package)))
    }

    /// What holds for a package.
    pub(super) fn of_package(&self, package: &str) -> Metadata {
        let mut found = Metadata::default().or(self.packages.get(package));
        let mut above = Some(package);
        while let Some(name) = above {
            found = found.or(self.subpackages.get(name));
            above = name.rsplit_once('.').map(|(above, _)| above);
        }
        found
    }

    fn attach(&mut self, file: &str, block: &Block, syntax: &Syntax) -> Result<(), (u32, String)> {
        let (scope, metadata) = block.read()?;
        let package = syntax.package_name();
        let before_package = block.end < syntax.package_place.0;
        if !before_package && syntax.rules.iter().any(|rule| rule.place.0 <= block.line && block.line <= rule.end) {
            return Err((block.line, "stands inside a rule; put it before the rule".to_owned()));
        }
        let rule = syntax.rules.iter().find(|rule| rule.place.0 > block.end);
        let scope = scope.unwrap_or(if before_package { Scope::Package } else { Scope::Rule });
        let redeclared = match (scope, before_package, rule) {
            (Scope::Package, true, _) => self.packages.insert(package, metadata),
            (Scope::Subpackages, true, _) => self.subpackages.insert(package, metadata),
            (Scope::Rule, false, Some(rule)) => self.rules.insert((file.to_owned(), rule.place.0), metadata),
            (Scope::Document, false, Some(rule)) => self.documents.insert((package, rule.name.clone()), metadata),
            (_, false, None) => return Err((block.line, "is followed by no rule".to_owned())),
            (Scope::Package | Scope::Subpackages, false, _) => {
                return Err((block.line, "this scope belongs before `package`".to_owned()));
            }
            (_, true, _) => return Err((block.line, "this scope belongs before a rule".to_owned())),
        };
        match redeclared {
            Some(_) => Err((block.line, "this scope has METADATA already; a scope may be described once".to_owned())),
            None => Ok(()),
        }
    }
}

/// One comment block.
struct Block {
    /// The line of `# METADATA`.
    line: u32,
    /// Its last line.
    end: u32,
    yaml: String,
    lines: usize,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in (1_u32..).zip(text.lines()) {
        match (line.strip_prefix('#'), blocks.last_mut()) {
            (Some(comment), Some(block)) if open => {
                block.yaml.push_str(comment);
                block.yaml.push('\n');
                block.end = number;
                block.lines += 1;
            }
            (Some(comment), _) if comment.trim() == "METADATA" => {
                blocks.push(Block { line: number, end: number, yaml: String::new(), lines: 0 });
                open = true;
            }
            _ => open = false,
        }
    }
    blocks
}

impl Block {
    fn read(&self) -> Result<(Option<Scope>, Metadata), (u32, String)> {
        if self.lines > LINES_MAX {
            return Err((self.line, format!("has more than {LINES_MAX} lines")));
        }
        let in_file = |(line, what): (u32, String)| (self.line.saturating_add(line), what);
        let Some(node) = yaml::parse(&self.yaml).map_err(in_file)? else {
            return Err((self.line, "is empty".to_owned()));
        };
        read(&node).map_err(in_file)
    }
}

fn read(node: &Node) -> Result<(Option<Scope>, Metadata), (u32, String)> {
    let mut scope = None;
    let mut metadata = Metadata::default();
    for (key, value) in fields(node, "METADATA")? {
        match key.as_str() {
            "scope" => scope = Some(read_scope(value)?),
            "title" => metadata.title = Some(text(value, key)?.to_owned()),
            "description" => metadata.description = Some(text(value, key)?.trim_end().to_owned()),
            "custom" => read_custom(value, &mut metadata)?,
            _ => {} // OPA's own: authors, organizations, related_resources, schemas, entrypoint
        }
    }
    Ok((scope, metadata))
}

fn read_scope(value: &Node) -> Result<Scope, (u32, String)> {
    match text(value, "scope")? {
        "rule" => Ok(Scope::Rule),
        "document" => Ok(Scope::Document),
        "package" => Ok(Scope::Package),
        "subpackages" => Ok(Scope::Subpackages),
        _ => Err((value.line, "scope must be rule, document, package or subpackages".to_owned())),
    }
}

fn read_custom(value: &Node, metadata: &mut Metadata) -> Result<(), (u32, String)> {
    for (key, value) in fields(value, "custom")? {
        match key.as_str() {
            "severity" => metadata.severity = Some(read_severity(value)?),
            "controls" => metadata.controls = read_controls(value)?,
            _ => {} // other programs' own
        }
    }
    Ok(())
}

fn read_severity(value: &Node) -> Result<Severity, (u32, String)> {
    super::verdict::severity(text(value, "severity")?)
        .ok_or_else(|| (value.line, "severity must be info, low, medium, high or critical".to_owned()))
}

fn read_controls(value: &Node) -> Result<Vec<String>, (u32, String)> {
    let Kind::List(items) = &value.kind else { return Err((value.line, "controls must be a list of ids".to_owned())) };
    if items.len() > CONTROLS_MAX {
        return Err((value.line, format!("at most {CONTROLS_MAX} controls")));
    }
    let read = |item: &Node| match text(item, "a control")? {
        id if super::verdict::is_control(id) => Ok(id.to_owned()),
        _ => Err((item.line, super::verdict::CONTROL_RULE.to_owned())),
    };
    items.iter().map(read).collect()
}

fn fields<'a>(node: &'a Node, what: &str) -> Result<&'a [(String, Node)], (u32, String)> {
    match &node.kind {
        Kind::Map(fields) => Ok(fields),
        _ => Err((node.line, format!("{what} must be made of `key: value` lines"))),
    }
}

fn text<'a>(node: &'a Node, what: &str) -> Result<&'a str, (u32, String)> {
    match &node.kind {
        Kind::Scalar(text) => Ok(text),
        _ => Err((node.line, format!("{what} must be text"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The severity at each rule's line, and the faults.
    fn read_module(text: &str) -> (Vec<(u32, Option<Severity>)>, Vec<Fault>) {
        let mut engine = regorus::Engine::new();
        engine.add_policy("m.rego".to_owned(), text.to_owned()).unwrap();
        let syntax = Syntax::of(&engine.get_modules()[0]);
        let (mut annotations, mut faults) = (Annotations::default(), Vec::new());
        annotations.add("m.rego", text, &syntax, &mut faults);
        let said = |rule: &super::super::syntax::RuleSyntax| {
            (rule.place.0, annotations.of_rule("m.rego", rule.place.0, &syntax, &rule.name).severity)
        };
        (syntax.rules.iter().map(said).collect(), faults)
    }

    fn block(scope: &str, severity: &str) -> String {
        format!("# METADATA\n# scope: {scope}\n# custom:\n#   severity: {severity}\n")
    }

    #[test]
    fn the_nearest_scope_wins() {
        let text = block("subpackages", "info")
            + &block("package", "low").replace("# METADATA", "\n# METADATA")
            + "package sealtail.a\n\n"
            + &block("document", "medium")
            + "a if true\n\n"
            + &block("rule", "high")
            + "a if false\n\nb := 1\n";
        let (rules, faults) = read_module(&text);
        let severities: Vec<Option<Severity>> = rules.into_iter().map(|(_, severity)| severity).collect();
        assert_eq!(severities, [Some(Severity::Medium), Some(Severity::High), Some(Severity::Low)]);
        assert_eq!(faults, []);
    }

    #[test]
    fn a_block_ends_with_a_gap_and_begins_a_line() {
        let text = "package sealtail.a\n\n# METADATA\n# custom: {severity: high}\n\n# [no yaml\na := 1\n  # METADATA\nb := `\nx`";
        let (rules, faults) = read_module(text);
        assert_eq!((rules[0].1, rules[1].1, faults), (Some(Severity::High), None, vec![]));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, line, says) in [
            ("package a\n# METADATA\n# title: [x]\nb := 1", 3, "title must be text"),
            ("package a\n# METADATA\n# scope: all\nb := 1", 3, "scope must be"),
            ("package a\n# METADATA\n# scope: package\nb := 1", 2, "belongs before `package`"),
            ("# METADATA\n# scope: rule\npackage a\nb := 1", 1, "belongs before a rule"),
            ("package a\n# METADATA\nb := 1", 2, "is empty"),
            ("package a\nb := 1\n# METADATA\n# title: x", 3, "followed by no rule"),
            ("package a\nb := `\n# METADATA\n# title: x`", 3, "inside a rule"),
            ("package a\n# METADATA\n# custom:\n#  controls: x\nb := 1", 4, "list of ids"),
            ("package a\n# METADATA\n# custom:\n#  controls: ['a b']\nb := 1", 4, "a control is"),
            ("package a\n# METADATA\n# title: x\n\n# METADATA\n# title: y\nb := 1", 5, "has METADATA already"),
        ] {
            let (_, faults) = read_module(text);
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
            assert_eq!(faults[0].place.map(|place| place.0), Some(line), "{text}: {faults:?}");
            assert!(faults[0].what.contains(says), "{text}: {faults:?}");
        }
    }
}
