//! Reading files again while a command runs on.

use std::sync::Arc;
use tokio::sync::Notify;

/// Asks a running command to read its files again, and hears when it has.
#[derive(Clone, Debug, Default)]
pub struct Reload {
    asked: Arc<Notify>,
    done: Arc<Notify>,
}

impl Reload {
    /// Asks, and waits until it is done, with success or not. For one asker.
    pub async fn ask(&self) {
        self.asked.notify_one();
        self.done.notified().await;
    }

    /// Waits to be asked.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Answers.
    pub(crate) fn done(&self) {
        self.done.notify_one();
    }
}
