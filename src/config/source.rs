//! `[[source]]`.

use super::sections::Names;
use super::table::{Table, Text};
use crate::source::{Config, FileConfig, StartAt, StdinConfig};

const KIB: u64 = 1 << 10;

/// All of them.
pub(super) fn configs(tables: Vec<Table<'_>>) -> Option<Vec<Config>> {
    let mut names = Names::default();
    let mut stdin_line = None;
    let read: Vec<_> = tables.into_iter().map(|table| config(table, &mut names, &mut stdin_line)).collect();
    read.into_iter().collect()
}

fn config(table: Table<'_>, names: &mut Names, stdin_line: &mut Option<usize>) -> Option<Config> {
    let kind = |text: Text<'_>| text.word(&["file", "stdin"], &["journald"]);
    // without its type nothing can be said of the other keys
    let kind = table.required("type", "choose type = \"file\" or \"stdin\"", kind)?;
    let name = names.claim(&table, Some(kind));
    let max_line_bytes =
        table.size("max_line", 256 * KIB, KIB..=512 * KIB).and_then(|bytes| usize::try_from(bytes).ok());
    if kind == "stdin" {
        if let Some(line) = stdin_line.replace(table.place.line()) {
            table.place.fault(format!("standard input is read on line {line} already"), "take one of them out");
        }
        table.finish();
        return Some(Config::Stdin(StdinConfig { name: name?, max_line_bytes: max_line_bytes? }));
    }
    let include = table.required_list("include", "say which files, such as include = [\"/var/log/*.log\"]", glob);
    let exclude = table.list("exclude", glob);
    let start_at = table.optional("start_at", |text| text.word(&["beginning", "end"], &[]));
    let format = table.optional("format", |text| text.word(&["auto", "plain"], &["json", "cri", "syslog", "auditd"]));
    let compressed = table.optional("compressed", |text| text.word(&["ignore", "read"], &[]));
    table.not_yet("multiline");
    table.finish();
    format?;
    Some(Config::File(FileConfig {
        name: name?,
        include: include?,
        exclude: exclude?,
        start_at: if start_at? == Some("end") { StartAt::End } else { StartAt::Beginning },
        max_line_bytes: max_line_bytes?,
        compressed: compressed? == Some("read"),
    }))
}

/// A pattern of absolute paths.
fn glob(text: Text<'_>) -> Option<String> {
    if text.value.is_empty() || text.value.ends_with('/') {
        return text.fault("matches no file", "name files, such as \"/var/log/*.log\" or \"/var/log/**/*.json\"");
    }
    if text.value.split('/').any(|part| part == "..") {
        return text.fault("a pattern with .. matches nothing", "write the whole path");
    }
    let pattern = if text.value.starts_with('/') {
        text.value.clone()
    } else {
        // the folder is a name, not a pattern
        let Some(folder) = text.place.document.surroundings.folder.to_str() else {
            return text
                .fault("this file's folder is not UTF-8, so no pattern can begin there", "write the whole path");
        };
        let below = text.value.trim_start_matches("./");
        format!("{}/{below}", globset::escape(folder.trim_end_matches('/')))
    };
    match globset::GlobBuilder::new(&pattern).literal_separator(true).build() {
        Ok(_) => Some(pattern),
        Err(error) => {
            let what = text.detail(error.kind());
            text.fault(&what, "mend the pattern; a \\ before * ? [ ] { } makes them plain")
        }
    }
}
