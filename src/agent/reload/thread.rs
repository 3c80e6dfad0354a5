//! Work that takes long, on threads of its own: the runtime is the network's, and at the end nobody waits for it.

use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It panicked, or no thread could be had.
    Ended,
    /// It took longer than its limit; its thread goes on.
    Late,
    /// Not begun: one that was late goes on still.
    Busy,
}

/// One work at a time, each with a limit.
#[derive(Debug, Default)]
pub(super) struct OneAtATime {
    /// Closed when the work's thread is done with it.
    late: Option<oneshot::Receiver<()>>,
}

impl OneAtATime {
    pub(super) async fn run<T: Send + 'static>(
        &mut self,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failed> {
        if self.late.as_mut().is_some_and(|late| late.try_recv() == Err(oneshot::error::TryRecvError::Empty)) {
            return Err(Failed::Busy);
        }
        let (open, closed) = oneshot::channel::<()>();
        self.late = Some(closed);
        let work = move || {
            let _open = open;
            work()
        };
        let result = timeout(limit, on_thread(work)).await.map_err(|_| Failed::Late)?;
        self.late = None;
        result.ok_or(Failed::Ended)
    }

    /// Until a work that was late ends; for ever if there is none.
    pub(super) async fn late_ends(&mut self) {
        match &mut self.late {
            Some(late) => {
                // nothing is sent: it is closed
                let _: Result<(), _> = late.await;
                self.late = None;
            }
            None => std::future::pending().await,
        }
    }
}

/// None if it panicked or no thread could be had.
pub(super) async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = oneshot::channel();
    let run = move || {
        // nobody waits any more when the agent ends
        let _: Result<(), _> = done.send(work());
    };
    match std::thread::Builder::new().name("sealtail-reload".into()).spawn(run) {
        Ok(_) => result.await.ok(),
        Err(error) => {
            tracing::error!(%error, "no thread to read policies on");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn what_is_late_is_given_up_and_nothing_is_begun_beside_it() {
        let mut one = OneAtATime::default();
        assert_eq!(one.run(LONG, || 1).await, Ok(1));
        let (end, ends) = mpsc::channel::<()>();
        assert_eq!(one.run(Duration::ZERO, move || ends.recv().is_ok()).await, Err(Failed::Late));
        assert_eq!(one.run(LONG, || 2).await, Err(Failed::Busy));
        end.send(()).unwrap();
        timeout(LONG, one.late_ends()).await.unwrap();
        assert_eq!(one.run(LONG, || 3).await, Ok(3));
        assert_eq!(one.run(LONG, || std::panic::resume_unwind(Box::new(()))).await, Err::<(), _>(Failed::Ended));
        assert_eq!(one.run(LONG, || 4).await, Ok(4));
    }
}
