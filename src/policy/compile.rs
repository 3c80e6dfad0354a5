//! From source files to a [`PolicySet`]: one program a package, each with its own entry point and limits.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::program::Program;
use regorus::{CompiledPolicy, Engine, Value};

use super::controls::distance;
use super::direct::Direct;
use super::fields::Wanted;
use super::gate::{self, Gate, Parts};
use super::input::JOURNAL_KEYS;
use super::load::{SourceFile, Sources, Tests};
use super::metadata::Annotations;
use super::syntax::{Form, RuleSyntax, Shape, Syntax, form};
use super::verdict::REDACT;
use super::{Config, Fault, Metadata, assign, circle, growth, nesting, redact, refuse, verdict};

/// The rule that a policy is asked for.
const VERDICTS: &str = "verdicts";
/// The package that all policies are below.
const ROOT: &str = "sealtail";

/// Policies, compiled once. Cheap to clone, shared by all threads.
#[derive(Clone)]
pub struct PolicySet {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) packages: Vec<Package>,
    /// What the packages' gates search for.
    pub(super) parts: Parts,
    /// The fields that those of them read that do not read all.
    pub(super) wanted: Wanted,
    pub(super) data: Value,
    pub(super) max_instructions: usize,
    /// Lines on which a package that redacts is undecided are hidden.
    pub(super) withholds: bool,
    digest: [u8; 32],
}

/// One policy: a package with a rule `verdicts`.
pub(super) struct Package {
    /// As people write it, and as `undecided` names it: `sealtail.linux`.
    pub(super) name: String,
    pub(super) program: Arc<Program>,
    /// The same without the engine, as far as that goes.
    pub(super) direct: Option<Direct>,
    /// Tells lines that none of its rules can match.
    pub(super) gate: Gate,
    /// What it may look at of `input.fields`; none if nothing.
    pub(super) wanted: Option<Wanted>,
    /// Whether it, or any other of the set, may look at `input.labels`.
    pub(super) reads_labels: bool,
    /// Whether its verdicts may have `redact`.
    pub(super) redacts: bool,
    by_id: BTreeMap<String, Metadata>,
    other: Metadata,
    rules: Vec<RuleInfo>,
}

/// A rule that gives verdicts, for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its package: `sealtail.linux`.
    pub package: String,
    /// The ids that stand in it; none if it makes them at run time.
    pub ids: Vec<String>,
    /// Its file.
    pub file: String,
    /// Its first line.
    pub line: u32,
    /// The controls that are written out in its verdicts, besides those of its METADATA.
    pub controls: Vec<String>,
    /// What its METADATA and that of its package say.
    pub metadata: Metadata,
}

impl PolicySet {
    /// Compiles what stands under the configured paths; a bundle of a server is not asked for. No paths give a set without
    /// policies. All faults are told at once, but those of the set as a whole only when each file is right.
    pub fn load(config: &Config) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let sources = Sources::configured(config, None, Tests::Skipped, &mut faults);
        Self::of(&sources, config, faults)
    }

    /// The policies that come with sealtail.
    pub fn packs() -> Result<Self, Vec<Fault>> {
        Self::of(&Sources::packs(), &Config::of(Vec::new()), Vec::new())
    }

    /// Compiles what has been read.
    pub(super) fn of(sources: &Sources, config: &Config, mut faults: Vec<Fault>) -> Result<Self, Vec<Fault>> {
        let digest = sources.digest();
        let max_instructions = usize::try_from(config.max_instructions).unwrap_or(usize::MAX);
        let mut packages = Vec::new();
        let mut parts = Parts::default();
        let mut data = Value::new_object();
        let mut wanted = Wanted::NONE;
        if !sources.modules.is_empty() || !faults.is_empty() {
            let mut engine = engine(sources, &mut faults);
            data = engine.get_data();
            let files = read_files(&mut engine, sources, &mut faults);
            if faults.is_empty() {
                packages = compile(&mut engine, sources, &files, &mut parts, &mut faults);
                // of an entry of the journal we look at these ourselves
                JOURNAL_KEYS.iter().for_each(|key| wanted.add(&[*key]));
                let some = packages.iter().filter_map(|package| package.wanted.as_ref());
                some.filter(|some| !some.is_all()).for_each(|some| wanted.add_all(some));
                packages.iter_mut().for_each(|package| files.read_directly(package, max_instructions, &mut parts));
            }
        }
        if !faults.is_empty() {
            return Err(sources.mend_places(faults));
        }
        if sources.data.iter().any(|file| file.text.contains(REDACT)) {
            packages.iter_mut().for_each(|package| package.redacts = true);
        }
        let withholds = config.withhold_undecided;
        Ok(Self { inner: Arc::new(Inner { packages, parts, wanted, data, max_instructions, withholds, digest }) })
    }

    /// SHA-256 over all files, sorted by name, each name and content with its length before it.
    pub fn digest(&self) -> [u8; 32] {
        self.inner.digest
    }

    /// The names of the policies, such as `sealtail.linux`.
    pub fn packages(&self) -> impl Iterator<Item = &str> {
        self.inner.packages.iter().map(|package| package.name.as_str())
    }

    /// Those of them whose verdicts may hide something.
    pub fn redacting(&self) -> impl Iterator<Item = &str> {
        self.inner.packages.iter().filter(|package| package.redacts).map(|package| package.name.as_str())
    }

    /// All rules that give verdicts, with their metadata, in the order of packages and files.
    pub fn rules(&self) -> impl Iterator<Item = &RuleInfo> {
        self.inner.packages.iter().flat_map(|package| &package.rules)
    }
}

impl Package {
    /// The metadata for a verdict: that of the rule in which its id is written out. A verdict whose id is written
    /// nowhere was made by a rule that makes ids at run time; if there is one such rule (or they all say the same) it
    /// is that rule's, else the package's.
    pub(super) fn metadata(&self, id: &str) -> &Metadata {
        self.by_id.get(id).unwrap_or(&self.other)
    }

    /// Whether the id is written out in a rule.
    pub(super) fn is_written(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }
}

/// An engine with every module and document; what doesn't parse is a fault and left out.
pub(super) fn engine(sources: &Sources, faults: &mut Vec<Fault>) -> Engine {
    let mut engine = Engine::new();
    // as in OPA: a function that can't answer is undefined
    engine.set_strict_builtin_errors(false);
    for file in &sources.modules {
        match add(&mut engine, &file.path, &file.text) {
            Ok(package) => faults.extend(file.check_package(&package).err()),
            Err(fault) => faults.push(fault),
        }
    }
    for (file, document) in sources.documents(faults) {
        if let Err(error) = engine.add_data(document) {
            faults.push(Fault::from_engine(&file.path, &error.to_string()));
        }
    }
    engine
}

/// Gives a module to the engine, if its parser can bear it; its package. All text goes this way.
pub(super) fn add(engine: &mut Engine, path: &str, text: &str) -> Result<String, Fault> {
    nesting::check(path, text)?;
    match catch_unwind(AssertUnwindSafe(|| engine.add_policy(path.to_owned(), text.to_owned()))) {
        Ok(added) => added.map_err(|error| Fault::from_engine(path, &error.to_string())),
        Err(_) => Err(Fault::of(path, "the engine panicked on it")),
    }
}

/// A parsed file with its annotations.
struct File<'a> {
    source: &'a SourceFile,
    syntax: Syntax,
}

struct Files<'a> {
    files: Vec<File<'a>>,
    annotations: Annotations,
}

fn read_files<'a>(engine: &mut Engine, sources: &'a Sources, faults: &mut Vec<Fault>) -> Files<'a> {
    let by_path: BTreeMap<&str, &SourceFile> = sources.modules.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut files = Vec::new();
    let mut annotations = Annotations::default();
    for module in engine.get_modules() {
        let Some(source) = by_path.get(module.package.span.source.get_path().as_str()) else { continue };
        let syntax = Syntax::of(module);
        refuse::check(&source.path, &syntax, faults);
        annotations.add(&source.path, &source.text, &syntax, faults);
        files.push(File { source, syntax });
    }
    let syntaxes: Vec<(&str, &Syntax)> = files.iter().map(|file| (file.source.path.as_str(), &file.syntax)).collect();
    let circles = faults.len();
    circle::check(&syntaxes, faults);
    if faults.len() == circles {
        growth::check(&syntaxes, faults);
    }
    Files { files, annotations }
}

fn compile(
    engine: &mut Engine,
    sources: &Sources,
    files: &Files<'_>,
    parts: &mut Parts,
    faults: &mut Vec<Fault>,
) -> Vec<Package> {
    let names: BTreeSet<String> = files.policies().map(|(file, _)| file.syntax.package_name()).collect();
    if names.is_empty() {
        let first = files.files.first().map_or("", |file| file.source.path.as_str());
        faults.push(files.why_none().unwrap_or_else(|| {
            let what =
                "no package below `sealtail` has a rule `verdicts`, here or in another file; see policies/README.md";
            Fault::of(first, what)
        }));
    }
    for (file, rule) in files.policies() {
        if rule.shape() != Shape::Set {
            let what = "`verdicts` must be a set: write `verdicts contains {\"id\": …} if { … }`";
            faults.push(Fault::at(&file.source.path, rule.place, what));
        }
    }
    if !faults.is_empty() {
        return Vec::new();
    }
    let mut strict = files.strict_engine(sources);
    let compile = |name: &String| match catch_unwind(AssertUnwindSafe(|| program_of(&mut strict, engine, name, files)))
    {
        Ok(Ok(program)) => Some(files.package(name, program, parts, faults)),
        Ok(Err(fault)) => {
            faults.push(fault);
            None
        }
        Err(_) => {
            faults.push(Fault::of(files.path_of(name), "the engine panicked on this package"));
            None
        }
    };
    names.iter().filter_map(compile).collect()
}

/// The program of a package, from the text for the RVM if that compiles.
fn program_of(strict: &mut Engine, engine: &mut Engine, name: &str, files: &Files<'_>) -> Result<Arc<Program>, Fault> {
    program(strict, name, files).or_else(|_| program(engine, name, files))
}

fn program(engine: &mut Engine, name: &str, files: &Files<'_>) -> Result<Arc<Program>, Fault> {
    let file = files.path_of(name);
    let entry = files.entry(name);
    let from_engine = |error: &dyn std::fmt::Display| Fault::from_engine(file, &error.to_string());
    let policy: CompiledPolicy =
        engine.compile_with_entrypoint(&entry.as_str().into()).map_err(|error| from_engine(&error))?;
    let program = Compiler::compile_from_policy(&policy, &[&entry]).map_err(|error| match &error.span {
        Some(span) => Fault::hinted(span.source.get_path(), (span.line, span.col), &error.error.to_string()),
        None => from_engine(&error),
    })?;
    // rules and data that claim the same path are found here, not on the first line
    program.check_rule_data_conflicts(&engine.get_data()).map_err(|error| from_engine(&error))?;
    Ok(program)
}

impl<'a> Files<'a> {
    /// An engine with the text for the RVM.
    fn strict_engine(&self, sources: &Sources) -> Engine {
        let all: Vec<&Syntax> = self.files.iter().map(|file| &file.syntax).collect();
        let strict = |file: &File<'_>| SourceFile {
            text: assign::strict(&file.source.text, &file.syntax, &all),
            ..file.source.clone()
        };
        let modules = self.files.iter().map(strict).collect();
        let sources = Sources { modules, data: sources.data.clone(), ..Sources::default() };
        engine(&sources, &mut Vec::new())
    }

    /// The `verdicts` rules below `sealtail`.
    fn policies(&self) -> impl Iterator<Item = (&File<'a>, &RuleSyntax)> {
        let below = |file: &&File<'_>| file.syntax.package.first().is_some_and(|first| first == ROOT);
        let rules = |file| Files::rules_of(file).filter(|(_, rule)| rule.name == VERDICTS);
        self.files.iter().filter(below).flat_map(rules)
    }

    /// Where no policy is found: `verdicts` in a package that is none, or a rule with nearly that name.
    fn why_none(&self) -> Option<Fault> {
        let (file, rule) =
            self.files.iter().flat_map(Self::rules_of).find(|(_, rule)| distance(&rule.name, VERDICTS) <= 2)?;
        let (path, name) = (&file.source.path, file.syntax.package_name());
        Some(match rule.name == VERDICTS {
            true => {
                let what = format!(
                    "`package {name}` is not looked at: a policy is a package below `sealtail`; write `package sealtail.{name}`"
                );
                Fault::at(path, file.syntax.package_place, what)
            }
            false => Fault::at(path, rule.place, format!("`{}` is not looked at; did you mean `verdicts`?", rule.name)),
        })
    }

    fn rules_of<'f>(file: &'f File<'a>) -> impl Iterator<Item = (&'f File<'a>, &'f RuleSyntax)> {
        file.syntax.rules.iter().map(move |rule| (file, rule))
    }

    fn of_package(&self, name: &str) -> impl Iterator<Item = &File<'a>> {
        self.files.iter().filter(move |file| file.syntax.package_name() == name)
    }

    /// The path of a package's `verdicts`, as the engine writes it: `data.sealtail["a-b"].verdicts`.
    fn entry(&self, name: &str) -> String {
        let package = self.of_package(name).next().map(|file| file.syntax.package.as_slice()).unwrap_or_default();
        let mut entry = "data".to_owned();
        for part in package {
            let is_name = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !part.starts_with(|c: char| c.is_ascii_digit());
            entry += &if is_name { format!(".{part}") } else { format!("[{}]", Value::from(part.as_str())) };
        }
        entry + "." + VERDICTS
    }

    fn path_of(&self, name: &str) -> &str {
        self.of_package(name).next().map_or("", |file| file.source.path.as_str())
    }

    fn read_directly(&self, package: &mut Package, max_instructions: usize, parts: &mut Parts) {
        let syntaxes: Vec<&Syntax> = self.of_package(&package.name).map(|file| &file.syntax).collect();
        let mut direct = Direct::of(&syntaxes, &package.program, max_instructions, parts);
        if let Some(direct) = &mut direct {
            direct.resolve(|member| verdict::read(member, |id| package.metadata(id)).ok());
        }
        package.direct = direct;
    }

    fn package(&self, name: &str, program: Arc<Program>, parts: &mut Parts, faults: &mut Vec<Fault>) -> Package {
        let syntaxes: Vec<&Syntax> = self.of_package(name).map(|file| &file.syntax).collect();
        let all: Vec<&Syntax> = self.files.iter().map(|file| &file.syntax).collect();
        let mut package = Package {
            name: name.to_owned(),
            program,
            direct: None,
            gate: Gate::of(&syntaxes, parts),
            wanted: gate::fields_read(&syntaxes, &all),
            reads_labels: gate::reads_labels(&all),
            redacts: redact::may(&syntaxes, &all),
            by_id: BTreeMap::new(),
            other: self.annotations.of_package(name),
            rules: Vec::new(),
        };
        let mut elsewhere = Vec::new();
        let mut at_run_time: Vec<Metadata> = Vec::new();
        for (file, rule) in self.of_package(name).flat_map(Files::rules_of) {
            let ids = written_ids(rule);
            let metadata = self.annotations.of_rule(&file.source.path, rule.place.0, &file.syntax, &rule.name);
            let info = RuleInfo {
                package: name.to_owned(),
                ids,
                file: file.source.path.clone(),
                line: rule.place.0,
                controls: written_controls(rule),
                metadata,
            };
            match (rule.name == VERDICTS, info.ids.is_empty()) {
                (true, false) => package.add_ids(&info, rule, faults),
                (true, true) => at_run_time.push(info.metadata.clone()),
                (false, false) => elsewhere.push(info.clone()),
                (false, true) => continue,
            }
            package.rules.push(info);
        }
        // a helper may make whole verdicts; what a `verdicts` rule says of an id goes first
        for info in elsewhere {
            for id in info.ids {
                package.by_id.entry(id).or_insert_with(|| info.metadata.clone());
            }
        }
        at_run_time.dedup();
        if let [only] = at_run_time.as_slice() {
            package.other = only.clone();
        }
        package
    }
}

impl Package {
    fn add_ids(&mut self, info: &RuleInfo, rule: &RuleSyntax, faults: &mut Vec<Fault>) {
        for id in &info.ids {
            let known = self.by_id.entry(id.clone()).or_insert_with(|| info.metadata.clone());
            if *known != info.metadata {
                let what = format!(
                    "another rule gives `{id}` with other METADATA; a verdict could come from either: \
                     write the same, or once with `scope: document`"
                );
                faults.push(Fault::at(&info.file, rule.place, what));
            }
        }
    }
}

/// The controls that are written out in a rule, under the key `controls` of literal objects.
fn written_controls(rule: &RuleSyntax) -> Vec<String> {
    let mut controls = BTreeSet::new();
    rule.each_expr(&mut |expr| {
        let Form::Object(fields) = form(expr) else { return };
        for (key, value) in fields {
            let (Form::Text("controls"), Form::List(items)) = (form(key), form(value)) else { continue };
            controls.extend(items.iter().filter_map(|item| match form(item) {
                Form::Text(id) => Some(id.to_owned()),
                _ => None,
            }));
        }
    });
    controls.into_iter().collect()
}

/// The ids that are written out in a rule: literal strings under the key `id` of literal objects.
fn written_ids(rule: &RuleSyntax) -> Vec<String> {
    let mut ids = BTreeSet::new();
    rule.each_expr(&mut |expr| {
        let Form::Object(fields) = form(expr) else { return };
        for (key, value) in fields {
            if let (Form::Text("id"), Form::Text(id)) = (form(key), form(value)) {
                ids.insert(id.to_owned());
            }
        }
    });
    ids.into_iter().collect()
}
