//! One stream, from its first line to its last: units are checked side by side, then folded one after the other.

use super::Options;
use super::archive::StreamFiles;
use super::claim::Claim;
use super::clock::Clock;
use super::erasure::Leave;
use super::finding::{Found, Word};
use super::holes::Holes;
use super::lines::Lines;
use super::opening::{self, Start};
use super::order::{Ordered, order};
use super::parse::{Body, Parsed, SkipBody};
use super::repeat::Repeats;
use super::roots::Roots;
use super::tags::{Judge, Place, Tag};
use super::unit::{ParsedUnit, Unit, UnitReader};
use crate::chain::key::Bytes32;
use crate::record::{Seq, StreamId};
use rayon::prelude::*;

/// Lines and segments that were counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) lines: u64,
    pub(super) log_lines: u64,
    pub(super) segments: u64,
    pub(super) tags: u64,
}

/// What is known of a stream once all its lines were read.
#[derive(Debug)]
pub(super) struct StreamEnd {
    pub(super) host: String,
    pub(super) stream: StreamId,
    /// `None` where line 0 is not there or not sound.
    pub(super) start: Option<Start>,
    /// One more than the last line's seq.
    pub(super) size: u64,
    /// The root over all lines, where it could be computed from sound lines.
    pub(super) root: Option<Bytes32>,
    pub(super) leaf: Option<Bytes32>,
    /// It ends with a close line and its checkpoint.
    pub(super) closed: bool,
    /// A finding says already that the end is damaged.
    pub(super) end_reported: bool,
    /// The last line is a checkpoint.
    pub(super) at_segment_end: bool,
    pub(super) last_time_ns: Option<i128>,
    /// A receipt of more lines than there are.
    pub(super) unreached: Option<Claim>,
    /// What heartbeats say of other streams of this host.
    pub(super) claims: Vec<(StreamId, Claim)>,
    pub(super) skips: Vec<SkipBody>,
    pub(super) counts: Counts,
}

impl StreamEnd {
    /// Somebody who may vouches for it.
    pub(super) fn counts(&self) -> bool {
        self.start.as_ref().is_some_and(|start| start.counts)
    }
}

/// Verifies a stream.
pub(super) fn verify_stream(
    files: &StreamFiles,
    options: &Options,
    claims: Vec<Claim>,
    progress: &(dyn Fn(u64) + Sync),
    emit: &mut dyn FnMut(&mut Found),
) -> StreamEnd {
    let from = options.since_ns.map_or(0, |since| first_file(files, since));
    let mut fold = Fold::new(files, options, claims);
    if from > 0 {
        fold.begin_late();
    }
    let mut reader = UnitReader::new(&files.files, from, progress);
    let mut batch = reader.batch();
    while !batch.is_empty() {
        let (next, ()) = rayon::join(|| reader.batch(), || fold.batch(batch));
        batch = next;
        emit(&mut fold.found);
        if let Some(file) = fold.give_up.take() {
            reader.abandon(file);
            batch.retain(|unit| unit.file != file);
            if batch.is_empty() {
                batch = reader.batch();
            }
        }
    }
    let (end, mut found) = fold.finish();
    emit(&mut found);
    end
}

/// The file to begin with so that every line later than `since` is wholly checked: two before the first file that begins
/// later, since a file's first segment is checked in full only with the one before it.
fn first_file(files: &StreamFiles, since_ns: i128) -> usize {
    let later = files.files.iter().position(|f| f.first_time_ns.is_none_or(|time| time > since_ns));
    later.unwrap_or(files.files.len()).saturating_sub(2)
}

/// A unit on its way: ordered, and its tags checked at the place it is thought to have.
struct Planned {
    parsed: ParsedUnit,
    ordered: Ordered,
    place: Option<Place>,
    tags: Vec<Tag>,
}

impl Planned {
    fn lines(&self) -> Vec<&Parsed> {
        self.ordered.lines.iter().filter_map(|i| self.parsed.lines[*i].as_ref().ok()).collect()
    }
}

/// The state that lines are folded into.
pub(super) struct Fold<'a> {
    pub(super) files: &'a StreamFiles,
    pub(super) options: &'a Options,
    pub(super) found: Found,
    pub(super) start: Option<Start>,
    /// Which lines may be erased, once one is.
    pub(super) leave: Option<Leave>,
    /// `<host>/<stream>`, by the genesis if there is one.
    pub(super) origin: String,
    /// Where the next line stands.
    pub(super) place: Place,
    /// Whether that follows from the lines before.
    pub(super) place_known: bool,
    /// The seq that the next line of the file should have.
    slot: Seq,
    /// The lowest seq that was not met yet.
    pub(super) next: Seq,
    /// No line was met yet.
    untouched: bool,
    pub(super) roots: Roots,
    judge: Judge,
    pub(super) clock: Clock,
    pub(super) holes: Holes,
    pub(super) repeats: Repeats<'a>,
    /// The close line.
    pub(super) closed_at: Option<Seq>,
    /// The close line and its checkpoint.
    ended: bool,
    after_end: bool,
    /// A finding covers what may be missing from this seq on.
    pub(super) cut_at: Option<Seq>,
    /// A file, and how many of its lines are none.
    pub(super) malformed: (usize, u32),
    /// This file is not worth reading on.
    pub(super) give_up: Option<usize>,
    last: Option<(Seq, Bytes32, bool)>,
    last_time_ns: Option<i128>,
    pub(super) claims: Vec<(StreamId, Claim)>,
    pub(super) contradicted: Option<u64>,
    pub(super) skips: Vec<SkipBody>,
    counts: Counts,
    /// How many more segment keys may be derived to find a lost place.
    pub(super) steps_left: u64,
}

impl<'a> Fold<'a> {
    fn new(files: &'a StreamFiles, options: &'a Options, claims: Vec<Claim>) -> Self {
        Self {
            files,
            options,
            found: Found::new(&files.host, files.stream),
            start: None,
            leave: None,
            origin: format!("{}/{}", files.host, files.stream),
            place: Place { segment: 0, first: 0, key: None, last: None },
            place_known: true,
            slot: 0,
            next: 0,
            untouched: true,
            roots: Roots::new(claims),
            judge: Judge::default(),
            clock: Clock::default(),
            holes: Holes::default(),
            repeats: Repeats::new(&files.files),
            closed_at: None,
            ended: false,
            after_end: false,
            cut_at: None,
            malformed: (0, 0),
            give_up: None,
            last: None,
            last_time_ns: None,
            claims: Vec::new(),
            contradicted: None,
            skips: Vec::new(),
            counts: Counts::default(),
            steps_left: super::resync::STEPS_MAX,
        }
    }

    /// Reads the genesis alone: the lines after it are left out, as `since` asks.
    fn begin_late(&mut self) {
        let line = self.files.files.first().and_then(|file| Lines::open(&file.path).ok());
        if let Some(Ok(line)) = line.and_then(|mut lines| lines.next_line().map(|line| line.map(<[u8]>::to_vec)))
            && let Ok(parsed) = Parsed::new(&line, 0..line.len())
        {
            self.open(&line, &parsed);
        }
        self.roots.lose();
        self.place_known = false;
    }

    fn open(&mut self, line: &[u8], parsed: &Parsed) {
        if parsed.seq != 0 || self.start.is_some() || !matches!(parsed.body, Body::Genesis) {
            return;
        }
        let Some((start, key)) = opening::open(line, parsed.time_ns, self.files, self.options, &mut self.found) else {
            return self.roots.damage();
        };
        if !start.sound {
            self.roots.damage();
        }
        self.origin = format!("{}/{}", start.host, start.stream);
        self.place.key = key;
        self.start = Some(start);
    }

    /// Takes units apart, checks their tags, and folds them.
    fn batch(&mut self, units: Vec<Unit>) {
        let parsed: Vec<ParsedUnit> = units.into_par_iter().map(Unit::parse).collect();
        let mut planned: Vec<Planned> = parsed.into_iter().map(|unit| self.order(unit)).collect();
        let mut place = self.place.clone();
        for unit in &mut planned {
            let lines = unit.lines();
            let Some(last) = lines.last().filter(|last| place.last.is_none_or(|(seq, _)| last.seq > seq)) else {
                continue;
            };
            let after = place.after(last);
            unit.place = Some(std::mem::replace(&mut place, after));
        }
        let stream = self.stream();
        planned.par_iter_mut().for_each(|unit| {
            if let Some(place) = &unit.place {
                unit.tags = place.check(&unit.parsed.unit.bytes, &unit.lines(), stream);
            }
        });
        planned.into_iter().for_each(|unit| self.unit(unit));
    }

    fn order(&mut self, parsed: ParsedUnit) -> Planned {
        if self.untouched
            && self.options.since_ns.is_some()
            && let Some(Ok(first)) = parsed.lines.first()
        {
            (self.slot, self.next) = (first.seq, first.seq);
        }
        self.untouched = false;
        let ordered = order(&parsed, &mut self.slot);
        if let Some(Ok(first)) = ordered.lines.first().map(|i| &parsed.lines[*i]) {
            self.open(&parsed.unit.bytes[first.line.clone()], first);
        }
        Planned { parsed, ordered, place: None, tags: Vec::new() }
    }

    pub(super) fn stream(&self) -> StreamId {
        self.start.as_ref().map_or(self.files.stream, |start| start.stream)
    }

    fn unit(&mut self, mut planned: Planned) {
        self.report_disorder(&planned.parsed, &planned.ordered);
        if self.settle_repeats(&planned.parsed, &mut planned.ordered) {
            planned.place = None;
        }
        let Planned { parsed, ordered, place, tags } = planned;
        let lines: Vec<&Parsed> = ordered.lines.iter().filter_map(|i| parsed.lines[*i].as_ref().ok()).collect();
        let (late, fresh) = lines.split_at(lines.partition_point(|line| line.seq < self.next));
        let tags = match place.filter(|place| place.same(&self.place) && late.is_empty()) {
            Some(_) => tags,
            None => self.place.check(&parsed.unit.bytes, fresh, self.stream()),
        };
        let whole = fresh.iter().zip(self.next..).all(|(line, seq)| line.seq == seq);
        self.place_known &= whole;
        let tags = self.resync(&parsed.unit.bytes, fresh, tags);
        if !self.foreign(&parsed, &lines, &tags) {
            self.late(&parsed, late);
            if let Some(first) = fresh.first() {
                self.repeats.bring(parsed.unit.file, first.seq);
                self.lines(fresh, &tags);
            }
        }
        self.file_end(parsed.unit);
    }

    fn lines(&mut self, lines: &[&Parsed], tags: &[Tag]) {
        let mut before = Tag::Good;
        for (line, tag) in lines.iter().zip(tags) {
            self.line(line, *tag, before);
            before = *tag;
        }
        if let (Some(line), Some(tag)) = (lines.last(), tags.last()) {
            // a checkpoint that may be none does not end the segment: the next one says where it began
            let ends = line.checkpoint().is_some() && *tag != Tag::Bad;
            self.place.last = Some((line.seq, line.leaf));
            if ends {
                self.place = self.place.next_segment(line.seq.saturating_add(1));
            }
            self.place_known = ends || (self.place_known && *tag != Tag::Bad && line.checkpoint().is_none());
        }
    }

    /// `before` is the tag of the line before, if it stands in the same unit.
    fn line(&mut self, line: &Parsed, tag: Tag, before: Tag) {
        self.gap(line.seq);
        self.next = line.seq.saturating_add(1);
        if tag == Tag::Beyond {
            self.roots.lose();
            self.found.add(Word::Forged, line.seq, "a segment has 4,096 lines at most, and this would be one more");
            return;
        }
        if self.after_close(line) {
            return;
        }
        self.counts.lines += 1;
        self.counts.log_lines += u64::from(matches!(line.body, Body::Log));
        self.counts.segments += u64::from(line.checkpoint().is_some());
        self.counts.tags += u64::from(tag != Tag::Unknown);
        if let Some(changed) = self.judge.push(line.seq, tag) {
            self.tampered(changed);
        }
        if let Body::Checkpoint(body) = &line.body {
            let judged = super::roots::Judged {
                start: self.start.as_ref(),
                origin: &self.origin,
                seq: line.seq,
                place: &self.place,
                place_known: self.place_known,
                tag,
            };
            self.roots.checkpoint(body, &judged, &mut self.found);
        }
        if tag == Tag::Bad {
            self.roots.damage();
        }
        self.roots.push(line.leaf, line.checkpoint().is_some(), &mut self.found);
        // after a good line a bad tag means that this line itself was changed: what it says is not the agent's word
        if tag != Tag::Bad || before == Tag::Bad {
            self.meaning(line);
            self.clock.line(line, &mut self.found);
            self.last_time_ns = Some(line.time_ns);
        }
        self.last = Some((line.seq, line.leaf, line.checkpoint().is_some()));
    }

    fn tampered(&mut self, seq: Seq) {
        self.found.add(Word::Tampered, seq, format!("line {seq} was changed: its tag does not fit it"));
    }

    /// Lines between the last one and `seq` are not there.
    fn gap(&mut self, seq: Seq) {
        if seq <= self.next {
            return;
        }
        self.roots.lose();
        self.clock.skip();
        self.place_known = false;
        if self.next == 0 && self.start.is_none() {
            // said once, at the end of the stream
            return;
        }
        let covered = self.cut_at == Some(self.next);
        self.holes.add(self.next, seq - 1, covered, &mut self.found);
    }

    /// Whether the line stands after the stream's end.
    fn after_close(&mut self, line: &Parsed) -> bool {
        let checkpoint = line.checkpoint().is_some();
        match self.closed_at {
            Some(close) if !self.ended && checkpoint && close.checked_add(1) == Some(line.seq) => {
                self.ended = true;
                false
            }
            Some(close) => {
                if !self.after_end {
                    let detail = format!("line {} stands after the stream was closed at line {close}", line.seq);
                    self.found.add(Word::RecordAfterClose, line.seq, detail);
                }
                self.after_end = true;
                true
            }
            None => false,
        }
    }

    fn finish(mut self) -> (StreamEnd, Found) {
        for seq in self.judge.finish() {
            self.tampered(seq);
        }
        self.repeats.flush(&mut self.found);
        self.holes.finish(&mut self.found);
        if self.holes.explains(self.next) {
            self.cut_at = Some(self.next);
        }
        let end_told = self.after_end || self.cut_at == Some(self.next);
        if let Some(close) = self.closed_at.filter(|_| !self.ended && !end_told) {
            let detail =
                format!("have={} signed={}: the checkpoint after the close line is missing", close + 1, close + 2);
            self.found.add(Word::Truncated, close, detail);
            self.cut_at = Some(self.next);
        }
        if self.start.is_none() {
            self.found.unchecked("its genesis (line 0) is missing or not sound, so that nothing vouches for its lines");
        }
        let end = StreamEnd {
            host: self.start.as_ref().map_or(self.files.host.clone(), |start| start.host.clone()),
            stream: self.stream(),
            start: self.start,
            size: self.next,
            root: self.roots.root(),
            leaf: self.last.map(|(_, leaf, _)| leaf),
            closed: self.ended,
            end_reported: self.cut_at == Some(self.next) || self.after_end,
            at_segment_end: self.last.is_some_and(|(_, _, checkpoint)| checkpoint),
            last_time_ns: self.last_time_ns,
            unreached: self.roots.unreached(self.next),
            claims: self.claims,
            skips: self.skips,
            counts: self.counts,
        };
        (end, self.found)
    }
}
