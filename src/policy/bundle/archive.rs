//! Unpacks a bundle in memory, with bounds: what is no plain file with a plain name refuses the whole.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use tar::EntryType;

/// Bound of all that a bundle unpacks to, headers and padding included: a gzip bomb ends here.
const UNPACKED_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Bound of files and folders in a bundle.
const ENTRIES_MAX: usize = 4096;
/// Bound of a name.
const NAME_MAX_BYTES: usize = 1024;

/// The files of a gzipped tar by their names, which have `/` between their parts and none at the start.
pub(super) fn unpack(packed: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let unpacked = gunzip(packed)?;
    let mut archive = tar::Archive::new(unpacked.as_slice());
    let entries = archive.entries().map_err(|error| format!("is no tar archive: {error}"))?;
    let mut files = BTreeMap::new();
    for (count, entry) in entries.enumerate() {
        if count >= ENTRIES_MAX {
            return Err(format!("holds more than {ENTRIES_MAX} files and folders"));
        }
        let mut entry = entry.map_err(|error| format!("is damaged: {error}"))?;
        let name = name(&entry.path_bytes())?;
        match entry.header().entry_type() {
            EntryType::Regular if !matches!(name.as_str(), "" | ".") => {}
            // what `git archive` writes before all else
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            _ => return Err(format!("{name:?} is no plain file, and a bundle holds no others")),
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| format!("{name:?} is damaged: {error}"))?;
        if bytes.len() as u64 != entry.size() {
            return Err(format!("ends within {name:?}"));
        }
        if files.insert(name.clone(), bytes).is_some() {
            return Err(format!("holds {name:?} twice"));
        }
    }
    Ok(files)
}

/// All of it is unpacked before any of it is used, so that its checksum is known to fit: half a bundle is none.
fn gunzip(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(packed).take(UNPACKED_MAX_BYTES as u64 + 1).read_to_end(&mut unpacked);
    read.map_err(|error| format!("is no whole gzip file ({error}); is it still being written?"))?;
    if unpacked.len() > UNPACKED_MAX_BYTES {
        return Err(format!("unpacks to more than {UNPACKED_MAX_BYTES} bytes"));
    }
    Ok(unpacked)
}

/// `opa build` writes `/data.json`, tar itself `./data.json`; both are `data.json`.
fn name(bytes: &[u8]) -> Result<String, String> {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
    let name = str::from_utf8(bytes).map_err(|_| format!("{shown:?} is no UTF-8 name"))?;
    let name = name.trim_start_matches("./").trim_matches('/');
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
    if name.len() > NAME_MAX_BYTES || !(matches!(name, "" | ".") || name.split('/').all(is_plain)) {
        return Err(format!("{shown:?} is no name that a bundle may hold"));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::bundle::fixture::{gzip, header, packed, tar};

    fn why(packed: &[u8]) -> String {
        unpack(packed).unwrap_err()
    }

    #[test]
    fn names_are_those_below_the_top() {
        let files = unpack(&packed(&[("/data.json", "{}"), ("./a/b.rego", "x"), ("c.rego", "")])).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a/b.rego", "c.rego", "data.json"]);
        let long = format!("{}/x.rego", "folder".repeat(40));
        assert!(unpack(&packed(&[(&long, "x")])).unwrap().contains_key(&long));
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for name in ["../x.rego", "a/../../x.rego", "a/./x", "a//x", "a\\x"] {
            assert!(why(&packed(&[(name, "x")])).contains("no name"), "{name}");
        }
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Fifo, EntryType::GNUSparse] {
            let why = why(&gzip(&[header("a.rego", kind, 0).as_slice(), &[0; 1024]].concat()));
            assert!(why.contains("no plain file") || why.contains("damaged"), "{kind:?}: {why}");
        }
        assert!(why(&packed(&[("a", "1"), ("./a", "2")])).contains("twice"));
    }

    #[test]
    fn half_a_bundle_is_none_wherever_it_ends() {
        let whole = packed(&[("a.rego", "package a\n"), ("data.json", "{\"a\": 1}")]);
        for end in 0..whole.len() {
            assert!(unpack(&whole[..end]).is_err(), "the first {end} of {} bytes", whole.len());
        }
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(why(&damaged).contains("no whole gzip"));
        let cut = &tar(&[("a.rego", "package a\n")])[..515];
        assert!(why(&gzip(cut)).contains("a.rego"));
    }

    #[test]
    fn no_damage_to_a_header_makes_it_panic_or_read_what_is_not_there() {
        let whole = tar(&[("a.rego", "package a\n"), ("data.json", "{}")]);
        for at in (0..512).chain(1024..1536) {
            for value in [0, 1, b'0', b'5', b'L', b'S', b'x', 0x7f, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                // its checksum is made good again: damage that was meant
                let header = at / 512 * 512;
                damaged[header + 148..][..8].fill(b' ');
                let sum: u32 = damaged[header..][..512].iter().map(|byte| u32::from(*byte)).sum();
                damaged[header + 148..][..8].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
                if let Ok(files) = unpack(&gzip(&damaged)) {
                    assert!(files.values().map(Vec::len).sum::<usize>() <= whole.len());
                }
            }
        }
    }

    #[test]
    fn bombs_end_at_the_bound() {
        assert!(why(&gzip(&vec![0; UNPACKED_MAX_BYTES + 1])).contains("unpacks to more"));
        let many: Vec<String> = (0..=ENTRIES_MAX).map(|n| format!("{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
        assert!(why(&packed(&many)).contains("more than 4096"));
        // a size that is not there takes no memory
        assert!(unpack(&gzip(&header("a", EntryType::Regular, 1 << 40))).is_err());
    }
}
