//! Finds which of many texts stand in a line, faster than an automaton that looks at each byte.
//!
//! Of any seven bytes of a text, wherever it stands, four bytes that begin at a multiple of four lie inside, and they are its
//! bytes 0 to 3, 1 to 4, 2 to 5 or 3 to 6. So it is enough to look at every fourth place of the line whether the four
//! bytes there are known, in a table of bits first, and to compare the whole text where they are. Shorter texts are few, and
//! are found many bytes at a time; those of one byte, which stand nearly everywhere, each by itself.

use aho_corasick::packed;

use super::probe::Part;

/// Texts of this length are found by four of their bytes.
const LONG: usize = STEP + 3;
const STEP: usize = 4;
/// More short texts than this are searched for faster all at once.
const SHORT_MAX: usize = 32;
/// Bits of a hash of four bytes.
const BITS: u32 = 16;
/// Hashes that begin with the same bits as these are kept together.
const BUCKET_BITS: u32 = 12;

pub(super) struct Scan {
    /// Which hashes of four bytes are known.
    known: Box<[u64; 1 << (BITS - 6)]>,
    /// By buckets.
    long: Vec<Long>,
    /// Where each bucket begins, and the last one ends.
    buckets: Box<[usize; (1 << BUCKET_BITS) + 1]>,
    short: Option<packed::Searcher>,
    /// The texts of `short`, in its order.
    short_texts: Vec<(Part, Box<[u8]>)>,
    bytes: Vec<(Part, u8)>,
}

struct Long {
    key: u32,
    /// Where they stand in the text.
    at: usize,
    /// What the text begins with, and what comes then.
    first: [u8; LONG],
    rest: Box<[u8]>,
    part: Part,
}

impl Scan {
    /// None if too many of the texts are short.
    pub(super) fn of<'t>(texts: impl Iterator<Item = (Part, &'t str)>) -> Option<Self> {
        let mut scan = Self {
            known: Box::new([0; _]),
            long: Vec::new(),
            buckets: Box::new([0; _]),
            short: None,
            short_texts: Vec::new(),
            bytes: Vec::new(),
        };
        for (part, text) in texts {
            match text.as_bytes() {
                [] => return None,
                [byte] => scan.bytes.push((part, *byte)),
                text if text.len() < LONG => scan.short_texts.push((part, text.into())),
                text => scan.add_long(part, text),
            }
        }
        scan.long.sort_by_key(|long| hash(long.key));
        let begin = |bucket: usize| scan.long.partition_point(|long| bucket_of(hash(long.key)) < bucket);
        scan.buckets.iter_mut().enumerate().for_each(|(bucket, at)| *at = begin(bucket));
        if scan.short_texts.len() + scan.bytes.len() > SHORT_MAX {
            return None;
        }
        if !scan.short_texts.is_empty() {
            // which of several that begin at one place is named does not matter: all are compared there
            scan.short = Some(packed::Searcher::new(scan.short_texts.iter().map(|(_, text)| text))?);
        }
        Some(scan)
    }

    fn add_long(&mut self, part: Part, text: &[u8]) {
        let Some((first, rest)) = text.split_first_chunk() else { return };
        for (at, bytes) in text.windows(STEP).enumerate().skip(rarest(text)).take(STEP) {
            let key = key(bytes);
            let bit = hash(key);
            self.known[bit / 64] |= 1 << (bit % 64);
            self.long.push(Long { key, at, first: *first, rest: rest.into(), part });
        }
    }

    /// Calls `found` with each text that stands in the line, maybe several times.
    pub(super) fn find(&self, line: &str, mut found: impl FnMut(Part)) {
        let line = line.as_bytes();
        for (n, bytes) in line.chunks_exact(STEP).enumerate() {
            let key = key(bytes);
            let bit = hash(key);
            if self.known[bit / 64] >> (bit % 64) & 1 == 1 {
                let bucket = bucket_of(bit);
                for long in &self.long[self.buckets[bucket]..self.buckets[bucket + 1]] {
                    if long.key == key && long.stands_at(line, n * STEP) {
                        found(long.part);
                    }
                }
            }
        }
        for (part, byte) in &self.bytes {
            if memchr::memchr(*byte, line).is_some() {
                found(*part);
            }
        }
        let Some(short) = &self.short else { return };
        let mut from = 0;
        while let Some(at) = short.find_in(line, aho_corasick::Span { start: from, end: line.len() }) {
            let here = &line[at.start()..];
            self.short_texts.iter().filter(|(_, text)| here.starts_with(text)).for_each(|(part, _)| found(*part));
            from = at.start() + 1;
        }
    }
}

impl Long {
    /// Whether the text stands there whose four bytes have this place.
    fn stands_at(&self, line: &[u8], place: usize) -> bool {
        let here = place.checked_sub(self.at).and_then(|begin| line[begin..].split_first_chunk());
        here.is_some_and(|(first, rest)| *first == self.first && rest.starts_with(&self.rest))
    }
}

/// Where the seven bytes of a text begin by which it is looked for: those that stand in the fewest lines, as their rarest are
/// neither small letters nor digits.
fn rarest(text: &[u8]) -> usize {
    let is_rare =
        |byte: &u8| !byte.is_ascii_lowercase() && !byte.is_ascii_digit() && !matches!(byte, b' ' | b'"' | b'/');
    let rare = |bytes: &[u8]| bytes.windows(STEP).map(|four| four.iter().filter(|byte| is_rare(byte)).count()).min();
    let first = |(at, bytes)| (rare(bytes), std::cmp::Reverse(at));
    text.windows(LONG).enumerate().max_by_key(|(at, bytes)| first((*at, *bytes))).map_or(0, |(at, _)| at)
}

fn key(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn hash(key: u32) -> usize {
    (key.wrapping_mul(0x9E37_79B1) >> (32 - BITS)) as usize
}

fn bucket_of(hash: usize) -> usize {
    hash >> (BITS - BUCKET_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_at_every_place_and_nothing_else() {
        let texts = ["abcdefg", "bcdefgh", "aaaaaaa", "aaaaaaaaaaaa", "äöü-äöü", "ab", "@", "abcdefgabcdefg"];
        let scan = Scan::of(texts.iter().copied().enumerate()).unwrap();
        let check = |line: &str| {
            let mut found: Vec<Part> = Vec::new();
            scan.find(line, |part| found.push(part));
            found.sort_unstable();
            found.dedup();
            let expected = texts.iter().enumerate().filter(|(_, text)| line.contains(**text)).map(|(part, _)| part);
            assert_eq!(found, expected.collect::<Vec<_>>(), "{line}");
        };
        for text in texts {
            for before in 0..9 {
                for after in 0..5 {
                    check(&format!("{}{text}{}", "x".repeat(before), "y".repeat(after)));
                    check(&format!(
                        "{}{}{}",
                        "a".repeat(before),
                        text.chars().skip(1).collect::<String>(),
                        "b".repeat(after)
                    ));
                }
            }
        }
        check("");
        check("abc");
    }

    #[test]
    fn many_short_texts_are_left_to_others() {
        let texts: Vec<String> = (0..=SHORT_MAX).map(|n| format!("t{n}")).collect();
        assert!(Scan::of(texts.iter().map(String::as_str).enumerate()).is_none());
    }
}
