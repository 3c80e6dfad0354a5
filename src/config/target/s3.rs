//! `type = "s3"`.

use super::{https, proxy, tls};
use crate::config::table::{Table, Text};
use crate::forward::{LockMode, ObjectLock, S3Config};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Keys end at 1024 bytes, of which names of hosts, streams and batches may take half.
const PREFIX_MAX_BYTES: usize = 512;

pub(super) fn config(table: &Table<'_>) -> Option<S3Config> {
    let url = table.optional("url", https::url);
    let region = table.optional("region", name);
    let bucket = table.required("bucket", "name the bucket", bucket);
    let prefix = table.optional("prefix", prefix);
    let path_style = table.boolean("path_style", false);
    let object_lock = object_lock(table);
    let profile = table.optional("profile", name);
    let credentials_file = table.optional("credentials_file", Text::into_path);
    let tls = tls::optional(table);
    let proxy = proxy::config(table);
    Some(S3Config {
        url: url?,
        region: region?,
        bucket: bucket?,
        prefix: prefix?.unwrap_or_default(),
        path_style: path_style?,
        object_lock: object_lock?,
        profile: profile?,
        credentials_file: credentials_file?,
        tls: tls?,
        proxy: proxy?,
    })
}

fn object_lock(table: &Table<'_>) -> Option<ObjectLock> {
    const MEND: &str = "write object_lock = { mode = \"compliance\", retain = \"365d\" }";
    const NONE: &str = "none-the-archive-can-be-deleted";
    if !table.holds(&["object_lock"]) {
        table.missing("object_lock", MEND);
        return None;
    }
    let lock = table.table("object_lock");
    let modes = [("compliance", Some(LockMode::Compliance)), ("governance", Some(LockMode::Governance)), (NONE, None)];
    let mode = lock.required("mode", MEND, |text| text.one_of(&modes));
    let is_there = lock.holds(&["retain"]);
    let retain = lock.duration("retain", DAY, DAY..=36500 * DAY);
    let legal_hold = lock.boolean("legal_hold", false);
    if matches!(mode, Some(Some(_))) && !is_there {
        lock.missing("retain", MEND);
        return None;
    }
    let place = lock.place.clone();
    lock.finish();
    let (retain, legal_hold) = (retain?, legal_hold?);
    match mode? {
        Some(mode) => Some(ObjectLock::Kept { mode, retain, legal_hold }),
        None if is_there || legal_hold => {
            place.fault(
                "says that nothing is kept, and how it is kept",
                "take retain and legal_hold out, or choose another mode",
            );
            None
        }
        None => Some(ObjectLock::None),
    }
}

fn name(text: Text<'_>) -> Option<String> {
    let fits = !text.value.is_empty() && text.value.chars().all(|c| c.is_ascii_graphic());
    if fits { Some(text.value) } else { text.fault("no name", "write one without spaces") }
}

fn bucket(text: Text<'_>) -> Option<String> {
    let of_bucket = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    match (3..=63).contains(&text.value.len()) && text.value.chars().all(of_bucket) {
        true => Some(text.value),
        false => text.fault("no name of a bucket", "write 3 to 63 of a-z 0-9 . -, and the rest of the path as prefix"),
    }
}

/// Without the slash at its end.
fn prefix(text: Text<'_>) -> Option<String> {
    let prefix = text.value.trim_end_matches('/');
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(|c| c.is_ascii_graphic());
    match prefix.len() <= PREFIX_MAX_BYTES && (prefix.is_empty() || prefix.split('/').all(is_part)) {
        true => Some(prefix.to_owned()),
        false => text.fault("no prefix", "write one such as \"audit/production\": names with one slash between them"),
    }
}
