//! Which lines belong together.

use super::TextConfig;
use super::encoding::Units;
use crate::record::{AuditId, Format};
use regex::bytes::Regex;
use std::borrow::Cow;
use std::time::Duration;

/// The records of an event are written within moments.
const AUDIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Which lines are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multiline {
    /// What tells them.
    pub opens: Opens,
    /// Lines that may go on are handed on this long after the source last grew.
    pub timeout: Duration,
}

/// A pattern of Rust's `regex`, held against each line without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opens {
    /// A line that matches begins a new one; all others go on with the one before.
    Start(String),
    /// A line that matches goes on with the one before.
    Continue(String),
}

/// The same, ready for use.
#[derive(Debug)]
pub(super) enum Grouping {
    /// Each line is by itself.
    None,
    Start(Regex, Duration),
    Continue(Regex, Duration),
    /// Records of one event of auditd; what is no record is by itself.
    Audit,
}

/// What a group is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group<'a> {
    /// It is whole: no other line belongs to it.
    Whole,
    /// It may go on.
    Open,
    /// It may go on with records of this event.
    Event(AuditId<'a>),
}

impl Grouping {
    pub(super) fn new(text: &TextConfig) -> Result<Grouping, String> {
        let compiled = |pattern: &str| Regex::new(pattern).map_err(|error| error.to_string());
        Ok(match (&text.multiline, text.format) {
            (Some(Multiline { opens: Opens::Start(pattern), timeout }), _) => {
                Grouping::Start(compiled(pattern)?, *timeout)
            }
            (Some(Multiline { opens: Opens::Continue(pattern), timeout }), _) => {
                Grouping::Continue(compiled(pattern)?, *timeout)
            }
            (None, Format::Auto | Format::Auditd) => Grouping::Audit,
            (None, _) => Grouping::None,
        })
    }

    pub(super) fn timeout(&self) -> Duration {
        match self {
            Grouping::None => Duration::ZERO,
            Grouping::Start(_, timeout) | Grouping::Continue(_, timeout) => *timeout,
            Grouping::Audit => AUDIT_TIMEOUT,
        }
    }

    /// What the group that begins with a line is known by.
    pub(super) fn of<'a>(&self, line: &'a [u8], units: Units) -> Group<'a> {
        match self {
            Grouping::None => Group::Whole,
            Grouping::Start(..) | Grouping::Continue(..) => Group::Open,
            Grouping::Audit if units != Units::Bytes => Group::Whole,
            Grouping::Audit => match AuditId::of(line) {
                Some(id) if !id.is_last() => Group::Event(id),
                _ => Group::Whole,
            },
        }
    }

    /// What an open group is known by once the line has gone on with it; `None` if it does not.
    pub(super) fn join<'a>(&self, group: Group<'a>, line: &'a [u8], units: Units) -> Option<Group<'a>> {
        match self {
            Grouping::None => None,
            Grouping::Start(pattern, _) => (!pattern.is_match(&text(line, units))).then_some(group),
            Grouping::Continue(pattern, _) => pattern.is_match(&text(line, units)).then_some(group),
            Grouping::Audit => {
                let Group::Event(event) = group else { return None };
                let id = AuditId::of(line).filter(|id| id.is_of(&event))?;
                Some(if id.is_last() { Group::Whole } else { group })
            }
        }
    }
}

/// A line as patterns see it: in UTF-8, without its end and a byte order mark.
fn text(line: &[u8], units: Units) -> Cow<'_, [u8]> {
    let unit = |pair: &[u8]| match units {
        Units::Be => u16::from_be_bytes([pair[0], pair[1]]),
        Units::Le | Units::Bytes => u16::from_le_bytes([pair[0], pair[1]]),
    };
    match units {
        Units::Bytes => {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            Cow::Borrowed(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line))
        }
        Units::Le | Units::Be => {
            let units: Vec<u16> = line.chunks_exact(2).map(unit).collect();
            let text = String::from_utf16_lossy(&units);
            let text = text.trim_start_matches('\u{feff}').trim_end_matches('\n').trim_end_matches('\r');
            Cow::Owned(text.as_bytes().to_vec())
        }
    }
}
