//! Another engine (rego-cpp, by PyPI's regopy) gives the packs' samples the same verdicts; and real documents are what the JSON
//! Schemas say.

use std::path::Path;
use std::process::Command;

use super::packs;

/// `tests/run` installs what these need and fails without it in CI; a run without Python says so and passes.
fn python(script: &str, needs: &str) {
    let python = std::env::var("SEALTAIL_PYTHON")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-venv/bin/python").to_owned());
    let has = |module: &str| {
        Command::new(&python).args(["-c", &format!("import {module}")]).output().is_ok_and(|o| o.status.success())
    };
    if !has(needs) {
        assert!(std::env::var_os("CI").is_none(), "CI must have Python's {needs}: tests/run installs it");
        eprintln!("SKIPPED: {script} needs Python's {needs}; tests/run installs it");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy").join(script);
    let output = Command::new(&python).arg(script).arg(packs()).arg(env!("CARGO_BIN_EXE_sealtail")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}

#[test]
fn agrees_on_the_samples() {
    python("second_engine.py", "regopy");
}

#[test]
fn documents_are_what_the_schemas_say() {
    python("schemas.py", "jsonschema");
}
