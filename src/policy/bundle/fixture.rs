//! Bundles for tests.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::EntryType;

pub(in crate::policy) fn header(name: &str, kind: EntryType, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    // as it stands: the writer itself would refuse what must not be there
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header.as_bytes().to_vec()
}

pub(in crate::policy) fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, text) in files {
        if name.len() > 100 {
            archive.extend(header("././@LongLink", EntryType::GNULongName, name.len() as u64));
            archive.extend(padded(name.as_bytes()));
        }
        archive.extend(header(&name[..name.len().min(100)], EntryType::Regular, text.len() as u64));
        archive.extend(padded(text.as_bytes()));
    }
    archive.extend([0; 1024]);
    archive
}

pub(in crate::policy) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(in crate::policy) fn packed(files: &[(&str, &str)]) -> Vec<u8> {
    gzip(&tar(files))
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(512), 0);
    padded
}
