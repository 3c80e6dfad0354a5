//! `sealtail redacted`: in which lines was this value hidden?

use crate::chain::genesis::Opened;
use crate::chain::header::{Header, LogPayload};
use crate::chain::key::load_identities;
use crate::chain::line::RawLine;
use crate::chain::redact::RedactionKey;
use crate::verify::archive::{Archive, StreamFiles};
use crate::verify::lines::Lines;
use base64::prelude::*;
use clap::Args;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use zeroize::Zeroizing;

/// No line is longer, and so no value.
const VALUE_MAX_BYTES: u64 = 1024 * 1024;

/// Say in which lines of an archive a value was redacted
///
/// Reads the value from standard input, up to the end or a last newline: it is never an argument, which other users could see.
/// Prints host, stream and seq of each line that has the value's digest. Exit 0 if there is one, 1 if not, 2 if something could not be read.
#[derive(Debug, Args)]
pub struct RedactedArgs {
    /// Archives or spools: files, or folders laid out as <host>/<stream>/
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The auditor's age identity (may be given more than once)
    #[arg(long, required = true, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// Runs `sealtail redacted`.
pub fn run(args: &RedactedArgs) -> ExitCode {
    anstream::eprintln!("sealtail redacted: nothing was checked; `sealtail verify` does that");
    match find(args) {
        Ok((found, faults)) => {
            faults.iter().for_each(|fault| anstream::eprintln!("sealtail redacted: {fault}"));
            match (faults.is_empty(), found) {
                (false, _) => ExitCode::from(2),
                (true, 0) => ExitCode::FAILURE,
                (true, _) => ExitCode::SUCCESS,
            }
        }
        Err(fault) => {
            anstream::eprintln!("sealtail redacted: {fault}");
            ExitCode::from(2)
        }
    }
}

/// How many lines there are, and what could not be read.
fn find(args: &RedactedArgs) -> Result<(u64, Vec<String>), String> {
    let mut identities = Vec::new();
    for path in &args.identity {
        identities.extend(load_identities(path).map_err(|error| error.to_string())?);
    }
    let value = value().map_err(|error| format!("cannot read the value from standard input: {error}"))?;
    if value.is_empty() || value.len() as u64 > VALUE_MAX_BYTES {
        return Err("give the value on standard input, 1 byte to 1 MiB: sealtail redacted … < FILE".into());
    }
    let Archive { streams, mut faults } = Archive::discover(&args.paths);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut found = 0;
    for files in &streams {
        match digest(files, &identities, &value) {
            Ok(digest) => {
                let told = lines(files, &digest, args.json, &mut faults, &mut out);
                found += told.map_err(|error| format!("cannot write: {error}"))?;
            }
            Err(fault) => faults.push(format!("{}/{}: {fault}", files.host, files.stream)),
        }
    }
    out.flush().map_err(|error| format!("cannot write: {error}"))?;
    Ok((found, faults))
}

fn value() -> io::Result<Zeroizing<Vec<u8>>> {
    let stdin = io::stdin().lock();
    if stdin.is_terminal() {
        anstream::eprintln!("sealtail redacted: the value, then Ctrl-D:");
    }
    // as much as there may be at once: growing would leave copies behind
    let mut value = Zeroizing::new(Vec::with_capacity(VALUE_MAX_BYTES as usize + 3));
    stdin.take(VALUE_MAX_BYTES + 2).read_to_end(&mut value)?;
    for end in [b'\n', b'\r'] {
        if value.last() == Some(&end) {
            value.pop();
        }
    }
    Ok(value)
}

/// The value's digest in a stream, as a marker has it.
fn digest(files: &StreamFiles, identities: &[age::x25519::Identity], value: &[u8]) -> Result<String, String> {
    const NONE: &str = "its first line is not there, and with it the key that its digests are under";
    let first = files.files.first().ok_or(NONE)?;
    let mut lines = Lines::open(&first.path).map_err(|fault| format!("{} {fault}", first.path.display()))?;
    let line = lines.next_line().ok_or(NONE)?.map_err(|fault| format!("{} {fault}", first.path.display()))?;
    let raw = RawLine::parse(line).map_err(|_| NONE)?;
    let opened = Opened::parse(&raw).map_err(|_| NONE)?;
    let sealed = opened.unseal(identities).map_err(|error| error.to_string())?;
    let key = RedactionKey::of(&sealed.k0).map_err(|error| format!("no memory for its key: {error}"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(key.digest(value)))
}

fn lines(
    files: &StreamFiles,
    digest: &str,
    json: bool,
    faults: &mut Vec<String>,
    out: &mut dyn Write,
) -> io::Result<u64> {
    let mut found = 0;
    for file in &files.files {
        let mut lines = match Lines::open(&file.path) {
            Ok(lines) => lines,
            Err(fault) => {
                faults.push(format!("{} {fault}", file.path.display()));
                continue;
            }
        };
        while let Some(line) = lines.next_line() {
            let line = match line {
                Ok(line) => line,
                Err(fault) => {
                    faults.push(format!("{} {fault}", file.path.display()));
                    continue;
                }
            };
            // what is no line is verify's to find
            let Ok(raw) = RawLine::parse(line) else { continue };
            let payload = raw.payload.and_then(|payload| serde_json::from_slice::<LogPayload<'_>>(payload).ok());
            let digests = payload.and_then(|payload| payload.redacted).unwrap_or_default();
            let Ok((common, Header::Log(_))) = Header::parse(raw.header) else { continue };
            if !digests.iter().any(|known| known == digest) {
                continue;
            }
            found += 1;
            let (host, stream, seq) = (&files.host, files.stream, common.seq);
            match json {
                true => writeln!(out, r#"{{"host":"{host}","stream":"{stream}","seq":{seq},"digest":"{digest}"}}"#)?,
                false => writeln!(out, "{host} {stream} {seq}")?,
            }
        }
    }
    Ok(found)
}
