//! What the agent says of its sources and alerts while it runs, and how often it took up policies: in its log on SIGUSR1, as
//! metrics, and to a service manager, which also hears whether the line's threads get on.

use crate::alert::{Counters, Counts};
use crate::service::Pulse;
use crate::source::{Doing, Progress};
use crate::tls::{self, Expiry};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use tokio::sync::watch;

/// One for each agent; whoever holds it can ask at any time.
#[derive(Debug, Default)]
pub struct Board {
    sources: Mutex<Vec<(String, Arc<Progress>)>>,
    alerts: Mutex<Vec<(String, Arc<Counters>)>>,
    certificates: Mutex<Vec<(String, tls::Config)>>,
    /// Policies that were read again: taken up, refused.
    reloads: [AtomicU64; 2],
    /// The threads of the line's path.
    threads: Mutex<Vec<(&'static str, Arc<Pulse>)>>,
    /// The sources are open, and the first genesis is durable.
    is_ready: watch::Sender<bool>,
}

impl Board {
    /// The sources of a stream that begins.
    pub(super) fn put(&self, sources: Vec<(String, Arc<Progress>)>) {
        *self.sources.lock().unwrap_or_else(PoisonError::into_inner) = sources;
    }

    /// The threads of a stream that begins.
    pub(super) fn put_threads(&self, threads: Vec<(&'static str, Arc<Pulse>)>) {
        *self.threads.lock().unwrap_or_else(PoisonError::into_inner) = threads;
    }

    /// Each thread of the line's path, from its batches to the disk, by its name.
    pub fn threads(&self) -> Vec<(&'static str, Arc<Pulse>)> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_ready(&self) {
        self.is_ready.send_replace(true);
    }

    /// Waits until the sources are open and the genesis of the first stream is durable.
    pub async fn ready(self: Arc<Self>) {
        let mut is_ready = self.is_ready.subscribe();
        // the sender is this board's
        let _: Result<_, _> = is_ready.wait_for(|is_ready| *is_ready).await;
    }

    /// The alert targets of an agent that runs.
    pub(super) fn put_alerts(&self, alerts: Vec<(String, Arc<Counters>)>) {
        *self.alerts.lock().unwrap_or_else(PoisonError::into_inner) = alerts;
    }

    /// What the targets of an agent that runs name as certificates.
    pub(super) fn put_certificates(&self, certificates: Vec<(String, tls::Config)>) {
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = certificates;
    }

    /// Each alert target by its name.
    pub fn alerts(&self) -> Vec<(String, Counts)> {
        let alerts = self.alerts.lock().unwrap_or_else(PoisonError::into_inner);
        alerts.iter().map(|(name, counters)| (name.clone(), counters.counts())).collect()
    }

    /// Counts policies that were read again.
    pub(super) fn reloaded(&self, is_good: bool) {
        self.reloads[usize::from(!is_good)].fetch_add(1, Ordering::Relaxed);
    }

    /// Each source by its name.
    pub fn sources(&self) -> Vec<(String, Doing)> {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.iter().map(|(name, progress)| (name.clone(), progress.doing())).collect()
    }

    /// Writes a line for each source and each alert target into the log.
    pub fn log(&self) {
        for (source, doing) in self.sources() {
            tracing::info!(
                source,
                files = doing.files,
                open = doing.open,
                behind_bytes = doing.behind_bytes,
                behind_entries = doing.behind_entries,
                unread_for_s = unread_for(&doing),
                "what the source is doing"
            );
        }
        for (alert, counts) in self.alerts() {
            tracing::info!(alert, ?counts, "what became of the alerts");
        }
    }

    /// One line for people: what the sources follow, and what of it is unread.
    pub fn status(&self) -> String {
        let doing: Vec<Doing> = self.sources().into_iter().map(|(_, doing)| doing).collect();
        let sum = |of: fn(&Doing) -> u64| doing.iter().map(of).sum::<u64>();
        format!(
            "{} sources, {} files; unread: {} bytes, {} journal entries, for {:.0} s",
            doing.len(),
            sum(|doing| doing.files),
            sum(|doing| doing.behind_bytes),
            sum(|doing| doing.behind_entries),
            doing.iter().map(unread_for).fold(0.0, f64::max)
        )
    }

    /// The metrics in Prometheus' text format, version 0.0.4.
    pub fn metrics(&self) -> String {
        type Gauge = (&'static str, &'static str, fn(&Doing) -> f64);
        let gauges: [Gauge; 5] = [
            ("sealtail_source_files", "Files that are followed.", |doing| doing.files as f64),
            ("sealtail_source_open_files", "Files that are open.", |doing| doing.open as f64),
            ("sealtail_source_behind_bytes", "Bytes of files that were not read yet.", |doing| {
                doing.behind_bytes as f64
            }),
            ("sealtail_source_behind_entries", "Journal entries that were not read yet.", |doing| {
                doing.behind_entries as f64
            }),
            ("sealtail_source_unread_seconds", "How long the oldest unread line waits.", unread_for),
        ];
        let (sources, mut text) = (self.sources(), String::new());
        for (name, help, value) in gauges {
            // writing to a String does not fail
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            for (source, doing) in &sources {
                // a source's name has no character that needs an escape
                let _ = writeln!(text, "{name}{{source=\"{source}\"}} {}", value(doing));
            }
        }
        self.alert_metrics(&mut text);
        self.certificate_metrics(&mut text);
        const RELOADS: &str = "sealtail_policy_reloads_total";
        let _ = writeln!(text, "# HELP {RELOADS} Policies that were read again.\n# TYPE {RELOADS} counter");
        for (result, count) in ["ok", "refused"].iter().zip(&self.reloads) {
            let _ = writeln!(text, "{RELOADS}{{result=\"{result}\"}} {}", count.load(Ordering::Relaxed));
        }
        text
    }

    /// Of the files as they are now.
    fn certificate_metrics(&self, text: &mut String) {
        let certificates = self.certificates.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let expiries =
            certificates.iter().flat_map(|(target, tls)| tls.expiries().into_iter().map(move |e| (target, e)));
        let (lists, certificates): (Vec<(_, Expiry)>, Vec<_>) = expiries.partition(|(_, expiry)| expiry.is_crl);
        for (name, help, expiries) in [
            ("sealtail_tls_certificate_expiry_timestamp_seconds", "Until when a certificate is valid.", certificates),
            ("sealtail_tls_crl_next_update_timestamp_seconds", "When a revocation list is overdue.", lists),
        ] {
            if !expiries.is_empty() {
                let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            }
            for (target, Expiry { file, until_unix_s, .. }) in expiries {
                let file = escaped(&file.display().to_string());
                let _ = writeln!(text, "{name}{{target=\"{target}\",file=\"{file}\"}} {until_unix_s}");
            }
        }
    }

    fn alert_metrics(&self, text: &mut String) {
        type Counter = (&'static str, &'static str, fn(&Counts) -> u64);
        let counters: [Counter; 6] = [
            ("seen", "Verdicts that the alert target is to be told of.", |counts| counts.seen),
            ("raised", "Notifications, each with an alert line in the chain.", |counts| counts.raised),
            ("grouped", "Verdicts told of together with others, beyond one a notification.", |counts| counts.grouped),
            ("delivered", "Notifications that the alert target took.", |counts| counts.delivered),
            ("retried", "Attempts after the first.", |counts| counts.retried),
            ("failed", "Notifications that were given up.", |counts| counts.failed),
        ];
        let alerts = self.alerts();
        for (name, help, value) in counters.into_iter().filter(|_| !alerts.is_empty()) {
            let name = format!("sealtail_alerts_{name}_total");
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for (alert, counts) in &alerts {
                let _ = writeln!(text, "{name}{{alert=\"{alert}\"}} {}", value(counts));
            }
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn unread_for(doing: &Doing) -> f64 {
    let since = doing.unread_since.and_then(|since| SystemTime::now().duration_since(since).ok());
    since.map_or(0.0, |since| since.as_secs_f64())
}
