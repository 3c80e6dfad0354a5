//! `[resources] memory`: how much this process is to have resident, and what is done to keep to it.
//!
//! What grows with the lines has a share each, [`Shares`]; what remains is for the program (some 26 MiB of its file), policies, and
//! some KiB for each file that is followed. Where more is resident all the same, lines are let through slowly, [`Pressure`]: what is
//! on its way goes to the disk meanwhile. Nothing is dropped.

use super::process;
use std::time::{Duration, Instant};

/// What a control group may have is not used up to the last byte: over it the kernel kills.
const OF_GROUP: u64 = 8;
/// A batch between two stages, and what is known of its lines, takes about this at most.
const BATCH_BYTES: u64 = 1 << 20;
/// A target's batch of less than this would be no bundle of segments any more.
const TARGET_BATCH_MIN_BYTES: u64 = 256 << 10;
/// What is resident is looked at this often.
const LOOK: Duration = Duration::from_millis(100);
/// While too much is, a batch of lines may pass this often.
const PACE: Duration = Duration::from_millis(100);
/// The log says so this often.
const SAY: Duration = Duration::from_secs(60 * 60);

/// The bound that counts: the configured one, or less where this process' control group may not have that much.
pub(super) fn bound(configured_bytes: u64) -> u64 {
    process::memory_limit().map_or(configured_bytes, |limit| configured_bytes.min(limit - limit / OF_GROUP))
}

/// What of the bound is for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    /// All of it.
    pub bound_bytes: u64,
    /// Batches that wait between two stages: an eighth, for both places of the line's path.
    pub between_stages: usize,
    /// Bytes of lines that wait for others to be seen with, and again of what is put together of them: an eighth each.
    pub held_bytes: usize,
    /// Bytes of a batch that a target is sent: with those of all others an eighth.
    pub target_batch_bytes: u64,
}

impl Shares {
    pub(super) fn of(bound_bytes: u64, targets: usize) -> Self {
        let to_usize = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            bound_bytes,
            between_stages: to_usize((bound_bytes / 8 / 2 / BATCH_BYTES).clamp(1, 8)),
            held_bytes: to_usize(bound_bytes / 8),
            target_batch_bytes: (bound_bytes / 8 / targets.max(1) as u64).max(TARGET_BATCH_MIN_BYTES),
        }
    }
}

/// Whether more is resident than should be, and what a stage has to wait then.
pub(super) struct Pressure {
    bound_bytes: u64,
    looked: Option<Instant>,
    is_high: bool,
    /// When the next batch may pass.
    next: Instant,
    told: Option<Instant>,
}

impl Pressure {
    pub(super) fn new(bound_bytes: u64) -> Self {
        Self { bound_bytes, looked: None, is_high: false, next: Instant::now(), told: None }
    }

    /// Until when the next batch has to wait; None if it need not.
    pub(super) fn wait(&mut self) -> Option<Instant> {
        let now = Instant::now();
        if self.looked.is_none_or(|looked| now - looked >= LOOK) {
            self.looked = Some(now);
            let resident = process::resident_bytes();
            self.is_high = resident > self.bound_bytes;
            if self.is_high && self.told.is_none_or(|told| now - told >= SAY) {
                self.told = Some(now);
                let (resident_mib, bound_mib) = (resident >> 20, self.bound_bytes >> 20);
                tracing::warn!(
                    resident_mib,
                    bound_mib,
                    "more memory is in use than [resources] memory, or the control group, allows: lines are read slowly. Raise it, or \
                    follow fewer files, take policies out or lower max_line"
                );
            }
        }
        (self.is_high && now < self.next).then_some(self.next)
    }

    /// A batch passed; true if the next one has to wait.
    pub(super) fn passed(&mut self) -> bool {
        if self.is_high {
            self.next = Instant::now() + PACE;
        }
        self.is_high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_grows_with_the_lines_has_less_than_half_of_it() {
        for (bound, targets) in [(32 * MIB, 1), (64 * MIB, 1), (64 * MIB, 3), (512 * MIB, 32), (u64::MAX, 1)] {
            let Shares { between_stages, held_bytes, target_batch_bytes, .. } = Shares::of(bound, targets);
            let lines = 2 * between_stages as u128 * u128::from(BATCH_BYTES) + 2 * held_bytes as u128;
            let sum = lines + targets as u128 * u128::from(target_batch_bytes);
            assert!(sum <= u128::from(bound) / 2, "{bound} for {targets}: {sum}");
        }
    }

    #[test]
    fn over_the_bound_a_batch_passes_now_and_then() {
        let mut pressure = Pressure::new(0);
        assert_eq!(pressure.wait(), None, "one may always pass");
        assert!(pressure.passed());
        let next = pressure.wait().expect("the next one waits");
        assert!(next <= Instant::now() + PACE);
        let mut pressure = Pressure::new(u64::MAX);
        assert_eq!((pressure.wait(), pressure.passed(), pressure.wait()), (None, false, None));
    }
}
