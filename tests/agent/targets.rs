//! Several targets at once: each has its own position and speed, and none delays another.

use crate::world::{World, await_that, run, text};
use std::fs;
use std::path::Path;

/// Adds a `[[target]]` of a folder.
fn add_folder(world: &World, name: &str, required: bool) {
    let dir = world.text_path(name);
    let table = format!("\n[[target]]\nname = \"{name}\"\ntype = \"file\"\ndir = \"{dir}\"\nrequired = {required}\n");
    world.configure(|config| config.replacen("\n[telemetry]", &format!("{table}\n[telemetry]"), 1));
}

/// Log lines in the archive below a folder.
fn archived(dir: &Path) -> usize {
    let Ok(listed) = std::process::Command::new(env!("CARGO_BIN_EXE_sealtail")).arg("cat").arg(dir).output() else {
        return 0;
    };
    listed.stdout.iter().filter(|byte| **byte == b'\n').count()
}

#[test]
fn a_folder_holds_the_same_as_the_receiver_and_verifies() {
    let mut world = World::new();
    fs::create_dir(world.path("worm")).unwrap();
    add_folder(&world, "worm", true);
    world.start_receiver();
    world.append((0..5_000).map(|number| format!("line {number}\n")).collect::<String>());
    let ran = world.run_once();
    assert!(ran.status.success(), "{}", text(&ran));
    world.verify().assert_intact(&[]);
    let (identity, key) = (world.text_path("q/auditor.key"), world.text_path("q/host.pub"));
    let verified = run(&["verify", &world.text_path("worm"), "--identity", &identity, "--host-key", &key]);
    assert!(verified.status.success(), "{}", text(&verified));
    assert_eq!((archived(&world.path("worm")), archived(&world.path("q/archive"))), (5_000, 5_000));
}

#[test]
fn a_dead_target_delays_no_other_and_gets_everything_once_it_lives() {
    let mut world = World::new();
    fs::create_dir(world.path("worm")).unwrap();
    add_folder(&world, "worm", true);
    // no receiver yet, and a folder that is not mounted
    add_folder(&world, "missing", true);
    world.start_agent();
    world.append((0..3_000).map(|number| format!("line {number}\n")).collect::<String>());
    await_that("the folder has everything while the others are dead", || archived(&world.path("worm")) == 3_000);
    fs::create_dir(world.path("missing")).unwrap();
    await_that("the mounted folder has everything too", || archived(&world.path("missing")) == 3_000);
    world.start_receiver();
    world.await_archived(3_000);
    world.stop_agent();
    world.verify().assert_intact(&[]);
    assert_eq!((archived(&world.path("worm")), archived(&world.path("missing"))), (3_000, 3_000));
}

// what is delivered is deleted from the spool
#[test]
fn a_target_in_the_spool_or_in_anothers_folder_is_refused() {
    let spool = |world: &World| world.path("q/spool");
    let link = |world: &World| {
        std::os::unix::fs::symlink(world.path("q/spool"), world.path("link")).unwrap();
        world.path("link/below")
    };
    let other = |world: &World| world.path("worm/below");
    let places: [fn(&World) -> std::path::PathBuf; 3] = [spool, link, other];
    for place in places {
        let world = World::new();
        fs::create_dir_all(world.path("worm/below")).unwrap();
        fs::create_dir_all(world.path("q/spool/below")).unwrap();
        add_folder(&world, "worm", true);
        let dir = place(&world);
        let second = format!("\n[[target]]\nname = \"second\"\ntype = \"file\"\ndir = {dir:?}\n\n[telemetry]");
        world.configure(|config| config.replacen("\n[telemetry]", &second, 1));
        for command in ["check", "run"] {
            let args = if command == "run" { vec!["--once"] } else { vec!["--offline"] };
            let config = world.config();
            let refused = run(&[&[command, "--config", &config], &args[..]].concat());
            assert!(!refused.status.success(), "{command} {}", dir.display());
            assert!(text(&refused).contains("give the target a folder of its own"), "{}", text(&refused));
        }
    }
}
