//! `sealtail cat`: an archive or a spool back as plain lines.

use crate::chain::header::{Hash, Header, Log, LogPayload, SourceEventKind, SourcePayload};
use crate::chain::line::RawLine;
use crate::record::{Labels, Seq, StreamId, Verdict};
use crate::verify::archive::{Archive, StreamFiles};
use crate::verify::lines::{Fault, Lines};
use base64::prelude::*;
use clap::Args;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Sources whose names and labels are kept in mind, a stream.
const SOURCES_MAX: usize = 100_000;

/// Arguments of `sealtail cat`.
#[derive(Debug, Args)]
pub struct CatArgs {
    /// Archives or spools: files, or folders laid out as <host>/<stream>/
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print one JSON object a line, with time, source, verdicts and the digest of the policies
    #[arg(long)]
    json: bool,
    /// Only lines of the source with this name
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only lines of this stream
    #[arg(long, value_name = "ID", value_parser = |text: &str| text.parse::<StreamId>().map_err(|()| "32 hexadecimal digits, such as the name of the stream's folder"))]
    stream: Option<StreamId>,
}

/// Runs `sealtail cat`: 0, or 1 if something could not be read.
pub fn run(args: CatArgs) -> ExitCode {
    anstream::eprintln!("sealtail cat: nothing was checked; `sealtail verify` does that");
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    match print(&args, &mut out).and_then(|faults| out.flush().map(|()| faults)) {
        Ok(faults) => {
            faults.iter().for_each(|fault| anstream::eprintln!("sealtail cat: {fault}"));
            if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        // whoever reads has seen enough
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("sealtail cat: cannot write: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the lines; gives what could not be read.
pub fn print(args: &CatArgs, out: &mut dyn Write) -> io::Result<Vec<String>> {
    let Archive { streams, mut faults } = Archive::discover(&args.paths);
    for files in streams.iter().filter(|files| args.stream.is_none_or(|stream| stream == files.stream)) {
        let (sources, labels) = (HashMap::new(), Labels::default());
        Stream { args, files, next: 0, sources, labels, policy: None, faults: &mut faults }.print(out)?;
    }
    Ok(faults)
}

/// A stream that is being printed.
struct Stream<'a> {
    args: &'a CatArgs,
    files: &'a StreamFiles,
    /// Lines before this were printed.
    next: Seq,
    /// Names and labels of sources, by their number in the stream.
    sources: HashMap<u32, (String, Labels)>,
    /// Those of the last source: many have the same.
    labels: Labels,
    /// The digest of the policies that speak of the next line, as the genesis and `policy` lines say it.
    policy: Option<Hash>,
    faults: &'a mut Vec<String>,
}

impl Stream<'_> {
    fn print(mut self, out: &mut dyn Write) -> io::Result<()> {
        for file in &self.files.files {
            let path = file.path.display();
            let mut unread = 0u64;
            let mut lines = match Lines::open(&file.path) {
                Ok(lines) => lines,
                Err(fault) => {
                    self.faults.push(format!("{path} {fault}"));
                    continue;
                }
            };
            while let Some(line) = lines.next_line() {
                match line {
                    Ok(line) => unread += u64::from(!self.line(line, out)?),
                    // how the file looks that is being written
                    Err(fault @ Fault::Torn { flushed: true, .. }) => {
                        anstream::eprintln!("sealtail cat: {path} {fault}; stopped before line {}", self.next);
                    }
                    Err(fault) => self.faults.push(format!("{path} {fault}; stopped before line {}", self.next)),
                }
            }
            if unread > 0 {
                self.faults.push(format!("{path}: {unread} lines are erased or not of the format and were left out"));
            }
        }
        Ok(())
    }

    /// False if the line can't be read.
    fn line(&mut self, line: &[u8], out: &mut dyn Write) -> io::Result<bool> {
        let Ok(raw) = RawLine::parse(line) else { return Ok(false) };
        let Ok((common, header)) = Header::parse(raw.header) else { return Ok(false) };
        if common.seq < self.next {
            return Ok(true);
        }
        self.next = common.seq.saturating_add(1);
        match header {
            Header::Source(source) if source.event == SourceEventKind::Opened => {
                if let Some(name) = source.name.filter(|_| self.sources.len() < SOURCES_MAX) {
                    let labels = self.labels_of(raw.payload);
                    self.sources.insert(source.src, (name, labels));
                }
                Ok(true)
            }
            Header::Genesis(genesis) => {
                self.policy = Some(genesis.policy);
                Ok(true)
            }
            Header::Policy(changed) => {
                self.policy = Some(changed.new);
                Ok(true)
            }
            Header::Log(log) => self.log(&log, raw.payload, out),
            _ => Ok(true),
        }
    }

    /// The labels in the payload of a source that was opened; none if it was erased.
    fn labels_of(&mut self, payload: Option<&[u8]>) -> Labels {
        let payload = payload.and_then(|payload| serde_json::from_slice::<SourcePayload<'_>>(payload).ok());
        let labels = payload.and_then(|payload| payload.labels).unwrap_or_default();
        if *self.labels != labels {
            self.labels = labels.into();
        }
        self.labels.clone()
    }

    fn log(&self, log: &Log<'_>, payload: Option<&[u8]>, out: &mut dyn Write) -> io::Result<bool> {
        let source = self.sources.get(&log.src);
        if self.args.source.as_ref().is_some_and(|wanted| source.is_none_or(|(name, _)| name != wanted)) {
            return Ok(true);
        }
        if payload.is_none() {
            // whether by leave is verify's to say
            return if self.args.json { self.json(log, source, None, None, out).map(|()| true) } else { Ok(false) };
        }
        let payload = payload.and_then(|payload| serde_json::from_slice::<LogPayload<'_>>(payload).ok());
        let Some(message) = payload.as_ref().and_then(LogPayload::message) else { return Ok(false) };
        if self.args.json {
            let redacted = payload.as_ref().and_then(|payload| payload.redacted.as_deref());
            self.json(log, source, Some(&message), redacted, out)?;
        } else {
            out.write_all(&message)?;
            if log.end.is_none() {
                out.write_all(b"\n")?;
            }
        }
        Ok(true)
    }

    fn json(
        &self,
        log: &Log<'_>,
        source: Option<&(String, Labels)>,
        message: Option<&[u8]>,
        redacted: Option<&[Cow<'_, str>]>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        #[derive(serde::Serialize)]
        struct Object<'a> {
            host: &'a str,
            stream: StreamId,
            seq: Seq,
            time: &'a str,
            source: Option<&'a String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            labels: Option<&'a BTreeMap<String, String>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            message: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            message_b64: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            policy: Option<Hash>,
            /// Nothing of it is there any more.
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            erased: bool,
            /// The digests of what was redacted.
            #[serde(skip_serializing_if = "Option::is_none")]
            redacted: Option<&'a [Cow<'a, str>]>,
            verdicts: &'a [Verdict],
        }
        let text = message.and_then(|message| str::from_utf8(message).ok());
        let message_b64 = message.filter(|_| text.is_none()).map(|message| BASE64_STANDARD.encode(message));
        let object = Object {
            host: &self.files.host,
            stream: self.files.stream,
            seq: log.seq,
            time: &log.time,
            source: source.map(|(name, _)| name),
            labels: source.map(|(_, labels)| &**labels).filter(|labels| !labels.is_empty()),
            message: text,
            message_b64,
            policy: self.policy,
            erased: message.is_none(),
            redacted,
            verdicts: &log.verdicts,
        };
        serde_json::to_writer(&mut *out, &object)?;
        out.write_all(b"\n")
    }
}
