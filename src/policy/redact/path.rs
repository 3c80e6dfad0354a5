//! What a policy writes under `redact`: paths, regular expressions, texts.

use super::super::verdict::text;
use crate::record::{Hide, Step};
use regorus::Value;

/// Bound of what one verdict asks to hide.
pub(in crate::policy) const HIDES_MAX: usize = 64;
/// Bound of a pattern or a path in bytes.
const LEN_MAX: usize = 4096;

/// Reads the value of `redact`; an error never quotes it.
pub(in crate::policy) fn read(value: &Value) -> Result<Vec<Hide>, &'static str> {
    let members: Vec<&Value> = match value {
        Value::Array(items) => items.iter().take(HIDES_MAX + 1).collect(),
        Value::Set(items) => items.iter_sorted().take(HIDES_MAX + 1).collect(),
        _ => return Err("`redact` is neither an array nor a set"),
    };
    if members.is_empty() || members.len() > HIDES_MAX {
        return Err("`redact` has no members, or more than 64");
    }
    members.into_iter().map(member).collect()
}

fn member(value: &Value) -> Result<Hide, &'static str> {
    const WRONG: &str = "a member of `redact` is none of a path, a regular expression and {\"text\": …}";
    match value {
        Value::String(text) => of_text(text),
        Value::Object(fields) if fields.len() == 1 => match text(&value["text"]) {
            Some("") | None => Err(WRONG),
            Some(text) => Ok(Hide::Text(text.to_owned())),
        },
        _ => Err(WRONG),
    }
}

/// A path if it begins with `input.`, else a regular expression.
pub(in crate::policy) fn of_text(text: &str) -> Result<Hide, &'static str> {
    const WRONG: &str =
        "a path to redact is input.message, or goes below input.fields: input.fields.a.b, [\"a b\"], [0], [_]";
    if text.is_empty() || text.len() > LEN_MAX {
        return Err("a member of `redact` is empty or longer than 4096 bytes");
    }
    let Some(path) = text.strip_prefix("input.") else { return Ok(Hide::Pattern(text.to_owned())) };
    match path.strip_prefix("fields") {
        None if path == "message" => Ok(Hide::Message),
        Some(rest) if !rest.is_empty() => steps(rest).map(Hide::Path).ok_or(WRONG),
        _ => Err(WRONG),
    }
}

fn steps(mut rest: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(named) = rest.strip_prefix('.') {
            let end = named.find(['.', '[']).unwrap_or(named.len());
            let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
            steps.push(Step::Key(Some(&named[..end]).filter(|name| is_name(name))?.to_string()));
            rest = &named[end..];
            continue;
        }
        let inside = rest.strip_prefix('[')?;
        let (step, len) = match inside.starts_with('"') {
            true => {
                let mut keys = serde_json::Deserializer::from_str(inside).into_iter::<String>();
                let key = keys.next()?.ok()?;
                (Step::Key(key), keys.byte_offset())
            }
            false => {
                let len = inside.find(']')?;
                let index = || inside[..len].parse().ok().map(Step::Index);
                (if &inside[..len] == "_" { Step::Any } else { index()? }, len)
            }
        };
        steps.push(step);
        rest = inside[len..].strip_prefix(']')?;
    }
    Some(steps)
}

/// Whether a value of that place is one of the path's.
pub(super) fn fits(path: &[Step], place: &[Step]) -> bool {
    path.len() == place.len() && path.iter().zip(place).all(|(step, at)| *step == Step::Any || step == at)
}

/// The texts and numbers at a path of a document, and all below it.
pub(super) fn leaves(value: &Value, path: &[Step], found: &mut Vec<String>) {
    match (value, path.split_first()) {
        (Value::Object(fields), Some((Step::Key(key), rest))) => {
            if let Some(value) = fields.get(&Value::from(key.as_str())) {
                leaves(value, rest, found);
            }
        }
        (Value::Array(items), Some((Step::Index(index), rest))) => {
            items.get(*index).into_iter().for_each(|item| leaves(item, rest, found));
        }
        (Value::Array(items), Some((Step::Any, rest))) => items.iter().for_each(|item| leaves(item, rest, found)),
        (Value::Object(fields), Some((Step::Any, rest))) => {
            fields.iter().for_each(|(_, value)| leaves(value, rest, found));
        }
        (Value::Array(items), None) => items.iter().for_each(|item| leaves(item, &[], found)),
        (Value::Object(fields), None) => fields.iter().for_each(|(_, value)| leaves(value, &[], found)),
        (Value::String(text), None) => found.push(text.as_ref().to_owned()),
        (Value::Number(_) | Value::Bool(_), None) => found.push(value.to_string()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_patterns_and_texts_are_told_apart() {
        let key = |key: &str| Step::Key(key.into());
        let path = Hide::Path(vec![key("a"), key("b c]"), Step::Index(3), Step::Any, key("d")]);
        assert_eq!(of_text(r#"input.fields.a["b c]"][3][_].d"#), Ok(path));
        assert_eq!(of_text("input.message"), Ok(Hide::Message));
        assert_eq!(of_text("[0-9]+"), Ok(Hide::Pattern("[0-9]+".into())));
        for wrong in ["input.fields", "input.host", "input.fields.", "input.fields[x]", "input.fields.a[0", ""] {
            assert!(of_text(wrong).is_err(), "{wrong}");
        }
        let text: Value = serde_json::from_str(r#"[{"text":"a+b"}]"#).unwrap();
        assert_eq!(read(&text), Ok(vec![Hide::Text("a+b".into())]));
        for wrong in [r#""x""#, "[]", "[7]", r#"[{"text":""}]"#, r#"[{"txt":"x"}]"#] {
            assert!(read(&serde_json::from_str(wrong).unwrap()).is_err(), "{wrong}");
        }
    }
}
