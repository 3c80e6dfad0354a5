//! Policies: what Rego says of a line.
//!
//! # Layout
//! ```text
//! load      files, folders, bundles      -> Sources          (bounded, sorted, digested)
//! bundle    OPA bundles, from disk and from a server -> their files, if they are those that were signed
//! nesting   a text                       -> will the engine's parser bear it?
//! syntax    the engine's syntax tree     -> what we ask of it: rules, ids, calls
//! metadata  `# METADATA` comments (yaml) -> Metadata, by OPA's rules of scope
//! refuse    what a policy may not do     -> Faults
//! growth    what could build a text of any size -> Faults
//! circle    rules that refer to themselves -> Faults
//! assign    `:=`                         -> text of which the RVM makes what the interpreter does
//! compile   all of these                 -> PolicySet        (one RVM program a package)
//! candidate what is configured now       -> PolicySet        (compiled and tested beside the running one)
//! format    a line                       -> what it is, and what it is made of: syslog, auditd, container runtimes
//! input     a line                       -> the input document, built once a line
//! fields    a JSON object               -> its values, as far as rules can read them
//! gate      conditions every rule needs  -> is this package worth running on this line?
//! direct    a package as a tree          -> what it says of a line without the engine, where that is exact
//! evaluate  PolicySet + line             -> verdicts         (bounded; a failing package hurts only itself)
//! verdict   a Rego value                 -> record::Verdict, and their JSON
//! redact    verdicts that hide + line    -> where in the line that stands
//! testing   `test_` rules                -> TestReport       (on regorus' interpreter: the RVM has no `with`)
//! coverage  the same                     -> Coverage: which rules and lines they reach
//! hint      the engine's messages    -> what to do about them
//! lint      rules that compile, and never fire or name no control -> Faults, for `policy check` only
//! explain   PolicySet + line             -> each statement of a rule: did it hold, and on what values
//! controls  the catalogue of controls, and which rule answers which
//! packs     the policies that come with sealtail
//! ```
//! A policy is a package: it has its own program, its own limits, and its own `undecided` when it fails.
//! The contract with those who write policies stands in `policies/README.md`.

use std::path::PathBuf;

mod assign;
pub mod bundle;
mod candidate;
mod circle;
mod compile;
pub mod controls;
mod coverage;
mod direct;
mod evaluate;
mod explain;
mod fault;
mod fields;
pub mod format;
mod gate;
mod growth;
mod hint;
mod input;
mod lint;
mod load;
mod metadata;
mod nesting;
pub mod packs;
pub mod redact;
mod refuse;
mod syntax;
mod testing;
mod verdict;
mod yaml;

pub use candidate::{Candidate, First};
pub use compile::{PolicySet, RuleInfo};
pub use coverage::{Coverage, RuleCoverage, coverage};
pub use evaluate::Evaluator;
pub use explain::{Explained, Outcome, Step, explain};
pub use fault::Fault;
pub use input::{LineContext, SourceContext};
pub use lint::check;
pub use metadata::Metadata;
pub use testing::{TestFailure, TestReport, run_tests};

/// `[policy]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Folders and files of Rego and data, and bundles.
    pub paths: Vec<PathBuf>,
    /// Bound of one evaluation of one package, in instructions of the RVM.
    pub max_instructions: u64,
    /// Whose signatures bundles must have.
    pub verify: Option<bundle::Verify>,
    /// A bundle from a server.
    pub bundle: Option<bundle::Remote>,
    /// A line on which a package that redacts is undecided is hidden: `on_undecided = "withhold"`.
    pub withhold_undecided: bool,
}

impl Config {
    /// The default of `max_instructions`.
    pub const MAX_INSTRUCTIONS: u64 = 100_000;

    /// These policies, and the defaults.
    pub fn of(paths: Vec<PathBuf>) -> Self {
        let max_instructions = Self::MAX_INSTRUCTIONS;
        Self { paths, max_instructions, withhold_undecided: false, verify: None, bundle: None }
    }

    /// The files and folders that it is read from: policies, and the keys of bundles.
    pub fn files(&self) -> Vec<PathBuf> {
        let keys = self.verify.iter().flat_map(|verify| verify.key_files());
        self.paths.iter().chain(keys).cloned().collect()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}
