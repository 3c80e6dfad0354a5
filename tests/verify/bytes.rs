//! Every byte of an archive's decoded lines, changed one at a time.

use crate::world::{Archive, World, after, check};
use rayon::prelude::*;
use sealtail::record::{Seq, SourceEvent, StreamId};
use sealtail::verify::{Options, Outcome, Weight};
use std::fs;
use std::path::PathBuf;

/// One changed byte.
struct Change {
    /// Which file of which stream.
    place: (usize, usize),
    at: usize,
    mask: u8,
    /// The line that it stands in.
    seq: Seq,
}

/// Two linked streams of 13 lines, the second with a line that no checkpoint covers.
fn small(world: &World) -> Archive {
    let mut first = world.begin(None);
    first.source(SourceEvent::Opened {
        name: "app".into(),
        cursor: crate::world::cursor("/a.log"),
        labels: Default::default(),
    });
    first.log(b"Login \"bob\"").log(b"\xff").segment().heartbeat(Vec::new());
    let (first, tip) = first.close();
    let mut second = world.begin(Some(after(tip, true)));
    second.log(b"x").segment().log(b"tail");
    Archive { streams: vec![first, second.finish().0] }
}

/// The decoded files, and every change of them: one bit of each byte, and the case of each letter.
fn changes(archive: &Archive) -> (Vec<Vec<Vec<u8>>>, Vec<Change>) {
    let mut decoded = Vec::new();
    let mut changes = Vec::new();
    for (s, stream) in archive.streams.iter().enumerate() {
        let files: Vec<Vec<u8>> =
            stream.files.iter().map(|file| zstd::decode_all(file.compressed().as_slice()).unwrap()).collect();
        let mut seq = 0;
        for (f, file) in files.iter().enumerate() {
            for (at, byte) in file.iter().enumerate() {
                changes.push(Change { place: (s, f), at, mask: 1 << (at % 7), seq });
                if byte.is_ascii_alphabetic() && at % 7 != 5 {
                    changes.push(Change { place: (s, f), at, mask: 0x20, seq });
                }
                seq += Seq::from(*byte == b'\n');
            }
        }
        decoded.push(files);
    }
    (decoded, changes)
}

/// A zstd frame of one block that is not compressed (RFC 8878), since compressing thousands of times takes its time.
fn raw_frame(bytes: &[u8]) -> Vec<u8> {
    // magic, a descriptor without options, a window of 128 KiB, the one block's header
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    assert!(bytes.len() < 128 << 10);
    frame.extend_from_slice(&((bytes.len() as u32) << 3 | 1).to_le_bytes()[..3]);
    frame.extend_from_slice(bytes);
    frame
}

/// Changes that raise no alarm that names the stream and a line; for the auditor, that line.
fn unseen<'a>(archive: &Archive, options: &Options, files: &[Vec<Vec<u8>>], all: &'a [Change]) -> Vec<&'a Change> {
    let chunks = all.par_chunks(all.len().div_ceil(8));
    chunks
        .flat_map_iter(|changes| {
            let dir = tempfile::tempdir().unwrap();
            archive.write(dir.path());
            let path = |(s, f): (usize, usize)| -> PathBuf {
                let stream = &archive.streams[s];
                dir.path().join(&stream.host).join(&stream.folder).join(&stream.files[f].name)
            };
            let mut dirty = None;
            let found = changes.iter().filter(|change| {
                let (s, f) = change.place;
                let mut bytes = files[s][f].clone();
                bytes[change.at] ^= change.mask;
                if let Some((s, f)) = dirty.replace((s, f)).filter(|place| *place != (s, f)) {
                    fs::write(path((s, f)), raw_frame(&files[s][f])).unwrap();
                }
                fs::write(path(change.place), raw_frame(&bytes)).unwrap();
                let report = check(dir.path(), options);
                let id: StreamId = archive.streams[s].id;
                let named = report.findings.iter().any(|finding| {
                    let here = finding.seq.is_some_and(|seq| options.identities.is_empty() || seq == change.seq);
                    finding.weight == Weight::Alarm && finding.stream == Some(id) && here
                });
                assert_eq!(report.summary.result == Outcome::Findings, named, "{:?} {report:#?}", change.place);
                !named
            });
            found.collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_auditor_sees_every_change() {
    let world = World::new();
    let archive = small(&world);
    archive.check(&world.auditor()).is(&[]);
    let (files, all) = changes(&archive);
    let unseen = unseen(&archive, &world.auditor(), &files, &all);
    let what: Vec<_> = unseen.iter().map(|c| (c.place, c.at, c.mask, c.seq)).collect();
    assert!(what.is_empty(), "{} of {} changes: {what:?}", what.len(), all.len());
}

#[test]
fn the_public_sees_every_change_before_the_last_checkpoint() {
    let world = World::new();
    let archive = small(&world);
    let (files, all) = changes(&archive);
    let unseen = unseen(&archive, &world.public(), &files, &all);
    println!("the public does not see {} of {} changes", unseen.len(), all.len());
    // the last checkpoint's own line, which no later one covers, and the line behind it
    for change in &unseen {
        assert!(change.place.0 == 1 && change.seq >= 2, "{:?} byte {} line {}", change.place, change.at, change.seq);
    }
    assert!(!unseen.is_empty() && unseen.len() < all.len() / 10, "{} of {}", unseen.len(), all.len());
}
