//! The label thread: batches as they come, what has waited long enough, and other policies between two batches.

use super::hold::Ticket;
use super::{Labelled, Labeller, Swapped, WAIT_MAX};
use crate::agent::tally::Counts;
use crate::chain::header::Hash;
use crate::chain::stamp::rfc3339;
use crate::policy::{Evaluator, PolicySet};
use crate::record::Batch;
use crate::source::Stop;
use crossbeam_channel::{Receiver, Sender, at, never, select};
use std::time::{Duration, Instant, SystemTime};

/// Other policies wait so long for what is held back.
const SWAP_WAIT: Duration = Duration::from_secs(2);

impl Labeller {
    /// Until the sources or the chain are gone.
    pub(in crate::agent) fn run(
        mut self,
        input: &Receiver<Batch>,
        output: &Sender<Labelled>,
        stop: &Stop,
        counts: &Counts,
    ) {
        let nothing = never();
        loop {
            // the sources of a stop wait for a place for what they took out of pipes, and not for long
            let pause = if stop.is_set() { None } else { self.pressure.wait() };
            let due = self.hold.due().into_iter().chain(self.swap_due).chain(pause).min();
            let timer = due.map_or_else(never, at);
            let labelled = select! {
                recv(if pause.is_some() { &nothing } else { input }) -> batch => match batch {
                    Ok(batch) => {
                        self.pulse.work();
                        if self.pressure.passed() {
                            counts.slowed();
                        }
                        let begun = Instant::now();
                        let labelled = self.batch(batch);
                        counts.looked(begun.elapsed());
                        labelled
                    }
                    Err(_) => break,
                },
                recv(self.wake) -> woken => {
                    match woken {
                        Ok(()) => _ = self.swap_due.get_or_insert_with(|| Instant::now() + SWAP_WAIT),
                        // another run has begun, and this one hears no more of it
                        Err(_) => self.wake = never(),
                    }
                    Labelled::default()
                }
                recv(timer) -> _ => {
                    self.pulse.work();
                    let mut out = Labelled::default();
                    self.overdue(&mut out);
                    out
                }
            };
            let swapped = self.swap_if_due();
            // handing over may wait for the chain's thread, which has a pulse of its own
            self.pulse.rest();
            let labelled = [labelled].into_iter().chain(swapped.into_iter().flatten());
            for labelled in labelled.filter(|labelled| !labelled.is_empty()) {
                if output.send(labelled).is_err() {
                    return;
                }
            }
        }
        // what waits is read again after a stop, but of a pipe; at the end of all sources nothing more will come
        let rest = self.rest(stop.is_set());
        self.pulse.rest();
        if !rest.is_empty() {
            // the chain ends with its input
            drop(output.send(rest));
        }
    }

    /// The policies with which this run begins.
    pub(in crate::agent) fn policies(&self) -> &PolicySet {
        &self.policies
    }

    /// Takes up other policies between two batches, so that the verdicts of a line are all of one set: what is held back comes
    /// first. It has a little time to be seen together; after that it is hidden, as nobody knows what is in its rest.
    fn swap_if_due(&mut self) -> Option<[Labelled; 2]> {
        let due = self.swap_due?;
        if !self.hold.is_empty() && Instant::now() < due {
            return None;
        }
        self.swap_due = None;
        let mut before = Labelled::default();
        if !self.hold.is_empty() {
            let (time, end) = (rfc3339(SystemTime::now()), Instant::now() + 2 * WAIT_MAX);
            let waiting: Vec<Ticket> = self.hold.due_until(end).collect();
            // their verdicts are those of the policies before; what comes of them later is a rest
            while self.cut_one(&|_| true, &time) {}
            self.hold.withhold(end);
            waiting.into_iter().for_each(|ticket| self.hold.hide(ticket, &self.evaluator));
            self.hold.release(&mut before);
        }
        Some([before, Labelled { swapped: self.swap(), ..Labelled::default() }])
    }

    /// Takes up the policies that are in force now; None if it has them.
    fn swap(&mut self) -> Option<Swapped> {
        let policies = self.live.current();
        let (old, new) = (self.policies.digest(), policies.digest());
        if old == new {
            return None;
        }
        self.evaluator = Evaluator::new(&policies);
        self.policies = policies.clone();
        if !std::mem::replace(&mut self.holds_back, self.evaluator.may_redact()) && self.holds_back {
            // what is begun was not held back
            self.pieces.are_rests();
        }
        tracing::info!(old = %Hash(old), new = %Hash(new), "other policies are in force");
        Some(Swapped { old, policies })
    }
}
