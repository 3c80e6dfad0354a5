//! Whether a thread gets on with its work, as another one sees it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Moves with each step of the one thread that has it: even while that waits for work, odd while it is at some.
#[derive(Debug, Default)]
pub struct Pulse(AtomicU64);

impl Pulse {
    /// The thread takes up work, or gets on with it.
    pub fn work(&self) {
        self.step(1);
    }

    /// The thread has done its work. However long it waits for more, it is well.
    pub fn rest(&self) {
        self.step(0);
    }

    fn step(&self, to: u64) {
        let now = self.0.load(Ordering::Relaxed);
        self.0.store(now + 1 + u64::from(now % 2 == to), Ordering::Relaxed);
    }

    /// Where it is now, for [`Pulse::is_stuck`] later.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The thread is still at the step that it was at then, and it is no rest.
    pub fn is_stuck(&self, then: u64) -> bool {
        then % 2 == 1 && self.now() == then
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_work_without_a_step_is_stuck() {
        let pulse = Pulse::default();
        assert!(!pulse.is_stuck(pulse.now()), "it has not begun");
        pulse.work();
        let then = pulse.now();
        assert!(pulse.is_stuck(then));
        pulse.work();
        assert!(!pulse.is_stuck(then), "it got on");
        pulse.rest();
        assert!(!pulse.is_stuck(pulse.now()));
        pulse.rest();
        assert!(!pulse.is_stuck(pulse.now()));
    }
}
