//! One folder of the random sequences: what was written there, and what may be lost of it.
//!
//! What no reader can promise is not asked for: a file is deleted only once it is archived, and one that came up at a
//! deleted path is not rotated before it was seen. What a truncation took may be missing, if the chain says so after the
//! last line before it, or if nothing of that file had ever been read. Half a line that it cut off was no line yet.

use crate::survives_crash::Random;
use crate::told::{Told, What};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Bytes of a head that tells files of one folder apart from none.
const HEAD_BYTES: usize = 1100;
/// Rotations that stay, though they are archived.
const KEPT: usize = 2;

pub(super) struct Folder {
    pub(super) name: String,
    path: PathBuf,
    /// It is rotated by copytruncate; the others are by rename.
    copies: bool,
    /// What each file begins with.
    head: Option<String>,
    written: usize,
    files: usize,
    contents: Vec<Content>,
    /// The content of `app.log`, if it is there.
    live: Option<usize>,
    /// The contents of `app.log.1`, `app.log.2` and so on.
    rotations: Vec<usize>,
    /// The live file came up at a deleted path, and the agent may not know of it yet.
    unseen: bool,
    /// Nothing was done since everything was archived.
    calm: bool,
    /// What was done, for a failure.
    done: Vec<String>,
}

/// What one file held from its making, or its last truncation, on.
struct Content {
    /// Which file.
    file: usize,
    lines: Vec<String>,
    /// Half a line at its end.
    half: String,
    truncated: bool,
    copied: bool,
}

impl Content {
    /// All of it as lines: half a line at the end is one too, when nothing comes after it.
    fn texts(&self) -> impl Iterator<Item = &String> {
        self.lines.iter().chain(Some(&self.half).filter(|half| !half.is_empty()))
    }
}

impl Folder {
    pub(super) fn new(logs: &Path, number: usize) -> Folder {
        let name = format!("{number:03}");
        let path = logs.join(&name).join("app.log");
        fs::create_dir(path.parent().unwrap()).unwrap();
        Folder {
            name,
            path,
            copies: number % 2 == 1,
            head: (number % 4 > 1).then(|| format!("{number:03} {}", "head ".repeat(HEAD_BYTES / 5))),
            written: 0,
            files: 0,
            contents: Vec::new(),
            live: None,
            rotations: Vec::new(),
            unseen: true,
            calm: false,
            done: Vec::new(),
        }
    }

    pub(super) fn step(&mut self, random: &mut Random) {
        let calm = std::mem::replace(&mut self.calm, false);
        match random.below(20) {
            0..8 => self.write(),
            8..10 => self.half(),
            10 => (0..200).for_each(|_| self.write()),
            11..16 if if self.copies { self.may_cut() } else { self.may_rotate() } => self.rotate(random),
            16..18 if self.may_cut() => self.truncate(),
            18 if calm && self.may_rotate() => self.delete(),
            _ => self.calm = calm,
        }
    }

    /// A content that is cut off and begun with the same head may not be told from the old one after a kill: what the cursor has of
    /// it is the head.
    fn may_cut(&self) -> bool {
        self.may_rotate() && self.head.is_none()
    }

    fn may_rotate(&self) -> bool {
        self.live.is_some() && !self.unseen
    }

    /// A whole line; it ends half a line that stands there.
    pub(super) fn write(&mut self) {
        self.begin_with_head();
        self.written += 1;
        let text = format!("{} line {}", self.name, self.written);
        self.append(&format!("{text}\n"));
        let content = self.live_content();
        let whole = std::mem::take(&mut content.half) + &text;
        content.lines.push(whole);
    }

    fn half(&mut self) {
        self.begin_with_head();
        self.written += 1;
        let text = format!("half {} ", self.written);
        self.append(&text);
        self.live_content().half.push_str(&text);
    }

    /// Each content of such a folder begins alike.
    fn begin_with_head(&mut self) {
        let is_new = self.live.is_none_or(|live| self.contents[live].texts().next().is_none());
        if let Some(head) = self.head.clone().filter(|_| is_new) {
            self.append(&format!("{head}\n"));
            self.live_content().lines.push(head);
        }
    }

    fn append(&mut self, bytes: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path).unwrap();
        file.write_all(bytes.as_bytes()).unwrap();
        if self.live.is_none() {
            self.files += 1;
            self.begin(self.files);
        }
        self.done.push(format!("append {:?}", &bytes[..bytes.len().min(40)]));
    }

    fn live_content(&mut self) -> &mut Content {
        &mut self.contents[self.live.unwrap()]
    }

    fn begin(&mut self, file: usize) {
        self.live = Some(self.contents.len());
        self.contents.push(Content { file, lines: Vec::new(), half: String::new(), truncated: false, copied: false });
    }

    /// As logrotate does: older rotations move on by one, then comes this file or its copy.
    fn rotate(&mut self, random: &mut Random) {
        for age in (1..=self.rotations.len()).rev() {
            fs::rename(self.rotated(age), self.rotated(age + 1)).unwrap();
        }
        let live = self.live.unwrap();
        self.rotations.insert(0, live);
        if self.copies {
            self.done.push("copytruncate".into());
            fs::copy(&self.path, self.rotated(1)).unwrap();
            self.contents[live].copied = true;
            return self.cut();
        }
        self.done.push("rename".into());
        fs::rename(&self.path, self.rotated(1)).unwrap();
        self.live = None;
        if random.below(2) == 0 {
            self.append("");
        }
    }

    fn truncate(&mut self) {
        self.done.push("truncate".into());
        self.cut();
    }

    fn cut(&mut self) {
        let live = self.live_content();
        live.truncated = true;
        let file = live.file;
        File::create(&self.path).unwrap();
        self.begin(file);
    }

    fn delete(&mut self) {
        self.done.push("delete".into());
        fs::remove_file(&self.path).unwrap();
        self.live = None;
        self.unseen = true;
    }

    fn rotated(&self, age: usize) -> PathBuf {
        self.path.with_extension(format!("log.{age}"))
    }

    /// Whole lines that have to be in the archive and aren't yet.
    pub(super) fn lacks(&self, told: &[Told]) -> Vec<String> {
        let at = places(told);
        let sure = self.contents.iter().filter(|content| !content.truncated).flat_map(|content| &content.lines);
        let lacking = sure.filter(|line| !at.contains_key(line.as_str()));
        lacking.map(|line| format!("{line:?}; {}", self.story(line))).collect()
    }

    /// Everything that can't be lost is archived.
    pub(super) fn settled(&mut self, told: &[Told]) {
        let at = places(told);
        let archived = |content: &Content| content.texts().all(|text| at.contains_key(text.as_str()));
        self.done.push("settled".into());
        self.unseen &= self.live.is_none();
        self.calm = self.live.is_some_and(|live| archived(&self.contents[live]));
        // half a line that a truncation cut off may never get into the archive
        let read = |content: &Content| content.lines.iter().all(|line| at.contains_key(line.as_str()));
        while self.rotations.len() > KEPT {
            let oldest = &self.contents[self.rotations[self.rotations.len() - 1]];
            if !(archived(oldest) || oldest.copied && read(oldest)) {
                break;
            }
            fs::remove_file(self.rotated(self.rotations.len())).unwrap();
            self.rotations.pop();
        }
    }

    /// What is wrong with what the archive tells of this folder.
    pub(super) fn faults(&self, told: &[Told]) -> Vec<String> {
        let at = places(told);
        let mut faults = Vec::new();
        for content in &self.contents {
            let mut before = None;
            for text in content.texts().filter(|text| Some(*text) != self.head.as_ref()) {
                match at.get(text.as_str()).map(Vec::as_slice) {
                    None if self.may_miss(content, text, told, &at) => {}
                    None => faults.push(format!("missing: {text:?}")),
                    Some([place]) if Some(*place) < before => faults.push(format!("out of order: {text:?}")),
                    Some([place]) => before = Some(*place),
                    Some(places) => faults.push(format!("{} times: {text:?}", places.len())),
                }
            }
        }
        faults.extend(self.wrong_heads(&at));
        let written: HashMap<&str, ()> =
            self.contents.iter().flat_map(Content::texts).map(|text| (text.as_str(), ())).collect();
        let invented = at.keys().filter(|text| !written.contains_key(*text));
        faults.extend(invented.map(|text| format!("never written: {text:?}")));
        faults.iter().map(|fault| format!("{}: {fault}; {}", self.name, self.story(fault))).collect()
    }

    /// The head stands in the archive once for each file, truncated ones perhaps left out.
    fn wrong_heads(&self, at: &BTreeMap<&str, Vec<usize>>) -> Option<String> {
        let head = self.head.as_ref()?;
        let with_head = self.contents.iter().filter(|content| content.lines.first() == Some(head));
        let (most, least) = (with_head.clone().count(), with_head.filter(|content| !content.truncated).count());
        let there = at.get(head.as_str()).map_or(0, Vec::len);
        (!(least..=most).contains(&there)).then(|| format!("{there} heads, not {least} to {most}"))
    }

    /// Whether a truncation took the line, and the chain told what it could.
    fn may_miss(&self, content: &Content, text: &str, told: &[Told], at: &BTreeMap<&str, Vec<usize>>) -> bool {
        if !content.truncated || content.half == text {
            return content.truncated;
        }
        let file = self.contents.iter().filter(|other| other.file == content.file);
        let earlier = file
            .flat_map(Content::texts)
            .filter(|text| Some(*text) != self.head.as_ref())
            .take_while(|earlier| *earlier != text);
        let places = earlier.filter_map(|earlier| at.get(earlier.as_str())).map(|places| places[0]);
        // the rest of an older content may be read from its copy after the chain said that the file was truncated
        let read = places.filter(|place| self.copied_from(told, *place).is_none()).max();
        // a file of which nothing was read can't be missed
        read.is_none_or(|read| told[read..].iter().any(Told::is_gap))
    }

    /// The copy that a line was read from.
    fn copied_from<'a>(&self, told: &'a [Told], place: usize) -> Option<&'a Path> {
        Some(told[place].path.as_path()).filter(|path| self.copies && *path != self.path)
    }

    /// What was done around the line that a fault is about.
    fn story(&self, fault: &str) -> String {
        let number = fault.trim_end_matches('"').rsplit(' ').next().unwrap_or_default().to_owned();
        let around = self.done.iter().position(|done| done.contains(&format!(" {number}\\n")));
        let from = around.unwrap_or(0).saturating_sub(8);
        self.done[from..].iter().take(20).cloned().collect::<Vec<_>>().join(", ")
    }
}

/// Where each line stands.
fn places(told: &[Told]) -> BTreeMap<&str, Vec<usize>> {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, told) in told.iter().enumerate() {
        if let What::Line { text, .. } = &told.what {
            places.entry(text).or_default().push(place);
        }
    }
    places
}
