//! Which rule answers which control of which framework, and what of a control no log can show.
//!
//! A control speaks for itself only as far as it goes: `limit` says what an auditor has to look for elsewhere.

mod catalogue;

use std::collections::BTreeMap;

use super::PolicySet;

/// A control of a framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// As METADATA and verdicts name it: `PCI-DSS-10.2.1.1`.
    pub id: &'static str,
    /// What it asks for, in short; the framework's own text counts.
    pub title: &'static str,
    /// What the chain itself shows of it, without any rule.
    pub chain: Option<&'static str>,
    /// What neither a rule nor the chain can show.
    pub limit: Option<&'static str>,
}

/// All controls that are known.
pub fn all() -> &'static [Control] {
    catalogue::CONTROLS
}

/// The ids of the rules that answer each control, for all controls that a rule or the catalogue names.
pub fn answered(set: &PolicySet) -> BTreeMap<&str, Vec<&str>> {
    let mut answered: BTreeMap<&str, Vec<&str>> = all().iter().map(|control| (control.id, Vec::new())).collect();
    for rule in set.rules() {
        for control in rule.metadata.controls.iter().chain(&rule.controls) {
            let ids = answered.entry(control.as_str()).or_default();
            ids.extend(rule.ids.iter().map(String::as_str).filter(|id| !ids.contains(id)).collect::<Vec<_>>());
        }
    }
    answered
}

/// The id of a known control that is written most like this one.
pub(super) fn nearest(id: &str) -> &'static str {
    let distance = |control: &&Control| distance(&control.id.to_lowercase(), &id.to_lowercase());
    all().iter().min_by_key(distance).map_or("", |control| control.id)
}

/// How many characters have to be put in, left out or exchanged.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left_above = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let exchanged = left_above + usize::from(x != *y);
            left_above = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(left_above + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ids_and_stand_once() {
        let mut ids: Vec<&str> = all().iter().map(|control| control.id).collect();
        assert!(ids.iter().all(|id| super::super::verdict::is_control(id)));
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn the_nearest_control_is_named() {
        assert_eq!(nearest("PCI-DSS-10.2.1.9"), "PCI-DSS-10.2.1.1");
        assert_eq!(nearest("pci-dss-10.6.3"), "PCI-DSS-10.6.3");
        assert_eq!(nearest("HIPAA-164.312b"), "HIPAA-164.312(b)");
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
