//! From what is hidden in the text that policies saw to what is hidden in each line that is chained.

use super::hold::Ticket;
use crate::policy::redact::Layout;
use crate::record::{Hidden, Redaction};
use std::collections::BTreeMap;
use std::ops::Range;

/// A line of a source, in one part or several, of which the policies saw the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// The parts and their lengths.
    pub(super) parts: Vec<(Ticket, usize)>,
    pub(super) wrap: Wrap,
    /// How long the content is.
    pub(super) len: usize,
}

/// How the content stands in the parts, joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrap {
    /// As it is, after so many bytes.
    Plain(usize),
    /// In what a container's runtime puts around it, which begins after so many bytes.
    Container(usize),
    /// That can't be told: UTF-16.
    Unknown,
}

/// What is hidden in each of the lines, of which the layouts say where the content stands. Of a value that stands in several the first has the digest.
pub(super) fn spread(
    redaction: &Redaction,
    members: &[Member],
    layouts: &[Option<Layout>],
) -> BTreeMap<Ticket, Redaction> {
    let tickets = || members.iter().flat_map(|member| &member.parts).map(|(ticket, _)| *ticket);
    let Redaction::Spans(spans) = redaction else {
        return tickets().map(|ticket| (ticket, Redaction::Whole)).collect();
    };
    let mut found: BTreeMap<Ticket, Vec<Hidden>> = BTreeMap::new();
    for hidden in spans {
        let mut rest = Some(hidden.clone());
        let contents = members.iter().zip(layouts).map(|(member, layout)| ((member, layout), member.len));
        for ((member, layout), content) in overlaps(contents, &hidden.span) {
            let Some(layout) = layout else {
                return tickets().map(|ticket| (ticket, Redaction::Whole)).collect();
            };
            let joined = layout.raw(content);
            for (ticket, span) in overlaps(member.parts.iter().map(|(ticket, len)| (*ticket, *len)), &joined) {
                let (value, quote) = rest.take().map_or((None, ""), |first| (first.value, layout.quote(first.quote)));
                found.entry(ticket).or_default().push(Hidden { span, value, quote });
            }
        }
    }
    found.into_iter().map(|(ticket, spans)| (ticket, Redaction::Spans(spans))).collect()
}

/// Of things that stand one after the other those that a span meets, and where within each.
fn overlaps<T>(things: impl Iterator<Item = (T, usize)>, span: &Range<usize>) -> Vec<(T, Range<usize>)> {
    let mut at = 0;
    let mut met = Vec::new();
    for (thing, len) in things {
        let both = span.start.max(at)..span.end.min(at + len);
        if !both.is_empty() {
            met.push((thing, both.start - at..both.end - at));
        }
        at += len;
    }
    met
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_across_lines_has_its_digest_in_the_first() {
        let member = |parts: &[(Ticket, usize)], len| Member { parts: parts.to_vec(), wrap: Wrap::Plain(0), len };
        // `..abcd` in two parts, `...efgh` in one
        let members = [member(&[(1, 3), (2, 3)], 4), member(&[(3, 7)], 4)];
        let layouts = [Some(Layout::After(2)), Some(Layout::After(3))];
        let hidden = |span: Range<usize>| Hidden { span, value: Some(b"value"[..].into()), quote: "\"" };
        let nothing = |span: Range<usize>| Hidden { span, value: None, quote: "" };
        let all = spread(&Redaction::Spans(vec![hidden(0..5), hidden(7..8)]), &members, &layouts);
        assert_eq!(all[&1], Redaction::Spans(vec![hidden(2..3)]));
        assert_eq!(all[&2], Redaction::Spans(vec![nothing(0..3)]));
        assert_eq!(all[&3], Redaction::Spans(vec![nothing(3..4), hidden(6..7)]));
        assert_eq!(spread(&Redaction::Whole, &members, &layouts).len(), 3);
        let unknown = spread(&Redaction::Spans(vec![hidden(0..1)]), &members, &[None, None]);
        assert_eq!(unknown[&3], Redaction::Whole);
    }
}
