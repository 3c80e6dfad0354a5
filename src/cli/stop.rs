//! Ctrl-C and SIGTERM; SIGUSR1; SIGHUP.

use crate::source::Stop;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// A stop that comes with the first SIGINT or SIGTERM, for threads and for tasks.
pub(super) struct Signalled {
    pub stop: Stop,
    come: oneshot::Receiver<()>,
}

impl Signalled {
    /// Waits for it.
    pub(super) async fn come(self) {
        // sent or dropped: either way it is over
        let _: Result<(), _> = self.come.await;
    }
}

/// Listens for the signals; `stopping` hears of the first, the second one ends the process at once.
pub(super) fn on_signal(stopping: impl FnOnce() + Send + 'static) -> std::io::Result<Signalled> {
    let (stopper, stop) = Stop::pair();
    let (tell, come) = oneshot::channel::<()>();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        stopping();
        stopper.stop();
        drop(tell);
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        std::process::exit(130)
    });
    Ok(Signalled { stop, come })
}

/// Answers each SIGUSR1.
pub(super) fn on_ask(answer: impl Fn() + Send + 'static) -> std::io::Result<()> {
    on(SignalKind::user_defined1(), move || {
        answer();
        std::future::ready(())
    })
}

/// Answers each SIGHUP; those that come before it is done are one.
pub(super) fn on_hangup<F>(answer: impl Fn() -> F + Send + 'static) -> std::io::Result<()>
where
    F: Future<Output = ()> + Send,
{
    on(SignalKind::hangup(), answer)
}

fn on<F>(kind: SignalKind, answer: impl Fn() -> F + Send + 'static) -> std::io::Result<()>
where
    F: Future<Output = ()> + Send,
{
    let mut asked = signal(kind)?;
    tokio::spawn(async move {
        while asked.recv().await.is_some() {
            answer().await;
        }
    });
    Ok(())
}
