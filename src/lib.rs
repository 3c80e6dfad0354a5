//! sealtail: the log shipper that auditors can check.
//!
//! # The way of a line
//! ```text
//!  file / stdin                 source     bytes + cursor              -> Batch of lines
//!         |
//!    Rego verdicts              policy     each line                   -> Verdicts   (a failing policy gives `undecided`, never loses the line)
//!         |
//!    HMAC chain                 chain      (line, Verdicts)            -> final bytes (nothing later encodes them again)
//!         |
//!    disk spool <- COMMIT POINT spool      lines                       -> segment    (one zstd frame; a group commit is a flush and an fdatasync)
//!         |
//!    forwarders, one a target   forward    Batch of segments           -> Receipt    (mTLS, idempotent, retried for ever)
//!         |
//!    append-only store          receive    checks, makes durable, signs
//!         |
//!    verify, cat                verify     lines + receipts            -> Findings
//! ```
//! Beside it, once a line is durable: its verdicts -> [`alert`] -> a webhook, an Alertmanager, a command.
//! Whoever asks what it is doing (a scraper, a probe, `status`, `top`) gets one document, [`telemetry::status`], from counters that the stages' threads keep by the batch.
//! What is in force of the policies may change between two lines: [`agent`] reads them again beside the line's path and hands the label
//! thread a whole set.
//!
//! [`agent`] puts the first five together: a thread for each source, one for the policies, one that chains (the scribe), one for
//! `fdatasync`, and tokio for the network. Channels between them are short; a full one stops the stage before it.
//!
//! # Nouns
//! | word | meaning |
//! | --- | --- |
//! | verdict | what a policy says of a line |
//! | tag | the truncated HMAC of a line |
//! | cursor | how far a source has been read |
//! | checkpoint | a signed tree head over all lines of a stream so far; the last line of a segment |
//! | sealed | encrypted to the auditors, so that this host can't open it again |
//! | stream | one process lifetime's chain, or a day of it, from its genesis line to its close line |
//! | segment | a run of a stream's lines: one key step, one zstd frame, one checkpoint |
//! | batch | what a target is sent: whole consecutive segments of one stream |
//! | receipt | a target's signed word that a batch is durable |
//!
//! # Where the state is
//! The lines themselves are the state. Cursors stand in the headers of lines, so that no second store can disagree with what was chained;
//! recovery reads them back from the spool with the code that applies them live (`spool::Cursors`). The ledger holds what lines can't: how far
//! each target got, and a snapshot so that sent files can be deleted.
//!
//! # Import law
//! One way, no circles; `tests/house.rs` checks it. Everyone may use `record`, `durable` and `modes`; what runs on shows by `service` that it does. `spool`, `forward`, `receive` and `verify` read lines through
//! `chain`; `forward` takes from `spool`; those that call servers (`alert`, `forward`, `policy`) and the one that is called (`receive`) do TLS through `tls`; `forward` writes to S3 and the command line reads from there through `s3`; beyond that the stages don't know each other. `erase` writes archives anew and reads them as `verify` and `spool` do. `config` uses the stages' own Config types, `agent` puts stages together, `cli` calls them all.
//!
//! # Where this differs from the first design
//! - A spool file holds many segments (frames), not one: at full speed a file a segment would be a hundred folder syncs a second.
//! - A batch never crosses a spool file, so that its bytes are one range of one file, which the ledger can freeze.
//! - Spool files get shorter as the disk fills, since what is sent is given back by the file.
//! - Lines that belong together (multiline, records of one audit event) are put together by the source, which leaves them unread
//!   until the last is there: a restart needs no state of it. What is put together for the policies alone (parts of long lines, partial
//!   lines of containers) is the label thread's, and what is chained stays as the source has it,
//!   but for what they hide. Where they may, lines are held back until all that belongs to them came: `agent::label::hold`.
//! - A spool is checked by the code of an agent's start, on a disk that takes no changes (`spool::survey`): what the check tells is what the start
//!   would do. Repair is that start, and what it can't do: a ledger that is lost, streams that the ledger doesn't name.
//! - Header times (`mono`) count from the genesis, not from boot, so that every JSON reader can hold them exactly.

pub mod agent;
pub mod alert;
pub mod chain;
pub mod cli;
pub mod config;
pub mod durable;
pub mod erase;
pub mod forward;
pub mod hardening;
pub mod modes;
pub mod policy;
pub mod receive;
pub mod record;
mod s3;
pub mod service;
pub mod source;
pub mod spool;
pub mod telemetry;
pub mod tls;
pub mod verify;
