//! Each pack on its sample logs: `policies/<pack>/samples/<name>.log`, with what it should find in `<name>.ids`, a line for a
//! line. `SEALTAIL_BLESS=1` writes the ids anew; read the difference before you commit it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::packs;
use sealtail::policy::{Config, Evaluator, LineContext, PolicySet, SourceContext};
use sealtail::record::{Decision, Verdict};

fn samples() -> Vec<PathBuf> {
    let folders = fs::read_dir(packs()).unwrap().map(|entry| entry.unwrap().path().join("samples"));
    let logs = folders.filter(|folder| folder.is_dir()).flat_map(|folder| fs::read_dir(folder).unwrap());
    let mut logs: Vec<PathBuf> = logs.map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    logs
}

fn set() -> PolicySet {
    let config = Config::of(vec![packs()]);
    PolicySet::load(&config).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn ids(evaluator: &mut Evaluator, line: &str) -> Vec<String> {
    let source = SourceContext { kind: "file", name: "sample".into(), path: None, ..SourceContext::default() };
    let context = LineContext {
        message: line.as_bytes(),
        earlier: b"",
        is_piece: false,
        source: &source,
        host: "h",
        time: "2026-01-12T06:25:41Z",
    };
    let json = evaluator.verdicts(&context).json;
    let verdicts: Vec<Verdict> = if json.is_empty() { Vec::new() } else { serde_json::from_slice(&json).unwrap() };
    assert!(verdicts.iter().all(|verdict| verdict.decision != Decision::Undecided), "{verdicts:?}: {line}");
    verdicts.into_iter().map(|verdict| verdict.id).collect()
}

#[test]
fn each_line_of_the_samples_gets_the_verdicts_beside_it() {
    let mut evaluator = Evaluator::new(&set());
    for log in samples() {
        let lines = fs::read_to_string(&log).unwrap();
        let found: Vec<String> = lines.lines().map(|line| ids(&mut evaluator, line).join(" ")).collect();
        let beside = log.with_extension("ids");
        if std::env::var_os("SEALTAIL_BLESS").is_some() {
            fs::write(&beside, found.join("\n") + "\n").unwrap();
        }
        let expected = fs::read_to_string(&beside).unwrap();
        assert_eq!(expected.lines().count(), found.len(), "{}", beside.display());
        for ((line, expected), found) in lines.lines().zip(expected.lines()).zip(found) {
            assert_eq!(expected, found, "{}: {line}", log.display());
        }
    }
}

#[test]
fn the_samples_hit_every_rule_and_have_lines_that_hit_none() {
    let mut evaluator = Evaluator::new(&set());
    let (mut hit, mut missed) = (BTreeSet::new(), 0);
    for log in samples() {
        for line in fs::read_to_string(&log).unwrap().lines() {
            let found = ids(&mut evaluator, line);
            missed += usize::from(found.is_empty());
            hit.extend(found);
        }
    }
    let never: Vec<String> =
        set().rules().flat_map(|rule| &rule.ids).filter(|id| !hit.contains(*id)).cloned().collect();
    assert_eq!(never, Vec::<String>::new(), "no line of policies/*/samples has these");
    assert!(missed > 100, "{missed}");
}
