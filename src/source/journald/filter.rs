//! Which entries are chained: by unit and priority, as `journalctl -u` and `-p` choose them.

use super::data::Field;
use super::{JournaldConfig, Priority};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::sync::Arc;

/// What systemd calls a unit.
const SUFFIXES: [&str; 11] =
    ["service", "socket", "device", "mount", "automount", "swap", "target", "path", "timer", "slice", "scope"];

/// Chooses entries. One that is left out is read and counted all the same.
#[derive(Debug)]
pub(super) struct Filter {
    units: Option<GlobSet>,
    /// Those that name slices, whose units are then meant.
    slices: GlobSet,
    priority: Option<Priority>,
}

/// The whole name of a unit: a name without a suffix is a service's.
pub(super) fn unit_name(name: &str) -> String {
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    if suffix.is_some_and(|suffix| SUFFIXES.contains(&suffix) || suffix.contains('*')) || name.ends_with('*') {
        return name.to_owned();
    }
    format!("{name}.service")
}

/// Whether `pattern` can be used as a pattern of units.
pub(super) fn is_pattern(pattern: &str) -> Result<(), String> {
    glob(pattern).map(drop)
}

fn glob(pattern: &str) -> Result<globset::Glob, String> {
    // a unit's name may hold a backslash (\x2d), which escapes nothing there
    let glob = GlobBuilder::new(&unit_name(pattern)).literal_separator(false).backslash_escape(false).build();
    glob.map_err(|error| error.kind().to_string())
}

impl Filter {
    pub(super) fn new(config: &JournaldConfig) -> Result<Filter, (String, String)> {
        let (mut units, mut slices) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for unit in &config.units {
            let glob = glob(unit).map_err(|reason| (unit.clone(), reason))?;
            if unit.ends_with(".slice") {
                slices.add(glob.clone());
            }
            units.add(glob);
        }
        let build = |set: GlobSetBuilder| set.build().map_err(|error| (config.units.join(", "), error.to_string()));
        let (units, slices) = (build(units)?, build(slices)?);
        Ok(Filter { units: (!config.units.is_empty()).then_some(units), slices, priority: config.priority })
    }

    /// Whether an entry with these fields is chained.
    pub(super) fn takes(&self, fields: &[Arc<Field>]) -> bool {
        self.priority.is_none_or(|least| urgent(fields, least))
            && self.units.as_ref().is_none_or(|units| of(fields, units) || self.in_slice(fields))
    }

    fn in_slice(&self, fields: &[Arc<Field>]) -> bool {
        values(fields, "_SYSTEMD_SLICE")
            .any(|value| std::str::from_utf8(value).is_ok_and(|slice| self.slices.is_match(slice)))
    }
}

/// An entry that says no priority (the kernel's audit messages don't) is not known to be unimportant, so it counts as urgent.
fn urgent(fields: &[Arc<Field>], least: Priority) -> bool {
    let mut said =
        values(fields, "PRIORITY").filter_map(|value| std::str::from_utf8(value).ok()?.parse::<u8>().ok()).peekable();
    said.peek().is_none() || said.any(|priority| priority <= least as u8)
}

/// From the unit itself, or about it by somebody whose word counts: a field without a leading underscore can be forged by
/// anyone, so the sender must be root or systemd.
fn of(fields: &[Arc<Field>], units: &GlobSet) -> bool {
    let holds = |name: &str| {
        values(fields, name).any(|value| std::str::from_utf8(value).is_ok_and(|unit| units.is_match(unit)))
    };
    let is = |name: &str, wanted: &[u8]| values(fields, name).any(|value| value == wanted);
    ["_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT"].into_iter().any(holds)
        || (holds("UNIT") && is("_PID", b"1"))
        || (holds("USER_UNIT") && is("_COMM", b"systemd"))
        || ((holds("OBJECT_SYSTEMD_UNIT") || holds("COREDUMP_UNIT")) && is("_UID", b"0"))
}

fn values<'f>(fields: &'f [Arc<Field>], name: &str) -> impl Iterator<Item = &'f [u8]> {
    fields.iter().filter(move |field| &*field.name == name).map(|field| &*field.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Since;

    fn fields(text: &str) -> Vec<Arc<Field>> {
        let field = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap();
            Arc::new(Field { name: name.into(), value: value.as_bytes().into(), json: Box::default() })
        };
        text.split(' ').filter(|pair| !pair.is_empty()).map(field).collect()
    }

    fn filter(units: &[&str], priority: Option<Priority>) -> Filter {
        let units = units.iter().map(|unit| (*unit).to_owned()).collect();
        Filter::new(&JournaldConfig { units, priority, since: Since::Beginning, ..JournaldConfig::named("j") }).unwrap()
    }

    #[test]
    fn units_are_chosen_as_journalctl_does() {
        let filter = filter(&["sshd", "user@*.service", "a\\x2db.mount"], None);
        for (entry, taken) in [
            ("_SYSTEMD_UNIT=sshd.service", true),
            ("_SYSTEMD_UNIT=sshd2.service", false),
            ("_SYSTEMD_UNIT=user@1000.service", true),
            ("_SYSTEMD_UNIT=a\\x2db.mount", true),
            ("_SYSTEMD_UNIT=cron.service UNIT=sshd.service", false),
            ("_PID=1 UNIT=sshd.service", true),
            ("_UID=1000 OBJECT_SYSTEMD_UNIT=sshd.service", false),
            ("_UID=0 OBJECT_SYSTEMD_UNIT=sshd.service", true),
            ("_UID=0 COREDUMP_UNIT=sshd.service", true),
            ("MESSAGE=sshd.service", false),
        ] {
            assert_eq!(filter.takes(&fields(entry)), taken, "{entry}");
        }
    }

    #[test]
    fn priorities_from_the_least_on_and_those_that_are_not_said() {
        let filter = filter(&[], Some(Priority::Warning));
        for (entry, taken) in
            [("PRIORITY=4", true), ("PRIORITY=0", true), ("PRIORITY=5", false), ("", true), ("PRIORITY=x", true)]
        {
            assert_eq!(filter.takes(&fields(entry)), taken, "{entry}");
        }
    }
}
