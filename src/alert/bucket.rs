//! A token bucket: so many at once, and so many a minute.

use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// Full at first.
pub(super) struct Bucket {
    capacity: u32,
    tokens: u32,
    /// When the last token came; of a full one, any time.
    since: Instant,
}

impl Bucket {
    pub(super) fn new(per_minute: u64, now: Instant) -> Self {
        let capacity = u32::try_from(per_minute).unwrap_or(u32::MAX).max(1);
        Self { capacity, tokens: capacity, since: now }
    }

    /// Takes a token, or says when the next one comes.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let each = MINUTE / self.capacity;
        let come = now.saturating_duration_since(self.since).as_nanos() / each.as_nanos();
        let come = u32::try_from(come).unwrap_or(u32::MAX).min(self.capacity);
        self.tokens = self.tokens.saturating_add(come).min(self.capacity);
        self.since = if self.tokens == self.capacity { now } else { self.since + each * come };
        match self.tokens.checked_sub(1) {
            Some(left) => {
                self.tokens = left;
                Ok(())
            }
            None => Err(self.since + each),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_burst_and_then_one_at_a_time() {
        let start = Instant::now();
        let mut bucket = Bucket::new(30, start);
        assert_eq!((0..40).filter(|_| bucket.take(start).is_ok()).count(), 30);
        let next = bucket.take(start).unwrap_err();
        assert_eq!(next - start, Duration::from_secs(2));
        assert!(bucket.take(next - Duration::from_millis(1)).is_err());
        assert!(bucket.take(next).is_ok() && bucket.take(next).is_err());
        // never more than it holds, however long nobody took any
        let later = start + Duration::from_secs(24 * 60 * 60);
        assert_eq!((0..40).filter(|_| bucket.take(later).is_ok()).count(), 30);
    }
}
