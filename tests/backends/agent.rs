//! A real agent, an auditor who saves what the target has, and what `verify` says of it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the command in a folder.
pub(crate) fn sealtail(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sealtail")).args(args).current_dir(folder).output().unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Ships a log in two runs, saves the target named `queue` in between and at the end, and verifies. `agents` and `auditors` are the
/// target's keys for either. Returns what the agent said.
pub(crate) fn ships_saves_verifies(folder: &Path, host: &str, agents: &str, auditors: &str) -> String {
    let run = |args: &[&str]| {
        let output = sealtail(folder, args);
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    };
    let keys = run(&["keys", "auditor", "--out", "identity.key"]);
    let recipient = keys.split_whitespace().find(|word| word.starts_with("age1")).unwrap().to_owned();
    run(&["keys", "host", "--out", "host.key"]);
    let config = format!(
        "[host]\nname = \"{host}\"\nkey = \"host.key\"\n[auditors]\nrecipients = [\"{recipient}\"]\n\
         [[source]]\ntype = \"file\"\nname = \"app\"\ninclude = [\"{}/app.log\"]\n\
         [spool]\ndir = \"spool\"\n[[target]]\nname = \"queue\"\n{agents}",
        folder.display()
    );
    fs::write(folder.join("sealtail.toml"), config).unwrap();
    let auditor = format!("[host]\nname = \"auditor-1\"\n[[target]]\nname = \"queue\"\n{auditors}");
    fs::write(folder.join("save.toml"), auditor).unwrap();
    let (mut log, mut said) = (String::new(), String::new());
    for round in 1..=2 {
        for n in 0..20_000 {
            log += &format!("round {round} line {n} {}\n", n * 7919 % 10_007);
        }
        fs::write(folder.join("app.log"), &log).unwrap();
        run(&["check", "--config", "sealtail.toml"]);
        said += &run(&["run", "--config", "sealtail.toml", "--once"]);
        run(&["save", "--config", "save.toml", "queue", "archive"]);
        let verified = run(&["verify", "archive", "--identity", "identity.key", "--host-key", "host.pub", "--json"]);
        let lines = format!("\"log_lines\":{}", round * 20_000);
        assert!(verified.contains("\"result\":\"intact\"") && verified.contains(&lines), "{verified}");
    }
    assert_eq!(String::from_utf8(sealtail(folder, &["cat", "archive"]).stdout).unwrap(), log);
    let again = run(&["save", "--config", "save.toml", "queue", "archive"]);
    assert!(again.contains(": 0 new batches"), "{again}");
    said
}
