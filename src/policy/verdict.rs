//! From the members of a `verdicts` set to [`Verdict`]s, and to the JSON that a line carries.
//!
//! Text in a verdict may come from the line; text in the reason of an `undecided` never does.

use std::cmp::Reverse;

use regorus::Value;

use super::{Metadata, redact};
use crate::record::{Decision, Severity, VERDICTS_MAX, Verdict, Verdicts};

/// Bound of the verdicts of a line.
pub(super) const VERDICTS_A_LINE_MAX: usize = 32;
/// Bound of an id in bytes.
pub(super) const ID_MAX: usize = 128;
/// Bound of the controls of a verdict.
pub(super) const CONTROLS_MAX: usize = 16;
/// Bound of a reason in bytes; longer ones are cut.
pub(super) const REASON_MAX: usize = 256;
/// The id of a verdict on the verdicts themselves.
const ENGINE_ID: &str = "sealtail";
/// What [`is_control`] asks for.
pub(super) const CONTROL_RULE: &str = "a control is 1 to 64 printable characters without spaces";

/// The keys of a verdict.
pub(super) const KEYS: [&str; 6] = ["id", "decision", "severity", "controls", "reason", REDACT];
/// The key that says what is to be hidden.
pub(super) const REDACT: &str = "redact";

/// The severity of that name.
pub(super) fn severity(name: &str) -> Option<Severity> {
    Some(match name {
        "info" => Severity::Info,
        "low" => Severity::Low,
        "medium" => Severity::Medium,
        "high" => Severity::High,
        "critical" => Severity::Critical,
        _ => return None,
    })
}

/// The decision of that name; `undecided` is the engine's own.
pub(super) fn decision(name: &str) -> Option<Decision> {
    Some(match name {
        "allow" => Decision::Allow,
        "flag" => Decision::Flag,
        "deny" => Decision::Deny,
        _ => return None,
    })
}

/// Whether `id` can name a control.
pub(super) fn is_control(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.chars().all(|c| !c.is_whitespace() && !c.is_control())
}

/// The engine's verdict on a package that could not decide.
pub(super) fn undecided(id: &str, reason: &str) -> Verdict {
    Verdict {
        id: cut(id, ID_MAX).to_owned(),
        decision: Decision::Undecided,
        severity: None,
        controls: Vec::new(),
        reason: Some(cut(reason, REASON_MAX).to_owned()),
        redact: Vec::new(),
    }
}

/// The engine's verdict on a line that is not seen as a whole.
pub(super) fn on_piece() -> Verdict {
    undecided(ENGINE_ID, "the line is too long to be looked at as a whole, or the rest of it did not come")
}

/// Whether a member of a `verdicts` set asks to hide something, well-formed or not.
pub(super) fn hides(member: &Value) -> bool {
    matches!(member, Value::Object(fields) if fields.get(&Value::from(REDACT)).is_some())
}

/// Reads one member of a `verdicts` set; `metadata` gives what the member leaves out. An error says what is wrong
/// with the member, without its text.
pub(super) fn read<'a>(member: &Value, metadata: impl FnOnce(&str) -> &'a Metadata) -> Result<Verdict, &'static str> {
    let Value::Object(fields) = member else { return Err("a verdict is not an object") };
    let mut verdict = Verdict { decision: Decision::Flag, reason: None, ..undecided("", "") };
    for (key, value) in fields.iter() {
        let Value::String(key) = key else { return Err("a verdict has a key that is not text") };
        read_field(key, value, &mut verdict)?;
    }
    if verdict.id.is_empty() {
        return Err("a verdict has no id");
    }
    let metadata = metadata(&verdict.id);
    verdict.severity = verdict.severity.or(metadata.severity);
    if verdict.controls.is_empty() {
        verdict.controls.clone_from(&metadata.controls);
    }
    Ok(verdict)
}

fn read_field(key: &str, value: &Value, verdict: &mut Verdict) -> Result<(), &'static str> {
    match key {
        "id" => {
            let id = text(value).ok_or("a verdict's id is not text")?;
            if id.is_empty() || id.len() > ID_MAX {
                return Err("a verdict's id is empty or longer than 128 bytes");
            }
            verdict.id = id.to_owned();
        }
        "decision" => {
            verdict.decision = text(value).and_then(decision).ok_or("a decision is none of allow, flag and deny")?;
        }
        "severity" => {
            let severity = text(value).and_then(severity);
            verdict.severity = Some(severity.ok_or("a severity is none of info, low, medium, high and critical")?);
        }
        "controls" => verdict.controls = read_controls(value)?,
        // cut when it is rendered: half of what is to be hidden would not be known again
        "reason" => verdict.reason = Some(text(value).ok_or("a reason is not text")?.to_owned()),
        REDACT => verdict.redact = redact::path::read(value)?,
        _ => return Err("a verdict has a key other than id, decision, severity, controls, reason and redact"),
    }
    Ok(())
}

fn read_controls(value: &Value) -> Result<Vec<String>, &'static str> {
    let members: Vec<&Value> = match value {
        Value::Array(items) => items.iter().take(CONTROLS_MAX + 1).collect(),
        Value::Set(items) => items.iter_sorted().take(CONTROLS_MAX + 1).collect(),
        _ => return Err("controls are neither an array nor a set"),
    };
    if members.len() > CONTROLS_MAX {
        return Err("a verdict has more than 16 controls");
    }
    let read = |member| text(member).filter(|id| is_control(id)).map(str::to_owned);
    members.into_iter().map(read).collect::<Option<_>>().ok_or("a control is not an id of at most 64 characters")
}

/// The text that a value is.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// At most `max` bytes of `text`, whole characters.
fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

/// Sorts, bounds and renders the verdicts of a line.
pub(super) fn render(mut verdicts: Vec<Verdict>) -> Verdicts {
    if verdicts.is_empty() {
        return Verdicts::default();
    }
    for reason in verdicts.iter_mut().filter_map(|verdict| verdict.reason.as_mut()) {
        reason.truncate(cut(reason, REASON_MAX).len());
    }
    let key = |v: &Verdict| (v.id.clone(), v.decision, v.severity, v.controls.clone(), v.reason.clone());
    verdicts.sort_by_cached_key(key);
    verdicts.dedup();
    let mut json = array(&verdicts);
    if verdicts.len() > VERDICTS_A_LINE_MAX || json.len() > VERDICTS_MAX {
        verdicts = worst_that_fit(verdicts);
        json = array(&verdicts);
    }
    Verdicts { json, worst: verdicts.iter().filter_map(|verdict| verdict.severity).max(), redaction: None }
}

/// The worst verdicts within the bounds, and one that says that there were more; sorted again.
fn worst_that_fit(mut verdicts: Vec<Verdict>) -> Vec<Verdict> {
    let badness = |verdict: &Verdict| match verdict.decision {
        Decision::Deny => 3,
        Decision::Undecided => 2,
        Decision::Flag => 1,
        Decision::Allow => 0,
    };
    let all = verdicts.len();
    verdicts.sort_by_key(|verdict| Reverse((badness(verdict), verdict.severity)));
    let reason = |kept: usize| format!("{all} verdicts on one line; the worst {kept} are kept");
    let mut room = VERDICTS_MAX - 2 - array(&[undecided(ENGINE_ID, &reason(all))]).len();
    let fits = |verdict: &Verdict| {
        let size = array(std::slice::from_ref(verdict)).len(); // brackets stand for its comma
        let fits = size <= room;
        room = room.saturating_sub(if fits { size } else { 0 });
        fits
    };
    let mut kept: Vec<Verdict> = verdicts.into_iter().filter(fits).take(VERDICTS_A_LINE_MAX - 1).collect();
    kept.push(undecided(ENGINE_ID, &reason(kept.len())));
    kept.sort_by(|a, b| a.id.cmp(&b.id));
    kept
}

/// Compact JSON. Text from lines is escaped by serde_json.
fn array(verdicts: &[Verdict]) -> Vec<u8> {
    // a verdict is text, lists of text and unit variants: nothing in it fails to serialise
    serde_json::to_vec(verdicts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    fn read_json(json: &str) -> Result<Verdict, &'static str> {
        let metadata = Metadata { controls: vec!["C-1".into()], severity: Some(Severity::Low), ..Metadata::default() };
        read(&member(json), |_| &metadata)
    }

    fn flag(id: String, severity: Severity) -> Verdict {
        Verdict { decision: Decision::Flag, severity: Some(severity), reason: None, ..undecided(&id, "") }
    }

    #[test]
    fn metadata_gives_what_a_verdict_leaves_out() {
        let verdict = read_json(r#"{"id":"x"}"#).unwrap();
        assert_eq!(verdict.decision, Decision::Flag);
        assert_eq!((verdict.severity, verdict.controls), (Some(Severity::Low), vec!["C-1".to_owned()]));
        let verdict = read_json(r#"{"id":"x","severity":"high","controls":["C-2"]}"#).unwrap();
        assert_eq!((verdict.severity, verdict.controls), (Some(Severity::High), vec!["C-2".to_owned()]));
    }

    #[test]
    fn malformed_verdicts_say_what_is_wrong_without_their_text() {
        for (json, says) in [
            ("[]", "not an object"),
            ("{}", "no id"),
            (r#"{"id":1}"#, "not text"),
            (r#"{"id":""}"#, "empty"),
            (r#"{"id":"x","decision":"undecided"}"#, "none of allow, flag and deny"),
            (r#"{"id":"x","severity":"HIGH"}"#, "none of info"),
            (r#"{"id":"x","controls":"C"}"#, "neither an array"),
            (r#"{"id":"x","controls":[" "]}"#, "not an id"),
            (r#"{"id":"x","reason":7}"#, "not text"),
            (r#"{"id":"x","redact":"secret"}"#, "neither an array"),
            (r#"{"id":"x","redact":["input.secret"]}"#, "a path to redact"),
            (r#"{"id":"x","msg":"secret"}"#, "a key other than"),
        ] {
            let error = read_json(json).unwrap_err();
            assert!(error.contains(says) && !error.contains("secret"), "{json}: {error}");
        }
    }

    #[test]
    fn reasons_are_cut_at_a_character() {
        let long = format!(r#"{{"id":"x","reason":"{}"}}"#, "é".repeat(200));
        let rendered = render(vec![read_json(&long).unwrap()]);
        let back: Vec<Verdict> = serde_json::from_slice(&rendered.json).unwrap();
        assert_eq!(back[0].reason.as_ref().unwrap().len(), REASON_MAX);
    }

    #[test]
    fn rendered_verdicts_are_sorted_and_read_back() {
        let rendered = render(vec![flag("b".into(), Severity::Low), flag("a".into(), Severity::High)]);
        let back: Vec<Verdict> = serde_json::from_slice(&rendered.json).unwrap();
        assert_eq!(back.iter().map(|v| v.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(rendered.worst, Some(Severity::High));
        assert!(rendered.json.starts_with(br#"[{"id":"a","decision":"flag","severity":"high"},"#));
        assert_eq!(render(Vec::new()), Verdicts::default());
    }

    #[test]
    fn too_many_verdicts_keep_the_worst_and_say_so() {
        let many = (0..40).map(|n| flag(format!("v{n:02}"), if n == 39 { Severity::High } else { Severity::Low }));
        let back: Vec<Verdict> = serde_json::from_slice(&render(many.collect()).json).unwrap();
        assert_eq!(back.len(), VERDICTS_A_LINE_MAX);
        assert!(back.iter().any(|v| v.id == "v39"));
        let says = back.iter().find(|v| v.id == ENGINE_ID).unwrap();
        assert_eq!(says.reason.as_deref(), Some("40 verdicts on one line; the worst 31 are kept"));
    }

    #[test]
    fn too_long_verdicts_stay_within_the_bound() {
        let long =
            |n: usize| Verdict { reason: Some("\u{1}".repeat(REASON_MAX)), ..flag(format!("v{n}"), Severity::Low) };
        let rendered = render((0..32).map(long).collect());
        assert!(rendered.json.len() <= VERDICTS_MAX);
        let back: Vec<Verdict> = serde_json::from_slice(&rendered.json).unwrap();
        assert!(back.len() > 2 && back.iter().any(|v| v.id == ENGINE_ID));
    }
}
