//! Policies: what Rego says of a line.

use std::path::PathBuf;

/// `[policy]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Folders and files of Rego and `data.json`.
    pub paths: Vec<PathBuf>,
    /// Bound of one evaluation of one package, in instructions of the RVM.
    pub max_instructions: u64,
}
