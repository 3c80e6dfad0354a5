//! The reference for people.

use super::{Key, Kind, Need, TABLES, Table};
use std::fmt::{self, Write};

/// docs/configuration.md.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for table in TABLES {
        write_table(&mut text, table).expect("a string takes all that is written to it");
    }
    text
}

const HEAD: &str = "# sealtail.toml

Made by `sealtail config reference`; the test `reference` holds it against the program. `sealtail config schema` prints a JSON Schema
for editors ([sealtail.schema.json](sealtail.schema.json)): begin the file with `#:schema ./sealtail.schema.json` for Taplo and Even Better TOML.

Unknown keys, wrong types and impossible values are faults, told all at once with their places: `sealtail check --config FILE`. Relative
paths begin in the file's folder. In any string `${NAME}` takes an environment variable, `${file:PATH}` a file's content and
`${credential:NAME}` a credential of systemd's; `$${` is a literal `${`. Sizes are whole numbers with B, KiB, MiB, GiB or TiB, durations
with ms, s, m, h or d, both in quotes.
";

fn write_table(text: &mut String, table: &Table) -> fmt::Result {
    match table.types {
        [] => writeln!(text, "\n## [{}]\n\n{}\n", table.name, table.doc)?,
        types => {
            let mut words: Vec<String> = types.iter().map(|kind| format!("`\"{}\"`", kind.word)).collect();
            words.dedup();
            write!(text, "\n## [[{}]]\n\n{} `type` is {}.", table.name, table.doc, words.join(" or "))?;
            for (kind, (key, word)) in types.iter().filter_map(|kind| Some((kind, kind.fixed?))) {
                write!(text, " `{}` is `\"{}\"` with `{key} = \"{word}\"`.", kind.name, kind.word)?;
            }
            writeln!(text, "\n")?;
        }
    }
    writeln!(text, "| key | value | without it | |\n| --- | --- | --- | --- |")?;
    write_keys(text, "", table.keys)
}

fn write_keys(text: &mut String, inside: &str, keys: &[Key]) -> fmt::Result {
    for key in keys {
        let of = if key.of.is_empty() { String::new() } else { format!("Of `{}`. ", key.of.join("`, `")) };
        let without = match key.need {
            Need::Must(_) => "a fault".to_owned(),
            Need::May(_) => String::new(),
            Need::Or(default) => format!("`{default}`"),
        };
        let example = match key.need {
            Need::Must(example) | Need::May(example) if !matches!(key.kind, Kind::Word(_)) => {
                format!(" Such as `{}`.", example.replace('|', "\\|"))
            }
            _ => String::new(),
        };
        writeln!(text, "| `{inside}{}` | {} | {without} | {of}{}{example} |", key.name, value(key.kind), key.doc)?;
        if let Kind::Inline(keys) = key.kind {
            write_keys(text, &format!("{inside}{}.", key.name), keys)?;
        }
    }
    Ok(())
}

fn value(kind: Kind) -> String {
    match kind {
        Kind::Text => "string".to_owned(),
        Kind::Word(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
        Kind::Size(least, most) => format!("size, {least} to {most}"),
        Kind::Duration(least, most) => format!("duration, {least} to {most}"),
        Kind::Integer(least, most) => format!("whole number, {least} to {most}"),
        Kind::Boolean => "`true`, `false`".to_owned(),
        Kind::List => "list of strings".to_owned(),
        Kind::Map => "table of strings".to_owned(),
        Kind::Inline(_) => "table".to_owned(),
    }
}
