//! Real logrotate where bytes move to other files: `compress` and `copytruncate`; and what else their tests found.

use crate::rotates_for_real::{Agent, DATED, Logrotate, Scene, rotate};
use crate::world::{World, text};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

#[test]
fn create_compressed() {
    rotate("create\ncompress\n", Agent::Runs);
}

#[test]
fn create_compressed_while_stopped() {
    rotate("create\ncompress\n", Agent::Stops);
}

#[test]
fn create_compressed_while_killed() {
    rotate("create\ncompress\n", Agent::Dies);
}

#[test]
fn create_compressed_with_zstd_while_stopped() {
    let zstd = "compresscmd /usr/bin/zstd\ncompressext .zst\ncompressoptions -q\n";
    rotate(&format!("create\ncompress\n{zstd}"), Agent::Stops);
}

#[test]
fn create_compressed_later() {
    rotate("create\ncompress\ndelaycompress\n", Agent::Runs);
}

#[test]
fn create_compressed_later_while_stopped() {
    rotate("create\ncompress\ndelaycompress\n", Agent::Stops);
}

#[test]
fn create_compressed_later_while_killed() {
    rotate("create\ncompress\ndelaycompress\n", Agent::Dies);
}

#[test]
fn copytruncate() {
    rotate("copytruncate\n", Agent::Runs);
}

#[test]
fn copytruncate_compressed() {
    rotate("copytruncate\ncompress\n", Agent::Runs);
}

#[test]
fn copytruncate_while_stopped() {
    rotate("copytruncate\n", Agent::Stops);
}

#[test]
fn copytruncate_while_killed() {
    rotate("copytruncate\n", Agent::Dies);
}

#[test]
fn copytruncate_compressed_while_stopped() {
    rotate("copytruncate\ncompress\n", Agent::Stops);
}

#[test]
fn copytruncate_compressed_later_with_dates() {
    rotate(&format!("copytruncate\ncompress\ndelaycompress\n{DATED}"), Agent::Runs);
}

#[test]
fn copytruncate_compressed_later_with_dates_while_killed() {
    rotate(&format!("copytruncate\ncompress\ndelaycompress\n{DATED}"), Agent::Dies);
}

#[test]
fn a_small_number_of_rotations_is_deleted_once_they_are_read() {
    let Some(logrotate) = Logrotate::new("create\nrotate 2\n") else { return };
    let mut scene = Scene::new(logrotate);
    for _ in 0..6 {
        scene.rotate();
        scene.await_archived();
    }
    scene.end(Agent::Runs);
}

/// A reboot may number the disks differently: the same file system on another device.
#[test]
fn a_disk_that_is_renumbered_again_and_again_repeats_nothing() {
    let mut world = World::new();
    let Some(disk) = Disk::new(&world) else { return };
    let line = "x".repeat(300);
    let mut expected = vec![line.clone()];
    world.start_receiver();
    disk.mounted(&world, 0, || {
        world.append(format!("{line}\n"));
        assert!(world.run_once().status.success());
    });
    for round in 1..5 {
        disk.mounted(&world, round, || {
            expected.push(format!("line {round}"));
            world.append(format!("line {round}\n"));
            let output = world.run_once();
            assert!(output.status.success(), "{}", text(&output));
        });
    }
    let short = |lines: Vec<String>| lines.iter().map(|line| line[..line.len().min(9)].to_owned()).collect::<Vec<_>>();
    assert_eq!(short(world.messages()), short(expected));
}

/// A file system in a file, on `logs`.
struct Disk(PathBuf);

impl Disk {
    fn new(world: &World) -> Option<Disk> {
        let image = world.path("image");
        fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let made = Command::new("/sbin/mkfs.ext4").args(["-q", "-I", "256"]).arg(&image).output();
        let disk = Disk(image);
        let can = made.is_ok_and(|made| made.status.success()) && disk.mount(world, 0);
        if can {
            unmount(world);
            return Some(disk);
        }
        assert!(std::env::var_os("CI").is_none(), "CI must be able to mount a file system");
        eprintln!("SKIPPED: mounting a file system takes root, mkfs.ext4 and a loop device");
        None
    }

    /// On the loop device that comes after `others` others.
    fn mount(&self, world: &World, others: usize) -> bool {
        let script = r#"
            set -e
            for n in $(seq "$3"); do truncate -s 1M "$1.$n"; losetup -f "$1.$n"; done
            mount -o loop "$1" "$2"
            for n in $(seq "$3"); do losetup -d $(losetup -n -O NAME -j "$1.$n"); done"#;
        let args = [self.0.to_str().unwrap(), &world.text_path("logs"), &others.to_string()];
        Command::new("sh").args(["-c", script, "-"]).args(args).status().is_ok_and(|status| status.success())
    }

    fn mounted(&self, world: &World, others: usize, go: impl FnOnce()) {
        assert!(self.mount(world, others));
        // unmounted even when it fails
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(go));
        unmount(world);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    }
}

fn unmount(world: &World) {
    assert!(Command::new("umount").arg(world.path("logs")).status().unwrap().success());
}

// filebeat fd_exhaustion
#[test]
fn more_files_than_descriptors_are_all_read() {
    const EACH: usize = 300;
    for (sources, limit) in [(5, 1024), (1, 128)] {
        let world = World::new();
        let config = fs::read_to_string(world.config()).unwrap();
        let (before, rest) = config.split_once("[[source]]").unwrap();
        let (_, after) = rest.split_once("[policy]").unwrap();
        let mut all = String::new();
        for source in 0..sources {
            let folder = world.path(&format!("many{source}"));
            fs::create_dir(&folder).unwrap();
            (0..EACH).for_each(|file| fs::write(folder.join(format!("{file}.log")), "a line\n").unwrap());
            let include = folder.join("*.log").display().to_string();
            all += &format!("[[source]]\ntype = \"file\"\nname = \"many{source}\"\ninclude = [\"{include}\"]\n\n");
        }
        world.configure(|_| format!("{before}{all}[policy]{after}"));
        let mut world = world;
        world.start_receiver();
        let script = format!(r#"ulimit -n {limit} && exec "$0" run --once --config "$1""#);
        let mut command = std::process::Command::new("sh");
        let output = command.args(["-c", &script, env!("CARGO_BIN_EXE_sealtail"), &world.config()]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        assert_eq!(world.messages().len(), EACH * sources, "{sources} sources, {limit} descriptors: {}", text(&output));
    }
}
