//! Lines of container runtimes: each wraps a line, or a piece of one, that the container wrote.

use super::super::redact::{Layout, text_of};
use super::syslog::rfc3339;
use crate::record::Format;
use serde::Deserialize;
use std::borrow::Cow;

/// Time, stream and tags are shorter.
const HEAD_MAX: usize = 256;

/// Where a container wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// What runtimes call it.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        }
    }
}

/// What is wrapped.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Where it was written to.
    pub stream: Stream,
    /// The next piece of this stream goes on with the same line.
    pub is_partial: bool,
    /// What was written, without its newline.
    pub content: Cow<'a, [u8]>,
}

/// What a line wraps, if it has the shape. Where the format is `auto` either shape is taken.
pub fn unwrap(format: Format, line: &[u8]) -> Option<Piece<'_>> {
    match format {
        Format::Cri => cri(line),
        Format::Docker => docker(line),
        _ if line.starts_with(b"{") => docker(line),
        _ => cri(line),
    }
}

/// Where what a line wraps stands in it; `before` bytes stand before that line.
pub fn layout(format: Format, before: usize, line: &[u8]) -> Option<Layout> {
    let is_cri = matches!(format, Format::Cri) || (format != Format::Docker && !line.starts_with(b"{"));
    if is_cri {
        return cri(line).map(|piece| Layout::After(before + line.len() - piece.content.len()));
    }
    text_of(std::str::from_utf8(line).ok()?, "log").map(|(_, map)| Layout::Escaped(before, map))
}

/// `<time> stdout|stderr P|F[:tag…] content`
fn cri(line: &[u8]) -> Option<Piece<'_>> {
    // what comes before the content is ASCII, and the content may be cut within a character
    let head = &line[..line.len().min(HEAD_MAX)];
    let head = std::str::from_utf8(head)
        .unwrap_or_else(|error| std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default());
    let rest = rfc3339(head)?.strip_prefix(' ')?;
    let (stream, rest) = match rest.strip_prefix("stdout ") {
        Some(rest) => (Stream::Out, rest),
        None => (Stream::Err, rest.strip_prefix("stderr ")?),
    };
    // the content of an empty line may lack even the space
    let (tags, _) = rest.split_once(' ').unwrap_or((rest, ""));
    let content = line.get(head.len() - rest.len() + tags.len() + 1..).unwrap_or_default();
    let is_partial = match tags.split(':').next()? {
        "P" => true,
        "F" => false,
        _ => return None,
    };
    Some(Piece { stream, is_partial, content: Cow::Borrowed(content) })
}

/// `{"log":"content\n","stream":"stdout","time":"…"}`
fn docker(line: &[u8]) -> Option<Piece<'_>> {
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow)]
        log: Cow<'a, str>,
        #[serde(borrow)]
        stream: Cow<'a, str>,
        #[serde(borrow)]
        time: Cow<'a, str>,
    }
    let entry: Entry<'_> = serde_json::from_slice(line).ok()?;
    let stream = match &*entry.stream {
        "stdout" => Stream::Out,
        "stderr" => Stream::Err,
        _ => return None,
    };
    rfc3339(&entry.time).filter(|rest| rest.is_empty())?;
    let is_partial = !entry.log.ends_with('\n');
    let content = match entry.log {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_suffix('\n').unwrap_or(text).as_bytes()),
        Cow::Owned(mut text) => {
            text.truncate(text.len() - usize::from(!is_partial));
            Cow::Owned(text.into_bytes())
        }
    };
    Some(Piece { stream, is_partial, content })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_exact_shape_wraps_something() {
        let time = "2016-10-06T00:17:09.669794202Z";
        for (rest, expected) in [
            (" stdout F hello  world ", Some((Stream::Out, false, "hello  world "))),
            (" stderr P half", Some((Stream::Err, true, "half"))),
            (" stdout F:TAG:x y", Some((Stream::Out, false, "y"))),
            (" stdout F ", Some((Stream::Out, false, ""))),
            (" stdout F", Some((Stream::Out, false, ""))),
            (" stdout X y", None),
            (" stdin F y", None),
            ("  stdout F y", None),
            (" stdout", None),
            ("", None),
        ] {
            let line = format!("{time}{rest}");
            let found = unwrap(Format::Auto, line.as_bytes());
            let found = found.as_ref().map(|piece| (piece.stream, piece.is_partial, &*piece.content));
            assert_eq!(
                found,
                expected.map(|(stream, is_partial, text): (_, _, &str)| (stream, is_partial, text.as_bytes()))
            );
        }
        assert_eq!(unwrap(Format::Cri, b"2016-10-06 stdout F y"), None);
        let cut = [time.as_bytes(), b" stdout P x\xc3"].concat();
        assert_eq!(*unwrap(Format::Cri, &cut).unwrap().content, *b"x\xc3");
    }

    #[test]
    fn docker_says_by_the_newline_whether_a_line_is_whole() {
        let line = r#"{"log":"a \"b\"\n","stream":"stderr","attrs":{"x":"y"},"time":"2016-10-06T00:17:09.669794202Z"}"#;
        let piece = unwrap(Format::Auto, line.as_bytes()).unwrap();
        assert_eq!((piece.stream, piece.is_partial, &*piece.content), (Stream::Err, false, b"a \"b\"".as_slice()));
        assert!(unwrap(Format::Docker, line.replace("\\n", "").as_bytes()).unwrap().is_partial);
        assert_eq!(unwrap(Format::Docker, br#"{"log":"x\n","stream":"stdout"}"#), None);
        assert_eq!(unwrap(Format::Cri, line.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_text_is_unwrapped_or_not(text in r#"(2016-10-06T00:17:09(\.[0-9]{0,10})?Z?)?( stdout)?( [PF:]{0,3})?\PC{0,20}"#) {
            for format in [Format::Auto, Format::Cri, Format::Docker] {
                let _ = unwrap(format, text.as_bytes());
            }
        }
    }
}
