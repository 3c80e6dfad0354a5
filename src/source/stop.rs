//! The signal that ends a source, wherever it waits.

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, never};
use std::convert::Infallible;

/// The half that waits: every clone sees the same stop.
#[derive(Clone, Debug)]
pub struct Stop(Receiver<Infallible>);

/// The half that stops: by [`Stopper::stop`], or when it is dropped, so that no source outlives its agent.
#[derive(Debug)]
pub struct Stopper(#[allow(dead_code, reason = "held to keep the channel connected")] Sender<Infallible>);

impl Stop {
    /// A pair of both halves.
    pub fn pair() -> (Stopper, Stop) {
        let (sender, receiver) = bounded(0);
        (Stopper(sender), Stop(receiver))
    }

    /// A stop that never comes.
    pub fn never() -> Stop {
        Stop(never())
    }

    /// Whether it has come.
    pub fn is_set(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// For `select!`: becomes ready (disconnected) when the stop comes and never carries a message.
    pub fn channel(&self) -> &Receiver<Infallible> {
        &self.0
    }
}

impl Stopper {
    /// Stops every holder of the other half.
    pub fn stop(self) {}
}
