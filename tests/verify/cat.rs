//! Lines printed back, and the command line of verify and cat, through their argument types.

use crate::world::{Archive, World};
use clap::Parser;
use sealtail::cli::{cat, verify};
use sealtail::record::SourceEvent;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

#[derive(Parser)]
struct Verify {
    #[command(flatten)]
    args: verify::VerifyArgs,
}

#[derive(Parser)]
struct Cat {
    #[command(flatten)]
    args: cat::CatArgs,
}

fn plain(path: &Path, more: &[&str]) -> (Vec<u8>, Vec<String>) {
    let mut out = Vec::new();
    let args = ["cat", path.to_str().unwrap()].iter().chain(more).copied().collect::<Vec<_>>();
    let faults = cat::print(&Cat::parse_from(args).args, &mut out).unwrap();
    (out, faults)
}

/// An archive with messages that are hard to print, in two streams.
fn archive(world: &World) -> Archive {
    let mut first = world.begin(None);
    first.source(SourceEvent::Opened {
        name: "app".into(),
        cursor: crate::world::cursor("/var/log/app.log"),
        labels: Default::default(),
    });
    first.log(b"plain").log(b"\xff\x00\x1b[31m \r").segment();
    first.log("“quoted” \\ \"and\" \u{1F600}".as_bytes()).log(b"");
    let (first, tip) = first.close();
    let mut second = world.begin(Some(crate::world::after(tip, true)));
    second.log(b"later").segment();
    Archive { streams: vec![first, second.finish().0] }
}

#[test]
fn messages_come_back_byte_for_byte() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    archive(&world).write(dir.path());
    let (out, faults) = plain(dir.path(), &[]);
    assert_eq!(
        out,
        b"plain\n\xff\x00\x1b[31m \r\n\xe2\x80\x9cquoted\xe2\x80\x9d \\ \"and\" \xf0\x9f\x98\x80\n\nlater\n"
    );
    assert!(faults.is_empty());
}

#[test]
fn json_has_what_a_line_says() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let archive = archive(&world);
    archive.write(dir.path());
    let (out, _) = plain(dir.path(), &["--json", "--source", "app"]);
    let lines: Vec<serde_json::Value> =
        out.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["message"], "plain");
    assert_eq!((&lines[0]["host"], &lines[0]["seq"], &lines[0]["source"]), (&"web-1".into(), &2.into(), &"app".into()));
    assert_eq!(lines[0]["stream"], archive.streams[0].id.to_string());
    assert_eq!(lines[0]["verdicts"], serde_json::json!([]));
    assert_eq!(lines[1]["message_b64"], "/wAbWzMxbSAN");
    let (out, _) = plain(dir.path(), &["--stream", &archive.streams[1].id.to_string()]);
    assert_eq!(out, b"later\n");
}

#[test]
fn a_torn_file_is_read_to_where_it_ends() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let archive = archive(&world);
    archive.write(dir.path());
    let folder = dir.path().join("web-1").join(archive.streams[0].id.to_string());
    let path = folder.join(&archive.streams[0].files[1].name);
    let bytes = zstd::decode_all(fs::File::open(&path).unwrap()).unwrap();
    let first_line = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(&bytes[..first_line]).unwrap();
    encoder.flush().unwrap();
    fs::write(&path, encoder.get_ref()).unwrap();
    let (out, faults) = plain(&folder, &[]);
    assert!(out.ends_with("“quoted” \\ \"and\" \u{1F600}\n".as_bytes()));
    assert!(faults.is_empty(), "{faults:?}");
    let flushed = encoder.get_ref().len();
    fs::write(&path, &encoder.get_ref()[..flushed - 3]).unwrap();
    let (_, faults) = plain(&folder, &[]);
    assert!(faults[0].contains("stopped before line 5"), "{faults:?}");
}

#[test]
fn exit_codes_say_how_it_came_out() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let mut archive = archive(&world);
    archive.write(&dir.path().join("good"));
    archive.streams[0].remove(3);
    archive.write(&dir.path().join("bad"));
    fs::create_dir(dir.path().join("none")).unwrap();
    let key = dir.path().join("host.key");
    let host_key = world.host_key.save_new(&key).unwrap();
    let run = |path: &str, more: &[&str]| {
        let path = dir.path().join(path);
        let args = ["verify", path.to_str().unwrap(), "--host-key", host_key.to_str().unwrap()];
        verify::run(Verify::parse_from(args.iter().chain(more)).args)
    };
    for more in [&[][..], &["--json"]] {
        assert_eq!(run("good", more), ExitCode::SUCCESS);
        assert_eq!(run("bad", more), ExitCode::from(1));
        assert_eq!(run("none", more), ExitCode::from(2));
    }
    assert_eq!(run("good", &["--receipts", "/nowhere"]), ExitCode::from(2));
    let inventory = dir.path().join("inventory");
    fs::write(&inventory, "# streams\nweb-1/0123456789abcdef0123456789abcdef\n").unwrap();
    assert_eq!(run("good", &["--inventory", inventory.to_str().unwrap()]), ExitCode::from(1));
    fs::write(&inventory, "web-1\n").unwrap();
    assert_eq!(run("good", &["--inventory", inventory.to_str().unwrap()]), ExitCode::from(2));
}
