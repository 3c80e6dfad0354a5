//! The house in order: what CONTRIBUTING.md asks of every file, checked.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(rust_files(&path)),
            false if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
            false => {}
        }
    }
    files.sort();
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn no_file_is_over_500_lines() {
    let files = ["src", "tests", "benches"].iter().flat_map(|folder| rust_files(&root().join(folder)));
    let long: Vec<_> = files
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(n, _)| *n > 500)
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn unsafe_stands_in_one_module() {
    let keyword = concat!("uns", "afe ");
    let files = rust_files(&root().join("src")).into_iter();
    let with: Vec<_> = files
        .filter(|file| {
            fs::read_to_string(file)
                .unwrap()
                .lines()
                .any(|line| !line.trim_start().starts_with("//") && line.contains(keyword))
        })
        .collect();
    assert_eq!(with, [root().join("src/chain/memory.rs")]);
}

/// Which stages a stage may use, besides itself, `record`, `durable` and `modes`.
const LAW: [(&str, &[&str]); 19] = [
    ("record", &[]),
    ("durable", &[]),
    ("modes", &[]),
    ("hardening", &[]),
    ("service", &[]),
    ("source", &[]),
    ("policy", &["tls"]),
    ("chain", &[]),
    ("tls", &["chain"]),
    ("s3", &["tls"]),
    ("telemetry", &[]),
    ("alert", &["tls"]),
    ("spool", &["chain", "service"]),
    ("forward", &["chain", "s3", "spool", "tls"]),
    ("receive", &["chain", "service", "telemetry", "tls"]),
    ("verify", &["chain"]),
    ("erase", &["chain", "spool", "verify"]),
    ("config", &["alert", "chain", "forward", "hardening", "policy", "receive", "source", "spool", "tls"]),
    (
        "agent",
        &[
            "alert",
            "chain",
            "config",
            "forward",
            "hardening",
            "policy",
            "service",
            "source",
            "spool",
            "telemetry",
            "tls",
        ],
    ),
];

#[test]
fn imports_go_one_way() {
    let mut broken = Vec::new();
    for file in rust_files(&root().join("src")) {
        let inside = file.strip_prefix(root().join("src")).unwrap();
        let stage = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some((_, allowed)) = LAW.iter().find(|(name, _)| *name == stage) else { continue };
        let text = fs::read_to_string(&file).unwrap();
        let code: String =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        for rest in code.split("crate::").skip(1) {
            let list = rest.strip_prefix('{').map(|list| list.split('}').next().unwrap());
            let first =
                |path: &str| path.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned();
            let used: Vec<String> = match list {
                Some(list) => list.split(',').map(first).filter(|name| !name.is_empty()).collect(),
                None => vec![first(rest)],
            };
            for name in used {
                let free = ["record", "durable", "modes", stage].contains(&name.as_str());
                if !free && LAW.iter().any(|(stage, _)| *stage == name) && !allowed.contains(&name.as_str()) {
                    broken.push(format!("{}: uses {name}", inside.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
