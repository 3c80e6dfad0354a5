//! Policies: what Rego says of a line.
//!
//! # Layout
//! ```text
//! load      files and folders            -> Sources          (bounded, sorted, digested)
//! syntax    the engine's syntax tree     -> what we ask of it: rules, ids, calls
//! metadata  `# METADATA` comments (yaml) -> Metadata, by OPA's rules of scope
//! refuse    what a policy may not do     -> Faults
//! growth    what could build a text of any size -> Faults
//! circle    rules that refer to themselves -> Faults
//! assign    `:=`                         -> text of which the RVM makes what the interpreter does
//! compile   all of these                 -> PolicySet        (one RVM program a package)
//! format    a line                       -> what it is, and what it is made of: syslog, auditd, container runtimes
//! input     a line                       -> the input document, built once a line
//! fields    a JSON object               -> its values, as far as rules can read them
//! gate      conditions every rule needs  -> is this package worth running on this line?
//! direct    a package as a tree          -> what it says of a line without the engine, where that is exact
//! evaluate  PolicySet + line             -> verdicts         (bounded; a failing package hurts only itself)
//! verdict   a Rego value                 -> record::Verdict, and their JSON
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
pub mod packs;
mod refuse;
mod syntax;
mod testing;
mod verdict;
mod yaml;

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
    /// Folders and files of Rego and `data.json`.
    pub paths: Vec<PathBuf>,
    /// Bound of one evaluation of one package, in instructions of the RVM.
    pub max_instructions: u64,
}

impl Config {
    /// The default of `max_instructions`.
    pub const MAX_INSTRUCTIONS: u64 = 100_000;
}
