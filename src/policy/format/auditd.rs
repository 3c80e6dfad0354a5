//! Records of the kernel's audit log, as auditd writes them: the pairs of each, with what is hexadecimal decoded.

use crate::record::AuditId;
use std::borrow::Cow;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The keys of `input.fields` that stand for the event as a whole; a record's pair of such a name is in its record only.
pub(in crate::policy) const KEYS: [&str; 7] = ["serial", "time", "node", "type", "types", "records", "argv"];
/// Bound of the pairs of an event. The longest line holds a hundred arguments or paths, not tens of thousands.
const PAIRS_MAX: usize = 16 * 1024;

/// Text that programs and users choose. The kernel quotes it, or writes it in hexadecimal where it has quotes, blanks
/// or control characters.
const UNTRUSTED: [&str; 29] = [
    "acct",
    "cgroup",
    "cmd",
    "comm",
    "cwd",
    "data",
    "device",
    "dir",
    "exe",
    "file",
    "grp",
    "key",
    "name",
    "new-chardev",
    "new-disk",
    "new-fs",
    "new-net",
    "new-rng",
    "new_group",
    "old-chardev",
    "old-disk",
    "old-fs",
    "old-net",
    "old-rng",
    "path",
    "proctitle",
    "root_dir",
    "vm",
    "watch",
];

/// An event, as far as its records are known.
#[derive(Debug, Default)]
pub(in crate::policy) struct Event<'a> {
    pub(in crate::policy) serial: Option<u64>,
    pub(in crate::policy) time: Option<String>,
    pub(in crate::policy) node: Option<&'a str>,
    pub(in crate::policy) records: Vec<Record<'a>>,
    /// The arguments of EXECVE.
    pub(in crate::policy) argv: Vec<String>,
}

/// One record.
#[derive(Debug)]
pub(in crate::policy) struct Record<'a> {
    pub(in crate::policy) kind: &'a str,
    pub(in crate::policy) pairs: Vec<(&'a str, Cow<'a, str>)>,
}

/// There are more pairs than any event has.
#[derive(Debug, PartialEq)]
pub(in crate::policy) struct TooMany;

/// Reads the records in `texts`, all of one event. None if there is none.
pub(in crate::policy) fn parse<'a>(texts: [&'a str; 2]) -> Result<Option<Event<'a>>, TooMany> {
    let mut event = Event::default();
    // long arguments come in pieces
    let mut argv: BTreeMap<u32, String> = BTreeMap::new();
    let mut room = PAIRS_MAX;
    for line in texts.into_iter().flat_map(|text| text.split('\n')) {
        let Some(id) = AuditId::of(line.as_bytes()) else { continue };
        let mut record = Record { kind: text(id.kind), pairs: Vec::new() };
        record.read(&line[id.len..], true);
        room = room.checked_sub(record.pairs.len() + 1).ok_or(TooMany)?;
        for (key, value) in &record.pairs {
            if let Some(number) = record.argument(key) {
                argv.entry(number).or_default().push_str(value);
            }
        }
        if event.records.is_empty() {
            let (seconds, serial) = text(id.event).split_once(':').unwrap_or_default();
            event.serial = serial.parse().ok();
            event.time = rfc3339(seconds);
            event.node = id.node.map(text);
        }
        event.records.push(record);
    }
    event.argv = argv.into_values().collect();
    Ok((!event.records.is_empty()).then_some(event))
}

/// It is a slice of a text, between ASCII characters.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// `1364481363.243`, in RFC 3339.
fn rfc3339(seconds: &str) -> Option<String> {
    let (seconds, milliseconds) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let milliseconds: u16 = milliseconds.parse().ok().filter(|n| *n < 1000)?;
    let time = OffsetDateTime::from_unix_timestamp(seconds.parse().ok()?).ok()?;
    time.replace_millisecond(milliseconds).ok()?.format(&Rfc3339).ok()
}

impl<'a> Record<'a> {
    /// Takes pairs apart: `key=value key="value" msg='key=value …'`, and after a group separator those that auditd itself
    /// added. Words without `=` are passed over.
    fn read(&mut self, body: &'a str, is_outer: bool) {
        const BLANK: [char; 5] = [' ', '\x1d', '\r', '\t', ','];
        let mut rest = body.trim_start_matches(BLANK);
        // one more than the bound is enough to tell
        while !rest.is_empty() && self.pairs.len() <= PAIRS_MAX {
            let end = rest.find([' ', '\x1d', '=']).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            let Some(value) = after.strip_prefix('=') else {
                rest = after.trim_start_matches(BLANK);
                continue;
            };
            let is_message = is_outer && key == "msg";
            let (value, after, is_bare) = value_of(value, is_message);
            if is_message && !is_bare {
                self.read(value, false);
            } else if !key.is_empty() {
                let is_untrusted = UNTRUSTED.contains(&key) || self.argument(key).is_some();
                let value = if is_bare && is_untrusted { decoded(key, value) } else { Cow::Borrowed(value) };
                self.pairs.push((key, value));
            }
            rest = after.trim_start_matches(BLANK);
        }
    }

    /// Which argument of EXECVE a key is: `a0`, or `a1[2]` of one in pieces.
    fn argument(&self, key: &str) -> Option<u32> {
        let number = key.strip_prefix('a').filter(|_| self.kind == "EXECVE")?;
        number.split_once('[').map_or(number, |(number, _)| number).parse().ok()
    }
}

/// A value without what stands around it, what follows it, and whether nothing stood around it.
fn value_of(text: &str, is_message: bool) -> (&str, &str, bool) {
    if let Some(inner) = text.strip_prefix('"')
        && let Some((value, after)) = inner.split_once('"')
    {
        return (value, after, false);
    }
    if let Some(inner) = text.strip_prefix('\'') {
        // a message may hold such quotes itself, and ends with the record, or where auditd's own pairs begin
        let own = inner.find('\x1d').unwrap_or(inner.len());
        let end = if is_message { inner[..own].rfind('\'') } else { inner.find('\'') };
        if let Some(end) = end {
            return (&inner[..end], &inner[end + 1..], false);
        }
    }
    if let Some(inner) = text.strip_prefix('{')
        && let Some((value, after)) = inner.split_once('}')
    {
        return (value.trim(), after, false);
    }
    let end = text.find([' ', '\x1d']).unwrap_or(text.len());
    (text[..end].trim_end_matches('\r'), &text[end..], true)
}

/// What a bare value of an untrusted key stands for.
fn decoded<'a>(key: &str, value: &'a str) -> Cow<'a, str> {
    let Some(mut bytes) = unhex(value) else { return Cow::Borrowed(value) };
    if key == "proctitle" {
        // its arguments end with NULs
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        bytes.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
    }
    Cow::Owned(lossy(bytes))
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>().filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Event<'_> {
        parse([text, ""]).unwrap().unwrap()
    }

    fn value<'a>(event: &'a Event<'_>, kind: &str, key: &str) -> &'a str {
        let record = event.records.iter().find(|record| record.kind == kind).unwrap();
        record.pairs.iter().find(|(name, _)| *name == key).map_or("(none)", |(_, value)| value)
    }

    #[test]
    fn an_event_of_the_kernel() {
        // from audit.log as RHEL's Security Guide shows it, log_format = ENRICHED in the first record
        let text = "type=SYSCALL msg=audit(1364481363.243:24287): arch=c000003e syscall=2 success=no exit=-13 a0=7fffd19c5592 \
             a1=0 items=1 ppid=2686 pid=3538 auid=1000 uid=1000 tty=pts0 ses=1 comm=\"cat\" exe=\"/bin/cat\" \
             subj=unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023 key=\"sshd_config\"\x1dARCH=x86_64 SYSCALL=open \
             AUID=\"alice\"\n\
             type=EXECVE msg=audit(1364481363.243:24287): argc=4 a0=\"cat\" a1=6120220A a2=\"1234\" a3_len=8 a3[0]=6162 a3[1]=6364\n\
             type=CWD msg=audit(1364481363.243:24287):  cwd=\"/home/shadowman\"\n\
             type=SOCKADDR msg=audit(1364481363.243:24287): saddr=0200\x1dSADDR={ saddr_fam=inet laddr=10.0.0.1 lport=22 }\n\
             type=PROCTITLE msg=audit(1364481363.243:24287): proctitle=636174002F6574632F737368642F737368645F636F6E66696700";
        let event = read(text);
        assert_eq!((event.serial, event.time.as_deref()), (Some(24287), Some("2013-03-28T14:36:03.243Z")));
        assert_eq!(
            event.records.iter().map(|record| record.kind).collect::<Vec<_>>()[..3],
            ["SYSCALL", "EXECVE", "CWD"]
        );
        assert_eq!(event.argv, ["cat", "a \"\n", "1234", "abcd"]);
        for (kind, key, expected) in [
            ("SYSCALL", "a0", "7fffd19c5592"),
            ("SYSCALL", "exit", "-13"),
            ("SYSCALL", "key", "sshd_config"),
            ("SYSCALL", "AUID", "alice"),
            ("SYSCALL", "ARCH", "x86_64"),
            ("EXECVE", "a1", "a \"\n"),
            ("CWD", "cwd", "/home/shadowman"),
            ("SOCKADDR", "SADDR", "saddr_fam=inet laddr=10.0.0.1 lport=22"),
            ("PROCTITLE", "proctitle", "cat /etc/sshd/sshd_config"),
        ] {
            assert_eq!(value(&event, kind, key), expected, "{kind} {key}");
        }
    }

    #[test]
    fn a_message_of_a_program_is_part_of_its_record() {
        let text = "node=web-1 type=USER_CMD msg=audit(1768199999.123:9): pid=8 uid=1000 auid=4294967295 \
             msg='cwd=\"/home/o'neil\" cmd=6C73202D6C exe=\"/usr/bin/sudo\" acct=(null) hostname=? res=failed'\x1dUID=\"alice\"\r";
        let event = read(text);
        assert_eq!(event.node, Some("web-1"));
        let keys: Vec<&str> = event.records[0].pairs.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys.join(" "), "pid uid auid cwd cmd exe acct hostname res UID");
        assert_eq!(value(&event, "USER_CMD", "cmd"), "ls -l");
        assert_eq!(value(&event, "USER_CMD", "cwd"), "/home/o'neil");
        assert_eq!((value(&event, "USER_CMD", "res"), value(&event, "USER_CMD", "UID")), ("failed", "alice"));
    }

    #[test]
    fn what_is_no_record_is_passed_over_and_too_many_pairs_are_told() {
        assert!(parse(["plain", "type=x"]).unwrap().is_none());
        let avc = "x\ntype=AVC msg=audit(1.0:2): avc:  denied  { read } for  pid=7 comm=\"a\"";
        assert_eq!(value(&read(avc), "AVC", "pid"), "7");
        let many = format!("type=X msg=audit(1.0:2): {}", "a=b ".repeat(PAIRS_MAX + 1));
        assert_eq!(parse([&many, ""]).unwrap_err(), TooMany);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart(text in r#"type=[A-Z]{1,7} msg=audit\([0-9.:]{1,20}\): (\PC{0,3}|[a-z]{0,4}|=|"|'|\x1d|\{|\}|msg='){0,30}"#) {
            let _ = parse([&text, &text]);
        }
    }
}
