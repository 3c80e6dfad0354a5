//! A file being read: what it is read with, and what was found wrong so far.

use super::fault::{Fault, Position};
use super::substitute::Surroundings;
use super::table::Table;
use std::cell::RefCell;
use std::path::Path;
use toml::de::DeTable;

/// The file. Readers share it, and each fault that they find stays here, so that reading goes on.
pub(super) struct Document<'t> {
    path: &'t Path,
    text: &'t str,
    pub(super) surroundings: &'t Surroundings<'t>,
    faults: RefCell<Vec<Fault>>,
}

/// A table or a key of it: what a fault points at.
#[derive(Clone)]
pub(super) struct Place<'t> {
    pub(super) document: &'t Document<'t>,
    /// `[table]` or `[[table]]`; empty at the top of the file.
    pub(super) table: String,
    /// The key with the inline tables it is in (`tls.ca`); empty where the table itself is meant.
    pub(super) key: String,
    /// The byte of the file.
    pub(super) at: usize,
}

impl<'t> Document<'t> {
    pub(super) fn new(path: &'t Path, text: &'t str, surroundings: &'t Surroundings<'t>) -> Self {
        Self { path, text, surroundings, faults: RefCell::default() }
    }

    /// The file's tables.
    pub(super) fn root(&'t self, entries: &'t DeTable<'t>) -> Table<'t> {
        let place = Place { document: self, table: String::new(), key: String::new(), at: 0 };
        Table::new(place, Some(entries))
    }

    /// What was read, if nothing was wrong. Readers return `None` only where they left a fault.
    pub(super) fn verdict<T>(&self, read: Option<T>) -> Result<T, Vec<Fault>> {
        let mut faults = self.faults.take();
        match read {
            Some(read) if faults.is_empty() => Ok(read),
            _ => {
                debug_assert!(!faults.is_empty(), "a reader gave up without saying why");
                faults.sort_by_key(|fault| fault.position);
                Err(faults)
            }
        }
    }
}

impl Place<'_> {
    /// Notes that something is wrong here.
    pub(super) fn fault(&self, what: impl Into<String>, mend: impl Into<String>) {
        let subject = [self.table.as_str(), self.key.as_str()].join(" ");
        self.document.faults.borrow_mut().push(Fault {
            file: self.document.path.to_owned(),
            position: Some(Position::of(self.document.text, self.at)),
            subject: subject.trim().to_owned(),
            what: what.into(),
            mend: mend.into(),
        });
    }

    /// The line it stands on.
    pub(super) fn line(&self) -> usize {
        Position::of(self.document.text, self.at).line
    }
}
