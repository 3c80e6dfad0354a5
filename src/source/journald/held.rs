//! Which numbers were read in one directory, whatever their sequence.
//!
//! One journald numbers the entries of all its files in one go: the system's and each user's. Before systemd 254 each
//! of these has its own seqnum_id, so that a hole in one sequence is a loss only as far as no other sequence there
//! holds the numbers.

/// Ranges that are kept; what is older is looked up on disk again when it matters.
const RANGES_MAX: usize = 64;

/// Numbers, both ends included.
pub(super) type Range = (u64, u64);

/// The numbers read lately.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Apart from each other, lowest first.
    ranges: Vec<Range>,
}

impl Held {
    /// These were read, or told as missing.
    pub(super) fn add(&mut self, (from, to): Range) {
        if let Some(last) = self.ranges.last_mut()
            && last.1.checked_add(1) == Some(from)
        {
            last.1 = to;
            return;
        }
        self.ranges.push((from, to));
        self.ranges.sort_unstable();
        let mut joined: Vec<Range> = Vec::with_capacity(self.ranges.len());
        for (from, to) in self.ranges.drain(..) {
            match joined.last_mut() {
                Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        let over = joined.len().saturating_sub(RANGES_MAX);
        joined.drain(..over);
        self.ranges = joined;
    }

    /// What of a range was not read.
    pub(super) fn missing(&self, (from, to): Range) -> Vec<Range> {
        let mut missing = Vec::new();
        let mut next = from;
        for (held_from, held_to) in &self.ranges {
            if *held_to < next || *held_from > to {
                continue;
            }
            if *held_from > next {
                missing.push((next, held_from - 1));
            }
            next = held_to.saturating_add(1);
        }
        if next <= to {
            missing.push((next, to));
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_join_and_what_is_between_is_missing() {
        let mut held = Held::default();
        for range in [(5, 5), (6, 6), (10, 12), (8, 8), (1, 1)] {
            held.add(range);
        }
        assert_eq!(held.missing((1, 14)), [(2, 4), (7, 7), (9, 9), (13, 14)]);
        assert_eq!(held.missing((5, 6)), []);
        held.add((1, 20));
        assert_eq!(held.missing((1, 21)), [(21, 21)]);
    }

    #[test]
    fn the_lowest_are_forgotten_first() {
        let mut held = Held::default();
        (1..=100).for_each(|n| held.add((n * 10, n * 10)));
        assert_eq!(held.ranges.len(), RANGES_MAX);
        assert_eq!(held.missing((1000, 1000)), []);
    }
}
