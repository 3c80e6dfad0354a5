//! Typed reading of one table's keys. Whatever is wrong becomes a fault, and reading goes on.
//!
//! Reading a key makes it a known one; [`Table::finish`] faults the others. `None` means at fault, and told.

use super::document::Place;
use super::substitute::{May, substitute};
use super::value;
use crate::tls::origin;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table; an absent one has no entries.
pub(super) struct Table<'t> {
    pub(super) place: Place<'t>,
    entries: Option<&'t DeTable<'t>>,
    known: RefCell<Vec<&'static str>>,
}

/// A string, with everything put in.
pub(super) struct Text<'t> {
    pub(super) place: Place<'t>,
    pub(super) value: String,
    /// As it stands in the file. Faults quote this, since `value` may hold a secret.
    pub(super) raw: &'t str,
    /// Whether anything was put in: then an error of some parser, which may quote the value, must not be shown.
    pub(super) substituted: bool,
}

impl<'t> Table<'t> {
    pub(super) fn new(place: Place<'t>, entries: Option<&'t DeTable<'t>>) -> Self {
        Self { place, entries, known: RefCell::default() }
    }

    /// Faults every key that nobody read.
    pub(super) fn finish(self) {
        let known = self.known.take();
        for (key, value) in self.entries.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let place = self.key_place(name, key.span().start).for_value(name, value.get_ref());
            let mend = match nearest(name, &known) {
                Some(nearest) => format!("did you mean {nearest}?"),
                None if known.is_empty() => "take it out".to_owned(),
                None => format!("take it out, or use one of: {}", known.join(", ")),
            };
            place.fault("not known here", mend);
        }
    }

    /// Whether one of these keys stands in the file.
    pub(super) fn holds(&self, keys: &[&'static str]) -> bool {
        // asked of each, also after one that stands there, since asking makes it known
        keys.iter().filter(|key| self.value(key).is_some()).count() > 0
    }

    /// Whether the table itself stands in the file.
    pub(super) fn is_there(&self) -> bool {
        self.entries.is_some()
    }

    /// A string that may be absent (`Some(None)`), understood by `read`.
    pub(super) fn optional<T>(&self, key: &'static str, read: impl FnOnce(Text<'t>) -> Option<T>) -> Option<Option<T>> {
        match self.value(key) {
            None => Some(None),
            Some((place, value)) => text(place, value, May::BeSecret).and_then(read).map(Some),
        }
    }

    /// A string that must be there; `mend` says what to write.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        mend: &str,
        read: impl FnOnce(Text<'t>) -> Option<T>,
    ) -> Option<T> {
        let read = self.optional(key, read)?;
        if read.is_none() {
            self.missing(key, mend);
        }
        read
    }

    /// A list of strings, each understood by `read`; empty when absent.
    pub(super) fn list<T>(&self, key: &'static str, read: impl FnMut(Text<'t>) -> Option<T>) -> Option<Vec<T>> {
        self.texts(key, May::BeSecret, read)
    }

    fn texts<T>(&self, key: &'static str, may: May, mut read: impl FnMut(Text<'t>) -> Option<T>) -> Option<Vec<T>> {
        let Some((place, value)) = self.value(key) else { return Some(Vec::new()) };
        let DeValue::Array(items) = value.get_ref() else {
            return wrong_type(&place, value.get_ref(), "a list of strings", "write it as [\"…\", \"…\"]");
        };
        let at = |item: &Spanned<DeValue<'_>>| Place { at: item.span().start, ..place.clone() };
        // every item is read, also after one that is at fault
        let items: Vec<_> = items.iter().map(|item| text(at(item), item, may).and_then(&mut read)).collect();
        items.into_iter().collect()
    }

    /// A list of at least one string.
    pub(super) fn required_list<T>(
        &self,
        key: &'static str,
        mend: &str,
        read: impl FnMut(Text<'t>) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.not_empty(key, mend, self.list(key, read)?)
    }

    /// The same of what everybody may know: files that it takes may be readable by all.
    pub(super) fn required_public_list<T>(
        &self,
        key: &'static str,
        mend: &str,
        read: impl FnMut(Text<'t>) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.not_empty(key, mend, self.texts(key, May::BeKnown, read)?)
    }

    fn not_empty<T>(&self, key: &'static str, mend: &str, items: Vec<T>) -> Option<Vec<T>> {
        if items.is_empty() {
            self.missing(key, mend);
            return None;
        }
        Some(items)
    }

    /// A size in bytes.
    pub(super) fn size(&self, key: &'static str, default: u64, bounds: RangeInclusive<u64>) -> Option<u64> {
        self.quantity(key, default, bounds, value::size, value::show_size, "B")
    }

    /// A size that may be absent (`Some(None)`).
    pub(super) fn optional_size(&self, key: &'static str, bounds: RangeInclusive<u64>) -> Option<Option<u64>> {
        let default = *bounds.start();
        self.holds(&[key]).then(|| self.size(key, default, bounds)).map_or(Some(None), |size| size.map(Some))
    }

    /// A whole number that may be absent (`Some(None)`).
    pub(super) fn optional_integer(&self, key: &'static str, bounds: RangeInclusive<u64>) -> Option<Option<u64>> {
        let default = *bounds.start();
        self.holds(&[key]).then(|| self.integer(key, default, bounds)).map_or(Some(None), |number| number.map(Some))
    }

    /// A duration.
    pub(super) fn duration(
        &self,
        key: &'static str,
        default: Duration,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.quantity(key, default, bounds, value::duration, value::show_duration, "s")
    }

    fn quantity<T: PartialOrd>(
        &self,
        key: &'static str,
        default: T,
        bounds: RangeInclusive<T>,
        parse: fn(&str) -> Result<T, String>,
        show: fn(T) -> String,
        unit: &str,
    ) -> Option<T> {
        let Some((place, value)) = self.value(key) else { return Some(default) };
        if let DeValue::Integer(number) = value.get_ref() {
            place.fault("a number without its unit", format!("write \"{number}{unit}\", in quotes"));
            return None;
        }
        let text = text(place, value, May::BeSecret)?;
        match parse(&text.value) {
            Ok(quantity) if bounds.contains(&quantity) => Some(quantity),
            Ok(_) => {
                let (least, most) = bounds.into_inner();
                text.fault("out of bounds", format!("choose {} to {}", show(least), show(most)))
            }
            // the hint repeats the number
            Err(_) if text.substituted => text.fault("no quantity", "put in a whole number and its unit"),
            Err(mend) => text.fault("no quantity", mend),
        }
    }

    /// A whole number.
    pub(super) fn integer(&self, key: &'static str, default: u64, bounds: RangeInclusive<u64>) -> Option<u64> {
        let Some((place, value)) = self.value(key) else { return Some(default) };
        let mend = format!("choose {} to {}", bounds.start(), bounds.end());
        let DeValue::Integer(number) = value.get_ref() else {
            return wrong_type(&place, value.get_ref(), "a whole number", &mend);
        };
        match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if bounds.contains(&number) => Some(number),
            _ => {
                place.fault(format!("{number} is out of bounds"), mend);
                None
            }
        }
    }

    /// true or false.
    pub(super) fn boolean(&self, key: &'static str, default: bool) -> Option<bool> {
        let Some((place, value)) = self.value(key) else { return Some(default) };
        match value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            other => wrong_type(&place, other, "true or false", "write true or false, without quotes"),
        }
    }

    /// All of the table's entries, strings under names that the user chooses as far as `is_name` lets.
    pub(super) fn pairs(self, is_name: impl Fn(&str) -> bool) -> Option<BTreeMap<String, String>> {
        let read = self.entries.into_iter().flatten().map(|(key, value)| {
            let name = key.get_ref().as_ref();
            let value_place = self.key_place(name, value.span().start);
            if !is_name(name) {
                let mend = "use 1 to 256 of A-Z a-z 0-9 . _ / -";
                self.key_place(name, key.span().start).fault("cannot be a name", mend);
                return None;
            }
            Some((name.to_owned(), text(value_place, value, May::BeSecret)?.value))
        });
        // every entry is read, also after one that is at fault
        let read: Vec<_> = read.collect();
        read.into_iter().collect()
    }

    /// A table of its own (`[key]` at the top, `key = { … }` in a table); one without entries when absent.
    pub(super) fn table(&self, key: &'static str) -> Table<'t> {
        let absent = || Table::new(self.child_place(key, self.place.at), None);
        let Some((place, value)) = self.value(key) else { return absent() };
        let place = self.child_place(key, place.at);
        match value.get_ref() {
            DeValue::Table(entries) => Table::new(place, Some(entries)),
            other => {
                wrong_type::<()>(&place, other, "a table", &self.table_mend(key));
                absent()
            }
        }
    }

    /// The tables of a list, `[[key]]`, of which one at least must be there.
    pub(super) fn tables(&self, key: &'static str, why: &str) -> Vec<Table<'t>> {
        if self.value(key).is_none() {
            let place = Place { table: format!("[[{key}]]"), key: String::new(), ..self.place.clone() };
            place.fault("missing", why);
        }
        self.tables_if_any(key)
    }

    /// The tables of a list, `[[key]]`.
    pub(super) fn tables_if_any(&self, key: &'static str) -> Vec<Table<'t>> {
        let Some((Place { at, .. }, value)) = self.value(key) else { return Vec::new() };
        let place = Place { table: format!("[[{key}]]"), key: String::new(), at, ..self.place.clone() };
        let mend = format!("write [[{key}]], in double brackets");
        let DeValue::Array(items) = value.get_ref() else {
            wrong_type::<()>(&place, value.get_ref(), "a list of tables", &mend);
            return Vec::new();
        };
        let table = |item: &'t Spanned<DeValue<'t>>| {
            let place = Place { at: item.span().start, ..place.clone() };
            match item.get_ref() {
                DeValue::Table(entries) => Some(Table::new(place, Some(entries))),
                other => wrong_type(&place, other, "a table", &mend),
            }
        };
        items.iter().filter_map(table).collect()
    }

    /// Faults the absence of a key.
    pub(super) fn missing(&self, key: &'static str, mend: &str) {
        self.key_place(key, self.place.at).fault("missing", mend);
    }

    fn value(&self, key: &'static str) -> Option<(Place<'t>, &'t Spanned<DeValue<'t>>)> {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
        let value = self.entries?.get(key)?;
        Some((self.key_place(key, value.span().start), value))
    }

    fn key_place(&self, key: &str, at: usize) -> Place<'t> {
        let key = if self.place.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place.key) };
        Place { key, at, ..self.place.clone() }
    }

    fn child_place(&self, key: &'static str, at: usize) -> Place<'t> {
        if self.place.table.is_empty() {
            Place { table: format!("[{key}]"), at, ..self.place.clone() }
        } else {
            self.key_place(key, at)
        }
    }

    fn table_mend(&self, key: &str) -> String {
        if self.place.table.is_empty() {
            format!("write [{key}], once and in single brackets")
        } else {
            format!("write {key} = {{ … }}")
        }
    }
}

impl Place<'_> {
    /// A table at the top of the file goes by its brackets.
    fn for_value(self, name: &str, value: &DeValue<'_>) -> Self {
        let table = match value {
            DeValue::Table(_) => format!("[{name}]"),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => format!("[[{name}]]"),
            _ => return self,
        };
        if self.table.is_empty() { Place { table, key: String::new(), ..self } } else { self }
    }
}

impl Text<'_> {
    /// Notes what is wrong with it.
    pub(super) fn fault<T>(&self, what: &str, mend: impl Into<String>) -> Option<T> {
        self.place.fault(format!("\"{}\": {what}", self.raw), mend);
        None
    }

    /// The same of a URL, of which only the beginning is quoted.
    pub(super) fn url_fault<T>(&self, what: &str, mend: impl Into<String>) -> Option<T> {
        let shown = origin(self.raw);
        let cut = if shown == self.raw { "" } else { "/…" };
        self.place.fault(format!("\"{shown}{cut}\": {what}"), mend);
        None
    }

    /// What a parser said of it, unless that could show what was put in.
    pub(super) fn detail(&self, error: impl std::fmt::Display) -> String {
        if self.substituted { "what was put in does not fit".to_owned() } else { error.to_string() }
    }

    /// One of a few words; `later` are those that are in the design and not in this version.
    pub(super) fn word(&self, now: &[&'static str], later: &[&str]) -> Option<&'static str> {
        let choose =
            format!("choose {}", now.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or "));
        match now.iter().find(|word| **word == self.value) {
            Some(word) => Some(word),
            None if later.contains(&self.value.as_str()) => self.fault("not in this version yet", choose),
            None => self.fault("not known here", choose),
        }
    }

    /// What one of a few words stands for.
    pub(super) fn one_of<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        let words: Vec<&'static str> = choices.iter().map(|(word, _)| *word).collect();
        let word = self.word(&words, &[])?;
        choices.iter().find(|(choice, _)| *choice == word).map(|(_, meaning)| *meaning)
    }

    /// An address and a port to listen on.
    pub(super) fn into_address(self) -> Option<std::net::SocketAddr> {
        match self.value.parse() {
            Ok(address) => Some(address),
            Err(_) => self.fault("no address with a port", "write one such as \"127.0.0.1:7443\" or \"[::]:7443\""),
        }
    }

    /// The path, made absolute.
    pub(super) fn into_path(self) -> Option<PathBuf> {
        if self.value.is_empty() || self.value.contains('\0') {
            return self.fault("no path", "name a file or a folder");
        }
        if self.value.starts_with("~/") {
            return self.fault("~ is a shell's and means nothing here", "write the whole path, or ${HOME}/…");
        }
        match std::path::absolute(self.place.document.surroundings.folder.join(&self.value)) {
            Ok(path) => Some(path),
            Err(error) => self.fault(&self.detail(error), "name a file or a folder"),
        }
    }
}

fn text<'t>(place: Place<'t>, value: &'t Spanned<DeValue<'t>>, may: May) -> Option<Text<'t>> {
    let DeValue::String(raw) = value.get_ref() else {
        return wrong_type(&place, value.get_ref(), "a string", "write it in quotes");
    };
    match substitute(raw, place.document.surroundings, may) {
        Ok((value, substituted)) => Some(Text { place, value, raw, substituted }),
        Err((what, mend)) => {
            place.fault(what, mend);
            None
        }
    }
}

fn wrong_type<T>(place: &Place<'_>, found: &DeValue<'_>, expected: &str, mend: &str) -> Option<T> {
    let found = match found {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    place.fault(format!("is {found}, not {expected}"), mend);
    None
}

/// The known key that was probably meant: at most two slips away, and fewer than half of it.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let slips = |known: &&'static str| (distance(name, known), *known);
    known
        .iter()
        .map(slips)
        .filter(|(slips, known)| *slips <= 2 && slips * 2 < known.len())
        .min()
        .map(|(_, known)| known)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
