//! What a line is, by its format and its looks, and how its fields are read.
//!
//! | file | what it reads |
//! | --- | --- |
//! | `syslog` | RFC 5424, RFC 3164, and what rsyslog writes into files |
//! | `auditd` | records of the kernel's audit log |
//! | `container` | lines of container runtimes, which wrap what the container wrote |
//!
//! Parsers see hostile text: they are bounded by its length and never fail but by finding nothing.

pub(super) mod auditd;
pub mod container;
pub(super) mod syslog;

use crate::record::{AuditId, Format};

/// What `input.fields` is read from, if it turns out to be that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A JSON object.
    Object,
    Syslog,
    Audit,
    /// There are no fields.
    Text,
}

impl Kind {
    /// What a line of this format looks like. Cheap: it is asked of most lines.
    pub(super) fn of(format: Format, text: &str) -> Kind {
        let is = |kind: Kind| match kind {
            Kind::Object => text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{'),
            Kind::Syslog => syslog::looks_like(text),
            Kind::Audit => AuditId::of(text.as_bytes()).is_some(),
            Kind::Text => true,
        };
        let kinds: &[Kind] = match format {
            Format::Auto => &[Kind::Object, Kind::Audit, Kind::Syslog],
            Format::Json | Format::Cri | Format::Docker => &[Kind::Object],
            Format::Syslog => &[Kind::Syslog],
            Format::Auditd => &[Kind::Audit],
            Format::Plain => &[],
        };
        kinds.iter().copied().find(|kind| is(*kind)).unwrap_or(Kind::Text)
    }
}
