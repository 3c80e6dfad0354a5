//! What is chained for an entry is what journalctl prints, and the number besides.

use crate::daemon::{Daemon, available};
use crate::{Reader, numbered};
use sealtail::record::End;
use serde_json::Value;

/// Fields that journalctl before systemd 254 does not print.
fn without_numbers(mut entry: Value) -> Value {
    let fields = entry.as_object_mut().unwrap();
    assert!(fields.remove("__SEQNUM").is_some() && fields.remove("__SEQNUM_ID").is_some());
    entry
}

fn as_printed(mut entry: Value) -> Value {
    let fields = entry.as_object_mut().unwrap();
    fields.remove("__SEQNUM");
    fields.remove("__SEQNUM_ID");
    entry
}

fn binary(field: &str, value: &[u8]) -> Vec<u8> {
    let mut entry = format!("{field}\n").into_bytes();
    entry.extend((value.len() as u64).to_le_bytes());
    entry.extend(value);
    entry.push(b'\n');
    entry
}

fn awkward_entries(daemon: &Daemon) {
    for value in [
        b"plain".as_slice(),
        b"",
        "umlauts äöü, € and 😀".as_bytes(),
        b"tab\tand \"quotes\" and \\ back",
        b"two\nlines",
        b"carriage\rreturn",
        b"\x1b[31mred\x1b[0m",
        b"\xff\xfe not UTF-8",
        b"nul\0inside",
        "\u{85}\u{ffff}\u{fdd0}\u{7f}".as_bytes(),
    ] {
        daemon.send(&[binary("MESSAGE", value), b"PRIORITY=5\n".to_vec()].concat());
    }
    daemon.send(b"MESSAGE=repeated\nTAG=a\nTAG=b\nTAG=c=d\nEMPTY=\nTAG=a\n");
    daemon.send(
        &[binary("MESSAGE", b"repeated, one of them binary"), binary("TAG", b"\x01"), b"TAG=x\n".to_vec()].concat(),
    );
    // above the 64 KiB of a line of a stream, and compressed as journald does from 512 bytes on
    daemon.send(&[b"MESSAGE=".as_slice(), "long and repeated ".repeat(10_000).as_bytes(), b"\nPRIORITY=3\n"].concat());
    let noise: Vec<u8> = (0..150_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    daemon.send(&[binary("MESSAGE", b"with a binary field"), binary("BLOB", &noise)].concat());
}

fn assert_as_journalctl(settings: &str) {
    if !available() {
        return;
    }
    let daemon = Daemon::start(settings);
    awkward_entries(&daemon);
    daemon.say(numbered(0..50));
    daemon.sync();
    daemon.rotate();
    daemon.say(numbered(50..60));
    daemon.sync();
    let expected: Vec<Value> = daemon.oracle(&[]).into_iter().map(as_printed).collect();
    let mut reader = Reader::new(daemon.config());
    reader.once();
    assert!(expected.len() > 70);
    let read: Vec<Value> = reader.entries().into_iter().map(without_numbers).collect();
    assert_eq!(read.len(), expected.len());
    for (read, expected) in read.iter().zip(&expected) {
        assert!(read == expected, "{:.2000}\n{:.2000}", read.to_string(), expected.to_string());
    }
    assert_eq!(reader.missed(), []);
    reader.assert_in_order();
    // a cursor is one that journalctl takes
    let cursor = reader.entries()[40]["__CURSOR"].as_str().unwrap().to_owned();
    let after = daemon.oracle(&["--after-cursor", &cursor]);
    assert_eq!(after.len(), expected.len() - 41);
}

#[test]
fn every_entry_is_as_journalctl_prints_it() {
    assert_as_journalctl("");
}

#[test]
fn and_so_it_is_without_compression() {
    assert_as_journalctl("Compress=no");
}

#[test]
fn a_message_above_max_line_comes_in_parts_and_none_of_it_is_lost() {
    if !available() {
        return;
    }
    let daemon = Daemon::start("");
    let message = "0123456789abcdef".repeat(8192);
    daemon.say([message.clone()]);
    daemon.sync();
    let mut reader = Reader::new(daemon.config());
    reader.config.max_line_bytes = 1024;
    reader.once();
    assert_eq!(reader.messages(), std::slice::from_ref(&message));
    let parts = reader.lines.iter().filter(|line| line.end == End::Part).count();
    assert!(parts > 128, "{parts}");
    // a crash between parts: the entry comes again, whole
    let mut reader = Reader::new(reader.config.clone());
    reader.once_and_crash(60);
    reader.lines.clear();
    reader.once();
    assert_eq!(reader.messages(), [message]);
    assert_eq!(reader.missed(), []);
}
