//! The order of a unit's lines: which stand where they belong, which were moved, which say a seq that is not theirs.

use super::unit::ParsedUnit;
use crate::record::Seq;
use std::collections::BTreeSet;

/// A unit's lines in the order of their seq.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    /// Indices of lines, their seqs ascending.
    pub(super) lines: Vec<usize>,
    /// Lines with the seq of another one: the other's place in `lines`, and their index.
    pub(super) repeats: Vec<(usize, usize)>,
    /// Lines that can't be read as the one that should stand there: its seq, and what is wrong.
    pub(super) damaged: Vec<(Seq, Damage)>,
    /// Seqs of lines that stand after later ones.
    pub(super) moved: Vec<Seq>,
    /// Lines that can't stand in this segment: indices.
    pub(super) beyond: Vec<usize>,
}

#[derive(Debug)]
pub(super) enum Damage {
    /// Not a line of the format.
    Malformed(String),
    /// Between its neighbours it should have another seq than this one.
    Misnumbered(Seq),
}

/// Orders the lines of a unit. `slot` is the seq that its first line should have, and afterwards that of the next unit's.
pub(super) fn order(unit: &ParsedUnit, slot: &mut Seq) -> Ordered {
    let mut ordered = Ordered::default();
    // lines whose neighbours say that they stand at another seq: index and that seq
    let mut misplaced: Vec<(usize, Seq)> = Vec::new();
    let first_slot = *slot;
    let mut well_placed_last = false;
    for (index, line) in unit.lines.iter().enumerate() {
        let here = *slot;
        let next = match unit.lines.get(index + 1) {
            Some(Ok(next)) => Some(next.seq),
            Some(Err(_)) => None,
            None => unit.unit.follow,
        };
        match line {
            Err(what) => {
                ordered.damaged.push((here, Damage::Malformed(what.clone())));
                // a line more than there should be takes nobody's place
                *slot = if next == Some(here) { here } else { here.saturating_add(1) };
            }
            Ok(line) if line.seq != here && next.is_some() && next == here.checked_add(1) => {
                misplaced.push((index, here));
                *slot = here + 1;
            }
            Ok(line) => {
                well_placed_last = line.seq == here;
                ordered.lines.push(index);
                *slot = line.seq.saturating_add(1);
            }
        }
    }
    place(unit, &mut ordered, misplaced, first_slot);
    // a checkpoint that stands where it should is the last line of its segment
    if well_placed_last
        && let Some(Ok(last)) = unit.lines.last()
        && last.checkpoint().is_some()
    {
        let (within, beyond) = ordered.lines.iter().partition(|i| seq(unit, **i) <= last.seq);
        (ordered.lines, ordered.beyond) = (within, beyond);
    }
    sort(unit, &mut ordered);
    ordered
}

/// A misplaced line is either one of the unit's lines in another's place, or one whose seq was changed.
fn place(unit: &ParsedUnit, ordered: &mut Ordered, misplaced: Vec<(usize, Seq)>, first_slot: Seq) {
    if misplaced.is_empty() {
        return;
    }
    let mut present: BTreeSet<Seq> = ordered.lines.iter().map(|i| seq(unit, *i)).collect();
    let last_slot =
        present.last().copied().unwrap_or(0).max(misplaced.iter().map(|(_, slot)| *slot).max().unwrap_or(0));
    for (index, slot) in misplaced {
        let own = seq(unit, index);
        if (first_slot..=last_slot).contains(&own) && present.insert(own) {
            ordered.moved.push(own);
            ordered.lines.push(index);
        } else {
            ordered.damaged.push((slot, Damage::Misnumbered(own)));
        }
    }
    // back to the order of the file, so that what follows sees them where they stand
    ordered.lines.sort_unstable();
    ordered.damaged.sort_by_key(|(seq, _)| *seq);
}

/// Sorts by seq; of lines with one seq the first stays.
fn sort(unit: &ParsedUnit, ordered: &mut Ordered) {
    if ordered.lines.windows(2).all(|pair| seq(unit, pair[0]) < seq(unit, pair[1])) {
        return;
    }
    let mut after: Option<Seq> = None;
    let mut late = Vec::new();
    for index in &ordered.lines {
        let own = seq(unit, *index);
        if after.is_some_and(|highest| own < highest) {
            late.push(own);
        }
        after = after.max(Some(own));
    }
    let mut all = std::mem::take(&mut ordered.lines);
    all.sort_by_key(|index| seq(unit, *index));
    for index in all {
        match ordered.lines.last() {
            Some(kept) if seq(unit, *kept) == seq(unit, index) => {
                ordered.repeats.push((ordered.lines.len() - 1, index));
            }
            _ => ordered.lines.push(index),
        }
    }
    // the same line twice is not a line in the wrong place
    let repeated: BTreeSet<Seq> = ordered.repeats.iter().map(|(_, index)| seq(unit, *index)).collect();
    ordered.moved.extend(late.into_iter().filter(|own| !repeated.contains(own)));
    ordered.moved.sort_unstable();
    ordered.moved.dedup();
}

/// The seq of a line that was taken apart.
pub(super) fn seq(unit: &ParsedUnit, index: usize) -> Seq {
    // only lines that were taken apart are ever in an `Ordered`
    unit.lines[index].as_ref().map_or(0, |line| line.seq)
}
