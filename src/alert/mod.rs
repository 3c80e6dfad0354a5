//! Alerts: people and programs that are to know of a verdict at once, before and apart from the batches.
//!
//! ```text
//!  scribe  --verdicts of chained lines-->  Raiser    groups and limits: what is raised gets an `alert` line
//!     |                                      |
//!  spool   --durable up to here---------->  agent    holds each back until its lines are durable
//!                                            |
//!                                          Target    journal, attempts, retries  -->  webhook | Alertmanager | command
//! ```
//! | file | what it does |
//! | --- | --- |
//! | `raise` | which verdicts a target is told of, which lines are told of together, and when |
//! | `bucket` | how many notifications a minute |
//! | `deliver` | one task a target: attempts, retries, and when to give up |
//! | `journal` | what is not delivered yet, on disk |
//! | `http` | the client of the two kinds that speak HTTP |
//! | `webhook`, `alertmanager`, `command` | what a target of that kind is sent |
//! | `counters` | what became of alerts, for metrics |
//!
//! # Nothing is lost silently
//! What a target can't be told yet is counted, not queued: each verdict id of each source has a group, and a group is a number and its first
//! line. A group that finds no room (too many ids, a dead target, the limit of notifications) waits, its number grows, and
//! the next notification says it. So memory is bounded whatever the lines do, and the numbers add up to the lines.
//!
//! What may be lost: the numbers of groups that wait when the process is killed (the lines and their verdicts are in the
//! chain, without an `alert` line after them), and a notification whose `alert` line became durable some milliseconds
//! before the kill, before the journal had it (the `alert` line is in the chain).
//!
//! # Evidence first
//! A notification names its `alert` line, and leaves only when that line and those that it tells of are durable. All that it
//! says of a line is read from the line's chained bytes: what is not in the chain is in no alert.

mod alertmanager;
mod bucket;
mod command;
mod counters;
mod deliver;
mod http;
mod journal;
mod raise;
mod webhook;

pub use command::is_placeholder;
pub use counters::{Counters, Counts};
pub use deliver::{Deliverer, QUEUE, Queued, Target, check};
pub use journal::forgotten;
pub use raise::{MOST_AT_ONCE, Raised, Raiser, Sighting};

use crate::record::{Decision, Secret, Seq, Severity, StreamId};
use crate::tls;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The version of [`Alert`]'s JSON.
pub const VERSION: u32 = 1;
/// Bound of an alert's excerpt of the message, in bytes.
pub const MESSAGE_MAX: usize = 1024;

/// An `[[alert]]` of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Names it in the chain, in notifications and in metrics.
    pub name: String,
    /// How it is told.
    pub kind: Kind,
    /// Verdicts at least this bad; those without a severity are not.
    pub min_severity: Option<Severity>,
    /// Verdicts with this decision.
    pub decision: Option<Decision>,
    /// After a verdict was told of, others of the same id and source are told of together each time this has passed.
    pub group_interval: Duration,
    /// Notifications a minute, and at once.
    pub max_per_minute: u64,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long a notification is tried.
    pub give_up_after: Duration,
}

/// How a target is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A `POST` of the alert.
    Webhook {
        /// Where to.
        url: String,
        /// Signs the body.
        secret: Secret,
        /// Certificates, for https. Unlike those of targets that store lines they are optional, since who is called at night is often
        /// somebody else's service.
        tls: tls::Config,
    },
    /// Prometheus' Alertmanager, by the second version of its API.
    Alertmanager {
        /// Its address, before `/api/v2/alerts`.
        url: String,
        /// Certificates, for https. Unlike those of targets that store lines they are optional, since who is called at night is often
        /// somebody else's service.
        tls: tls::Config,
    },
    /// A program of this machine.
    Command {
        /// Its absolute path and its arguments.
        argv: Vec<String>,
    },
}

impl Kind {
    /// The certificates of one that speaks HTTP.
    pub(crate) fn tls(&self) -> Option<&tls::Config> {
        match self {
            Kind::Webhook { tls, .. } | Kind::Alertmanager { tls, .. } => Some(tls),
            Kind::Command { .. } => None,
        }
    }
}

/// What a target is told: the body of a webhook, and what a command reads. docs/targets.md specifies it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// [`VERSION`]; keys may be added to a version, and none taken away.
    pub version: u32,
    /// `<stream>/<record>`: names this notification, the same in each attempt.
    pub notification: String,
    /// The alert target's name.
    pub alert: String,
    /// The verdict's id.
    pub id: String,
    /// What was decided.
    pub decision: Decision,
    /// How bad it is, if the verdict says.
    pub severity: Option<Severity>,
    /// Ids of controls.
    pub controls: Vec<String>,
    /// Why, in the rule's words.
    pub reason: Option<String>,
    /// The rule's title, from its METADATA.
    pub title: Option<String>,
    /// Whose line it is.
    pub host: String,
    /// The line's stream.
    pub stream: StreamId,
    /// The line: the first of those that are told of.
    pub seq: Seq,
    /// When it was chained.
    pub time: String,
    /// The configured name of its source.
    pub source: String,
    /// The source's path, if it has one.
    pub path: Option<String>,
    /// The beginning of its message, as it is chained; what is not UTF-8 is shown as U+FFFD.
    pub message: String,
    /// Whether the message goes on.
    pub message_cut: bool,
    /// How many verdicts this tells of.
    pub count: u64,
    /// The first line that it tells of.
    pub first_seq: Seq,
    /// The last one.
    pub last_seq: Seq,
    /// Whether others of them have another verdict or source: there were too many to tell them apart.
    pub mixed: bool,
    /// The `alert` line that records it.
    pub record: Seq,
}
