//! What of a line is not to be chained.

use std::ops::Range;
use std::sync::Arc;

/// What a verdict asks to hide.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Hide {
    /// The whole message.
    Message,
    /// The value at a path below `input.fields`.
    Path(Vec<Step>),
    /// What a regular expression matches in the message; where it has groups, what these match.
    Pattern(String),
    /// This text.
    Text(String),
}

/// One step of a path into fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The value of this key.
    Key(String),
    /// The element of this index.
    Index(usize),
    /// Every element.
    Any,
}

/// What of a line gives way to keyed digests before it is chained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redaction {
    /// All of it.
    Whole,
    /// These, in order, none within another.
    Spans(Vec<Hidden>),
}

impl Redaction {
    /// Both of them.
    pub fn and(self, other: Self) -> Self {
        let (Self::Spans(mut spans), Self::Spans(others)) = (self, other) else { return Self::Whole };
        spans.extend(others);
        Self::Spans(settled(spans))
    }
}

/// In order, none within another; where two overlap the second begins where the first ends.
pub fn settled(mut spans: Vec<Hidden>) -> Vec<Hidden> {
    spans.sort_by_key(|hidden| (hidden.span.start, std::cmp::Reverse(hidden.span.end)));
    let mut end = 0;
    spans.retain_mut(|hidden| {
        hidden.span.start = hidden.span.start.max(end);
        end = end.max(hidden.span.end);
        !hidden.span.is_empty()
    });
    spans
}

/// A stretch of bytes that gives way to a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// Where it stands.
    pub span: Range<usize>,
    /// What the digest is of; `None` where an earlier line has the digest already and nothing is put in its place.
    pub value: Option<Arc<[u8]>>,
    /// What is put before and after the digest, so that JSON stays JSON.
    pub quote: &'static str,
}

/// Values shorter than this are hidden where they were found, not wherever else they stand: everybody can guess them, and a
/// line without any `1` tells nothing.
pub const VALUE_MIN_BYTES: usize = 4;
/// Bound of what is hidden in one line; where more is to be hidden all of it is.
pub const HIDDEN_MAX: usize = 1024;
