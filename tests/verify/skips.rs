//! The archive of an optional target that was skipped: what it lacks is explained by `skip` lines, and by nothing else.

use crate::world::{Archive, HOST, Report, World, after};
use Word::*;
use sealtail::chain::Tip;
use sealtail::record::StreamId;
use sealtail::verify::{Options, Word};

struct Scene {
    world: World,
    /// Three segments, the first two of which the target has; without a close line.
    first: crate::world::Stream,
    /// Not sent at all.
    second: (StreamId, Tip),
}

impl Scene {
    fn new() -> Scene {
        let world = World::new();
        let mut first = world.begin(None);
        first.logs(3).segment().logs(3).segment().logs(3).segment();
        let (first, tip) = first.finish();
        let mut second = world.begin(Some(after(tip, false)));
        second.logs(3).segment();
        let (second, tip) = second.close();
        Scene { world, first, second: (second.id, tip) }
    }

    /// The target has so many segments of the first stream, and the third stream with these `skip` lines.
    fn check(&self, segments: usize, skips: &[(StreamId, [u64; 2])], options: &Options) -> Report {
        let mut first = self.first.clone();
        first.files.truncate(segments);
        let mut third = self.world.begin_with(|facts| {
            facts.prev = Some(after(self.second.1, true));
            facts.targets = vec!["copy".into()];
        });
        for (stream, seqs) in skips {
            let at = third.stamp();
            third.chain.skip(&mut third.open, &at, "copy", *stream, *seqs);
        }
        third.logs(2).segment();
        Archive { streams: vec![first, third.finish().0] }.check(options)
    }

    fn all(&self) -> [(StreamId, [u64; 2]); 2] {
        [(self.first.id, [9, 12]), (self.second.0, [0, self.second.1.size - 1])]
    }
}

#[test]
fn what_a_skip_line_names_is_no_alarm_and_told_in_its_words() {
    let scene = Scene::new();
    for options in [scene.world.auditor(), scene.world.public()] {
        let report = scene.check(2, &scene.all(), &options);
        // the first stream begins before the third
        report.is(&[(Skipped, 0), (Skipped, 9)]);
        for finding in report.findings.iter().filter(|finding| finding.word == Skipped) {
            assert!(finding.detail.contains("a skip line says that target copy was not sent lines"), "{finding:?}");
            assert!(finding.detail.contains("if this is the archive of another target"), "{finding:?}");
        }
    }
    // of a batch whose answer was lost the target has more
    scene
        .check(3, &[(scene.first.id, [9, 20]), scene.all()[1]], &scene.world.auditor())
        .is(&[(Skipped, 0), (Skipped, 13)]);
    // somebody else names the stream that it never got
    let inventory = vec![(HOST.into(), scene.second.0)];
    let report = scene.check(2, &scene.all(), &Options { inventory, ..scene.world.auditor() });
    assert!(report.words().iter().all(|word| *word == Skipped || *word == Open), "{report:#?}");
}

#[test]
fn what_a_skip_line_does_not_name_is_an_alarm() {
    let scene = Scene::new();
    let long_after = || Options {
        as_of: std::time::SystemTime::now() + std::time::Duration::from_secs(3600),
        ..scene.world.auditor()
    };
    // the target had the second segment, as the skip line says
    scene.check(1, &scene.all(), &scene.world.auditor()).is(&[(Skipped, 0), (Rollback, 5)]);
    // it had the beginning of the stream before
    let mut third = scene.world.begin_with(|facts| {
        facts.prev = Some(after(scene.second.1, true));
        facts.targets = vec!["copy".into()];
    });
    let at = third.stamp();
    third.chain.skip(&mut third.open, &at, "copy", scene.second.0, [5, scene.second.1.size - 1]);
    third.segment();
    Archive { streams: vec![third.finish().0] }.check(&scene.world.auditor()).has(StreamMissing);
    // nobody says why the first stream ends
    scene.check(2, &scene.all()[1..], &long_after()).has(Silence);
    // what is between does not belong to what was skipped
    let mut holed = Archive { streams: vec![scene.first.clone()] };
    holed.streams[0].remove(4);
    holed.check(&scene.world.auditor()).has(Missing);
}

#[test]
fn a_skip_line_that_nobody_trusted_vouches_for_explains_nothing() {
    let scene = Scene::new();
    let mut first = scene.first.clone();
    first.files.remove(1);
    let mut forged = World::new().begin(None);
    let at = forged.stamp();
    forged.chain.skip(&mut forged.open, &at, "copy", first.id, [0, 12]);
    forged.segment();
    let report = Archive { streams: vec![first, forged.finish().0] }.check(&scene.world.auditor());
    report.has(Unendorsed).has(Missing);
}
