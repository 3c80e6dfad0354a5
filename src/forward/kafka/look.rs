//! The look back through a partition for the last stored record of a stream, after a restart or an uncertain answer.
//!
//! A broker only reads forward, so that stretches are read from their beginning, from the partition's end back, each twice as long as the one
//! after it while that is not many bytes. What was looked through is remembered: an attempt that is cut short, on a slow link or by a
//! broker that dies, is gone on with, and what came meanwhile is looked at first.

use crate::forward::backend::Upload;
use crate::forward::http::time_for;
use crate::forward::message::Found;
use bytes::Bytes;
use krafka::consumer::{Consumer, ConsumerRecord};
use krafka::error::KrafkaError;
use std::time::{Duration, Instant};

/// Of a partition's tail; after that a second copy may come about, which is told, and which `save` finds to be one.
const LOOKED_BACK_MAX_BYTES: u64 = 16 << 20;
/// What a record is counted as at least, so that empty ones come to an end too.
const RECORD_MIN_BYTES: u64 = 200;
/// A stretch with more than that is halved, and its newer half looked at first.
const STRETCH_MAX_BYTES: u64 = 2 << 20;
/// How long an attempt looks; one answer of the broker is waited for all the same.
const ATTEMPT_MAX: Duration = Duration::from_secs(60);
/// How long is polled before it is seen whether there is an end.
const POLL: Duration = Duration::from_millis(100);

/// What is being looked for, and how far that is.
pub(super) struct Look {
    partition: i32,
    upload: Upload,
    /// What is not before this was looked through, or is in a stretch.
    from: i64,
    /// The partition's end as it was last seen.
    end: i64,
    /// Not yet looked through to their ends, the newest last.
    stretches: Vec<Stretch>,
    /// How many records the next stretch has.
    records: i64,
    read_bytes: u64,
}

struct Stretch {
    /// The next to be read.
    at: i64,
    until: i64,
    bytes: u64,
    newest: Option<Found>,
}

/// What came of it.
pub(super) struct Seen {
    /// The newest record of those looked at that [is at or before](crate::forward::message::Label::is_at_or_before) the upload.
    pub last: Option<Found>,
    /// Not all records were looked at that may be the last: those that are newer than `last` among them.
    pub is_cut: bool,
}

impl Look {
    /// Goes on with a look that was for the same, or begins one. The batch's bytes are not kept.
    fn resumed(before: Option<Look>, upload: &Upload, partition: i32, end: i64) -> Look {
        let fits = |look: &Look| {
            let (old, new) = (&look.upload, upload);
            look.partition == partition && look.end <= end && old.host == new.host && old.batch == new.batch
        };
        let mut look = before.filter(fits).unwrap_or_else(|| Look {
            partition,
            upload: Upload { bytes: Bytes::new(), ..upload.clone() },
            from: end,
            end,
            stretches: Vec::new(),
            records: 1,
            read_bytes: 0,
        });
        if look.end < end {
            look.stretches.push(Stretch { at: look.end, until: end, bytes: 0, newest: None });
            look.end = end;
        }
        look
    }

    /// The stretch that is to be read; none when there is no more to be looked at.
    fn stretch(&mut self, low: i64) -> Option<&mut Stretch> {
        if self.stretches.is_empty() {
            if self.from <= low {
                return None;
            }
            let from = low.max(self.from.saturating_sub(self.records));
            self.stretches.push(Stretch { at: from, until: self.from, bytes: 0, newest: None });
            self.from = from;
        }
        let stretch = self.stretches.last_mut()?;
        // the oldest records may be deleted meanwhile
        stretch.at = stretch.at.max(low);
        Some(stretch)
    }

    /// Takes what was read of the last stretch; whether there is more to be read of it where it was read.
    fn take(&mut self, records: &[ConsumerRecord]) -> bool {
        let Some(stretch) = self.stretches.last_mut() else { return false };
        for record in records {
            if record.offset < stretch.at {
                continue;
            }
            if record.offset >= stretch.until {
                stretch.at = stretch.until;
                return false;
            }
            let bytes = record.value.as_ref().map_or(0, |value| value.len() as u64).max(RECORD_MIN_BYTES);
            stretch.bytes += bytes;
            self.read_bytes += bytes;
            stretch.newest = super::record::found(record, &self.upload).or(stretch.newest.take());
            stretch.at = record.offset + 1;
        }
        if stretch.bytes > STRETCH_MAX_BYTES && stretch.until - stretch.at > 1 {
            let middle = stretch.at + (stretch.until - stretch.at) / 2;
            let newer = Stretch { at: middle, until: stretch.until, bytes: 0, newest: None };
            (stretch.until, stretch.bytes) = (middle, 0);
            self.records = (self.records / 2).max(1);
            self.stretches.push(newer);
            return false;
        }
        stretch.at < stretch.until
    }

    /// Of the last stretch nothing more is there.
    fn skip_to(&mut self, until: i64) {
        if let Some(stretch) = self.stretches.last_mut().filter(|stretch| stretch.until == until) {
            stretch.at = until;
        }
    }

    fn is_at_end(&self) -> bool {
        self.stretches.last().is_some_and(|stretch| stretch.at >= stretch.until)
    }

    /// The last stretch was looked through; what was found in it.
    fn end_of_stretch(&mut self) -> Option<Found> {
        let stretch = self.stretches.pop()?;
        if stretch.bytes <= STRETCH_MAX_BYTES / 2 {
            self.records = self.records.saturating_mul(2);
        }
        stretch.newest
    }
}

/// Looks until something is found, all is looked through, or that was much. An error is what is in the way; `look` has how far it came.
pub(super) async fn look_back(
    consumer: &Consumer,
    (topic, partition): (&str, i32),
    upload: &Upload,
    fetch_max_bytes: u64,
    look: &mut Option<Look>,
) -> Result<Seen, String> {
    let failed = |error: KrafkaError| crate::tls::causes(&error);
    let marks = tokio::time::timeout(time_for(0), consumer.fetch_watermarks(topic, partition)).await;
    let (low, end) = marks.map_err(|_| "the broker does not say where the partition ends")?.map_err(failed)?;
    let before = look.take();
    let look = look.insert(Look::resumed(before, upload, partition, end));
    consumer.assign(topic, vec![partition]).await.map_err(failed)?;
    let began = Instant::now();
    loop {
        if look.read_bytes >= LOOKED_BACK_MAX_BYTES {
            // should there be another attempt it goes on from here
            look.read_bytes = 0;
            // of a stretch that was divided the older half is read in part, and the newer one not
            let last = look.stretches.iter().rev().find_map(|stretch| stretch.newest.clone());
            return Ok(Seen { last, is_cut: true });
        }
        if began.elapsed() >= ATTEMPT_MAX {
            return Err(format!(
                "still looking for the last record of stream {} in partition {partition}: {} KiB are read, the next attempt goes on; is the link slow?",
                upload.batch.stream,
                look.read_bytes >> 10
            ));
        }
        let Some(stretch) = look.stretch(low) else { return Ok(Seen { last: None, is_cut: false }) };
        let until = stretch.until;
        let mut is_more = stretch.at < until;
        if is_more {
            consumer.seek(topic, partition, stretch.at).await.map_err(failed)?;
        }
        while is_more {
            let polled = tokio::time::timeout(time_for(fetch_max_bytes), consumer.poll(POLL)).await;
            let records = polled.map_err(|_| "the broker does not send the partition's records")?.map_err(failed)?;
            is_more = look.take(&records);
            // what is not there has no end to wait for
            let position = consumer.position(topic, partition).await;
            if records.is_empty() && position.is_none_or(|position| position >= until) {
                look.skip_to(until);
                is_more = false;
            }
            if look.read_bytes >= LOOKED_BACK_MAX_BYTES || began.elapsed() >= ATTEMPT_MAX {
                break;
            }
        }
        if look.is_at_end()
            && let Some(last) = look.end_of_stretch()
        {
            return Ok(Seen { last: Some(last), is_cut: false });
        }
    }
}
