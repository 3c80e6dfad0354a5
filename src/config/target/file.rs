//! `type = "file"`.

use crate::config::table::{Table, Text};
use crate::forward::FileConfig;

pub(super) fn config(table: &Table<'_>) -> Option<FileConfig> {
    let dir = table.required("dir", "name the archive's folder, such as \"/mnt/worm\"", Text::into_path);
    let immutable = table.boolean("immutable", false);
    Some(FileConfig { dir: dir?, immutable: immutable? })
}
