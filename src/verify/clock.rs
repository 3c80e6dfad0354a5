//! The two clocks of a stream's lines: one that only goes on, which shows silence, and one that can be set.

use super::finding::{Found, Word};
use super::parse::{Body, Parsed};
use crate::record::Seq;

/// Heartbeats come each 60 seconds; three of them may be late before it is an alarm.
pub(super) const SILENCE_NS: u64 = 180_000_000_000;
/// What a clock may be set back without a word.
const STEP_NS: i128 = 1_000_000_000;

/// What the lines so far say.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The line before: seq, and when by both clocks.
    last: Option<(Seq, i128, u64)>,
    /// The last heartbeat, or the first line: seq, and when by the clock that only goes on.
    beat: Option<(Seq, u64)>,
    /// The present silence has been reported.
    silent: bool,
}

impl Clock {
    /// Lines are missing before the next one: it says nothing of the time between.
    pub(super) fn skip(&mut self) {
        *self = Self::default();
    }

    /// Takes the next line.
    pub(super) fn line(&mut self, line: &Parsed, found: &mut Found) {
        if let Some((seq, time_ns, mono_ns)) = self.last.replace((line.seq, line.time_ns, line.mono_ns)) {
            let back_ns = time_ns - line.time_ns;
            // a line stamped before the one that it follows is earlier by both clocks, and no clock was set
            let set_back_ns = back_ns - (i128::from(mono_ns) - i128::from(line.mono_ns));
            if back_ns > STEP_NS && set_back_ns > STEP_NS {
                let back_ms = set_back_ns / 1_000_000;
                let detail = format!("the clock was set back by {back_ms} ms after line {seq}");
                found.add(Word::ClockStep, line.seq, detail);
            }
        }
        let (beat_seq, beat_ns) = *self.beat.get_or_insert((line.seq, line.mono_ns));
        let pause_ns = line.mono_ns.saturating_sub(beat_ns);
        if pause_ns > SILENCE_NS && !self.silent {
            let seconds = pause_ns / 1_000_000_000;
            let what = format!("{beat_seq}..{}: no heartbeat for {seconds} s after line {beat_seq}", line.seq);
            found.add(Word::Silence, beat_seq, what);
            self.silent = true;
        }
        if matches!(line.body, Body::Heartbeat(_)) {
            self.beat = Some((line.seq, line.mono_ns));
            self.silent = false;
        }
    }
}
