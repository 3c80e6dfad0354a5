//! Syslog: RFC 5424, RFC 3164, and the lines that rsyslog writes into files (no priority; on Debian 12 the time in
//! RFC 3339).

use std::borrow::Cow;

/// The keys of `input.fields` that a line of syslog can have.
pub(in crate::policy) const KEYS: [&str; 11] = [
    "facility",
    "severity",
    "priority",
    "timestamp",
    "hostname",
    "appname",
    "procid",
    "msgid",
    "structured_data",
    "msg",
    "json",
];
/// Those whose values do not stand in the line as they are.
pub(in crate::policy) const COMPUTED: [&str; 2] = ["facility", "severity"];

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Longer tags are text.
const TAG_MAX: usize = 128;

/// A line, taken apart. What it lacks, or says as `-`, is none.
#[derive(Debug, Default, PartialEq)]
pub(in crate::policy) struct Syslog<'a> {
    pub(in crate::policy) priority: Option<u8>,
    /// As it stands.
    pub(in crate::policy) timestamp: Option<&'a str>,
    pub(in crate::policy) hostname: Option<&'a str>,
    pub(in crate::policy) appname: Option<&'a str>,
    pub(in crate::policy) procid: Option<&'a str>,
    pub(in crate::policy) msgid: Option<&'a str>,
    pub(in crate::policy) structured_data: Vec<Element<'a>>,
    pub(in crate::policy) msg: &'a str,
}

/// `[id name="value" …]`.
#[derive(Debug, PartialEq)]
pub(in crate::policy) struct Element<'a> {
    pub(in crate::policy) id: &'a str,
    pub(in crate::policy) params: Vec<(&'a str, Cow<'a, str>)>,
}

impl Syslog<'_> {
    pub(in crate::policy) fn facility(&self) -> Option<&'static str> {
        self.priority.and_then(|priority| FACILITIES.get(usize::from(priority >> 3)).copied())
    }

    pub(in crate::policy) fn severity(&self) -> Option<&'static str> {
        self.priority.map(|priority| SEVERITIES[usize::from(priority & 7)])
    }
}

/// Whether the line begins as one of syslog does; it may turn out to be none.
pub(in crate::policy) fn looks_like(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'<') => priority(text).is_some(),
        Some(b'0'..=b'9') => rfc3339(text).is_some(),
        Some(b'A'..=b'S') => bsd_time(text).is_some(),
        _ => false,
    }
}

/// Takes a line apart.
pub(in crate::policy) fn parse(text: &str) -> Option<Syslog<'_>> {
    let Some((priority, rest)) = priority(text) else { return bsd(text, false) };
    let line = match rest.strip_prefix("1 ") {
        Some(rest) => rfc5424(rest)?,
        // a device that sends no header sends its message all the same
        None => bsd(rest, true).unwrap_or(Syslog { msg: rest, ..Syslog::default() }),
    };
    Some(Syslog { priority: Some(priority), ..line })
}

/// `<PRI>`, and what follows.
fn priority(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.strip_prefix('<')?.split_at_checked(text.bytes().take(5).position(|c| c == b'>')? - 1)?;
    let sound =
        !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    let priority = digits.parse::<u8>().ok().filter(|priority| sound && *priority < 192)?;
    Some((priority, rest.strip_prefix('>')?))
}

/// What follows the version of RFC 5424.
fn rfc5424(text: &str) -> Option<Syslog<'_>> {
    let (timestamp, rest) = text.split_once(' ')?;
    if timestamp != "-" && rfc3339(timestamp) != Some("") {
        return None;
    }
    let (hostname, rest) = rest.split_once(' ')?;
    let (appname, rest) = rest.split_once(' ')?;
    let (procid, rest) = rest.split_once(' ')?;
    let (msgid, rest) = rest.split_once(' ')?;
    let (structured_data, rest) = structured_data(rest)?;
    let msg = match rest {
        "" => "",
        rest => rest.strip_prefix(' ')?,
    };
    Some(Syslog {
        priority: None,
        timestamp: said(timestamp),
        hostname: said(hostname),
        appname: said(appname),
        procid: said(procid),
        msgid: said(msgid),
        structured_data,
        msg: msg.strip_prefix('\u{feff}').unwrap_or(msg),
    })
}

fn said(word: &str) -> Option<&str> {
    (!matches!(word, "" | "-")).then_some(word)
}

/// `-` or elements, and what follows.
fn structured_data(text: &str) -> Option<(Vec<Element<'_>>, &str)> {
    if let Some(rest) = text.strip_prefix('-') {
        return Some((Vec::new(), rest));
    }
    let (mut elements, mut rest) = (Vec::new(), text);
    while let Some(inner) = rest.strip_prefix('[') {
        let end = inner.find([' ', ']']).filter(|end| *end > 0)?;
        let mut element = Element { id: &inner[..end], params: Vec::new() };
        rest = &inner[end..];
        while let Some(param) = rest.strip_prefix(' ') {
            let (name, value) =
                param.split_once("=\"").filter(|(name, _)| !name.is_empty() && !name.contains([' ', ']']))?;
            let end = end_of_value(value)?;
            element.params.push((name, unescaped(&value[..end])));
            rest = &value[end + 1..];
        }
        rest = rest.strip_prefix(']')?;
        elements.push(element);
    }
    (!elements.is_empty()).then_some((elements, rest))
}

/// Where the quote is that ends a value.
fn end_of_value(value: &str) -> Option<usize> {
    let mut is_escaped = false;
    value.bytes().position(|c| {
        let ends = c == b'"' && !is_escaped;
        is_escaped = c == b'\\' && !is_escaped;
        ends
    })
}

/// `\"`, `\\` and `\]` stand for what follows the backslash; others are what they are.
fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut text = String::with_capacity(value.len());
    let mut rest = value.chars().peekable();
    while let Some(c) = rest.next() {
        match rest.peek() {
            Some(next @ ('"' | '\\' | ']')) if c == '\\' => {
                text.push(*next);
                rest.next();
            }
            _ => text.push(c),
        }
    }
    Cow::Owned(text)
}

/// RFC 3164 and what is written after it: time, host, tag. Without a priority before it and with a time that many
/// programs write, only a tag makes it one.
fn bsd(text: &str, has_priority: bool) -> Option<Syslog<'_>> {
    let is_bsd = bsd_time(text);
    let rest = is_bsd.or_else(|| rfc3339(text))?;
    let timestamp = &text[..text.len() - rest.len()];
    let (hostname, rest) = rest.strip_prefix(' ')?.split_once(' ').filter(|(host, _)| !host.is_empty())?;
    let line = Syslog { timestamp: Some(timestamp), hostname: Some(hostname), msg: rest, ..Syslog::default() };
    match tag(rest) {
        Some((appname, procid, msg)) => Some(Syslog { appname: Some(appname), procid, msg, ..line }),
        None => (has_priority || is_bsd.is_some()).then_some(line),
    }
}

/// `tag[pid]: ` or `tag: `, and what follows.
fn tag(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let end = text.bytes().take(TAG_MAX).position(|c| matches!(c, b':' | b'[' | b' '))?;
    let (name, rest) = text.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
    let (procid, rest) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (procid, rest) = rest.split_once(']')?;
            (Some(procid), rest)
        }
        None => (None, rest),
    };
    let msg = rest.strip_prefix(':')?;
    Some((name, procid, msg.strip_prefix(' ').unwrap_or(msg)))
}

/// What follows `Mmm dd hh:mm:ss`.
fn bsd_time(text: &str) -> Option<&str> {
    let (time, rest) = text.split_at_checked(15)?;
    let (month, time) = time.split_at_checked(3)?;
    let is_time = has_shape(time, " 00 00:00:00") || has_shape(time, "  0 00:00:00");
    (is_time && MONTHS.contains(&month)).then_some(rest)
}

/// What follows `YYYY-MM-DDThh:mm:ss[.digits](Z|±hh:mm)`.
pub(super) fn rfc3339(text: &str) -> Option<&str> {
    let (time, rest) = text.split_at_checked(19)?;
    if !has_shape(time, "0000-00-00T00:00:00") {
        return None;
    }
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            fraction.get(digits..).filter(|_| (1..=9).contains(&digits))?
        }
        None => rest,
    };
    if let Some(rest) = rest.strip_prefix('Z') {
        return Some(rest);
    }
    let (zone, rest) = rest.split_at_checked(6)?;
    (has_shape(zone, "+00:00") || has_shape(zone, "-00:00")).then_some(rest)
}

/// Whether both are alike, where 0 stands for any digit.
fn has_shape(text: &str, shape: &str) -> bool {
    let fits = |(c, shape): (u8, u8)| if shape == b'0' { c.is_ascii_digit() } else { c == shape };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// facility.severity|timestamp|hostname|appname|procid|msgid|msg
    fn shown(text: &str) -> String {
        let Some(line) = parse(text) else { return "none".to_owned() };
        let or = |word: Option<&str>| word.unwrap_or("-").to_owned();
        let pri = format!("{}.{}", or(line.facility()), or(line.severity()));
        let words = [pri, or(line.timestamp), or(line.hostname), or(line.appname), or(line.procid), or(line.msgid)];
        format!("{}|{}", words.join("|"), line.msg)
    }

    #[test]
    fn the_examples_of_rfc_5424() {
        for (text, expected) in [
            (
                "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed for lonvick on /dev/pts/8",
                "auth.crit|2003-10-11T22:14:15.003Z|mymachine.example.com|su|-|ID47|'su root' failed for lonvick on /dev/pts/8",
            ),
            (
                "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
                "local4.notice|2003-08-24T05:14:15.000003-07:00|192.0.2.1|myproc|8710|-|%% It's time to make the do-nuts.",
            ),
            (
                r#"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"] An application event log entry..."#,
                "local4.notice|2003-10-11T22:14:15.003Z|mymachine.example.com|evntslog|-|ID47|An application event log entry...",
            ),
            (
                r#"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]"#,
                "local4.notice|2003-10-11T22:14:15.003Z|mymachine.example.com|evntslog|-|ID47|",
            ),
            ("<0>1 - - - - - -", "kern.emerg|-|-|-|-|-|"),
        ] {
            assert_eq!(shown(text), expected);
        }
        let line = parse(r#"<13>1 - - - - - [a@1 k="q\"b\\s\]e \n" k="2" ip=""][b]"#).unwrap();
        assert_eq!(line.structured_data[0].params[0], ("k", Cow::Borrowed(r#"q"b\s]e \n"#)));
        assert_eq!(line.structured_data[0].params.len(), 3);
        assert_eq!((line.structured_data[1].id, line.msg), ("b", ""));
    }

    #[test]
    fn the_examples_of_rfc_3164() {
        for (text, expected) in [
            (
                "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
                "auth.crit|Oct 11 22:14:15|mymachine|su|-|-|'su root' failed for lonvick on /dev/pts/8",
            ),
            ("Use the BFG!", "none"),
            (
                "<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's time to make the do-nuts.",
                "local4.notice|Aug 24 05:34:00|CST|-|-|-|1987 mymachine myproc[10]: %% It's time to make the do-nuts.",
            ),
            (
                "<0>1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!",
                "kern.emerg|-|-|-|-|-|1990 Oct 22 10:52:01 TZ-6 scapegoat.dmz.example.org 10.1.2.3 sched[0]: That's All Folks!",
            ),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn what_rsyslog_writes_into_files() {
        for (text, expected) in [
            (
                "Jan  2 06:25:41 web-1 sshd[812]: Failed password for root",
                "-.-|Jan  2 06:25:41|web-1|sshd|812|-|Failed password for root",
            ),
            (
                "2024-01-01T00:00:00.123456+00:00 web-1 postfix/smtpd[12]: connect",
                "-.-|2024-01-01T00:00:00.123456+00:00|web-1|postfix/smtpd|12|-|connect",
            ),
            ("2024-01-01T00:00:00Z web-1 kernel: [ 0.1] x", "-.-|2024-01-01T00:00:00Z|web-1|kernel|-|-|[ 0.1] x"),
            (
                "Jan 12 06:25:41 web-1 last message repeated 2 times",
                "-.-|Jan 12 06:25:41|web-1|-|-|-|last message repeated 2 times",
            ),
            ("2024-01-01T00:00:00Z INFO the server starts", "none"),
            ("2024-01-01 00:00:00 web-1 sshd[1]: x", "none"),
            ("Januar 12 06:25:41 web-1 sshd[1]: x", "none"),
            ("<999>Jan 12 06:25:41 web-1 sshd[1]: x", "none"),
            ("<034>Jan 12 06:25:41 web-1 sshd[1]: x", "none"),
            ("<34", "none"),
            ("<>", "none"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_or_not(text in r#"(<[0-9]{0,4}>)?(1 )?(- ){0,6}(\[[a-z]{0,2}( [a-z]="\PC{0,4}"?)?\]?){0,2}\PC{0,30}"#) {
            // whatever is read must have looked like it, which is what gates go by
            prop_assert!(parse(&text).is_none() || looks_like(&text));
        }

        #[test]
        fn any_bytes_do(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let text = String::from_utf8_lossy(&bytes);
            prop_assert!(parse(&text).is_none() || looks_like(&text));
        }
    }
}
