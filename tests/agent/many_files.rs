//! Thousands of files of which few are written cost few descriptors and little memory.
//!
//! What they cost in CPU is measured by `benches/many_files`: timing decides no test.

use crate::world::{World, await_that};
use std::fs::{self, OpenOptions};
use std::io::Write;

const FILES: usize = 5000;
const ACTIVE: usize = 50;
/// Of the whole agent: files, spool, network, watches.
const DESCRIPTORS_MAX: usize = 300;
const MEMORY_MAX_KIB: usize = 100 * 1024;

#[test]
fn five_thousand_files_of_which_fifty_are_active_cost_few_descriptors_and_little_memory() {
    let mut world = World::new();
    let (log, many) = (world.text_path("logs/app.log"), world.text_path("many/*/*.log"));
    world.configure(|config| config.replace(&log, &many));
    for number in 0..FILES {
        let path = world.path(&name(number));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{number} first\n")).unwrap();
    }
    world.start_receiver();
    world.start_agent();
    let mut lines = FILES;
    world.await_archived(lines);
    costs_little(&world, "all files are read");
    for round in 0..20 {
        for number in 0..ACTIVE {
            // spread over all folders, and some of them rotated
            let path = world.path(&name(number * (FILES / ACTIVE)));
            if round % 5 == 4 && number % 5 == 0 {
                fs::rename(&path, path.with_extension(format!("log.{round}"))).unwrap();
            }
            let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
            file.write_all(format!("{number} round {round}\n").as_bytes()).unwrap();
            lines += 1;
        }
        if round % 5 == 4 {
            world.await_archived(lines);
            costs_little(&world, "fifty are written");
        }
    }
    // every file once more: all of them have to be opened again
    for number in 0..FILES {
        let mut file = OpenOptions::new().append(true).open(world.path(&name(number))).unwrap();
        file.write_all(format!("{number} last\n").as_bytes()).unwrap();
    }
    lines += FILES;
    world.await_archived(lines);
    costs_little(&world, "all were written again");
    assert_eq!(world.stop_agent(), Some(0));
    let mut messages = world.messages();
    messages.sort();
    messages.dedup();
    assert_eq!(messages.len(), lines);
    world.verify().assert_intact(&[]);
}

fn name(number: usize) -> String {
    format!("many/{:02}/{number:04}.log", number % 50)
}

fn costs_little(world: &World, when: &str) {
    let proc = std::path::PathBuf::from(format!("/proc/{}", world.agent_pid()));
    // a descriptor more or less may be on its way
    let descriptors = fs::read_dir(proc.join("fd")).unwrap().count();
    let status = fs::read_to_string(proc.join("status")).unwrap();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let memory_kib: usize = memory.trim().trim_end_matches(" kB").parse().unwrap();
    println!("{when}: {descriptors} descriptors, {memory_kib} KiB at most");
    assert!(descriptors <= DESCRIPTORS_MAX, "{when}: {descriptors} descriptors");
    assert!(memory_kib <= MEMORY_MAX_KIB, "{when}: {memory_kib} KiB");
}

#[test]
fn descriptors_of_what_is_gone_are_given_back() {
    let mut world = World::new();
    let (log, many) = (world.text_path("logs/app.log"), world.text_path("many/*/*.log"));
    world.configure(|config| config.replace(&log, &many));
    for number in 0..200 {
        let path = world.path(&name(number));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{number} first\n")).unwrap();
    }
    world.start_receiver();
    world.start_agent();
    world.await_archived(200);
    fs::remove_dir_all(world.path("many")).unwrap();
    let pid = world.agent_pid();
    await_that("no deleted file is held", || {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let mut names = open.filter_map(|fd| fs::read_link(fd.path()).ok());
        !names.any(|name| name.to_string_lossy().contains("/many/"))
    });
    assert_eq!(world.stop_agent(), Some(0));
    world.verify().assert_intact(&[]);
}
