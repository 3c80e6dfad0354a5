//! The policies that are in force, and how the label thread learns of others.

use crate::policy::PolicySet;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One for each agent. Whoever puts a set here never waits for the line; of two sets between two lines the later counts.
pub(super) struct Live {
    state: Mutex<State>,
}

struct State {
    set: PolicySet,
    /// Wakes the label thread of the present run.
    waker: Option<Sender<()>>,
}

impl Live {
    pub(super) fn new(set: PolicySet) -> Self {
        Self { state: Mutex::new(State { set, waker: None }) }
    }

    /// The set in force, for a run that begins, and what tells it of each other set.
    pub(super) fn attach(&self) -> (PolicySet, Receiver<()>) {
        let (waker, wake) = bounded(1);
        let mut state = self.state();
        state.waker = Some(waker);
        (state.set.clone(), wake)
    }

    pub(super) fn current(&self) -> PolicySet {
        self.state().set.clone()
    }

    pub(super) fn put(&self, set: PolicySet) {
        let mut state = self.state();
        state.set = set;
        if let Some(waker) = &state.waker {
            // full: it is going to look anyway; gone: the next run begins with this set
            let _: Result<(), _> = waker.try_send(());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
