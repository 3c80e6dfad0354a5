//! `sealtail keys`: an auditor's identity, a host's signing key, a key that may erase.

use crate::chain::host_key::{self, HostKey};
use crate::chain::{auditor_key, key_file};
use clap::{Args, Subcommand, ValueEnum};
use std::io::{self, Write};
use std::path::PathBuf;

/// Makes keys.
#[derive(Debug, Args)]
pub struct Keys {
    /// Whose key.
    #[command(subcommand)]
    pub whose: Whose,
}

/// Whose key to make.
#[derive(Debug, Subcommand)]
pub enum Whose {
    /// Make an auditor's identity (age X25519), which opens every stream that is sealed to it. Prints its recipient, age1…, for [auditors]
    Auditor {
        /// The identity's file, made with mode 0600 and never written over; without it the identity itself is printed
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make a host's signing key: FILE (PKCS#8 PEM, mode 0600) for the agent, and FILE with the extension .pub for verifiers
    Host {
        /// The secret key's file, never written over
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The kind of key
        #[arg(long = "type", value_enum, default_value_t = Kind::Ed25519)]
        kind: Kind,
    },
    /// Make a key that signs erasures: FILE (PKCS#8 PEM, mode 0600) for whoever may erase, never on a host, and FILE with the extension .pub for [erasure] keys
    Erasure {
        /// The secret key's file, never written over
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The kind of key
        #[arg(long = "type", value_enum, default_value_t = Kind::Ed25519)]
        kind: Kind,
    },
}

/// Kinds of host keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Ed25519
    Ed25519,
    /// ECDSA on P-256
    P256,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The identity's file.
    #[error(transparent)]
    File(#[from] key_file::Error),
    /// The host key.
    #[error(transparent)]
    HostKey(#[from] host_key::Error),
    /// The result could not be printed.
    #[error("cannot write to standard output: {0}; the key, if a file was asked for, is made")]
    Print(#[from] io::Error),
}

impl Kind {
    fn make(self) -> Result<HostKey, host_key::Error> {
        match self {
            Self::Ed25519 => HostKey::generate_ed25519(),
            Self::P256 => HostKey::generate_p256(),
        }
    }
}

impl Keys {
    /// Makes the key and prints what others need to know of it.
    pub fn run(&self, output: &mut dyn Write) -> Result<(), Error> {
        match &self.whose {
            Whose::Auditor { out: Some(path) } => writeln!(output, "{}", auditor_key::save_new(path)?)?,
            Whose::Auditor { out: None } => output.write_all(auditor_key::generate().0.as_bytes())?,
            Whose::Host { out, kind } => {
                let public = kind.make()?.save_new(out)?;
                writeln!(output, "{}: keep it on this host, readable by sealtail only", out.display())?;
                writeln!(output, "{}: give it to verifiers and receivers", public.display())?;
            }
            Whose::Erasure { out, kind } => {
                let public = kind.make()?.save_new(out)?;
                writeln!(output, "{}: keep it away from hosts and archives, for `sealtail erase`", out.display())?;
                writeln!(output, "{}: name it in [erasure] keys of each agent", public.display())?;
            }
        }
        Ok(output.flush()?)
    }
}
