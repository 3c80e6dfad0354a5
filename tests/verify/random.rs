//! Random cuts, swaps and copies of lines: none but copies leaves an archive intact.

use crate::world::World;
use proptest::prelude::*;
use sealtail::verify::Outcome;
use sealtail::verify::Word::DuplicateIdentical;

#[derive(Clone, Debug)]
enum Edit {
    /// Remove a run of lines.
    Cut(usize, usize),
    /// Put a line elsewhere.
    Move(usize, usize),
    /// Put a copy of a line elsewhere.
    Copy(usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<usize>(), 1usize..6).prop_map(|(at, count)| Edit::Cut(at, count)),
        (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Edit::Move(from, to)),
        (any::<usize>(), any::<usize>()).prop_map(|(from, to)| Edit::Copy(from, to)),
    ]
}

/// Applies an edit to all lines of a stream.
fn apply(lines: &mut Vec<Vec<u8>>, edit: &Edit) {
    let len = lines.len();
    match edit {
        Edit::Cut(at, count) => {
            let at = at % len;
            lines.drain(at..len.min(at + count));
        }
        Edit::Move(from, to) => {
            let line = lines.remove(from % len);
            lines.insert(to % len, line);
        }
        Edit::Copy(from, to) => {
            let line = lines[from % len].clone();
            lines.insert(to % (len + 1), line);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_edit_of_lines_leaves_an_archive_intact(edits in prop::collection::vec(edit(), 1..4), frames in 1usize..9) {
        let world = World::new();
        // the second stream knows where the first ended
        let mut archive = world.archive();
        let stream = &mut archive.streams[0];
        let sound: Vec<Vec<u8>> = stream.files.iter().flat_map(|f| f.frames[0].clone()).collect();
        let mut lines = sound.clone();
        for edit in &edits {
            if lines.is_empty() {
                break;
            }
            apply(&mut lines, edit);
        }
        let mut distinct = lines.clone();
        distinct.dedup();
        stream.files.truncate(1);
        stream.files[0].frames = lines.chunks(frames).map(<[Vec<u8>]>::to_vec).collect();
        for options in [world.auditor(), world.public()] {
            let report = archive.check(&options);
            let intact = report.summary.result == Outcome::Intact;
            if distinct == sound {
                prop_assert!(intact, "{report:#?}");
                prop_assert_eq!(lines != sound, report.words().contains(&DuplicateIdentical));
            } else {
                // a copy of a line far from its place is still a copy: the lines are all there, in order
                let mut first_seen = Vec::new();
                lines.iter().for_each(|line| if !first_seen.contains(line) { first_seen.push(line.clone()) });
                prop_assert!(!intact || first_seen == sound, "{report:#?}");
            }
        }
    }
}
