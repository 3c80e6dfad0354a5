//! Questions to whoever sits at the terminal.

use clap::ValueEnum;
use std::io::{self, BufRead, IsTerminal, Write};

/// Asks where somebody is there to answer; elsewhere notes which flags are missing.
pub(super) struct Ask {
    somebody: bool,
    missing: Vec<String>,
}

/// A hand that slips this often is none.
const ATTEMPTS_MAX: usize = 10;

impl Ask {
    pub(super) fn new(yes: bool) -> Self {
        Self { somebody: !yes && io::stdin().is_terminal() && io::stderr().is_terminal(), missing: Vec::new() }
    }

    /// What is taken when nothing is answered, or nobody is there.
    pub(super) fn with_default(&mut self, question: &str, default: String) -> Result<String, Vec<String>> {
        if !self.somebody {
            return Ok(default);
        }
        let answer = line(&format!("{question} [{default}]: "))?;
        Ok(if answer.is_empty() { default } else { answer })
    }

    /// One of a few words.
    pub(super) fn choose<T: ValueEnum + Copy>(&mut self, question: &str, default: T) -> Result<T, Vec<String>> {
        let name = |value: T| value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        for _ in 0..ATTEMPTS_MAX {
            let answer = self.with_default(question, name(default))?;
            match T::from_str(&answer, true) {
                Ok(value) => return Ok(value),
                Err(_) => eprintln!("  {answer:?} is none of them"),
            }
        }
        Err(vec![format!("{question} Answer with one of the words, or use the flag")])
    }

    /// What has no default; `None` notes that `flag` is missing.
    pub(super) fn required(&mut self, flag: &str, question: &str) -> Option<String> {
        for _ in 0..if self.somebody { ATTEMPTS_MAX } else { 0 } {
            match line(&format!("{question}: ")) {
                Ok(answer) if answer.is_empty() => {}
                Ok(answer) => return Some(answer),
                Err(_) => break,
            }
        }
        self.missing.push(flag.to_owned());
        None
    }

    /// Faults what nobody said.
    pub(super) fn missing(self) -> Result<(), Vec<String>> {
        match self.missing.is_empty() {
            true => Ok(()),
            false => Err(vec![format!("say what can't be found out, with {}", self.missing.join(", "))]),
        }
    }
}

/// An answer, without white space around it.
fn line(question: &str) -> Result<String, Vec<String>> {
    let failed = |error: io::Error| vec![format!("cannot ask on the terminal: {error}; use flags and --yes")];
    let mut answer = String::new();
    eprint!("{question}");
    io::stderr().flush().map_err(failed)?;
    match io::stdin().lock().read_line(&mut answer).map_err(failed)? {
        0 => Err(vec!["the terminal was closed before the last answer".to_owned()]),
        _ => Ok(answer.trim().to_owned()),
    }
}
