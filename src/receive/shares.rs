//! Room that all hosts share, of which each takes a part at most: whoever wants more waits for its own, and keeps nobody else out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The room of all.
pub(super) struct Shares {
    all: Arc<Semaphore>,
    of_host: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Room that is taken; given back when dropped.
pub(super) struct Share {
    _host: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Shares {
    /// `all`, of which one host has no more than `of_host`.
    pub(super) fn new(all: usize, of_host: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(all)), of_host, hosts: Mutex::default() }
    }

    /// Waits until `host` has so much room, which is `of_host` at most.
    pub(super) async fn take(&self, host: &str, room: u32) -> Share {
        let of_host = {
            // a panic elsewhere leaves the map itself sound
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            // only hosts that have or want something now are kept
            hosts.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
            hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.of_host))).clone()
        };
        let never = "these semaphores are never closed";
        let host = of_host.acquire_many_owned(room).await.expect(never);
        Share { _host: host, _all: self.all.clone().acquire_many_owned(room).await.expect(never) }
    }
}
