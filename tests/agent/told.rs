//! What an archive tells of each file: its lines and what happened to it, in order.

use crate::world::{World, stream_files};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;

/// One thing that a chain says of a file.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// What the file was called then.
    pub(crate) path: PathBuf,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Line {
        text: String,
        /// Without a newline: it was the end of the file.
        eof: bool,
    },
    /// The event of a `source` line.
    Event(String),
}

impl Told {
    /// Something may be lost, and the chain says so.
    pub(crate) fn is_gap(&self) -> bool {
        matches!(&self.what, What::Event(event) if ["truncated", "missed", "vanished"].contains(&event.as_str()))
    }
}

/// Reads an archive again and again while it grows, and each file only when it has grown.
#[derive(Default)]
pub(crate) struct Reader {
    files: HashMap<PathBuf, (u64, Vec<Value>)>,
}

impl Reader {
    /// All that is told, stream by stream in the order of their genesis lines.
    pub(crate) fn read(&mut self, world: &World) -> Vec<Told> {
        let mut streams: Vec<Vec<&Value>> = Vec::new();
        let folders: Vec<Vec<PathBuf>> = world.streams().iter().map(|stream| stream_files(stream)).collect();
        for file in folders.iter().flatten() {
            let size = fs::metadata(file).unwrap().len();
            if self.files.get(file).is_none_or(|(read, _)| *read != size) {
                let bytes = zstd::decode_all(fs::File::open(file).unwrap()).unwrap();
                let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                let lines = lines.map(|line| serde_json::from_slice(line).unwrap()).filter(is_wanted).collect();
                self.files.insert(file.clone(), (size, lines));
            }
        }
        for files in &folders {
            streams.push(files.iter().flat_map(|file| &self.files[file].1).collect());
        }
        streams.retain(|lines| !lines.is_empty());
        streams.sort_by_key(|lines| lines[0]["h"]["time"].as_str().unwrap());
        streams.iter().flat_map(|lines| tell(lines)).collect()
    }
}

fn is_wanted(line: &Value) -> bool {
    ["genesis", "source", "log"].iter().any(|kind| line["h"]["type"] == *kind)
}

fn tell(stream: &[&Value]) -> Vec<Told> {
    let mut paths: BTreeMap<u64, PathBuf> = BTreeMap::new();
    let mut told = Vec::new();
    for line in stream.iter().skip(1) {
        let (header, payload) = (&line["h"], &line["p"]);
        let key = header["src"].as_u64().unwrap();
        if let Some(path) = payload["path"].as_str() {
            paths.insert(key, path.into());
        }
        let what = match header["event"].as_str() {
            Some(event) => What::Event(event.to_owned()),
            None => What::Line {
                text: payload["msg"].as_str().unwrap_or("(not UTF-8)").to_owned(),
                eof: header["end"] == "eof",
            },
        };
        told.push(Told { path: paths[&key].clone(), what });
    }
    told
}
