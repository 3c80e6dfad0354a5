//! Random sequences of what writers, log rotation and restarts do: each line comes exactly once.

use super::heirs::{compress, copytruncate};
use super::rotates::{make_room, rotate};
use super::*;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A whole line; it ends half a line that stands there.
    Write,
    /// Half a line.
    Half,
    /// Some thousand lines.
    Burst,
    /// NAME becomes NAME.1, and the writer goes on in a new file; one of the files is rotated so.
    Rotate,
    /// The other file: NAME is copied to NAME.1 and emptied, once its first line was taken: of what nobody looked into no copy is known again.
    CopyTruncate,
    /// NAME.1 becomes NAME.1.gz, once everything but halves was taken.
    Compress,
    /// Once everything was taken, the file is deleted.
    Delete,
    /// The source stops and starts.
    Restart,
    /// The source stops, and what it had handed on last is lost.
    Crash,
    /// It is awaited what was written.
    Sync,
}

fn step() -> impl Strategy<Value = (Step, bool)> {
    let step = prop_oneof![
        6 => Just(Step::Write),
        2 => Just(Step::Half),
        1 => Just(Step::Burst),
        3 => Just(Step::Rotate),
        3 => Just(Step::CopyTruncate),
        2 => Just(Step::Compress),
        1 => Just(Step::Delete),
        2 => Just(Step::Restart),
        2 => Just(Step::Crash),
        1 => Just(Step::Sync),
    ];
    (step, any::<bool>())
}

/// What was written, and is to come.
#[derive(Default)]
struct Model {
    written: usize,
    expected: Vec<String>,
    /// Half a line at the end of each file, as far as there is one.
    half: [String; 2],
    /// Whole lines of the file that has the name now.
    whole: [usize; 2],
    /// The first of them.
    first: [String; 2],
    /// Whether the source has seen a file of this name since it was made or deleted.
    seen: [bool; 2],
}

impl Model {
    fn line(&mut self, file: usize) -> String {
        self.written += 1;
        self.whole[file] += 1;
        let text = format!("{file} line {}", self.written);
        let whole = std::mem::take(&mut self.half[file]) + &text;
        if self.whole[file] == 1 {
            self.first[file].clone_from(&whole);
        }
        self.expected.push(whole);
        text + "\n"
    }
}

/// What was never seen before a restart is no rotation of a known file: so a new file is awaited before it goes on.
fn seen(world: &mut World, name: &str) {
    let (path, born) = (world.path(name), fs::metadata(world.path(name)).unwrap().created().unwrap());
    let born_ns = born.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    world.until("the new file is begun", |world| {
        world.cursors.values().any(|cursor| {
            matches!(cursor, Cursor::File { path: at, id, .. } if *at == path && id.born_ns.map(u128::from) == Some(born_ns))
        })
    });
}

/// The first line of the file that has the name now was taken.
fn begun(world: &mut World, first: &str) {
    world.until("the first line", |world| world.lines.iter().any(|line| line.text == first.as_bytes()));
}

/// The files.
const NAMES: [&str; 2] = ["a.log", "b.log"];

fn play(steps: &[(Step, bool)]) {
    let mut world = World::new(&["[ab].log"]);
    let mut model = Model::default();
    world.start_with(1);
    for (step, second) in steps {
        let file = usize::from(*second);
        take(&mut world, &mut model, *step, file);
        if !model.seen[file] && world.path(NAMES[file]).exists() {
            seen(&mut world, NAMES[file]);
            model.seen[file] = true;
        }
    }
    finish(world, model);
}

fn take(world: &mut World, model: &mut Model, step: Step, file: usize) {
    let name = NAMES[file];
    match step {
        Step::Write => world.append(name, model.line(file)),
        Step::Half => {
            model.half[file].push_str("half ");
            world.append(name, "half ");
        }
        Step::Burst => {
            let lines: String = (0..3000).map(|_| model.line(file)).collect();
            world.append(name, lines);
        }
        Step::Rotate if file == 0 && world.path(name).exists() => {
            rotate(world, name);
            model.whole[file] = 0;
            // what has no newline by now is a line of the old file
            let half = std::mem::take(&mut model.half[file]);
            model.expected.extend(Some(half).filter(|half| !half.is_empty()));
        }
        Step::CopyTruncate if file == 1 && model.whole[file] > 0 => {
            begun(world, &model.first[file]);
            model.whole[file] = 0;
            make_room(world.dir.path(), name);
            copytruncate(world, name, &format!("{name}.1"));
            let half = std::mem::take(&mut model.half[file]);
            model.expected.extend(Some(half).filter(|half| !half.is_empty()));
        }
        Step::Compress if world.path(&format!("{name}.1")).exists() => {
            sync(world, model);
            compress(world, &format!("{name}.1"), "gzip");
            // the next file of the path is the first again, if the last one that is known ends with this
            model.seen[file] &= world.path(name).exists();
        }
        Step::Delete if world.path(name).exists() && model.half[file].is_empty() => {
            sync(world, model);
            world.remove(name);
            model.seen[file] = false;
            model.whole[file] = 0;
        }
        Step::Restart => {
            world.stop();
            world.start_with(1);
        }
        Step::Crash => {
            world.crash();
            world.start_with(1);
        }
        Step::Sync => sync(world, model),
        Step::Rotate | Step::CopyTruncate | Step::Compress | Step::Delete => {}
    }
}

/// Reads what is left, and makes sure that every line came exactly once.
fn finish(mut world: World, model: Model) {
    let halves = model.half.into_iter().filter(|half| !half.is_empty());
    let expected: Vec<String> = model.expected.into_iter().chain(halves).collect();
    if world.running.is_some() {
        world.stop();
    }
    world.once();
    // a half that was in no line yet when its file was truncated or compressed is lost with a word
    let told = world.count(|event| is_truncated(event) || is_vanished(event)) > 0;
    let mut came: BTreeMap<String, usize> = BTreeMap::new();
    world.texts().into_iter().for_each(|text| *came.entry(text).or_default() += 1);
    let mut lost = |text: &str| {
        let left = came.get_mut(text).filter(|left| **left > 0);
        told && !text.contains("line") && left.map(|left| *left -= 1).is_none()
    };
    world.check(&expected.iter().map(String::as_str).filter(|text| !lost(text)).collect::<Vec<_>>());
}

/// Takes every line that ends with a newline. Halves of rotated files may take their grace time and are left.
fn sync(world: &mut World, model: &Model) {
    let whole = |text: &str| text.contains("line");
    let expected = model.expected.iter().filter(|text| whole(text)).count();
    let last: Vec<&String> = model.expected.iter().filter(|text| whole(text)).rev().take(10).collect();
    world.until(&format!("a sync up to (backwards) {last:?}"), |world| {
        world.texts().iter().filter(|text| whole(text)).count() >= expected
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_line_comes_exactly_once(steps in prop::collection::vec(step(), 1..40)) {
        play(&steps);
    }
}
