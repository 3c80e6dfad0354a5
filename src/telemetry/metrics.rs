//! A [`Status`] as metrics. docs/metrics.md lists them; a test compares the two.

use super::health;
use super::status::{Alert, Source, Status, Target};
use super::text::Kind::{Counter, Gauge};
use super::text::Text;
use crate::record::Severity;

/// The page that a scrape gets.
pub fn render(status: &Status) -> String {
    let mut text = Text::default();
    agent(&mut text, status);
    sources(&mut text, &status.sources);
    policy(&mut text, status);
    spool(&mut text, status);
    targets(&mut text, &status.targets);
    alerts(&mut text, &status.alerts);
    certificates(&mut text, status);
    hardening(&mut text, status.guards.iter().map(|guard| (guard.name.as_str(), guard.is_in_force)));
    process(&mut text, status);
    text.finish()
}

/// The same of a process that has no status.
pub fn guards(guards: &[(&str, bool)]) -> String {
    let mut text = Text::default();
    hardening(&mut text, guards.iter().copied());
    text.finish()
}

fn hardening<'a>(text: &mut Text, guards: impl Iterator<Item = (&'a str, bool)>) {
    let mut metric = text.metric("sealtail_hardening", Gauge, "Whether the guard is in force: 1 is.");
    guards.for_each(|(name, is_in_force)| metric.sample(&[("guard", name)], u8::from(is_in_force)));
}

fn agent(text: &mut Text, status: &Status) {
    let mut info = text.metric("sealtail_build_info", Gauge, "The program; always 1.");
    info.sample(&[("version", &status.program)], 1);
    let healthy = u8::from(health::alive(status).ok);
    text.metric("sealtail_healthy", Gauge, "What /healthz says: 1 is well.").sample(&[], healthy);
    let ready = u8::from(health::ready(status).ok);
    text.metric("sealtail_ready", Gauge, "What /readyz says: 1 is ready.").sample(&[], ready);
    let chain = &status.chain;
    let lines = "Lines in sealed segments, the chain's own included.";
    text.metric("sealtail_chain_lines_total", Counter, lines).sample(&[], chain.lines);
    text.metric("sealtail_chain_segments_total", Counter, "Segments that were sealed.").sample(&[], chain.segments);
    text.metric("sealtail_chain_streams_total", Counter, "Streams that were begun.").sample(&[], chain.streams);
    let since = "Since when the present stream is written.";
    text.metric("sealtail_chain_stream_start_timestamp_seconds", Gauge, since).sample(&[], chain.stream_since_unix_s);
    let other = "Other configurations that were read.";
    let mut reloads = text.metric("sealtail_config_reloads_total", Counter, other);
    reloads.sample(&[("result", "ok")], status.configuration.taken_up);
    reloads.sample(&[("result", "refused")], status.configuration.refused);
}

fn sources(text: &mut Text, sources: &[Source]) {
    type Of = (&'static str, super::text::Kind, &'static str, fn(&Source) -> f64);
    let all: [Of; 8] = [
        ("sealtail_lines_total", Counter, "Log lines that were chained.", |source| source.lines as f64),
        ("sealtail_bytes_total", Counter, "Bytes of log lines that were chained.", |source| source.bytes as f64),
        ("sealtail_source_up", Gauge, "Whether the source is read: 1 is well.", |source| {
            f64::from(u8::from(source.is_open && source.failed.is_none()))
        }),
        ("sealtail_source_files", Gauge, "Files that are followed.", |source| source.files as f64),
        ("sealtail_source_open_files", Gauge, "Files that are open.", |source| source.open_files as f64),
        ("sealtail_source_behind_bytes", Gauge, "Bytes of files that were not read yet.", |source| {
            source.behind_bytes as f64
        }),
        ("sealtail_source_behind_entries", Gauge, "Journal entries that were not read yet.", |source| {
            source.behind_entries as f64
        }),
        ("sealtail_source_unread_seconds", Gauge, "How long the oldest unread line waits.", |source| source.unread_s),
    ];
    for (name, kind, help, value) in all {
        let mut metric = text.metric(name, kind, help);
        sources.iter().for_each(|source| metric.sample(&[("source", &source.name)], value(source)));
    }
}

fn policy(text: &mut Text, status: &Status) {
    let mut verdicts = text.metric("sealtail_verdicts_total", Counter, "Verdicts on chained lines.");
    for of in &status.verdicts {
        let severity = of.severity.map_or("none", Severity::name);
        let labels = [("rule", of.rule.as_str()), ("decision", of.decision.name()), ("severity", severity)];
        verdicts.sample(&labels, of.count);
    }
    let undecided = "Chained lines of which some policy could not decide.";
    text.metric("sealtail_undecided_lines_total", Counter, undecided).sample(&[], status.undecided_lines);
    let seconds = "How long lines were looked at by policies.";
    text.metric("sealtail_policy_seconds_total", Counter, seconds).sample(&[], status.policy.seconds);
    let mut info = text.metric("sealtail_policy_info", Gauge, "The policies in force; always 1.");
    info.sample(&[("digest", &status.policy.digest)], 1);
    let mut reloads = text.metric("sealtail_policy_reloads_total", Counter, "Policies that were read again.");
    reloads.sample(&[("result", "ok")], status.policy.reloads);
    reloads.sample(&[("result", "refused")], status.policy.refused_reloads);
}

fn spool(text: &mut Text, status: &Status) {
    let spool = &status.spool;
    text.metric("sealtail_spool_bytes", Gauge, "Bytes of lines that the spool holds.").sample(&[], spool.bytes);
    text.metric("sealtail_spool_max_bytes", Gauge, "Bytes that it may hold.").sample(&[], spool.max_bytes);
    text.metric("sealtail_spool_free_bytes", Gauge, "What its disk has left.").sample(&[], spool.free_bytes);
    let oldest = "How long the oldest segment waits for a required target.";
    text.metric("sealtail_spool_oldest_seconds", Gauge, oldest).sample(&[], spool.oldest_s);
    let full = "Whether reading stops for want of room: 1 is full.";
    text.metric("sealtail_spool_full", Gauge, full).sample(&[], u8::from(spool.is_full));
}

fn targets(text: &mut Text, targets: &[Target]) {
    type Of = (&'static str, super::text::Kind, &'static str, fn(&Target) -> f64);
    let all: [Of; 8] = [
        ("sealtail_target_behind_bytes", Gauge, "Bytes of spooled segments that the target does not have.", |target| {
            target.behind_bytes as f64
        }),
        ("sealtail_target_behind_seconds", Gauge, "How long the oldest of them waits.", |target| target.behind_s),
        ("sealtail_target_batches_total", Counter, "Batches that the target stored.", |target| target.batches as f64),
        ("sealtail_target_bytes_total", Counter, "Their bytes, compressed.", |target| target.bytes as f64),
        ("sealtail_target_receipts_total", Counter, "Receipts that the target signed.", |target| {
            target.receipts as f64
        }),
        ("sealtail_target_retries_total", Counter, "Attempts after the first.", |target| target.retries as f64),
        ("sealtail_target_refusals_total", Counter, "Batches that the target refused for good.", |target| {
            target.refusals as f64
        }),
        ("sealtail_target_failures", Gauge, "Attempts that failed since the last that did not.", |target| {
            target.failures as f64
        }),
    ];
    for (name, kind, help, value) in all {
        let mut metric = text.metric(name, kind, help);
        targets.iter().for_each(|target| metric.sample(&[("target", &target.name)], value(target)));
    }
    let help = "When the target last stored a batch.";
    let mut metric = text.metric("sealtail_target_last_stored_timestamp_seconds", Gauge, help);
    for target in targets {
        target.last_stored_unix_s.iter().for_each(|at| metric.sample(&[("target", &target.name)], at));
    }
}

fn alerts(text: &mut Text, alerts: &[Alert]) {
    type Of = (&'static str, &'static str, fn(&Alert) -> u64);
    let all: [Of; 6] = [
        ("sealtail_alerts_seen_total", "Verdicts that the alert target is to be told of.", |alert| alert.seen),
        ("sealtail_alerts_raised_total", "Notifications, each with an alert line in the chain.", |alert| alert.raised),
        (
            "sealtail_alerts_grouped_total",
            "Verdicts told of together with others, beyond one a notification.",
            |alert| alert.grouped,
        ),
        ("sealtail_alerts_delivered_total", "Notifications that the alert target took.", |alert| alert.delivered),
        ("sealtail_alerts_retried_total", "Attempts after the first.", |alert| alert.retried),
        ("sealtail_alerts_failed_total", "Notifications that were given up.", |alert| alert.failed),
    ];
    for (name, help, value) in all {
        let mut metric = text.metric(name, Counter, help);
        alerts.iter().for_each(|alert| metric.sample(&[("alert", &alert.name)], value(alert)));
    }
}

fn certificates(text: &mut Text, status: &Status) {
    for (name, help, lists) in [
        ("sealtail_tls_certificate_expiry_timestamp_seconds", "Until when a certificate is valid.", false),
        ("sealtail_tls_crl_next_update_timestamp_seconds", "When a revocation list is overdue.", true),
    ] {
        let mut metric = text.metric(name, Gauge, help);
        for of in status.certificates.iter().filter(|of| of.is_crl == lists) {
            metric.sample(&[("target", &of.target), ("file", &of.file)], of.until_unix_s);
        }
    }
}

/// By the names that Prometheus' own clients give them.
fn process(text: &mut Text, status: &Status) {
    let process = &status.process;
    let started = status.started_unix_s;
    text.metric("process_start_time_seconds", Gauge, "Since when the agent runs.").sample(&[], started);
    text.metric("process_cpu_seconds_total", Counter, "CPU time of all its threads.").sample(&[], process.cpu_s);
    let resident = "Memory that is resident.";
    text.metric("process_resident_memory_bytes", Gauge, resident).sample(&[], process.resident_bytes);
    let most = "Memory that should be resident at most: [resources] memory, or less in a control group.";
    text.metric("sealtail_memory_max_bytes", Gauge, most).sample(&[], process.max_resident_bytes);
    let slowed = "Batches of lines that were read slowly, since more memory was resident.";
    text.metric("sealtail_memory_slowed_batches_total", Counter, slowed).sample(&[], process.slowed_batches);
    text.metric("process_open_fds", Gauge, "File descriptors that are open.").sample(&[], process.open_fds);
    text.metric("process_max_fds", Gauge, "File descriptors that it may open.").sample(&[], process.max_fds);
}
