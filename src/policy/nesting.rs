//! Text that the engine's parser can't bear is refused before it sees it: the parser recurses with each bracket and each
//! operator, and reads what begins a list, a set or an object two or three times, once more for each bracket around it.

use super::Fault;

/// Bound of brackets inside brackets; the packs and their tests have up to 9.
const DEPTH_MAX: usize = 16;
/// Bound of brackets and operators around one operand, as the syntax tree has them; the packs have up to 15.
const CHAIN_MAX: usize = 256;
/// Bound of tokens that the parser reads in one file, each as often as it does.
const WORK_MAX: u64 = 1 << 22;

/// Whether the parser will bear this text. Places are the engine's: a tab has four columns.
pub(super) fn check(path: &str, text: &str) -> Result<(), Fault> {
    let mut scan = Scan::new(text);
    while let Some(start) = scan.next_token() {
        if let Some(what) = scan.too_much() {
            return Err(Fault::at(path, place(text, start), what));
        }
    }
    Ok(())
}

fn place(text: &str, at: usize) -> (u32, u32) {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column: usize = before[start..].chars().map(|c| if c == '\t' { 4 } else { 1 }).sum();
    let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
    (number(line), number(column + 1))
}

/// What stands in one bracket, or in none.
struct Level {
    /// How often the parser reads its bracket.
    reads: u64,
    /// How often it reads what stands here for each of these.
    again: u64,
    /// Elements of a literal, which the parser takes for a comprehension first.
    is_literal: bool,
    /// Operators of the current element.
    operators: usize,
    /// The deepest bracket of the current element, and of all before.
    inner: usize,
    deepest: usize,
}

impl Level {
    fn new(reads: u64, is_literal: bool) -> Self {
        Self { reads, again: if is_literal { 2 } else { 1 }, is_literal, operators: 0, inner: 0, deepest: 0 }
    }

    fn depth(&self) -> usize {
        self.deepest.max(self.operators + self.inner)
    }

    fn element(&mut self, again: u64) {
        self.deepest = self.depth();
        (self.operators, self.inner, self.again) = (0, 0, again);
    }
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    /// Outermost first; never empty.
    outer: Vec<Level>,
    level: Level,
    /// Whether the last token ends an operand, and where it ends.
    is_operand: bool,
    end: usize,
    work: u64,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        let level = Level::new(1, true);
        Self { text: text.as_bytes(), at: 0, outer: Vec::new(), level, is_operand: false, end: 0, work: 0 }
    }

    fn too_much(&self) -> Option<String> {
        if self.outer.len() > DEPTH_MAX {
            return Some(format!(
                "brackets are nested more than {DEPTH_MAX} deep; give what stands inside a name, as a rule of its own"
            ));
        }
        if self.level.depth() > CHAIN_MAX {
            return Some(format!(
                "more than {CHAIN_MAX} operators and brackets in one expression; divide it, or write a list or set of its parts"
            ));
        }
        (self.work > WORK_MAX).then(|| {
            "too much stands in nested brackets for the engine's parser; divide the file, or put values into data.json"
                .to_owned()
        })
    }

    /// Reads the next token; where it begins.
    fn next_token(&mut self) -> Option<usize> {
        self.skip_blanks();
        let (start, first) = (self.at, *self.text.get(self.at)?);
        self.at += 1;
        match first {
            b'"' | b'`' => self.text(first),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'0'..=b'9' => {
                self.skip_while(|c| c.is_ascii_alphanumeric() || c == b'_');
                match &self.text[start..self.at] {
                    b"in" | b"or" => self.operator(),
                    _ => self.operand(),
                }
            }
            b'(' | b'[' | b'{' => self.open(first, start),
            b')' | b']' | b'}' => self.close(),
            b',' => {
                self.level.element(1);
                self.is_operand = false;
            }
            b';' => self.statement(),
            b':' if self.text.get(self.at) != Some(&b'=') => {
                self.level.element(self.level.again);
                self.is_operand = false;
            }
            b'|' => {
                self.operator();
                if self.level.is_literal {
                    self.level.again = 3;
                }
            }
            // what the engine does not know ends its reading
            c if c.is_ascii() => {
                self.skip_while(|c| c == b'=');
                self.operator();
            }
            _ => {
                self.skip_while(|c| !c.is_ascii());
            }
        }
        self.end = self.at;
        self.work = self.work.saturating_add(self.level.reads.saturating_mul(self.level.again));
        Some(start)
    }

    fn operator(&mut self) {
        self.level.operators += 1;
        self.is_operand = false;
    }

    /// An operand after another begins a statement, as does what follows a keyword.
    fn operand(&mut self) {
        if self.is_operand {
            self.statement();
        }
        self.is_operand = true;
    }

    fn statement(&mut self) {
        self.level.element(if self.level.is_literal { 2 } else { 1 });
        self.is_operand = false;
    }

    fn open(&mut self, bracket: u8, start: usize) {
        // a call or an index belongs to what stands before
        let is_part = self.is_operand && (bracket == b'(' || bracket == b'[' && self.end == start);
        match is_part {
            true => self.level.operators += 1,
            false => self.operand(),
        }
        let reads = self.level.reads.saturating_mul(self.level.again);
        let inside = Level::new(reads, bracket != b'(' && !is_part);
        self.outer.push(std::mem::replace(&mut self.level, inside));
        self.is_operand = false;
    }

    fn close(&mut self) {
        if let Some(outer) = self.outer.pop() {
            let closed = std::mem::replace(&mut self.level, outer);
            self.level.inner = self.level.inner.max(closed.depth() + 1);
        }
        self.is_operand = true;
    }

    fn text(&mut self, quote: u8) {
        self.operand();
        while let Some(c) = self.text.get(self.at) {
            self.at += 1;
            match c {
                b'\\' if quote == b'"' => self.at += 1,
                // not closed: the engine goes no further either
                b'\n' if quote == b'"' => self.at = self.text.len(),
                c if *c == quote => break,
                _ => {}
            }
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            self.skip_while(|c| c.is_ascii_whitespace());
            if self.text.get(self.at) != Some(&b'#') {
                return;
            }
            self.skip_while(|c| c != b'\n');
        }
    }

    fn skip_while(&mut self, goes_on: impl Fn(u8) -> bool) {
        while self.text.get(self.at).is_some_and(|c| goes_on(*c)) {
            self.at += 1;
        }
    }
}
