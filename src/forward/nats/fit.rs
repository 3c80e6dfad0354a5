//! Whether a stream is fit for an archive: it keeps what it has.

use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType};

/// What must be mended before anything is sent.
pub(super) fn unfit(stream: &Config, subject: &str) -> Option<String> {
    let name = &stream.name;
    let edit = |what: &str, mend: &str| Some(format!("stream {name} {what}; nats stream edit {name} {mend}"));
    let anew = |what: &str, mend: &str| Some(format!("stream {name} {what}; make another, with {mend}"));
    if !stream.deny_delete {
        return anew("lets its messages be deleted", "nats stream add --deny-delete --deny-purge");
    }
    if !stream.deny_purge {
        return anew("can be purged", "nats stream add --deny-delete --deny-purge");
    }
    if stream.retention != RetentionPolicy::Limits {
        return anew("deletes what a consumer acknowledged", "nats stream add --retention limits");
    }
    if stream.storage != StorageType::File {
        return anew("is kept in memory", "nats stream add --storage file");
    }
    if stream.no_ack {
        return edit("acknowledges nothing", "--ack");
    }
    if stream.persist_mode == Some(PersistenceMode::Async) {
        return anew("acknowledges what it has not written", "nats stream add --persist-mode default");
    }
    if stream.sealed {
        return anew("is sealed", "the same subjects");
    }
    if stream.mirror.is_some() {
        return anew("is a mirror, which takes no messages", "subjects of its own");
    }
    if stream.subject_transform.is_some() {
        return anew("stores messages under other subjects", "no subject transform");
    }
    let is_bounded = [stream.max_bytes, stream.max_messages].iter().any(|limit| *limit > 0);
    if is_bounded && stream.discard != DiscardPolicy::New {
        return edit("drops its oldest messages when it is full", "--discard new");
    }
    if stream.max_messages_per_subject > 0 && !(stream.discard == DiscardPolicy::New && stream.discard_new_per_subject)
    {
        return edit("drops the oldest messages of a subject", "--max-msgs-per-subject=-1");
    }
    if !stream.allow_direct {
        return edit("can't be asked for its last message of a subject", "--allow-direct");
    }
    if !stream.subjects.iter().any(|pattern| covers(pattern, subject)) {
        let subjects = &stream.subjects;
        return edit(&format!("takes {subjects:?}, and not {subject}"), "--subjects …");
    }
    None
}

/// What is done nonetheless, and should be known.
pub(super) fn doubts(stream: &Config) -> Option<String> {
    let days = stream.max_age.as_secs() / (24 * 60 * 60);
    (!stream.max_age.is_zero()).then(|| {
        format!(
            "stream {} deletes messages after {days} days; save them before, or nats stream edit {} --max-age=-1",
            stream.name, stream.name
        )
    })
}

/// Whether a pattern with `*` and `>` takes a subject.
fn covers(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for part in pattern.split('.') {
        match (part, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (part, Some(token)) if part == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn patterns() {
        for pattern in ["audit.web-1", "audit.*", "audit.>", ">", "*.*"] {
            assert!(covers(pattern, "audit.web-1"), "{pattern}");
        }
        for pattern in ["audit", "audit.web-2", "*", "audit.web-1.>", "audit.*.*", "log.>", "audit.web-1.x"] {
            assert!(!covers(pattern, "audit.web-1"), "{pattern}");
        }
    }
}
