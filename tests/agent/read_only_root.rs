//! An agent that can write nothing but its spool: a container's read-only root file system.

use crate::world::{World, text};
use std::fs;
use std::process::Command;

/// In a mount namespace of its own: all is read-only but the spool.
const SCRIPT: &str = r#"
    set -e
    mount --make-rprivate /
    mount --bind "$2" "$2"
    mount --bind "$2/q/spool" "$2/q/spool"
    mount -o remount,bind,ro "$2"
    mount -o remount,bind,ro /
    if touch "$2/written" /written 2>/dev/null; then echo "it can be written"; exit 9; fi
    exec "$0" run --once --config "$1""#;

#[test]
fn an_agent_works_where_only_its_spool_can_be_written() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI must be root");
        return eprintln!("SKIPPED: mounting takes root");
    }
    let mut world = World::new();
    world.append("first\n");
    world.start_receiver();
    fs::create_dir(world.path("q/spool")).unwrap();
    let run = || {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", SCRIPT, env!("CARGO_BIN_EXE_sealtail"), &world.config(), &world.text_path("")]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    };
    run();
    world.append("second\n");
    run();
    assert_eq!(world.messages(), ["first", "second"]);
    world.verify().assert_intact(&[]);
}
