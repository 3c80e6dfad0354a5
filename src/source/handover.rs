//! What was taken out of pipes and is not chained, on its way from the sources of one configuration to those of the next: a
//! pipe can't be read a second time, and half a line must not end because the configuration changed.

use super::lines::Units;
use crate::record::End;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One for each agent; it outlives the sources.
#[derive(Debug, Default)]
pub struct Handover(Mutex<HashMap<String, Rest>>);

/// What is kept of one pipe: there from the moment that its reader is to leave it to another.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Lines that were handed on and came back.
    returned: Vec<u8>,
    /// What was not handed on.
    left: Vec<u8>,
    pub(super) units: Option<Units>,
}

impl Rest {
    /// All its bytes, in the pipe's order.
    pub(super) fn bytes(self) -> Vec<u8> {
        let mut bytes = self.returned;
        bytes.extend(self.left);
        bytes
    }
}

impl Handover {
    /// The pipe of this name will be read on by another source: what is no whole line yet is kept for it.
    pub fn expect(&self, name: &str) {
        self.rests().insert(name.to_owned(), Rest::default());
    }

    /// Whether that was said of it.
    pub fn is_expected(&self, name: &str) -> bool {
        self.rests().contains_key(name)
    }

    /// A line that was handed on is not chained. In the pipe's order.
    pub fn give_back(&self, name: &str, text: &[u8], end: End) {
        if let Some(rest) = self.rests().get_mut(name) {
            rest.returned.extend_from_slice(text);
            if end == End::Newline {
                rest.returned.push(b'\n');
            }
        }
    }

    /// What was not handed on, and what the pipe's text is made of.
    pub(super) fn leave(&self, name: &str, bytes: Vec<u8>, units: Option<Units>) {
        if let Some(rest) = self.rests().get_mut(name) {
            (rest.left, rest.units) = (bytes, units);
        }
    }

    /// What there is for the source of this name to go on with.
    pub(super) fn take(&self, name: &str) -> Option<Rest> {
        self.rests().remove(name)
    }

    fn rests(&self) -> MutexGuard<'_, HashMap<String, Rest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
