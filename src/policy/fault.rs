//! What is wrong with a policy, and where.

use std::fmt;

use super::hint;

/// Bound of a fault's text in bytes: the engine repeats source lines in its messages.
const WHAT_MAX: usize = 400;

/// Something wrong with a policy file. Displays as `file:line:column: what`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, as it was named or found.
    pub file: String,
    /// Line and column, both counted from 1; `None` where it is the file as a whole.
    pub place: Option<(u32, u32)>,
    /// What is wrong and how to mend it.
    pub what: String,
}

impl Fault {
    /// A fault of no file that is known.
    pub fn within(what: &str) -> Self {
        Self::of("policies", what)
    }

    /// A fault at a place.
    pub(super) fn at(file: &str, (line, column): (u32, u32), what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: Some((line, column)), what: what.into() }
    }

    /// What the engine says of a place, with what to do about it.
    pub(super) fn hinted(file: &str, place: (u32, u32), what: &str) -> Self {
        Self::at(file, place, with_hint(what, "", ""))
    }

    /// A fault of a whole file.
    pub(super) fn of(file: &str, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: None, what: what.into() }
    }

    /// The engine counts a tab as four columns; editors count it as one. `text` is the file's.
    pub(super) fn with_tabs_as_one(mut self, text: &str) -> Self {
        if let Some((line, column)) = &mut self.place {
            let line = text.lines().nth(line.saturating_sub(1) as usize).unwrap_or_default();
            let mut counted = 1;
            let before = line.chars().take_while(|c| {
                let is_before = counted < *column;
                counted += if *c == '\t' { 4 } else { 1 };
                is_before
            });
            let tabs = before.filter(|c| *c == '\t').count();
            *column = column.saturating_sub(3 * u32::try_from(tabs).unwrap_or(0)).max(1);
        }
        self
    }

    /// The engine tells places only inside its messages: `\n--> file:line:column`, the source line, then
    /// `error: what`. A message without a place is a fault of `file` as a whole.
    pub(super) fn from_engine(file: &str, message: &str) -> Self {
        let what = message.split_once("\nerror: ").map_or(message, |(_, what)| what);
        let what = bounded(what.lines().next().unwrap_or(what).trim());
        let place = message.lines().find_map(|line| line.trim_start().strip_prefix("--> ")).and_then(|place| {
            let (rest, column) = place.rsplit_once(':')?;
            let (file, line) = rest.rsplit_once(':')?;
            Some((file, line.parse().ok()?, column.parse().ok()?))
        });
        let Some((file, line, column)) = place else { return Self::of(file, with_hint(&what, "", "")) };
        let source = message.lines().find_map(|shown| shown.trim_start().strip_prefix(&format!("{line} | ")));
        let source = source.unwrap_or_default();
        let rest = source.char_indices().nth(usize::try_from(column).unwrap_or(1).saturating_sub(1));
        Self::at(file, (line, column), with_hint(&what, source, rest.map_or("", |(at, _)| &source[at..])))
    }
}

fn with_hint(what: &str, line: &str, rest: &str) -> String {
    match hint::of(what, line, rest) {
        Some(hint) => format!("{}; {hint}", what.trim_end_matches('.')),
        None => what.to_owned(),
    }
}

fn bounded(text: &str) -> String {
    let end = (0..=WHAT_MAX.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    text[..end.unwrap_or(0)].to_owned()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_the_engines_messages() {
        let message = "\n--> dir/a:b.rego:3:7\n  |\n3 | x := http.send({})\n  |      ^\nerror: no such function";
        assert_eq!(Fault::from_engine("other", message).to_string(), "dir/a:b.rego:3:7: no such function");
        assert_eq!(Fault::from_engine("a.rego", "what now").to_string(), "a.rego: what now");
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        let fault = Fault::from_engine("a", &"é".repeat(1000));
        assert_eq!(fault.what.len(), WHAT_MAX);
    }
}
