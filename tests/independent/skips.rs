//! Both verifiers, on archives that lack whole streams with and without a line or a genesis that may excuse it.

use crate::world::{Stream, World, parsed};
use sealtail::chain::header::{Hash, Prev};
use sealtail::chain::host_key::HostKey;
use sealtail::chain::key::load_identities;
use sealtail::chain::{Chain, Facts, Tip, new_stream};
use sealtail::record::StreamId;

/// A stream of the world's host: its genesis, these `skip` lines of the target `copy`, its end.
fn stream(world: &World, before: Option<Tip>, targets: &[&str], skips: &[(StreamId, [u64; 2])]) -> (Stream, Tip) {
    stream_of(world, new_stream().unwrap(), before, targets, skips)
}

fn stream_of(
    world: &World,
    id: StreamId,
    before: Option<Tip>,
    targets: &[&str],
    skips: &[(StreamId, [u64; 2])],
) -> (Stream, Tip) {
    let genesis = parsed(world.archive.streams[0].lines()[0]);
    let leads = |tip: Tip| {
        let (stream, size, root, leaf) = (tip.stream, tip.size, Hash(tip.root), Hash(tip.leaf));
        Prev { stream, size, root, leaf, clean: true }
    };
    let facts = Facts {
        stream: id,
        host: genesis["h"]["host"].as_str().unwrap().to_owned(),
        config: [1; 32],
        policy: [2; 32],
        erasure: Vec::new(),
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        prev: before.map(leads),
    };
    let recipient = load_identities(&world.path("auditor.key")).unwrap()[0].to_public();
    let mut lines = Vec::new();
    let key = HostKey::load(&world.path("host.key")).unwrap();
    let mut chain = Chain::begin(&facts, &[recipient], &key, &mut lines).unwrap();
    for (stream, seqs) in skips {
        let at = chain.stamp();
        chain.skip(&mut lines, &at, "copy", *stream, *seqs);
    }
    let (tip, _) = chain.close(&mut lines, "stop");
    let lines = lines.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let files = vec![("00000000000000000000.ndjson.zst".to_owned(), lines)];
    (Stream { id: facts.stream.to_string(), files, beside: Vec::new() }, tip)
}

#[test]
fn both_excuse_and_miss_the_same_whole_streams() {
    let Some(world) = World::get() else { return };
    let (first, began) = stream(world, None, &["archive", "copy"], &[]);
    let (second, ended) = stream(world, Some(began), &[], &[]);
    let third = |skips: &[_]| stream(world, Some(ended), &["copy"], skips).0;
    let (lacked, beginning) = ((ended.stream, [0, ended.size - 1]), (began.stream, [1, began.size - 1]));
    let skipped = || vec![("SKIPPED".to_owned(), Some(0))];
    let missing = || vec![("STREAM-MISSING".to_owned(), None)];
    let both = || [skipped(), missing()].concat();
    let rejoined = vec![first.clone(), third(&[lacked])];
    let began_late = vec![third(&[])];
    let lost = vec![third(&[beginning, lacked])];
    let cases = [
        ("nothing", vec![first.clone(), second, third(&[lacked])], &["archive"][..], 0, vec![]),
        ("what it was not sent", rejoined.clone(), &["copy"], 0, skipped()),
        ("what it was not sent, renamed", rejoined.clone(), &["now", "copy"], 0, skipped()),
        ("what another was not sent", rejoined.clone(), &["archive"], 1, missing()),
        ("what one was not sent", rejoined, &[], 2, skipped()),
        ("what no line excuses", vec![first, third(&[])], &["copy"], 1, missing()),
        ("what was before it", began_late.clone(), &["copy"], 0, skipped()),
        ("what was before another", began_late.clone(), &["archive"], 1, missing()),
        ("what was before one", began_late, &[], 2, skipped()),
        ("a stream that it had the beginning of", lost.clone(), &["copy"], 1, both()),
        ("a stream that one had the beginning of", lost, &[], 2, skipped()),
    ];
    for (what, streams, targets, exit, found) in cases {
        let mut archive = world.archive.clone();
        archive.streams = streams;
        let said = world.compare_for(what, &archive, true, &world.path("host.pub"), targets);
        assert_eq!(said, Ok((exit, found.into_iter().collect())), "{what} is gone");
    }
}

// then a stream that follows has an earlier time; nothing was before the first all the same
#[test]
fn both_know_what_a_target_begins_with_where_the_clock_was_set_back() {
    let Some(world) = World::get() else { return };
    let (_, before) = stream(world, None, &["archive"], &[]);
    let first = new_stream().unwrap();
    let (earlier, _) = stream(world, Some(Tip { stream: first, ..before }), &[], &[]);
    let (begun, _) = stream_of(world, first, Some(before), &["copy"], &[]);
    let mut archive = world.archive.clone();
    archive.streams = vec![earlier, begun];
    let (_, found) = world.compare_for("a clock", &archive, true, &world.path("host.pub"), &["copy"]).unwrap();
    // the tree that the one says of the other can't be right here
    assert_eq!(found.into_iter().map(|(word, _)| word).collect::<Vec<_>>(), ["FORK", "SKIPPED"]);
}
