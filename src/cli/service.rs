//! What `run` and `receive` tell the service manager that started them.

use super::stop::on_hangup;
use crate::service::{Manager, Pulse};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How often the status is told where nobody asks for signs of life.
const STATUS_INTERVAL: Duration = Duration::from_secs(30);

/// A thread and its pulse.
pub(super) type Thread = (&'static str, Arc<Pulse>);

/// From `ready` on: that the command is up; signs of life, each only if no thread has been at one and the same step since the
/// last look; the status. From a task of its own, which the command's end ends.
pub(super) fn watch(
    manager: &Manager,
    ready: impl Future<Output = ()> + Send + 'static,
    threads: impl Fn() -> Vec<Thread> + Send + 'static,
    status: impl Fn() -> String + Send + 'static,
) {
    if !manager.is_there() {
        return;
    }
    let manager = manager.clone();
    // a second look while there is still time for a sign of life
    let interval = manager.watchdog().map_or(STATUS_INTERVAL, |limit| limit / 3);
    tokio::spawn(async move {
        ready.await;
        manager.status(&status());
        manager.ready();
        let mut seen: Vec<(Thread, u64)> = Vec::new();
        loop {
            let stuck = seen.iter().find(|((_, pulse), then)| pulse.is_stuck(*then));
            match stuck {
                None => manager.alive(),
                Some(((thread, _), _)) => tracing::error!(
                    thread,
                    for_ms = interval.as_millis(),
                    "the thread does not get on with its work; the service manager is not told that this process is well"
                ),
            }
            manager.status(&status());
            seen = threads().into_iter().map(|(name, pulse)| ((name, Arc::clone(&pulse)), pulse.now())).collect();
            tokio::time::sleep(interval).await;
        }
    });
}

/// Each SIGHUP reads files again, and the service manager hears of it.
pub(super) fn reload_on_hangup<F>(manager: &Manager, reload: impl Fn() -> F + Send + 'static) -> io::Result<()>
where
    F: Future<Output = ()> + Send,
{
    let manager = manager.clone();
    on_hangup(move || {
        let (manager, reloaded) = (manager.clone(), reload());
        async move {
            manager.reloading();
            reloaded.await;
            manager.reloaded();
        }
    })
}
