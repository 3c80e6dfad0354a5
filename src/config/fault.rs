//! What is wrong with a configuration, where, and how to mend it.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong. Shown as `FILE:LINE:COLUMN: [table] key: what is wrong; how to mend it`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// Where in it; `None` when it could not be read at all.
    pub position: Option<Position>,
    /// Table and key, such as `[spool] max_size`; empty where the file as a whole is meant.
    pub subject: String,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub mend: String,
}

/// A place in a text, counted from 1 as editors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl Position {
    /// The place of byte `at` of `text`.
    pub(super) fn of(text: &str, at: usize) -> Self {
        // a parser may point into the middle of a character, or behind the end
        let before = (0..=at.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

impl Fault {
    /// The file itself is at fault.
    pub(super) fn of_file(file: &Path, what: String, mend: &str) -> Self {
        Self { file: file.to_owned(), position: None, subject: String::new(), what, mend: mend.to_owned() }
    }

    /// Byte `at` of its text is at fault.
    pub(super) fn of_text(file: &Path, text: &str, at: usize, what: &str, mend: &str) -> Self {
        Self { position: Some(Position::of(text, at)), ..Self::of_file(file, what.to_owned(), mend) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        if !self.subject.is_empty() {
            write!(f, " {}:", self.subject)?;
        }
        write!(f, " {}; {}", self.what, self.mend)
    }
}

impl std::error::Error for Fault {}
