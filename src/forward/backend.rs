//! What a target's kind has to do, and what it may rely on.

use crate::chain::header::Hash;
use crate::chain::receipt::Receipt;
use crate::spool::Frozen;
use bytes::Bytes;
use std::pin::Pin;
use std::time::Duration;

/// A batch on its way to a target: the same bytes under the same name at each attempt, also after a restart.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Whose lines.
    pub host: String,
    /// Which of them.
    pub batch: Frozen,
    /// Concatenated zstd frames, one a segment.
    pub bytes: Bytes,
    /// SHA-256 of the bytes.
    pub digest: Hash,
}

impl Upload {
    /// `<host>/<stream>/<first seq, 20 digits>.ndjson.zst`: the name of the batch as a file, an object, a message.
    pub fn name(&self) -> String {
        format!("{}/{}/{:020}.ndjson.zst", self.host, self.batch.stream, self.batch.seq[0])
    }
}

/// What came of an attempt.
#[derive(Debug)]
pub enum Outcome {
    /// It is durable there, and nothing that this host may do takes it away again. With a receipt, if the target signs one.
    Stored(Option<Box<Receipt>>),
    /// Perhaps later: the attempt is made again, for ever.
    Later {
        /// What is in the way, and how to mend it.
        why: String,
        /// When the target said to come again.
        after: Option<Duration>,
    },
    /// Never: the bytes go to quarantine, an alarm is raised and a new stream begins.
    Refused {
        /// The target holds other bytes under this name: somebody forged either.
        is_fork: bool,
        /// In the target's words.
        why: String,
    },
}

/// What a method of a backend returns while it works.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A kind of target. One value serves one target, which is sent one batch after the other, in the order of their lines; no
/// batch is sent before the one before it was stored or refused.
///
/// A backend's duties:
/// - **Idempotence.** A batch that was stored already is `Stored` again, without a second copy: the answer to an earlier
///   attempt may have been lost, or this process killed before it could take note of it.
/// - **Fork.** Other bytes under the batch's name are never replaced nor put beside it: that is `Refused` with `is_fork`.
/// - **Durability.** `Stored` is said once the target vouches for the bytes (after its fsync, its quorum, its replication, as
///   the kind documents), since the spool may delete them then.
/// - **Order.** When a batch is `Stored`, so is every batch before it.
/// - **Later, or never.** Everything that may pass (network, certificates, quotas, a full or broken server, throttling, an
///   answer that makes no sense) is `Later`; `Refused` needs the target's own word that these bytes are not acceptable.
/// - **Bounds.** An attempt ends by itself, after a time that depends on the bytes. Answers are read up to a limit.
/// - **Silence.** No secret is in what it says.
///
/// What it may rely on: bytes and name of a batch never change, a batch begins and ends with a segment, and batches of a
/// stream follow one another without a gap; a new stream begins at 0.
pub trait Backend: Send {
    /// Makes one attempt.
    fn store<'a>(&'a mut self, upload: &'a Upload) -> Pending<'a, Outcome>;

    /// Whether the target answers and would take this host's lines; stores nothing. Says what to mend.
    fn probe(&mut self) -> Pending<'_, Result<(), String>>;

    /// Takes up files of the configuration (certificates, keys) that changed since. Called before each attempt; what can't be
    /// used leaves the old in use, loudly.
    fn reload(&mut self) {}
}
