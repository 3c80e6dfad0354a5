//! Ctrl-C and SIGTERM.

use crate::source::{Stop, Stopper};
use std::sync::{Arc, Mutex};
use tokio::signal::unix::{SignalKind, signal};

/// A stop that comes with the first SIGINT or SIGTERM; the second ends the process at once.
pub(super) fn on_signal() -> std::io::Result<Stop> {
    let (stopper, stop) = Stop::pair();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stopper: Arc<Mutex<Option<Stopper>>> = Arc::new(Mutex::new(Some(stopper)));
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            match stopper.lock().map(|mut held| held.take()) {
                Ok(Some(stopper)) => stopper.stop(),
                _ => std::process::exit(130),
            }
        }
    });
    Ok(stop)
}
