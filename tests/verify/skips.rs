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
    /// That one as another target has it.
    sent: crate::world::Stream,
}

impl Scene {
    fn new() -> Scene {
        let world = World::new();
        let mut first = world.begin(None);
        first.logs(3).segment().logs(3).segment().logs(3).segment();
        let (first, tip) = first.finish();
        let mut second = world.begin(Some(after(tip, false)));
        second.logs(3).segment();
        let (sent, tip) = second.close();
        Scene { world, first, second: (sent.id, tip), sent }
    }

    /// The target has so many segments of the first stream, and the third stream with these `skip` lines.
    fn check(&self, segments: usize, skips: &[(StreamId, [u64; 2])], options: &Options) -> Report {
        Archive { streams: vec![self.first(segments), self.third(skips)] }.check(options)
    }

    fn first(&self, segments: usize) -> crate::world::Stream {
        let mut first = self.first.clone();
        first.files.truncate(segments);
        first
    }

    fn third(&self, skips: &[(StreamId, [u64; 2])]) -> crate::world::Stream {
        let mut third = self.world.begin_with(|facts| {
            facts.prev = Some(after(self.second.1, true));
            facts.targets = vec!["copy".into()];
        });
        for (stream, seqs) in skips {
            let at = third.stamp();
            third.chain.skip(&mut third.open, &at, "copy", *stream, *seqs);
        }
        third.logs(2).segment();
        third.finish().0
    }

    /// The auditor, who says whose archive it is.
    fn auditor_of(&self, target: &str) -> Options {
        Options { targets: vec![target.into()], ..self.world.auditor() }
    }

    fn all(&self) -> [(StreamId, [u64; 2]); 2] {
        [(self.first.id, [9, 12]), (self.second.0, [0, self.second.1.size - 1])]
    }
}

#[test]
fn what_the_archives_own_target_was_not_sent_is_no_alarm_and_told_in_the_words_of_the_skip_line() {
    let scene = Scene::new();
    let public = Options { targets: vec!["copy".into()], ..scene.world.public() };
    for options in [scene.auditor_of("copy"), public] {
        let report = scene.check(2, &scene.all(), &options);
        // the first stream begins before the third
        report.is(&[(Skipped, 0), (Skipped, 9)]);
        for finding in report.findings.iter().filter(|finding| finding.word == Skipped) {
            assert!(finding.detail.contains("a skip line says that target copy was not sent lines"), "{finding:?}");
            assert!(!finding.detail.contains("if this is the archive of another target"), "{finding:?}");
        }
    }
    // of a batch whose answer was lost the target has more
    scene
        .check(3, &[(scene.first.id, [9, 20]), scene.all()[1]], &scene.auditor_of("copy"))
        .is(&[(Skipped, 0), (Skipped, 13)]);
    // somebody else names the stream that it never got
    let inventory = vec![(HOST.into(), scene.second.0)];
    let report = scene.check(2, &scene.all(), &Options { inventory, ..scene.auditor_of("copy") });
    assert!(report.words().iter().all(|word| *word == Skipped || *word == Open), "{report:#?}");
}

// whoever keeps the archive of a target that was sent everything could delete what an optional one was not sent
#[test]
fn a_skip_line_excuses_no_archive_but_that_of_its_target() {
    let scene = Scene::new();
    let inventory = vec![(HOST.into(), scene.second.0)];
    let report = scene.check(2, &scene.all(), &Options { inventory, ..scene.auditor_of("archive") });
    report.has(Rollback).has(StreamMissing);
    assert!(!report.words().contains(&Skipped), "{report:#?}");
    // the end of the first is known by nothing but the skip line
    let rollback = report.findings.iter().find(|finding| finding.word == Rollback).unwrap();
    assert!(rollback.seq == Some(9) && rollback.detail.contains("lines 9 to 12"), "{rollback:?}");
}

#[test]
fn where_nobody_says_whose_archive_it_is_what_is_missing_does_not_look_fine() {
    let scene = Scene::new();
    for options in [scene.world.auditor(), scene.world.public()] {
        let report = scene.check(2, &scene.all(), &options);
        report.is_unchecked(&[(Skipped, 0), (Skipped, 9)]);
        for finding in report.findings.iter().filter(|finding| finding.word == Skipped) {
            assert!(
                finding.detail.contains("if this is the archive of another target, they were deleted"),
                "{finding:?}"
            );
        }
        assert_eq!(report.summary.unchecked.len(), 2, "{report:#?}");
        assert!(report.summary.unchecked.iter().all(|why| why.contains("--target copy")), "{report:#?}");
    }
    let inventory = vec![(HOST.into(), scene.second.0)];
    let report = scene.check(2, &scene.all(), &Options { inventory, ..scene.world.auditor() });
    assert_eq!(report.summary.result, sealtail::verify::Outcome::Unchecked, "{report:#?}");
}

#[test]
fn an_archive_that_cannot_be_that_targets_is_not_excused_by_what_it_was_not_sent() {
    let scene = Scene::new();
    // it has the stream that the skip line says the copy has nothing of, and not the end of the one before
    let kept = Archive { streams: vec![scene.first(2), scene.sent.clone(), scene.third(&scene.all())] };
    for options in [scene.world.auditor(), scene.world.public(), scene.auditor_of("copy"), scene.auditor_of("archive")]
    {
        kept.check(&options).is(&[(Rollback, 9)]);
    }
    // it has lines after the missing ones, which no target is sent
    let mut holed =
        Archive { streams: vec![scene.first(3), scene.third(&[(scene.first.id, [3, 12]), scene.all()[1]])] };
    (5..9).for_each(|_| drop(holed.streams[0].remove(5)));
    for options in [scene.world.auditor(), scene.auditor_of("copy")] {
        holed.check(&options).has(Missing);
    }
    // nothing is missing: what skip lines say of other targets is no matter
    let whole = Archive { streams: vec![scene.first(3), scene.sent.clone(), scene.third(&scene.all())] };
    for options in [scene.world.auditor(), scene.auditor_of("archive")] {
        let report = whole.check(&options);
        assert!(report.found().iter().all(|(word, _)| *word == UncleanEnd), "{report:#?}");
        assert_eq!(report.summary.result, sealtail::verify::Outcome::Intact, "{report:#?}");
    }
}

// after it the skip lines before say one name and those after it another
#[test]
fn the_archive_of_a_renamed_target_is_excused_by_what_lines_say_of_each_name() {
    let scene = Scene::new();
    let mut third = scene.world.begin_with(|facts| facts.prev = Some(after(scene.second.1, true)));
    for (name, (stream, seqs)) in ["old", "copy"].into_iter().zip(scene.all()) {
        let at = third.stamp();
        third.chain.skip(&mut third.open, &at, name, stream, seqs);
    }
    third.segment();
    let archive = Archive { streams: vec![scene.first(2), third.finish().0] };
    archive.check(&scene.auditor_of("copy")).has(Rollback);
    archive.check(&scene.auditor_of("old")).has(StreamMissing);
    let targets = vec!["copy".into(), "old".into()];
    archive.check(&Options { targets, ..scene.world.auditor() }).is(&[(Skipped, 0), (Skipped, 9)]);
}

#[test]
fn streams_before_a_new_targets_first_may_be_missing_in_its_archive_alone() {
    let scene = Scene::new();
    let began = Archive { streams: vec![scene.third(&[])] };
    began.check(&scene.auditor_of("copy")).is(&[(Skipped, 0)]);
    began.check(&scene.auditor_of("archive")).has(StreamMissing);
    let report = began.check(&scene.world.auditor());
    report.is_unchecked(&[(Skipped, 0)]);
    assert!(report.summary.unchecked[0].contains("--target copy"), "{report:#?}");
}

// a writer may have named a target that did not begin: a licence to delete
#[test]
fn what_was_between_streams_of_one_archive_is_excused_by_skip_lines_alone() {
    let scene = Scene::new();
    for options in [scene.auditor_of("copy"), scene.world.auditor()] {
        let report = Archive { streams: vec![scene.first(3), scene.third(&[])] }.check(&options);
        report.has(StreamMissing);
        assert!(!report.words().contains(&Skipped), "{report:#?}");
    }
    scene.check(3, &scene.all()[1..], &scene.auditor_of("copy")).has(Skipped);
    // an earlier one of another host, or of nobody who is trusted, is none of this one's
    let (mine, theirs) = (scene.world.begin_with(|facts| facts.host = "web-0".into()), World::new().begin(None));
    let streams = vec![mine.close().0, theirs.close().0, scene.third(&[])];
    let report = Archive { streams }.check(&scene.auditor_of("copy"));
    assert!(!report.words().contains(&StreamMissing), "{report:#?}");
}

#[test]
fn a_stream_of_which_a_skip_line_says_that_the_target_had_its_beginning_is_missing() {
    let scene = Scene::new();
    // nothing else names it: the stream that followed it was not sent
    let rejoined = Archive { streams: vec![scene.third(&scene.all())] };
    let report = rejoined.check(&scene.auditor_of("copy"));
    let missing: Vec<_> = report.findings.iter().filter(|finding| finding.word == StreamMissing).collect();
    let [missing] = missing[..] else { panic!("{report:#?}") };
    assert!((missing.stream, missing.seq) == (Some(scene.first.id), None), "{missing:?}");
    assert!(missing.detail.contains("that target copy had lines 0 to 8 of it"), "{missing:?}");
    // it is told once, also where more than one line says it, or the inventory
    let again = scene.third(&[scene.all(), scene.all()].concat());
    let inventory = vec![(HOST.into(), scene.first.id)];
    let report = Archive { streams: vec![again] }.check(&Options { inventory, ..scene.auditor_of("copy") });
    assert_eq!(report.words().iter().filter(|word| **word == StreamMissing).count(), 1, "{report:#?}");

    let report = rejoined.check(&scene.world.auditor());
    report.is_unchecked(&[(Skipped, 0)]);
    let said = |why: &String| why.contains(&scene.first.id.to_string()) && why.contains("--target copy");
    assert!(report.summary.unchecked.iter().any(said), "{report:#?}");
    // of another target it says nothing
    let report = rejoined.check(&scene.auditor_of("archive"));
    assert!(report.findings.iter().all(|finding| finding.stream != Some(scene.first.id)), "{report:#?}");
}

#[test]
fn what_a_skip_line_does_not_name_is_an_alarm() {
    let scene = Scene::new();
    let long_after = || Options {
        as_of: std::time::SystemTime::now() + std::time::Duration::from_secs(3600),
        ..scene.auditor_of("copy")
    };
    // the target had the second segment, as the skip line says
    scene.check(1, &scene.all(), &scene.auditor_of("copy")).is(&[(Skipped, 0), (Rollback, 5)]);
    // it had the beginning of the stream before
    let mut third = scene.world.begin_with(|facts| {
        facts.prev = Some(after(scene.second.1, true));
        facts.targets = vec!["copy".into()];
    });
    let at = third.stamp();
    third.chain.skip(&mut third.open, &at, "copy", scene.second.0, [5, scene.second.1.size - 1]);
    third.segment();
    Archive { streams: vec![third.finish().0] }.check(&scene.auditor_of("copy")).has(StreamMissing);
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
