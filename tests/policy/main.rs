//! Policies by the command line: the packs on their samples, mistakes, hostile policies, `try`, `explain`, `controls`, a
//! second engine.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

mod bundles;
mod commands;
mod hostile;
mod mistakes;
mod nested;
mod pack;
mod redacts;
mod samples;
mod second_engine;
mod sign;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn packs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

/// `sealtail policy …`.
fn policy(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sealtail")).arg("policy").args(args).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

/// A policy of one rule with this body.
fn rule(body: &str) -> String {
    format!("package sealtail.a\n\nverdicts contains {{\"id\": \"x\"}} if {{\n\t{body}\n}}\n")
}
