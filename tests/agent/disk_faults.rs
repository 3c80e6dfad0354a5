//! The disk itself fails.

use crate::world::{World, has_strace, text};
use std::process::{Command, Stdio};

/// strace makes one fdatasync fail, as a dying disk would.
#[test]
fn a_failed_fdatasync_ends_the_stream_and_loses_nothing() {
    if !has_strace() {
        return;
    }
    let mut world = World::new();
    world.append((0..2000).map(|n| format!("line {n}\n")).collect::<String>());
    world.start_receiver();
    for which in [3, 4, 6] {
        // each thread counts its own calls, and some of them fail even at the fifth attempt: then another start goes on
        let inject = format!("inject=fdatasync:error=EIO:when={which}");
        world.append(format!("more {which}\n"));
        let output = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", &inject])
            .args([env!("CARGO_BIN_EXE_sealtail"), "run", "--once", "--config", &world.config()])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = text(&output);
        assert!(output.status.success() || said.contains("Input/output error"), "{which}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    assert!(world.run_once().status.success());
    let mut expected: Vec<String> = (0..2000).map(|n| format!("line {n}")).collect();
    expected.extend(["more 3", "more 4", "more 6"].map(str::to_owned));
    assert_eq!(world.messages(), expected);
    world.verify().assert_intact(&["UNCLEAN-END"]);
}
