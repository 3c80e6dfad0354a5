//! `[[source]]`.

use super::sections::Names;
use super::table::{Table, Text};
use crate::record::Format;
use crate::source::{
    Config, Encoding, FileConfig, JournaldConfig, LabelConfig, Multiline, Namespaces, Opens, Priority, Since, StartAt,
    StdinConfig, TextConfig,
};
use std::collections::BTreeMap;
use std::time::Duration;

const KIB: u64 = 1 << 10;
/// The names of all labels of a source and their values together.
const LABELS_MAX_BYTES: usize = 64 * 1024;

/// All of them.
pub(super) fn configs(tables: Vec<Table<'_>>) -> Option<Vec<Config>> {
    let mut names = Names::default();
    let mut stdin_line = None;
    let read: Vec<_> = tables.into_iter().map(|table| config(table, &mut names, &mut stdin_line)).collect();
    read.into_iter().collect()
}

fn config(table: Table<'_>, names: &mut Names, stdin_line: &mut Option<usize>) -> Option<Config> {
    let kind = |text: Text<'_>| text.word(&["file", "journald", "stdin"], &[]);
    // without its type nothing can be said of the other keys
    let kind = table.required("type", "choose type = \"file\", \"journald\" or \"stdin\"", kind)?;
    let name = names.claim(&table, Some(kind));
    let max_line_bytes =
        table.size("max_line", 256 * KIB, KIB..=512 * KIB).and_then(|bytes| usize::try_from(bytes).ok());
    if kind == "journald" {
        return journald(table, name, max_line_bytes).map(Config::Journald);
    }
    let (text, labels) = (text(&table), labels(&table));
    if kind == "stdin" {
        if let Some(line) = stdin_line.replace(table.place.line()) {
            table.place.fault(format!("standard input is read on line {line} already"), "take one of them out");
        }
        table.finish();
        let (text, labels) = (text?, labels?);
        return Some(Config::Stdin(StdinConfig { name: name?, max_line_bytes: max_line_bytes?, text, labels }));
    }
    let include = table.required_list("include", "say which files, such as include = [\"/var/log/*.log\"]", glob);
    let exclude = table.list("exclude", glob);
    let start_at = table.optional("start_at", |text| text.word(&["beginning", "end"], &[]));
    let compressed = table.optional("compressed", |text| text.word(&["ignore", "read"], &[]));
    table.finish();
    Some(Config::File(FileConfig {
        name: name?,
        include: include?,
        exclude: exclude?,
        start_at: if start_at? == Some("end") { StartAt::End } else { StartAt::Beginning },
        max_line_bytes: max_line_bytes?,
        text: text?,
        labels: labels?,
        compressed: compressed? == Some("read"),
    }))
}

/// The keys that say what the lines look like.
fn text(table: &Table<'_>) -> Option<TextConfig> {
    const FORMATS: [(&str, Format); 7] = [
        ("auto", Format::Auto),
        ("plain", Format::Plain),
        ("json", Format::Json),
        ("cri", Format::Cri),
        ("docker", Format::Docker),
        ("syslog", Format::Syslog),
        ("auditd", Format::Auditd),
    ];
    const ENCODINGS: [(&str, Encoding); 4] = [
        ("auto", Encoding::Auto),
        ("utf-8", Encoding::Utf8),
        ("utf-16le", Encoding::Utf16Le),
        ("utf-16be", Encoding::Utf16Be),
    ];
    let format = table.optional("format", |text| text.one_of(&FORMATS));
    let encoding = table.optional("encoding", |text| text.one_of(&ENCODINGS));
    let multiline = multiline(table, format.flatten().unwrap_or_default());
    Some(TextConfig {
        format: format?.unwrap_or_default(),
        encoding: encoding?.unwrap_or_default(),
        multiline: multiline?,
    })
}

fn multiline(table: &Table<'_>, format: Format) -> Option<Option<Multiline>> {
    if !table.holds(&["multiline"]) {
        return Some(None);
    }
    let table = table.table("multiline");
    if !table.is_there() {
        return None;
    }
    let place = table.place.clone();
    let start = table.optional("start", pattern);
    let goes_on = table.optional("continue", pattern);
    let timeout =
        table.duration("timeout", Duration::from_secs(1), Duration::from_millis(10)..=Duration::from_secs(60));
    table.finish();
    if matches!(format, Format::Cri | Format::Docker | Format::Auditd) {
        place.fault(
            "this format says itself which lines belong together",
            "take multiline out, or choose another format",
        );
        return None;
    }
    let opens = match (start?, goes_on?) {
        (Some(start), None) => Opens::Start(start),
        (None, Some(goes_on)) => Opens::Continue(goes_on),
        _ => {
            const MEND: &str = "give one of them, such as start = '^\\d{4}-' or continue = '^\\s'";
            place.fault("needs either start or continue", MEND);
            return None;
        }
    };
    Some(Some(Multiline { opens, timeout: timeout? }))
}

/// A regular expression.
fn pattern(text: Text<'_>) -> Option<String> {
    match regex::bytes::Regex::new(&text.value) {
        Ok(_) => Some(text.value),
        Err(error) => {
            // its last line says what is wrong, those before it draw where
            let error = error.to_string();
            let what = text.detail(error.lines().last().unwrap_or_default().trim_start_matches("error: "));
            text.fault(
                &format!("no regular expression ({what})"),
                "mend the pattern; a \\ before . * + ? ( ) [ ] { } makes them plain",
            )
        }
    }
}

fn labels(table: &Table<'_>) -> Option<LabelConfig> {
    let downward_api = table.optional("downward_api", Text::into_path);
    let labels = table.table("labels");
    let place = labels.place.clone();
    let pairs = labels.pairs(|name| {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'/' | b'-');
        (1..=256).contains(&name.len()) && name.bytes().all(allowed)
    });
    let fixed: BTreeMap<String, String> = pairs?;
    if fixed.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > LABELS_MAX_BYTES {
        place.fault(
            "larger than 64 KiB together",
            "give fewer or shorter ones: each line of a source is shown with them",
        );
        return None;
    }
    Some(LabelConfig { fixed, downward_api: downward_api? })
}

fn journald(table: Table<'_>, name: Option<String>, max_line_bytes: Option<usize>) -> Option<JournaldConfig> {
    let units = table.list("units", unit);
    let priority = table.optional("priority", |text| text.word(&Priority::NAMES, &[]));
    let namespaces = table.list("namespaces", namespace);
    let directories = table.list("directories", Text::into_path);
    let since = table.optional("since", |text| text.word(&["beginning", "now"], &[]));
    table.finish();
    let name = name?;
    let defaults = JournaldConfig::named(&name);
    let (namespaces, directories) = (namespaces?, directories?);
    Some(JournaldConfig {
        units: units?,
        priority: priority?.and_then(Priority::named),
        namespaces: match namespaces.iter().any(|name| name == "*") {
            true => Namespaces::All,
            false if namespaces.is_empty() => defaults.namespaces,
            false => Namespaces::These(namespaces),
        },
        directories: if directories.is_empty() { defaults.directories } else { directories },
        since: if since? == Some("now") { Since::Now } else { Since::Beginning },
        max_line_bytes: max_line_bytes?,
        name,
    })
}

/// A unit's name or a pattern of names.
fn unit(text: Text<'_>) -> Option<String> {
    if text.value.is_empty() || text.value.contains('/') {
        return text.fault("no unit is called so", "name units, such as \"sshd.service\" or \"user@*.service\"");
    }
    match JournaldConfig::check_unit(&text.value) {
        Ok(()) => Some(text.value),
        Err(reason) => text.fault(&text.detail(reason), "mend the pattern"),
    }
}

/// A namespace's name, `default` or `*`.
fn namespace(text: Text<'_>) -> Option<String> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-' | b'.' | b':' | b'\\');
    if text.value == "*" || (!text.value.is_empty() && text.value.bytes().all(allowed)) {
        return Some(text.value);
    }
    text.fault(
        "no namespace is called so",
        "name namespaces of journald, \"default\" for the one without a name, \"*\" for all",
    )
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
