//! `sealtail policy try`: lines with their verdicts as they are written. Nothing is kept and nothing is shipped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;
use linemux::MuxedLines;

use crate::chain::stamp::rfc3339;
use crate::cli::show::render;
use crate::policy::{Evaluator, LineContext, SourceContext};
use crate::record::Verdict;

/// A longer line is cut; the agent would chain it in parts.
pub(super) const LINE_MAX: usize = 256 * 1024;

/// Arguments of `sealtail policy try`.
#[derive(Debug, Args)]
pub(super) struct TryArgs {
    /// Policies; by default those that come with sealtail
    #[arg(long, value_name = "PATH")]
    policies: Vec<PathBuf>,
    /// Read the files from their beginning to their end, and stop
    #[arg(long)]
    once: bool,
    /// Leave out lines without verdicts
    #[arg(long)]
    matching: bool,
    /// One JSON object a line: source, message, verdicts
    #[arg(long)]
    json: bool,
    /// With --json: the document that policies see of the line, as `input`; for tests
    #[arg(long, requires = "json")]
    input: bool,
    /// Files to follow from their end, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &TryArgs) -> ExitCode {
    let set = match super::load(&args.policies) {
        Ok(set) => set,
        Err(faults) => return super::refuse(&faults),
    };
    let mut shower = Shower { evaluator: Evaluator::new(&set), args, lines: 0, matched: 0, found: BTreeMap::new() };
    let is_stdin = |path: &PathBuf| path.as_os_str() == "-";
    let (stdin, files): (Vec<PathBuf>, Vec<PathBuf>) = args.files.iter().cloned().partition(is_stdin);
    let result = if !stdin.is_empty() && !files.is_empty() && !args.once {
        Err("- can't be followed together with files; use --once, or run it twice".to_owned())
    } else if args.once || files.is_empty() {
        read_all(&mut shower, &args.files)
    } else {
        crate::cli::runtime().and_then(|runtime| runtime.block_on(follow(&mut shower, &files)))
    };
    shower.sum();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::cli::fail(&[error]),
    }
}

fn read_all(shower: &mut Shower<'_>, files: &[PathBuf]) -> Result<(), String> {
    for path in files {
        let at = |error: io::Error| format!("{}: {error}", path.display());
        let (input, shown): (Box<dyn BufRead>, _) = match path.as_os_str() == "-" {
            true => (Box::new(io::stdin().lock()), None),
            false => (Box::new(BufReader::new(File::open(path).map_err(at)?)), Some(path.as_path())),
        };
        for line in Lines::new(input) {
            match shower.line(shown, &line.map_err(at)?) {
                // the reader of our output has seen enough
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                result => result.map_err(at)?,
            }
        }
    }
    Ok(())
}

async fn follow(shower: &mut Shower<'_>, files: &[PathBuf]) -> Result<(), String> {
    let mut lines = MuxedLines::new().map_err(|error| format!("cannot watch files: {error}"))?;
    for path in files {
        lines.add_file(path).await.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    anstream::eprintln!("following {} files from their end; Ctrl-C ends", files.len());
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        match line {
            Ok(Some(line)) => match shower.line(Some(line.source()), line.line().as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                result => result.map_err(|error| error.to_string())?,
            },
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err("a line is not UTF-8; `tail -F FILE | sealtail policy try -` shows it".to_owned());
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

struct Shower<'a> {
    evaluator: Evaluator,
    args: &'a TryArgs,
    lines: u64,
    matched: u64,
    found: BTreeMap<String, u64>,
}

impl Shower<'_> {
    fn line(&mut self, path: Option<&Path>, message: &[u8]) -> io::Result<()> {
        let time = rfc3339(SystemTime::now());
        let shown = path.and_then(Path::file_name).map_or("-".into(), |name| name.to_string_lossy());
        let source = SourceContext {
            kind: if path.is_some() { "file" } else { "stdin" },
            name: shown.to_string(),
            path: path.map(|path| path.to_string_lossy().into_owned()),
            ..SourceContext::default()
        };
        let context =
            LineContext { message, earlier: b"", is_piece: false, source: &source, host: "localhost", time: &time };
        let json = self.evaluator.verdicts(&context).json;
        // what our own evaluator rendered parses
        let verdicts: Vec<Verdict> = serde_json::from_slice(&json).unwrap_or_default();
        self.lines += 1;
        self.matched += u64::from(!verdicts.is_empty());
        for verdict in &verdicts {
            *self.found.entry(verdict.id.clone()).or_default() += 1;
        }
        if self.args.matching && verdicts.is_empty() {
            return Ok(());
        }
        let line = if self.args.json {
            let text = String::from_utf8_lossy(message);
            let mut row = serde_json::json!({"source": shown, "message": text, "verdicts": verdicts});
            if self.args.input {
                row["input"] = serde_json::from_str(&self.evaluator.document(&context)).unwrap_or_default();
            }
            row.to_string()
        } else {
            render(time.get(11..19).unwrap_or_default(), &shown, message, &verdicts)
        };
        writeln!(anstream::stdout(), "{line}")
    }

    fn sum(&self) {
        anstream::eprintln!("{} lines, {} with verdicts", self.lines, self.matched);
        for (id, count) in &self.found {
            anstream::eprintln!("{count:>8}  {id}");
        }
    }
}

/// The lines of a reader, each cut at [`LINE_MAX`].
pub(super) struct Lines<R> {
    reader: R,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader }
    }

    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            let part = self.reader.fill_buf()?;
            if part.is_empty() {
                return Ok((!line.is_empty()).then_some(line));
            }
            let end = memchr::memchr(b'\n', part);
            let length = end.unwrap_or(part.len());
            line.extend_from_slice(&part[..length.min(LINE_MAX.saturating_sub(line.len()))]);
            let used = length + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(line));
            }
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_counted() {
        let long = "x".repeat(LINE_MAX + 7);
        let text = format!("a\n\n{long}\nlast");
        let lines: Vec<usize> = Lines::new(text.as_bytes()).map(|line| line.unwrap().len()).collect();
        assert_eq!(lines, [1, 0, LINE_MAX, 4]);
    }
}
