//! The reference of keys against the parser: neither knows a key, a type, a word, a default or a bound that the other doesn't.
//!
//! The parser tells what it knows by its faults, so that a key that is forgotten in the one or the other fails here.

use sealtail::config::reference::{Key, Kind, Need, TABLES, Table, markdown, schema};
use sealtail::config::{Config, Fault};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tables without which a file is none; those of lists with the type that a plain agent has.
const BASE: [(&str, &str); 5] =
    [("host", ""), ("auditors", ""), ("source", "file"), ("spool", ""), ("target", "https")];

thread_local! {
    /// Relative paths begin there, so that two configurations can be compared.
    static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap();
}

/// Loads `text`, with a file for every credential that it takes.
fn load(text: &str) -> Result<Config, Vec<Fault>> {
    FOLDER.with(|folder| {
        for rest in text.split("${credential:").skip(1) {
            let path = folder.path().join(rest.split('}').next().unwrap());
            fs::write(&path, "s3cret\n").unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let path = folder.path().join("sealtail.toml");
        fs::write(&path, text).unwrap();
        let variable = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| folder.path().as_os_str().to_owned());
        Config::load_with(&path, &variable)
    })
}

/// What must stand in a table of a type.
fn lines(table: &Table, kind: &str) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(kind) = table.types.iter().find(|one| one.name == kind) {
        lines.push(format!("type = \"{}\"", kind.word));
        lines.extend(kind.fixed.map(|(key, word)| format!("{key} = \"{word}\"")));
    }
    let must = table.keys.iter().filter(|key| key.is_of(kind) && matches!(key.need, Need::Must(_)));
    lines.extend(must.map(|key| format!("{} = {}", key.name, key.need.value())));
    if table.name == "alert" {
        lines.push("min_severity = \"high\"".to_owned());
    }
    lines
}

fn brackets(table: &Table) -> String {
    if table.types.is_empty() { format!("[{}]\n", table.name) } else { format!("[[{}]]\n", table.name) }
}

/// A file that is good, with these lines in one of its tables in the place of what must stand there.
fn file(table: &Table, own: &[String]) -> String {
    let mut text = String::new();
    if table.name != "receive" {
        for other in TABLES.iter().filter(|other| other.name != table.name) {
            if let Some((_, kind)) = BASE.iter().find(|(name, _)| *name == other.name) {
                text += &brackets(other);
                text += &(lines(other, kind).join("\n") + "\n");
            }
        }
    }
    // a target that is enough for lines to be deleted after
    let not_enough = ["type = \"otlp\"", "protocol = \"generic\"", "required = false"];
    if table.name == "target" && own.iter().any(|line| not_enough.contains(&line.as_str())) {
        text += "[[target]]\nname = \"other\"\ntype = \"file\"\ndir = \"/mnt/other\"\n";
    }
    text + &brackets(table) + &own.join("\n") + "\n"
}

fn kinds(table: &Table) -> Vec<&'static str> {
    if table.types.is_empty() { vec![""] } else { table.types.iter().map(|kind| kind.name).collect() }
}

/// `lines` with `key = value` put in, or in the place of the line that says `key` already.
fn with(lines: &[String], key: &str, value: &str) -> Vec<String> {
    let is_it = |line: &String| line.split(" = ").next() == Some(key);
    let mut changed: Vec<String> = lines.iter().filter(|line| !is_it(line)).cloned().collect();
    changed.push(format!("{key} = {value}"));
    changed
}

/// The one fault that `subject` has, of a text that has no other.
fn fault(text: &str, about: &str) -> Fault {
    let faults = load(text).expect_err(about);
    let found: Vec<&Fault> = faults.iter().filter(|fault| fault.subject.ends_with(about)).collect();
    assert_eq!(found.len(), 1, "{about}: {faults:#?}\n{text}");
    found[0].clone()
}

/// What a mend lists behind these words.
fn listed(mend: &str, behind: &str, between: &str) -> BTreeSet<String> {
    let rest = mend.split_once(behind).unwrap_or_else(|| panic!("{mend}")).1;
    rest.split(between).map(|word| word.trim_matches('"').to_owned()).collect()
}

fn names<'k>(keys: impl Iterator<Item = &'k Key>) -> BTreeSet<String> {
    keys.map(|key| key.name.to_owned()).collect()
}

/// Every table of every type with its keys, and every table within it: a closure that puts lines into it makes a whole file.
fn each(mut look: impl FnMut(&str, &[Key], &str, &dyn Fn(Option<(&str, &str)>) -> String)) {
    for table in TABLES {
        for kind in kinds(table) {
            let own = lines(table, kind);
            let of: Vec<Key> = table.keys.iter().filter(|key| key.is_of(kind)).copied().collect();
            let plain = |put: Option<(&str, &str)>| match put {
                // which only optional ones have
                Some(("max_lag", value)) => file(table, &with(&with(&own, "required", "false"), "max_lag", value)),
                Some((key, value)) => file(table, &with(&own, key, value)),
                None => file(table, &own),
            };
            look(table.name, &of, "", &plain);
            for key in &of {
                let Kind::Inline(inner) = key.kind else { continue };
                within(
                    key.name,
                    inner,
                    key.need.value(),
                    &|value| file(table, &with(&own, key.name, value)),
                    &mut look,
                );
            }
        }
    }
}

fn within(
    prefix: &str,
    keys: &[Key],
    example: &str,
    outer: &dyn Fn(&str) -> String,
    look: &mut impl FnMut(&str, &[Key], &str, &dyn Fn(Option<(&str, &str)>) -> String),
) {
    let plain = |put: Option<(&str, &str)>| match put {
        None => outer(example),
        Some((key, value)) => outer(&inline(example, key, value)),
    };
    look(prefix, keys, prefix, &plain);
    for key in keys {
        let Kind::Inline(inner) = key.kind else { continue };
        let deeper = |value: &str| outer(&inline(example, key.name, value));
        within(&format!("{prefix}.{}", key.name), inner, key.need.value(), &deeper, look);
    }
}

/// An inline table with a key put in.
fn inline(table: &str, key: &str, value: &str) -> String {
    let mut parsed: toml::Table = toml::from_str(&format!("x = {table}")).unwrap();
    let value: toml::Table = toml::from_str(&format!("x = {value}")).unwrap();
    parsed["x"].as_table_mut().unwrap().insert(key.to_owned(), value["x"].clone());
    let mut text = Vec::new();
    for (key, value) in parsed["x"].as_table().unwrap() {
        text.push(format!("{key} = {value}"));
    }
    format!("{{ {} }}", text.join(", "))
}

#[test]
fn both_know_the_same_tables_and_types() {
    let host = &TABLES[0];
    let faults = load(&format!("{}[zzzzzzzz]\n", file(host, &lines(host, "")))).unwrap_err();
    let mend = &faults.iter().find(|fault| fault.subject == "[zzzzzzzz]").unwrap().mend;
    let tables: BTreeSet<String> = TABLES.iter().map(|table| table.name.to_owned()).collect();
    assert_eq!(listed(mend, "use one of: ", ", "), tables);
    for table in TABLES.iter().filter(|table| !table.types.is_empty()) {
        let own = with(&lines(table, table.types[0].name), "type", "\"zzzzzzzz\"");
        let mend = fault(&file(table, &own), "type").mend;
        let types: BTreeSet<String> = table.types.iter().map(|kind| kind.word.to_owned()).collect();
        assert_eq!(listed(&mend, "choose ", " or "), types, "[[{}]]", table.name);
    }
}

#[test]
fn both_know_the_same_keys() {
    each(|table, keys, prefix, make| {
        let name = if prefix.is_empty() { "zzzzzzzz".to_owned() } else { format!("{prefix}.zzzzzzzz") };
        let mend = fault(&make(Some(("zzzzzzzz", "1"))), &name).mend;
        let mut known = listed(&mend, "use one of: ", ", ");
        let fixed = TABLES.iter().flat_map(|table| table.types).filter_map(|kind| kind.fixed);
        let fixed: BTreeSet<&str> =
            fixed.map(|(key, _)| key).filter(|key| !keys.iter().any(|one| one.name == *key)).collect();
        known.retain(|key| key != "type" && !fixed.contains(key.as_str()));
        assert_eq!(
            known,
            names(keys.iter()),
            "{table}: the parser knows the ones on the left, src/config/reference/keys.rs those on the right"
        );
    });
}

#[test]
fn every_example_is_taken_and_every_default_changes_nothing() {
    /// Of these one alone may be there, or its companion must, or a type knows them and wants none.
    const TOGETHER: [&str; 11] =
        ["continue", "keys", "secret", "key_id", "cert", "key", "user", "password", "crl", "server_name", "pin"];
    each(|table, keys, _, make| {
        let without = load(&make(None)).unwrap_or_else(|faults| panic!("{table}: {faults:#?}"));
        for key in keys {
            let text = make(Some((key.name, key.need.value())));
            match (load(&text), key.need) {
                (Ok(with), Need::Or(_)) => {
                    let with = Config { digest: without.digest, ..with };
                    assert!(with == without, "{table} {}: not the default", key.name);
                }
                (Ok(_), _) => {}
                (Err(faults), _) => {
                    let says = |what: &str| faults.iter().any(|fault| fault.what.contains(what));
                    let told = ["needs", "has one of", "missing", "not among", "not checked by a kafka target"]
                        .into_iter()
                        .any(says);
                    assert!(told && TOGETHER.contains(&key.name), "{table} {}: {faults:#?}\n{text}", key.name);
                }
            }
        }
    });
}

#[test]
fn both_know_the_same_words_and_bounds() {
    let (mut words_seen, mut bounds_seen) = (0, 0);
    each(|table, keys, prefix, make| {
        for key in keys {
            let name = if prefix.is_empty() { key.name.to_owned() } else { format!("{prefix}.{}", key.name) };
            let say = |value: &str| fault(&make(Some((key.name, value))), &name).mend;
            match key.kind {
                Kind::Word(words) => {
                    let words: BTreeSet<String> = words.iter().map(|word| (*word).to_owned()).collect();
                    assert_eq!(listed(&say("\"zzzzzzzz\""), "choose ", " or "), words, "{table} {}", key.name);
                    words_seen += 1;
                }
                Kind::Size(least, most) | Kind::Duration(least, most) => {
                    let unit = if matches!(key.kind, Kind::Size(..)) { "B" } else { "ms" };
                    // where nothing is too little, a century is too much
                    let wrong = if least.starts_with('0') { "36500d".to_owned() } else { format!("0{unit}") };
                    assert_eq!(
                        say(&format!("\"{wrong}\"")),
                        format!("choose {least} to {most}"),
                        "{table} {}",
                        key.name
                    );
                    bounds_seen += 1;
                }
                Kind::Integer(least, most) => {
                    assert_eq!(say("0"), format!("choose {least} to {most}"), "{table} {}", key.name);
                    bounds_seen += 1;
                }
                _ => {}
            }
        }
    });
    assert!(words_seen > 15 && bounds_seen > 15, "{words_seen} {bounds_seen}");
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// With SEALTAIL_WRITE_DOCS set the files are written instead.
#[test]
fn the_files_in_docs_are_what_the_program_prints() {
    for (name, text) in [("configuration.md", markdown()), ("sealtail.schema.json", format!("{:#}\n", schema()))] {
        let path = docs().join(name);
        if std::env::var_os("SEALTAIL_WRITE_DOCS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let stands = fs::read_to_string(&path).unwrap_or_default();
        assert!(stands == text, "{}: outdated; run this test with SEALTAIL_WRITE_DOCS=1", path.display());
    }
}

#[test]
fn the_command_prints_both() {
    for (what, beginning) in [("reference", "# sealtail.toml"), ("schema", "{\n")] {
        let output = Command::new(env!("CARGO_BIN_EXE_sealtail")).args(["config", what]).output().unwrap();
        assert!(output.status.success() && output.stdout.starts_with(beginning.as_bytes()), "{what}");
    }
}

/// Real files and wrong ones against the schema, by Python's jsonschema.
#[test]
fn the_schema_takes_what_the_program_takes() {
    let Some(python) = std::env::var_os("SEALTAIL_PYTHON") else {
        assert!(std::env::var_os("CI").is_none(), "CI must have Python with jsonschema: use tests/run");
        eprintln!("SKIPPED: tests/run sets SEALTAIL_PYTHON");
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python)
        .arg(root.join("tests/config/schema.py"))
        .arg(docs().join("sealtail.schema.json"))
        .arg(root.join("config"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
