//! From bytes to lines: where a line ends, how long it may be, and which lines belong together.
//!
//! | file | what it knows |
//! | --- | --- |
//! | `cut` | cuts bytes into lines, in place |
//! | `encoding` | newlines of UTF-16 |
//! | `multiline` | which lines are one: by a pattern, or as records of one event of auditd |
//!
//! What is handed on are the source's own bytes. Lines that belong together are held back unread, as half a line is,
//! until it is clear that no other belongs to them: nothing has to be kept for a restart.

mod cut;
mod encoding;
mod multiline;

pub use encoding::Encoding;
pub use multiline::{Multiline, Opens};

pub(super) use cut::{Cut, ITEMS_MAX};
pub(super) use encoding::Units;

use super::Error;
use crate::record::Format;
use multiline::Grouping;
use std::time::Duration;

/// What the text of a source looks like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextConfig {
    /// What policies may see in its lines; lines of auditd are put together by it, too.
    pub format: Format,
    /// How characters are written.
    pub encoding: Encoding,
    /// Which lines belong together.
    pub multiline: Option<Multiline>,
}

/// How the lines of one source are cut.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) max_line_bytes: usize,
    pub(super) encoding: Encoding,
    grouping: Grouping,
}

impl Shape {
    pub(super) fn new(name: &str, max_line_bytes: usize, text: &TextConfig) -> Result<Shape, Error> {
        if max_line_bytes == 0 {
            return Err(Error::NoLine { name: name.to_owned() });
        }
        let grouping = Grouping::new(text).map_err(|reason| Error::Multiline { name: name.to_owned(), reason })?;
        Ok(Shape { max_line_bytes, encoding: text.encoding, grouping })
    }

    /// Bytes that are enough to cut something off them: one more than the longest line (two of UTF-16), which tells a
    /// line from a part. With a pattern also the lines that are held back before it.
    pub(super) fn window_bytes(&self) -> usize {
        let line = self.max_line_bytes.saturating_add(2);
        if matches!(self.grouping, Grouping::Start(..) | Grouping::Continue(..)) {
            line.saturating_mul(2)
        } else {
            line
        }
    }

    /// How long lines that may go on are held back after the source last grew.
    pub(super) fn timeout(&self) -> Duration {
        self.grouping.timeout()
    }
}
