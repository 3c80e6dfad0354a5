//! The entries of one file in order, by its chain of entry arrays.
//!
//! The chain is one way to the entries; each data object has another, to those that hold it. Where the chain is damaged
//! the rest is found by the arrays of what the last good entry held (its boot, its host, its transport …): only offsets
//! that journald itself wrote are followed. Scanning for what looks like an entry would be easier, and would take for
//! one what somebody wrote into a message.

use super::format::{ARRAY_BYTES, DATA, Damage, ENTRY, ENTRY_ARRAY, ENTRY_BYTES, Header, le32, le64};
use super::pages::Pages;

/// Offsets that are read at one go.
const CHUNK: u64 = 1024;
/// Offsets that are kept when the chain is damaged; what is beyond is found when these are used up.
const FOUND_MAX: usize = 1 << 20;
/// Items of an entry that are looked at.
const ITEMS_MAX: u64 = 4096;

/// Where reading stands in the entry arrays.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The array, once it is known.
    array: u64,
    /// Its items, and those of the arrays before it.
    items: u64,
    before: u64,
    /// The next item in it.
    index: u64,
    /// Offsets from this index of the array on.
    chunk: Vec<u64>,
    chunk_at: u64,
    /// The last entry that was good.
    good: u64,
    /// Since the chain is damaged: offsets that are left, last first.
    found: Option<Vec<u64>>,
    /// The number of entries when they were looked for.
    found_of: u64,
}

impl Walk {
    /// The offset of the next entry; none at the end of what there is. After damage, ask again.
    pub(super) fn next(&mut self, pages: &mut Pages, header: &Header) -> Result<Option<u64>, Damage> {
        if self.found.is_some() {
            return Ok(self.next_found(pages, header));
        }
        if self.before + self.index >= header.entries {
            return Ok(None);
        }
        let next = self.next_in_chain(pages, header);
        if next.is_err() {
            self.search(pages, header);
        }
        next.map(Some)
    }

    /// The entry was one.
    pub(super) fn was_good(&mut self, offset: u64) {
        self.good = offset;
    }

    /// The entry was none: the array that led there may be damaged, so the others are asked.
    pub(super) fn was_bad(&mut self, pages: &mut Pages, header: &Header) {
        if self.found.is_none() {
            self.search(pages, header);
        }
    }

    /// Goes to the first entry for which `before` is false, supposing that it is true for all before.
    pub(super) fn seek(
        &mut self,
        pages: &mut Pages,
        header: &Header,
        mut before: impl FnMut(&mut Pages, u64) -> Result<bool, Damage>,
    ) -> Result<(), Damage> {
        *self = Walk::default();
        let (mut array, mut done) = (header.array, 0);
        let mut place = (0, 0, 0);
        while array != 0 && done < header.entries {
            let items = array_items(pages, header, array)?.min(header.entries - done);
            let first = item(pages, header, array, 0)?;
            if place.0 != 0 && !before(pages, first)? {
                break;
            }
            place = (array, items, done);
            done += items;
            array = next_array(pages, array)?;
        }
        let (array, items, done) = place;
        if array == 0 {
            return Ok(());
        }
        let (mut low, mut high) = (0, items);
        while low < high {
            let middle = low + (high - low) / 2;
            let offset = item(pages, header, array, middle)?;
            if before(pages, offset)? { low = middle + 1 } else { high = middle }
        }
        let all = array_items(pages, header, array)?;
        *self = Walk { array, items: all, before: done, index: low, ..Walk::default() };
        Ok(())
    }

    fn next_in_chain(&mut self, pages: &mut Pages, header: &Header) -> Result<u64, Damage> {
        while self.array == 0 || self.index >= self.items {
            let next = if self.array == 0 { header.array } else { next_array(pages, self.array)? };
            if next == 0 {
                return Err(Damage::new(self.array, "the entry arrays end before the entries do"));
            }
            // counted only once it is known to be an array, so that asking again gives the same damage
            let items = array_items(pages, header, next)?;
            *self = Walk { array: next, items, before: self.before + self.items, good: self.good, ..Walk::default() };
        }
        if self.index < self.chunk_at || self.index >= self.chunk_at + self.chunk.len() as u64 {
            let left = (self.items - self.index).min(header.entries - self.before - self.index).min(CHUNK);
            self.chunk = offsets(pages, header, self.array, self.index, left)?;
            self.chunk_at = self.index;
        }
        let offset = self.chunk[(self.index - self.chunk_at) as usize];
        self.index += 1;
        if offset == 0 {
            return Err(Damage::new(self.array, "an entry array has no entry where one should be"));
        }
        Ok(offset)
    }

    fn next_found(&mut self, pages: &mut Pages, header: &Header) -> Option<u64> {
        let next = self.found.as_mut().and_then(Vec::pop);
        if next.is_none() && self.found_of != header.entries {
            self.search(pages, header);
            return self.found.as_mut().and_then(Vec::pop);
        }
        next
    }

    /// Looks for entries behind the last good one by every array that can be trusted.
    fn search(&mut self, pages: &mut Pages, header: &Header) {
        let mut found = Found { after: self.good, offsets: Vec::new() };
        let mut roots = vec![header.array, header.tail_array];
        if self.array != 0 {
            roots.push(self.array);
        }
        let known = if self.good == 0 { first_entry(pages, header) } else { Some(self.good) };
        if let Some(entry) = known {
            found.push(entry);
            for data in items_of(pages, header, entry).unwrap_or_default() {
                if pages.object(data, DATA, header.data_bytes()).is_ok()
                    && let Ok(head) = pages.get(data, 64)
                {
                    found.push(le64(head, 40));
                    roots.push(le64(head, 48));
                }
            }
        }
        for root in roots {
            found.follow(pages, header, root);
        }
        let mut offsets = found.offsets;
        offsets.sort_unstable();
        offsets.dedup();
        offsets.reverse();
        self.found = Some(offsets);
        self.found_of = header.entries;
    }
}

struct Found {
    after: u64,
    offsets: Vec<u64>,
}

impl Found {
    fn push(&mut self, offset: u64) {
        if offset > self.after && offset.is_multiple_of(8) && self.offsets.len() < FOUND_MAX {
            self.offsets.push(offset);
        }
    }

    fn follow(&mut self, pages: &mut Pages, header: &Header, mut array: u64) {
        while array != 0 && self.offsets.len() < FOUND_MAX {
            let Ok(items) = array_items(pages, header, array) else { return };
            for at in (0..items).step_by(CHUNK as usize) {
                let Ok(offsets) = offsets(pages, header, array, at, CHUNK.min(items - at)) else { return };
                offsets.into_iter().for_each(|offset| self.push(offset));
            }
            let Ok(next) = next_array(pages, array) else { return };
            array = next;
        }
    }
}

/// The first entry by the order of objects, as far as that leads.
fn first_entry(pages: &mut Pages, header: &Header) -> Option<u64> {
    let mut at = header.size;
    // the hash tables, and the data and fields of one entry
    for _ in 0..2 * ITEMS_MAX {
        let (kind, _, size) = pages.any_object(at).ok()?;
        if kind == ENTRY {
            return Some(at);
        }
        at = at.checked_add(size)?.checked_next_multiple_of(8)?;
    }
    None
}

/// The offsets of an entry's data objects.
pub(super) fn items_of(pages: &mut Pages, header: &Header, entry: u64) -> Result<Vec<u64>, Damage> {
    let (_, size) = pages.object(entry, ENTRY, ENTRY_BYTES)?;
    let step = header.entry_item();
    let items = (size - ENTRY_BYTES) / step;
    if items > ITEMS_MAX {
        return Err(Damage::new(entry, format!("an entry of {items} fields")));
    }
    let bytes = pages.get(entry + ENTRY_BYTES, items * step)?;
    let offset = |item: &[u8]| if step == 4 { u64::from(le32(item, 0)) } else { le64(item, 0) };
    Ok(bytes.chunks_exact(step as usize).map(offset).collect())
}

fn array_items(pages: &mut Pages, header: &Header, array: u64) -> Result<u64, Damage> {
    let (_, size) = pages.object(array, ENTRY_ARRAY, ARRAY_BYTES + header.array_item())?;
    let there = size.min(pages.len() - array).saturating_sub(ARRAY_BYTES);
    Ok(there / header.array_item())
}

/// The array after this one; 0 if it is the last. Arrays are only ever appended, so that each lies behind the one before.
fn next_array(pages: &mut Pages, array: u64) -> Result<u64, Damage> {
    let next = le64(pages.get(array, ARRAY_BYTES)?, 16);
    if next != 0 && next <= array {
        return Err(Damage::new(array, "an entry array leads backwards"));
    }
    Ok(next)
}

fn item(pages: &mut Pages, header: &Header, array: u64, index: u64) -> Result<u64, Damage> {
    offsets(pages, header, array, index, 1).map(|offsets| offsets.first().copied().unwrap_or(0))
}

fn offsets(pages: &mut Pages, header: &Header, array: u64, index: u64, count: u64) -> Result<Vec<u64>, Damage> {
    let step = header.array_item();
    let bytes = pages.get(array + ARRAY_BYTES + index * step, count * step)?;
    let offset = |item: &[u8]| if step == 4 { u64::from(le32(item, 0)) } else { le64(item, 0) };
    Ok(bytes.chunks_exact(step as usize).map(offset).collect())
}
