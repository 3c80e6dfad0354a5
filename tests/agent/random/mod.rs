//! Thousands of random sequences of what writers, log rotation and restarts do, under one real agent: each line that was
//! written stands in the archive exactly once, unless the chain says that a truncation came first.
//!
//! Each folder `logs/NNN` has its own sequence in each round, all of them interleaved, while the one agent is stopped,
//! killed and started between them. After a round everything that can't be lost is awaited, so that the next may delete.
//! `SEALTAIL_SEED` repeats the steps (not the agent's timing).

mod folder;

use crate::survives_crash::Random;
use crate::told::{Reader, Told};
use crate::world::{PATIENCE, World, text};
use folder::Folder;
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

const FOLDERS: usize = 100;
/// At most so many steps of one folder in a round.
const STEPS_MAX: u64 = 11;

#[test]
fn two_thousand_sequences_of_rotation_and_restarts_lose_and_repeat_nothing() {
    play(20);
}

/// Whether the agent is to run, and what happens to it.
enum Agent {
    Restart,
    Kill,
    /// Down while so many steps are taken.
    Down {
        clean: bool,
        steps: usize,
    },
}

pub(crate) fn play(rounds: usize) {
    let (mut random, seed) = Random::seeded();
    let mut world = World::new();
    let (log, logs) = (world.text_path("logs/app.log"), world.text_path("logs/*/app.log"));
    world.configure(|config| {
        config
            .replace(&log, &logs)
            .replace("max_age = \"250ms\"", "max_age = \"20ms\"")
            .replace("flush_interval = \"250ms\"", "flush_interval = \"50ms\"")
    });
    let mut folders: Vec<Folder> = (0..FOLDERS).map(|number| Folder::new(&world.path("logs"), number)).collect();
    let mut reader = Reader::default();
    world.start_receiver();
    world.start_agent();
    folders.iter_mut().for_each(Folder::write);
    settle(&world, &mut reader, &mut folders);
    for _ in 0..rounds {
        round(&mut world, &mut folders, &mut random);
        settle(&world, &mut reader, &mut folders);
    }
    world.stop_agent();
    let last = world.run_once();
    assert!(last.status.success(), "seed {seed}: {}", text(&last));
    let told = by_folder(&reader.read(&world));
    let faults = folders.iter().map(|folder| folder.faults(of(&told, folder)));
    let faults: Vec<Vec<String>> = faults.filter(|faults| !faults.is_empty()).collect();
    let shown: Vec<&String> = faults.iter().flat_map(|faults| faults.iter().take(2)).take(20).collect();
    let kinds = |kind: &str| faults.iter().flatten().filter(|fault| fault.contains(kind)).count();
    println!(
        "missing {}, twice or more {}, other {}",
        kinds(": missing:"),
        kinds(" times:"),
        kinds("never written") + kinds("out of order")
    );
    if !faults.is_empty() {
        keep(&world, &told);
    }
    assert!(faults.is_empty(), "seed {seed}: {} folders have faults, such as {shown:#?}", faults.len());
    world.verify().assert_intact(&["UNCLEAN-END", "SOURCE-GAP"]);
}

/// Every folder takes its steps; none waits for the agent.
fn round(world: &mut World, folders: &mut [Folder], random: &mut Random) {
    let mut order: Vec<usize> =
        (0..folders.len()).flat_map(|folder| vec![folder; 1 + random.below(STEPS_MAX) as usize]).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at as u64 + 1) as usize);
    }
    let mut blows: BTreeMap<usize, Agent> = BTreeMap::new();
    for _ in 0..2 {
        let (clean, steps) = (random.below(2) == 0, random.below(200) as usize);
        let blow = match random.below(4) {
            0 => Agent::Restart,
            1 => Agent::Kill,
            _ => Agent::Down { clean, steps },
        };
        blows.insert(random.below(order.len() as u64) as usize, blow);
    }
    let mut starts_at = None;
    for (step, folder) in order.into_iter().enumerate() {
        if starts_at.is_some_and(|at| step >= at) {
            world.start_agent();
            starts_at = None;
        }
        if let (Some(blow), None) = (blows.get(&step), starts_at) {
            starts_at = strike(world, blow).map(|steps| step + steps);
        }
        // the moments differ: now and then the agent has time to look
        if random.below(40) == 0 {
            std::thread::sleep(Duration::from_millis(random.below(30)));
        }
        folders[folder].step(random);
    }
    if starts_at.is_some() {
        world.start_agent();
    }
}

/// Strikes the agent; says after how many steps it is to start again, unless it did at once.
fn strike(world: &mut World, blow: &Agent) -> Option<usize> {
    if matches!(blow, Agent::Restart | Agent::Down { clean: true, .. }) {
        world.stop_agent();
    } else {
        world.kill_agent();
    }
    if let Agent::Down { steps, .. } = blow {
        return Some(*steps);
    }
    world.start_agent();
    None
}

/// Awaits what can't be lost, and takes away rotations that are wholly archived.
fn settle(world: &World, reader: &mut Reader, folders: &mut [Folder]) {
    let mut told;
    let deadline = Instant::now() + PATIENCE;
    loop {
        told = by_folder(&reader.read(world));
        let lacking = folders.iter().flat_map(|folder| folder.lacks(of(&told, folder)));
        let lacking: Vec<String> = lacking.take(5).collect();
        if lacking.is_empty() {
            break;
        }
        if Instant::now() > deadline {
            keep(world, &told);
            panic!("never came: {lacking:#?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    for folder in folders {
        folder.settled(of(&told, folder));
    }
}

fn of<'a>(told: &'a BTreeMap<String, Vec<Told>>, folder: &Folder) -> &'a [Told] {
    told.get(&folder.name).map_or(&[], Vec::as_slice)
}

fn by_folder(told: &[Told]) -> BTreeMap<String, Vec<Told>> {
    let mut folders: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    for told in told {
        let folder = told.path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        folders.entry(folder.to_owned()).or_default().push(told.clone());
    }
    folders
}

/// Leaves what the chain tells of each folder behind, to look for a cause.
fn keep(world: &World, told: &BTreeMap<String, Vec<Told>>) {
    let to = std::env::temp_dir().join("sealtail-random");
    fs::create_dir_all(&to).unwrap();
    for (folder, told) in told {
        fs::write(to.join(folder), told.iter().map(|told| format!("{told:?}\n")).collect::<String>()).unwrap();
    }
    fs::write(to.join("agent.log"), world.agent_log()).unwrap();
    eprintln!("kept in {}", to.display());
}
