//! What is said of an agent whose configuration changes while it runs.

use super::{at_rest_in, status};
use crate::tells::get;
use crate::world::{World, await_that};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;

fn names(status: &Value, table: &str) -> Vec<String> {
    status[table].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

fn of<'s>(status: &'s Value, table: &str, name: &str, key: &str) -> &'s Value {
    let all = status[table].as_array().unwrap();
    &all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {status:#}"))[key]
}

/// The status once this holds of it.
fn await_status(world: &World, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let mut found = None;
    await_that(what, || {
        found = status(world).filter(|status| holds(status));
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn what_came_is_shown_what_went_is_not_and_the_rest_counts_on() {
    let world = World::new();
    fs::create_dir(world.path("folder")).unwrap();
    world.will_write("folder");
    let (mut world, port) = at_rest_in(world);
    let before = fs::read_to_string(world.config()).unwrap();
    let (source, target) = {
        let status = status(&world).unwrap();
        (names(&status, "sources").remove(0), names(&status, "targets").remove(0))
    };
    let counted = |status: &Value| {
        let lines = of(status, "sources", &source, "lines").as_u64().unwrap();
        (lines, of(status, "targets", &target, "batches").as_u64().unwrap())
    };
    let first = counted(&status(&world).unwrap());
    fs::write(world.path("logs/more.txt"), "a line of another source\n").unwrap();
    let more =
        format!("[[source]]\ntype = \"file\"\nname = \"more\"\ninclude = [\"{}\"]\n\n", world.text_path("logs/*.txt"));
    let folder = format!("[[target]]\nname = \"folder\"\ntype = \"file\"\ndir = \"{}\"\n\n", world.text_path("folder"));
    world.configure(|config| {
        config
            .replace("[policy]\n", &format!("{more}[policy]\n"))
            .replace("[telemetry]\n", &format!("{folder}[telemetry]\n"))
    });
    world.signal_agent(Signal::HUP);
    let grown = await_status(&world, "what came is at work", |status| {
        names(status, "targets").contains(&"folder".to_owned())
            && of(status, "targets", "folder", "batches").as_u64() > Some(0)
            && of(status, "sources", "more", "lines") == 1
    });
    assert_eq!(names(&grown, "sources").len(), 2);
    assert_eq!(of(&grown, "sources", "more", "is_open"), true);
    assert_eq!(counted(&grown).0, first.0, "no line came");
    assert!(counted(&grown).1 > first.1, "it counts on: {grown:#}");

    // `status` reads the file as well, so that it is only for the agent that it is bad
    world.configure(|config| config.replace("key = \"client.key\"", "key = \"missing.key\""));
    world.signal_agent(Signal::HUP);
    await_status(&world, "the bad one is refused", |status| status["configuration"]["refused"] == 1);
    fs::write(world.config(), before).unwrap();
    world.signal_agent(Signal::HUP);
    let shrunk = await_status(&world, "what went is gone", |status| {
        names(status, "targets") == [target.as_str()] && counted(status).1 > counted(&grown).1
    });
    assert_eq!(names(&shrunk, "sources"), [source.as_str()]);
    assert_eq!(shrunk["configuration"], serde_json::json!({"taken_up": 2, "refused": 1}));
    assert_eq!(counted(&shrunk).0, first.0);
    let page = get(port, "/metrics").unwrap();
    assert!(page.contains("sealtail_config_reloads_total{result=\"ok\"} 2\n"), "{page}");
    assert!(!page.contains("source=\"more\"") && !page.contains("target=\"folder\""), "{page}");
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&[]);
}
