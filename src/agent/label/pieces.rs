//! Puts together what is chained in pieces, so that policies see it whole: the parts of a line that is longer than
//! `max_line`, and the partial lines of a container's streams.
//!
//! What is put together is lost with the process. After a restart the rest of a line is all that policies see of it.

use super::hold::Ticket;
use super::spread::Member;
use crate::policy::format::container::Stream;
use crate::record::SourceKey;
use std::collections::{HashMap, HashSet};

/// A line longer than this is looked at in stretches.
const PIECE_MAX_BYTES: usize = 1024 * 1024;
/// Bound of how many there are.
const SLOTS_MAX: usize = 1024;
/// Lines that gave way are remembered, up to so many, so that what comes of them is known for a rest.
const GAVE_WAY_MAX: usize = 16 * SLOTS_MAX;

/// What pieces are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    /// The line that a source is in the middle of.
    Line(SourceKey),
    /// The line that a container's stream is in the middle of.
    Stream(SourceKey, Stream),
}

impl Slot {
    /// Whose line it is.
    pub(super) fn source(&self) -> SourceKey {
        match self {
            Self::Line(key) | Self::Stream(key, _) => *key,
        }
    }
}

/// Lines that are not whole yet.
#[derive(Debug)]
pub(super) struct Pieces {
    /// Bound of all that is being put together. The one that has waited longest gives way.
    max_bytes: usize,
    open: HashMap<Slot, Open>,
    bytes: usize,
    /// Grows with each piece.
    now: u64,
    /// What was given up with lines that are held back for it.
    cut_off: Vec<(Slot, Stretch)>,
    gave_way: HashSet<Slot>,
}

/// Pieces, put together.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Stretch {
    pub(super) bytes: Vec<u8>,
    /// The lines that it stands in, where these are held back.
    pub(super) members: Vec<Member>,
    /// There is more of the line before it.
    pub(super) is_rest: bool,
}

#[derive(Debug, Default)]
struct Open {
    /// Earlier ones of the line were looked at already, if it is a rest.
    stretch: Stretch,
    /// The log's path without what rotation adds; of containers' streams.
    log: Option<String>,
    grown: u64,
}

impl Pieces {
    pub(super) fn new(max_bytes: usize) -> Self {
        let (open, cut_off, gave_way) = (HashMap::new(), Vec::new(), HashSet::new());
        Self { max_bytes, open, bytes: 0, now: 0, cut_off, gave_way }
    }

    /// Keeps a piece that others follow. If there is no room for it the stretch before it is given back, to be looked at
    /// without it.
    pub(super) fn add(&mut self, slot: &Slot, piece: &[u8], member: Option<Member>) -> Option<Stretch> {
        self.add_of(slot, piece, member, None)
    }

    /// The same for a container's log.
    pub(super) fn add_of(
        &mut self,
        slot: &Slot,
        piece: &[u8],
        member: Option<Member>,
        path: Option<&str>,
    ) -> Option<Stretch> {
        self.make_room(slot, piece.len());
        self.now += 1;
        let is_rest = self.gave_way.remove(slot);
        let stretch = Stretch { is_rest, ..Stretch::default() };
        let open = self.open.entry(*slot).or_insert_with(|| Open { stretch, log: path.map(log), grown: 0 });
        open.grown = self.now;
        self.bytes += piece.len();
        if open.stretch.bytes.len() + piece.len() <= PIECE_MAX_BYTES {
            open.stretch.bytes.extend_from_slice(piece);
            open.stretch.members.extend(member);
            return None;
        }
        let next = Stretch { bytes: piece.to_vec(), members: member.into_iter().collect(), is_rest: true };
        let full = std::mem::replace(&mut open.stretch, next);
        self.bytes -= full.bytes.len();
        Some(full)
    }

    /// The whole line (or its last stretch, which is said) once its last piece came; None if it came in one.
    pub(super) fn finish(&mut self, slot: &Slot, piece: &[u8]) -> Option<Stretch> {
        if self.open.is_empty() && self.gave_way.is_empty() {
            return None;
        }
        let rest = || Open { stretch: Stretch { is_rest: true, ..Stretch::default() }, ..Open::default() };
        let Open { mut stretch, .. } = self.take(slot).or_else(|| self.gave_way.remove(slot).then(rest))?;
        stretch.bytes.extend_from_slice(piece);
        Some(stretch)
    }

    /// What was given up while lines were held back for it.
    pub(super) fn cut_off(&mut self) -> Option<(Slot, Stretch)> {
        self.cut_off.pop()
    }

    /// Gives up what the line that was held back first is for, if it `may` be; what comes of it later is a rest.
    pub(super) fn cut_first(&mut self, may: &dyn Fn(Ticket) -> bool) -> Option<(Slot, Stretch)> {
        let first = |open: &Open| Some(open.stretch.members.first()?.parts.first()?.0).filter(|ticket| may(*ticket));
        let waiting = self.open.iter().filter_map(|(slot, open)| Some((first(open)?, *slot)));
        let (_, slot) = waiting.min_by_key(|(ticket, _)| *ticket)?;
        let open = self.open.get_mut(&slot)?;
        let rest = Stretch { is_rest: true, ..Stretch::default() };
        let stretch = std::mem::replace(&mut open.stretch, rest);
        self.bytes -= stretch.bytes.len();
        Some((slot, stretch))
    }

    /// A container's log goes on in another file after a rotation, which may come in the middle of a line: what was begun
    /// in the file before is gone on with by the first line of the stream in the new one.
    pub(super) fn inherit(&mut self, slot: &Slot, path: &str) {
        let Slot::Stream(_, stream) = *slot else { return };
        let log = log(path);
        let is_before = |(other, open): (&Slot, &Open)| {
            let same_stream = matches!(other, Slot::Stream(_, of) if *of == stream) && other != slot;
            (same_stream && open.log.as_ref() == Some(&log)).then_some((open.grown, *other))
        };
        let Some((_, before)) = self.open.iter().filter_map(is_before).max_by_key(|(grown, _)| *grown) else { return };
        if let Some(open) = self.open.remove(&before) {
            self.open.insert(*slot, open);
        }
    }

    /// What comes of all that is begun is a rest: what is there was chained already.
    pub(super) fn are_rests(&mut self) {
        self.open.values_mut().for_each(|open| open.stretch = Stretch { is_rest: true, ..Stretch::default() });
        self.bytes = 0;
    }

    /// Forgets what was begun in a source.
    pub(super) fn forget(&mut self, key: SourceKey) {
        for slot in [Slot::Line(key), Slot::Stream(key, Stream::Out), Slot::Stream(key, Stream::Err)] {
            self.give_up(&slot);
            self.gave_way.remove(&slot);
        }
    }

    /// Forgets the line that a source ended in the middle of; its streams may go on in another file.
    pub(super) fn forget_line(&mut self, key: SourceKey) {
        self.give_up(&Slot::Line(key));
        self.gave_way.remove(&Slot::Line(key));
    }

    fn give_up(&mut self, slot: &Slot) {
        let open = self.take(slot).filter(|open| !open.stretch.members.is_empty());
        self.cut_off.extend(open.map(|open| (*slot, open.stretch)));
    }

    fn take(&mut self, slot: &Slot) -> Option<Open> {
        let open = self.open.remove(slot)?;
        self.bytes -= open.stretch.bytes.len();
        Some(open)
    }

    fn make_room(&mut self, slot: &Slot, bytes: usize) {
        while self.bytes + bytes > self.max_bytes || (self.open.len() >= SLOTS_MAX && !self.open.contains_key(slot)) {
            let others = self.open.iter().filter(|(other, _)| *other != slot);
            let Some(oldest) = others.min_by_key(|(_, open)| open.grown).map(|(slot, _)| *slot) else { return };
            self.give_up(&oldest);
            if self.gave_way.len() == GAVE_WAY_MAX {
                self.gave_way.clear();
            }
            self.gave_way.insert(oldest);
        }
    }
}

/// A log's path without what rotation adds: `0.log` of `0.log.20240101-120000`.
fn log(path: &str) -> String {
    path.rfind(".log").map_or(path, |at| &path[..at + 4]).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Slot = Slot::Line(1);
    const MAX: usize = 8 << 20;

    #[test]
    fn what_is_too_long_is_looked_at_in_stretches() {
        let mut pieces = Pieces::new(MAX);
        let piece = vec![b'x'; 400 * 1024];
        assert_eq!(pieces.finish(&LINE, b"alone"), None);
        assert_eq!((pieces.add(&LINE, &piece, None), pieces.add(&LINE, &piece, None)), (None, None));
        assert_eq!(pieces.add(&LINE, &piece, None).unwrap().bytes.len(), 800 * 1024);
        let rest = pieces.finish(&LINE, b"end").unwrap();
        assert_eq!((rest.bytes.len(), rest.is_rest, pieces.bytes), (400 * 1024 + 3, true, 0));
    }

    #[test]
    fn all_of_it_is_bounded_and_the_oldest_gives_way() {
        let mut pieces = Pieces::new(MAX);
        for key in 0..2 * SLOTS_MAX as u32 {
            pieces.add(&Slot::Line(key), &[b'x'; 64 * 1024], None);
            assert!(pieces.bytes <= MAX && pieces.open.len() <= SLOTS_MAX);
        }
        assert_eq!(pieces.bytes, pieces.open.values().map(|open| open.stretch.bytes.len()).sum::<usize>());
        // what comes of one that gave way is its rest
        assert!(pieces.finish(&Slot::Line(0), b"rest").unwrap().is_rest);
        assert!(pieces.finish(&Slot::Line(0), b"another").is_none());
        assert!(pieces.finish(&Slot::Line(2 * SLOTS_MAX as u32 - 1), b"").is_some());
    }

    #[test]
    fn a_stream_goes_on_in_the_file_after_its_own_and_in_no_other() {
        let out = |key| Slot::Stream(key, Stream::Out);
        let mut pieces = Pieces::new(MAX);
        pieces.add_of(&out(1), b"be", None, Some("/p/c/0.log.20240101-000000"));
        pieces.inherit(&out(2), "/p/other/0.log");
        pieces.inherit(&Slot::Stream(2, Stream::Err), "/p/c/0.log");
        assert_eq!(pieces.finish(&out(2), b"gin"), None);
        pieces.inherit(&out(3), "/p/c/0.log");
        assert_eq!(pieces.finish(&out(3), b"gin"), Some(Stretch { bytes: b"begin".to_vec(), ..Stretch::default() }));
        assert_eq!(pieces.bytes, 0);
    }
}
