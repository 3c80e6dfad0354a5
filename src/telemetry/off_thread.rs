//! Asks for a status off the network's threads: a disk that hangs may hold it up, and must hold up nothing else.

use super::status::Status;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Askers at one time; those that a disk holds up count.
const ASKERS_MAX: usize = 8;
/// So long one waits for an answer.
const LIMIT: Duration = Duration::from_secs(5);

/// What gives a status.
#[derive(Clone)]
pub(super) struct Source {
    status: Arc<dyn Fn() -> Status + Send + Sync>,
    askers: Arc<Semaphore>,
}

impl Source {
    pub(super) fn new(status: impl Fn() -> Status + Send + Sync + 'static) -> Self {
        Self { status: Arc::new(status), askers: Arc::new(Semaphore::new(ASKERS_MAX)) }
    }

    /// The status; `None` if it did not come in time.
    pub(super) async fn ask(&self) -> Option<Status> {
        let (status, askers) = (Arc::clone(&self.status), Arc::clone(&self.askers));
        let answer = async move {
            let permit = askers.acquire_owned().await.ok()?;
            let ask = move || {
                let _permit = permit;
                status()
            };
            tokio::task::spawn_blocking(ask).await.ok()
        };
        tokio::time::timeout(LIMIT, answer).await.ok()?
    }
}
