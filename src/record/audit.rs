//! Which event a record of auditd belongs to. Sources and policies both ask: those to put its records together, these
//! to read them.

/// The head of a record: `node=web-1 type=SYSCALL msg=audit(1364481363.243:24287): …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditId<'a> {
    /// The machine, where records of several come together.
    pub node: Option<&'a [u8]>,
    /// The type of record: `SYSCALL`.
    pub kind: &'a [u8],
    /// Seconds since 1970 with three decimals, a colon, and the event's number: `1364481363.243:24287`.
    pub event: &'a [u8],
    /// How many bytes of the line these are, up to and with the colon behind the parenthesis.
    pub len: usize,
}

/// Longer nodes, types and events are none.
const WORD_MAX: usize = 256;

impl<'a> AuditId<'a> {
    /// The head of a record, if the line begins with one.
    #[inline]
    pub fn of(line: &'a [u8]) -> Option<AuditId<'a>> {
        // most lines are none, and this is asked of each
        if matches!(line.first(), Some(b't' | b'n')) { AuditId::parse(line) } else { None }
    }

    fn parse(line: &'a [u8]) -> Option<AuditId<'a>> {
        let mut rest = line;
        let mut node = None;
        if let Some(named) = rest.strip_prefix(b"node=") {
            let (name, after) = word(named, b' ')?;
            (node, rest) = (Some(name), after);
        }
        let (kind, rest) = word(rest.strip_prefix(b"type=")?, b' ')?;
        let (event, rest) = word(rest.strip_prefix(b"msg=audit(")?, b')')?;
        let rest = rest.strip_prefix(b":")?;
        let is_event = event.iter().all(|c| c.is_ascii_digit() || matches!(c, b'.' | b':')) && event.contains(&b':');
        is_event.then(|| AuditId { node, kind, event, len: line.len() - rest.len() })
    }

    /// Whether both are records of one event.
    pub fn is_of(&self, other: &AuditId<'_>) -> bool {
        self.event == other.event && self.node == other.node
    }

    /// Whether no record of the event comes after this one: the kernel's last is PROCTITLE or EOE, and what programs
    /// report comes in one record.
    pub fn is_last(&self) -> bool {
        const PROGRAMS: [&[u8]; 11] = [
            b"USER_",
            b"DAEMON_",
            b"CRED_",
            b"ACCT_",
            b"ADD_",
            b"DEL_",
            b"GRP_",
            b"SERVICE_",
            b"SYSTEM_",
            b"CRYPTO_",
            b"VIRT_",
        ];
        matches!(self.kind, b"EOE" | b"PROCTITLE") || PROGRAMS.iter().any(|prefix| self.kind.starts_with(prefix))
    }
}

/// A word that ends with `end`, and what follows it.
fn word(text: &[u8], end: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().take(WORD_MAX).position(|c| *c == end).filter(|at| *at > 0)?;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_records_are_told_from_what_only_looks_like_them() {
        let id = AuditId::of(b"node=web-1 type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e").unwrap();
        assert_eq!((id.node, id.kind), (Some(b"web-1".as_slice()), b"SYSCALL".as_slice()));
        assert_eq!((id.event, id.len), (b"1364481363.243:24287".as_slice(), 56));
        let other = AuditId::of(b"type=PROCTITLE msg=audit(1364481363.243:24287): proctitle=6C73").unwrap();
        assert!(!id.is_of(&other) && other.is_last() && !id.is_last());
        for line in [
            b"".as_slice(),
            b"type=",
            b"type=x",
            b"type=SYSCALL msg=audit(x): ",
            b"type=SYSCALL msg=audit(1.2:3)",
            b"type= msg=audit(1.2:3): ",
            b"node= type=SYSCALL msg=audit(1.2:3): ",
            b" type=SYSCALL msg=audit(1.2:3): ",
        ] {
            assert_eq!(AuditId::of(line), None, "{}", line.escape_ascii());
        }
    }
}
