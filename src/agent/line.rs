//! The threads of the line's path, as the composition root sees them.

use super::Error;
use super::reconfigure::Parting;
use super::scribe::Control;
use crate::source::{self, Stop};
use crossbeam_channel::{Receiver, Sender, bounded, select};
use std::convert::Infallible;
use tokio::sync::oneshot;

/// The running threads, as the composition root sees them.
pub(super) struct Line {
    pub(super) done: oneshot::Receiver<Result<(), Error>>,
    pub(super) control: Sender<Control>,
    pub(super) failures: Receiver<source::Error>,
    /// What the stream says at its end, if it is for another configuration.
    pub(super) parting: Parting,
    /// Dropped, it ends the sources of this run.
    pub(super) end: Option<Sender<Infallible>>,
}

/// A stop that comes with `stop`, or when what is returned beside it is dropped: the sources of a run that failed must not read
/// on beside those of the next.
pub(super) fn until_ended(stop: &Stop) -> Result<(Sender<Infallible>, Stop), Error> {
    let (end, ended) = bounded(0);
    let ((stopper, both), stop) = (Stop::pair(), stop.clone());
    spawn("sealtail-stop", move || {
        select! {
            recv(stop.channel()) -> _ => {}
            recv(ended) -> _ => {}
        }
        stopper.stop();
    })?;
    Ok((end, both))
}

impl Line {
    /// Ends the stream where it stands, and waits until its thread is gone.
    pub(super) async fn abandon(&mut self) {
        let (gone, _) = bounded(0);
        self.control = gone;
        // whatever it says now, the first error is the one to tell
        let _: Result<_, _> = (&mut self.done).await;
    }
}

pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let thread = std::thread::Builder::new().name(name.chars().take(15).collect()).spawn(work);
    thread.map(drop).map_err(|e| Error::Thread(format!("cannot start a thread: {e}; is the limit of tasks too low?")))
}
