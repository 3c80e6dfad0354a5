//! `/metrics`, `/healthz` and `/readyz`; the page that lists them; what Prometheus' own tool says of them.

use super::{at_rest, lines};
use crate::tells::{get, metrics};
use crate::world::await_that;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn in_repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Name, type, labels and help of each metric that docs/metrics.md lists.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>, String)> {
    let page = fs::read_to_string(in_repo("docs/metrics.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")).filter(|row| row.contains("` | "));
    let cells = rows.map(|row| row.trim_end_matches(" |").split('|').map(str::trim).collect::<Vec<_>>());
    let metrics = cells.filter(|cells| ["counter", "gauge"].contains(&cells[1]));
    let read = |cells: Vec<&str>| {
        let labels = cells[2].split(", ").filter(|label| !label.is_empty()).map(str::to_owned).collect();
        (cells[0].trim_end_matches('`').to_owned(), (cells[1].to_owned(), labels, cells[3].to_owned()))
    };
    metrics.map(read).collect()
}

/// What a scrape says, in the same form; labels only of metrics that have samples.
fn scraped(page: &str) -> BTreeMap<String, (String, Option<BTreeSet<String>>, String)> {
    let mut found = BTreeMap::new();
    for line in page.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            let new = (String::new(), None, help.to_owned());
            assert!(found.insert(name.to_owned(), new).is_none(), "{name} stands twice");
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            found.get_mut(name).unwrap().0 = kind.to_owned();
        } else if let Some((sample, value)) = line.rsplit_once(' ') {
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let (name, labels) = sample.trim_end_matches('}').split_once('{').unwrap_or((sample, ""));
            let labels = labels.split("\",").filter_map(|pair| pair.split_once('=')).map(|(name, _)| name.to_owned());
            found.get_mut(name).unwrap().1 = Some(labels.collect());
        }
    }
    found
}

/// Prometheus' own tool; none if it is not there, as CI must have it.
fn promtool(args: &[&str], folder: &Path, input: &str) -> Option<Output> {
    let program = std::env::var_os("SEALTAIL_PROMTOOL").unwrap_or_else(|| "promtool".into());
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        assert!(std::env::var_os("CI").is_none(), "CI must have promtool");
        eprintln!("SKIPPED: promtool is not there; tests/run fetches it");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}

fn assert_clean(output: Option<Output>) {
    let Some(output) = output else { return };
    let said = crate::world::text(&output);
    assert!(output.status.success(), "{said}");
}

#[test]
fn metrics_are_those_of_the_page_and_count_what_is_chained() {
    let (world, port) = at_rest();
    let answer = metrics(port).unwrap();
    let page = answer.split_once("\r\n\r\n").unwrap().1;
    assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
    let (documented, scraped) = (documented(), scraped(page));
    assert!(documented.len() > 40);
    assert_eq!(documented.keys().collect::<Vec<_>>(), scraped.keys().collect::<Vec<_>>());
    for (name, (kind, labels, help)) in &documented {
        let (told_kind, told_labels, told_help) = &scraped[name];
        assert_eq!((kind, help), (told_kind, told_help), "{name}");
        assert!(told_labels.as_ref().is_none_or(|told| told == labels), "{name}: {told_labels:?}");
    }
    assert_clean(promtool(&["check", "metrics"], Path::new("/"), page));
    // counted as they are chained
    let archive = world.archive();
    let value = |sample: &str| -> f64 {
        let line = page.lines().find(|line| line.starts_with(sample)).unwrap_or_else(|| panic!("{sample}: {page}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    let (text, count) = lines();
    assert_eq!(value("sealtail_lines_total{source=\"logs\"}"), count as f64);
    assert_eq!(value("sealtail_bytes_total{source=\"logs\"}"), (text.len() - count) as f64);
    let failed = archive.iter().filter_map(|line| line["h"]["verdicts"].as_array()).flatten();
    let failed = failed.filter(|verdict| verdict["id"] == "ssh-login-failed").count();
    let counted = page.lines().filter(|line| line.contains("rule=\"ssh-login-failed\""));
    let counted: f64 = counted.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum();
    assert_eq!((counted, failed > 0), (failed as f64, true));
    assert!(value("sealtail_policy_seconds_total") > 0.0);
    assert!(value("sealtail_target_batches_total{target=\"archive\"}") >= 1.0);
    assert_eq!(value("sealtail_target_behind_bytes{target=\"archive\"}"), 0.0);
    assert!(value("process_resident_memory_bytes") > 1e6);
}

#[test]
fn probes_answer_part_by_part() {
    let (mut world, port) = at_rest();
    let probe = |path: &str| -> Option<(bool, Value)> {
        let answer = get(port, path)?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Some((head.starts_with("HTTP/1.1 200"), serde_json::from_str(body).unwrap()))
    };
    for (path, parts) in [("/healthz", &["line", "spool"][..]), ("/readyz", &["genesis", "sources", "room"])] {
        let (ok, body) = probe(path).unwrap();
        assert!(ok && body["ok"] == true, "{body}");
        let told: Vec<_> =
            body["parts"].as_array().unwrap().iter().map(|part| part["part"].as_str().unwrap()).collect();
        assert_eq!(told, parts);
    }
    // a stop takes it out of service at once, while it still sends what it has
    world.kill_receiver();
    world.append("one more\n");
    world.signal_agent(rustix::process::Signal::TERM);
    await_that("it is not ready", || probe("/readyz").is_some_and(|(ok, body)| !ok && body["parts"][0]["ok"] == false));
    assert_eq!(world.await_agent_end(), Some(0));
}

#[test]
fn rules_and_dashboard_are_sound_and_name_only_metrics_that_there_are() {
    let folder = in_repo("packaging/grafana");
    assert_clean(promtool(&["check", "rules", "alerts.yml"], &folder, ""));
    assert_clean(promtool(&["test", "rules", "alerts_test.yml"], &folder, ""));
    let documented = documented();
    let dashboard = fs::read_to_string(folder.join("dashboard.json")).unwrap();
    let parsed: Value = serde_json::from_str(&dashboard).unwrap();
    let ids: Vec<_> = parsed["panels"].as_array().unwrap().iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "panels share an id");
    let rules = fs::read_to_string(folder.join("alerts.yml")).unwrap();
    let pattern = regex::Regex::new(r"\b(sealtail|process)_[a-z_]+\b").unwrap();
    let named: BTreeSet<&str> =
        [&dashboard, &rules].iter().flat_map(|text| pattern.find_iter(text)).map(|m| m.as_str()).collect();
    assert!(named.len() > 20, "{named:?}");
    for name in named {
        assert!(documented.contains_key(name), "{name} is no metric");
    }
}
