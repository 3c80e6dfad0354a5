//! Alerts: who is told of a verdict, how soon, how often, and what the archive has of it.

mod commands;
mod groups;
mod hook;
mod managers;
mod retries;
mod webhooks;

use crate::world::World;
use serde_json::Value;
use std::fs;

/// The host's name in tests is the machine's.
const POLICY: &str = r#"
# METADATA
# title: A door was forced
# custom:
#   controls: [PCI-DSS-9.1]
package sealtail.doors

verdicts contains {"id": "door-forced", "decision": "deny", "severity": "high", "reason": "the lock is broken"} if {
	contains(input.message, "FORCED")
}

verdicts contains {"id": sprintf("door-%s", [n]), "decision": "flag", "severity": "low"} if {
	contains(input.message, "OPENED")
	n := split(input.message, " ")[1]
}
"#;

/// A world whose only policy is [`POLICY`], with these alert targets.
fn world(alerts: &str) -> World {
    let world = World::new();
    fs::remove_dir_all(world.path("q/policies")).unwrap();
    fs::create_dir(world.path("q/policies")).unwrap();
    fs::write(world.path("q/policies/doors.rego"), POLICY).unwrap();
    world.configure(|config| format!("{config}\n\n{alerts}"));
    world
}

/// The archive's `alert` lines.
fn alert_lines(archive: &[Value]) -> Vec<&Value> {
    archive.iter().filter(|line| line["h"]["type"] == "alert").collect()
}

/// The line of this stream and seq.
fn line<'a>(archive: &'a [Value], stream: &Value, seq: &Value) -> &'a Value {
    let mut present = &Value::Null;
    let mut lines = archive.iter().filter(|line| {
        if line["h"]["type"] == "genesis" {
            present = &line["h"]["stream"];
        }
        present == stream && line["h"]["seq"] == *seq
    });
    lines.next().unwrap_or_else(|| panic!("no line {seq} of {stream}"))
}
