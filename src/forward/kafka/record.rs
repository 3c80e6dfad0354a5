//! Records as the broker gives them.

use crate::forward::backend::Upload;
use crate::forward::message::{Found, Label};
use krafka::consumer::ConsumerRecord;

/// What a record says that it is; `None` if it is no batch.
pub(super) fn label(record: &ConsumerRecord) -> Option<Label> {
    let header = |name: &str| {
        let (_, value) = record.headers.iter().find(|(header, _)| header[..] == *name.as_bytes())?;
        std::str::from_utf8(value.as_ref()?).ok()
    };
    Label::of_message(header, record.value.as_ref()?)
}

/// A record of the upload's stream, and not of a later batch.
pub(super) fn found(record: &ConsumerRecord, upload: &Upload) -> Option<Found> {
    let label = label(record).filter(|label| label.is_at_or_before(upload))?;
    Some(Found::new(label, record.value.as_ref()?))
}
