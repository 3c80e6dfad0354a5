//! Standard input, to its end.
//!
//! A pipe's bytes can't be read a second time: what is taken out is handed on, even when the stop comes meanwhile, as
//! far as the output takes it within [`PARTING`]. What is still in the pipe stays there. Where another source reads on, it gets
//! what is no whole line yet ([`Handover`]).

use super::labels::SourceLabels;
use super::lines::{Cut, Shape, Units};
use super::{Error, Handover, Keys, StdinConfig, Stop};
use crate::record::{Batch, Cursor, Item, Labels, SourceEvent, SourceKey};
use crossbeam_channel::{SendTimeoutError, Sender, select};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of one read.
const READ_BYTES: usize = 128 * 1024;
/// How long a stop can go unnoticed while the pipe is silent: a pipe and a channel can't be waited for together.
const NOTICE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// How long the last bytes wait for a place in the output after a stop.
const PARTING: Duration = Duration::from_secs(1);

/// Standard input as a source.
#[derive(Debug)]
pub struct Stdin {
    config: StdinConfig,
    key: SourceKey,
    /// Its own duplicate, so that nothing else in the process buffers what it reads.
    input: OwnedFd,
    /// Bytes handed on, over all processes that read this source.
    offset: u64,
    labels: Labels,
    shape: Shape,
    /// What this pipe's text is made of, once its first bytes told.
    units: Option<Units>,
    /// When lines that may go on are handed on all the same.
    due: Option<Instant>,
    handover: Arc<Handover>,
}

impl Stdin {
    pub(super) fn new(config: &StdinConfig, known: Vec<Cursor>, keys: &Keys) -> Result<Stdin, Error> {
        let input = io::stdin().as_fd().try_clone_to_owned();
        let input = input.map_err(|reason| Error::Stdin { name: config.name.clone(), reason })?;
        Stdin::reading(config, known, keys, input)
    }

    fn reading(config: &StdinConfig, known: Vec<Cursor>, keys: &Keys, input: OwnedFd) -> Result<Stdin, Error> {
        let shape = Shape::new(&config.name, config.max_line_bytes, &config.text)?;
        let labels = SourceLabels::new(&config.name, &config.labels)?.common();
        let offset = known.iter().map(Cursor::offset).max().unwrap_or(0);
        let key = keys.next();
        Ok(Stdin {
            config: config.clone(),
            key,
            input,
            offset,
            labels,
            shape,
            units: None,
            due: None,
            handover: Arc::clone(keys.handover()),
        })
    }

    pub(super) fn run(mut self, output: &Sender<Batch>, stop: &Stop) -> Result<(), Error> {
        let opened = SourceEvent::Opened {
            name: self.config.name.clone(),
            cursor: Cursor::Stdin { offset: self.offset },
            labels: self.labels.clone(),
        };
        let mut batch = Batch { bytes: Vec::new(), items: vec![Item::Source(self.key, opened)] };
        // looked at at once: there may be whole lines among it
        let mut has_more = false;
        if let Some(rest) = self.handover.take(&self.config.name) {
            self.units = rest.units;
            batch.bytes = rest.bytes();
            has_more = !batch.bytes.is_empty();
        }
        loop {
            let read = if std::mem::take(&mut has_more) { Ok(Read::Some) } else { self.read(&mut batch.bytes, stop) };
            let read = read.map_err(|reason| Error::Stdin { name: self.config.name.clone(), reason })?;
            let more = matches!(read, Read::Some | Read::Quiet);
            let goes_on = read == Read::Stopped && self.handover.is_expected(&self.config.name);
            loop {
                let rest = self.cut(&mut batch, !more && !goes_on, read == Read::Quiet);
                if batch.items.is_empty() {
                    batch.bytes = rest;
                    break;
                }
                self.send(&mut batch, output, stop)?;
                batch.bytes = rest;
            }
            if read == Read::End {
                batch.items.push(Item::Source(self.key, SourceEvent::Ended));
                self.send(&mut batch, output, stop)?;
            }
            if goes_on {
                self.handover.leave(&self.config.name, std::mem::take(&mut batch.bytes), self.units);
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Sends the batch and leaves an empty one; after a stop it waits no longer than [`PARTING`], unless another source reads on.
    fn send(&self, batch: &mut Batch, output: &Sender<Batch>, stop: &Stop) -> Result<(), Error> {
        let closed = || Error::OutputClosed { name: self.config.name.clone() };
        if !stop.is_set() {
            select! {
                send(output, std::mem::take(batch)) -> sent => return sent.map_err(|_| closed()),
                recv(stop.channel()) -> _ => {}
            }
        }
        if self.handover.is_expected(&self.config.name) {
            return output.send(std::mem::take(batch)).map_err(|_| closed());
        }
        match output.send_timeout(std::mem::take(batch), PARTING) {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Disconnected(_)) => Err(closed()),
            Err(SendTimeoutError::Timeout(lost)) => {
                tracing::warn!(
                    source = self.config.name,
                    bytes = lost.bytes.len(),
                    "stopped while the output was blocked: these bytes of standard input are lost, as a pipe can't be read again"
                );
                Ok(())
            }
        }
    }

    /// Appends what the pipe holds, at most [`READ_BYTES`], once it holds something or what is held back is due.
    fn read(&self, bytes: &mut Vec<u8>, stop: &Stop) -> io::Result<Read> {
        while !stop.is_set() {
            let mut waiting = [PollFd::new(&self.input, PollFlags::IN)];
            let left = self.due.map(|due| due.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok()).map_or(NOTICE, |left| left.min(NOTICE));
            match poll(&mut waiting, Some(&left)) {
                Ok(0) if self.due.is_some_and(|due| due <= Instant::now()) => return Ok(Read::Quiet),
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            bytes.reserve(READ_BYTES);
            match rustix::io::read(&self.input, rustix::buffer::spare_capacity(bytes)) {
                Ok(0) => return Ok(Read::End),
                Ok(_) => return Ok(Read::Some),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Read::Stopped)
    }

    /// Makes lines of the batch's bytes, moves on over them and takes half a line off the end.
    fn cut(&mut self, batch: &mut Batch, at_end: bool, is_quiet: bool) -> Vec<u8> {
        let units = match self.units {
            Some(units) => units,
            // a byte order mark may have more bytes than came yet
            None if matches!(batch.bytes[..], [] | [0xfe | 0xff] | [0xff, 0xfe] | [0xff, 0xfe, _]) && !at_end => {
                return std::mem::take(&mut batch.bytes);
            }
            None => {
                let units = self.shape.encoding.units(&batch.bytes);
                // units of two bytes begin at even offsets, and the first of a pipe at its first byte
                if units != Units::Bytes {
                    self.offset = self.offset.next_multiple_of(2);
                }
                *self.units.insert(units)
            }
        };
        let cut = Cut { key: self.key, shape: &self.shape, units, at_end, is_quiet };
        let taken = cut.lines(batch, 0, self.offset);
        self.offset += taken.bytes as u64;
        self.due = taken.held.then(|| Instant::now() + self.shape.timeout());
        batch.bytes.split_off(taken.bytes)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    Some,
    /// Nothing came for long enough.
    Quiet,
    End,
    Stopped,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::End;
    use crate::source::{Multiline, Opens, TextConfig};
    use crossbeam_channel::{Receiver, bounded};
    use std::io::Write;

    /// A source that reads a pipe, the pipe's other end, and what it hands on.
    fn piped(stop: Stop) -> (io::PipeWriter, Receiver<Batch>, std::thread::JoinHandle<Result<(), Error>>) {
        piped_as(TextConfig::default(), stop)
    }

    fn piped_as(
        text: TextConfig,
        stop: Stop,
    ) -> (io::PipeWriter, Receiver<Batch>, std::thread::JoinHandle<Result<(), Error>>) {
        let (reader, writer) = io::pipe().unwrap();
        let labels = Default::default();
        let config = StdinConfig { name: "in".into(), max_line_bytes: 8, text, labels };
        let known = vec![Cursor::Stdin { offset: 100 }];
        let stdin = Stdin::reading(&config, known, &Keys::default(), reader.into()).unwrap();
        let (output, batches) = bounded(1);
        (writer, batches, std::thread::spawn(move || stdin.run(&output, &stop)))
    }

    type Line = (Vec<u8>, u64, End);

    fn lines(batches: &Receiver<Batch>) -> (Vec<Line>, Vec<SourceEvent>) {
        let (mut lines, mut events) = (Vec::new(), Vec::new());
        for batch in batches {
            for item in &batch.items {
                match item {
                    Item::Line(line) => lines.push((batch.text(line).to_vec(), line.offset, line.end)),
                    Item::Source(_, event) => events.push(event.clone()),
                }
            }
        }
        (lines, events)
    }

    #[test]
    fn reads_to_the_end_and_says_so() {
        let (mut writer, batches, thread) = piped(Stop::never());
        writer.write_all(b"one\n\xff\0\nlonger than eight\nhalf").unwrap();
        drop(writer);
        let (lines, events) = lines(&batches);
        let texts: Vec<&[u8]> = lines.iter().map(|(text, ..)| text.as_slice()).collect();
        assert_eq!(texts, [b"one".as_slice(), b"\xff\0", b"longer t", b"han eigh", b"t", b"half"]);
        assert_eq!(lines[0].1, 104);
        assert_eq!(lines[5], (b"half".to_vec(), 100 + 29, End::Eof));
        assert!(matches!(&events[..], [SourceEvent::Opened { .. }, SourceEvent::Ended]));
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn a_stop_hands_on_what_was_taken_out_of_the_pipe() {
        let (stopper, stop) = Stop::pair();
        let (mut writer, batches, thread) = piped(stop);
        writer.write_all(b"one\nhalf").unwrap();
        let first: Vec<Batch> = batches.iter().take(1).collect();
        stopper.stop();
        let (rest, events) = lines(&batches);
        thread.join().unwrap().unwrap();
        assert_eq!(rest.last().map(|(text, _, end)| (text.as_slice(), *end)), Some((b"half".as_slice(), End::Eof)));
        assert!(events.is_empty(), "the pipe has not ended: {events:?}");
        assert!(matches!(first[0].items[0], Item::Source(_, SourceEvent::Opened { .. })));
    }

    #[test]
    fn what_is_no_whole_line_goes_over_to_the_next_reader_of_the_pipe() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (next_reader, handover) = (reader.try_clone().unwrap(), Arc::new(Handover::default()));
        let read = |reader: io::PipeReader, offset, stop: Stop| {
            let config = StdinConfig {
                name: "in".into(),
                max_line_bytes: 8,
                text: TextConfig::default(),
                labels: Default::default(),
            };
            let keys = Keys::sharing(1, Default::default(), Arc::clone(&handover));
            let stdin = Stdin::reading(&config, vec![Cursor::Stdin { offset }], &keys, reader.into()).unwrap();
            let (output, batches) = bounded(1);
            (batches, std::thread::spawn(move || stdin.run(&output, &stop)))
        };
        let (stopper, stop) = Stop::pair();
        let (batches, thread) = read(reader, 0, stop);
        writer.write_all(b"one\ntwo\nthr").unwrap();
        let first = batches.recv().unwrap();
        handover.expect("in");
        stopper.stop();
        let (rest, _) = lines(&batches);
        thread.join().unwrap().unwrap();
        assert_eq!(rest, [], "half a line does not end here");
        // the second line came back
        handover.give_back("in", first.text(lines_of(&first)[1]), End::Newline);
        let (batches, thread) = read(next_reader, 4, Stop::never());
        writer.write_all(b"ee\n").unwrap();
        drop(writer);
        let (rest, events) = lines(&batches);
        thread.join().unwrap().unwrap();
        assert_eq!(rest, [(b"two".to_vec(), 8, End::Newline), (b"three".to_vec(), 14, End::Newline)]);
        assert_eq!(events.last(), Some(&SourceEvent::Ended));
    }

    fn lines_of(batch: &Batch) -> Vec<&crate::record::LineItem> {
        let lines = batch.items.iter().filter_map(|item| match item {
            Item::Line(line) => Some(line),
            Item::Source(..) => None,
        });
        lines.collect()
    }

    #[test]
    fn lines_that_may_go_on_wait_for_the_timeout_and_no_longer() {
        let multiline = Multiline { opens: Opens::Start(r"^\d".into()), timeout: Duration::from_millis(30) };
        let (mut writer, batches, thread) =
            piped_as(TextConfig { multiline: Some(multiline), ..TextConfig::default() }, Stop::never());
        writer.write_all(b"1 a\n b\n2 c\n").unwrap();
        // the pipe stays open: time alone brings the last one
        let mut found = Vec::new();
        for batch in &batches {
            for item in &batch.items {
                if let Item::Line(line) = item {
                    found.push(batch.text(line).to_vec());
                }
            }
            if found.len() == 2 {
                break;
            }
        }
        assert_eq!(found, [b"1 a\n b".to_vec(), b"2 c".to_vec()]);
        drop(writer);
        assert!(matches!(&lines(&batches).1[..], [SourceEvent::Ended]));
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn utf_16_is_told_by_the_first_bytes_of_the_pipe() {
        let (mut writer, batches, thread) = piped(Stop::never());
        writer.write_all(b"\xff").unwrap();
        let first: Vec<Batch> = batches.iter().take(1).collect();
        assert_eq!(first[0].items.len(), 1, "it is opened");
        writer.write_all(b"\xfea\0\n\0b\0").unwrap();
        drop(writer);
        let (lines, _) = lines(&batches);
        let texts: Vec<&[u8]> = lines.iter().map(|(text, ..)| text.as_slice()).collect();
        assert_eq!(texts, [b"\xff\xfea\0\n\0".as_slice(), b"b\0"]);
        assert_eq!((lines[1].1, lines[1].2), (108, End::Utf16Le));
        thread.join().unwrap().unwrap();
    }
}
