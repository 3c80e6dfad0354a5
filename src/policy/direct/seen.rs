//! Values on a line, and what can be asked of them.

use std::borrow::Cow;
use std::cmp::Ordering;

use regorus::Value;
use regorus::unstable::BoolOp;

use super::Seen;
use super::walk::Truth;
use crate::policy::format::syslog::Syslog;

impl<'a> Seen<'a> {
    /// A value of the tree or the line.
    pub(super) fn of(value: &'a Value) -> Self {
        match value {
            Value::Undefined => Self::Undefined,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            value => Self::Value(Cow::Borrowed(value)),
        }
    }

    pub(super) fn owned(value: Value) -> Self {
        match value {
            Value::Undefined => Self::Undefined,
            Value::Bool(bool) => Self::Bool(bool),
            Value::String(text) => Self::Text(Cow::Owned(text.as_ref().to_owned())),
            value => Self::Value(Cow::Owned(value)),
        }
    }

    pub(super) fn number(number: i64) -> Self {
        Self::Value(Cow::Owned(Value::from(number)))
    }

    /// As a statement.
    pub(super) fn truth(&self) -> Truth {
        match self {
            Self::Unknown => Truth::Unknown,
            Self::Undefined | Self::Bool(false) => Truth::No,
            _ => Truth::Yes,
        }
    }
}

/// What [`crate::policy::input`] makes of the same line has this at the path.
pub(super) fn of_syslog<'a>(line: &'a Syslog<'a>, path: &[Value]) -> Seen<'a> {
    let [Value::String(key)] = path else { return if path.is_empty() { Seen::Unknown } else { Seen::Undefined } };
    let text = match key.as_ref() {
        "facility" => line.facility(),
        "severity" => line.severity(),
        "timestamp" => line.timestamp,
        "hostname" => line.hostname,
        "appname" => line.appname,
        "procid" => line.procid,
        "msgid" => line.msgid,
        "msg" => Some(line.msg),
        "priority" => return line.priority.map_or(Seen::Undefined, |priority| Seen::number(priority.into())),
        _ => None,
    };
    text.map_or(Seen::Undefined, |text| Seen::Text(Cow::Borrowed(text)))
}

pub(super) fn equal(a: &Seen<'_>, b: &Seen<'_>) -> bool {
    let texts = |texts: &[Cow<'_, str>], value: &Value| match value {
        Value::Array(items) => {
            let same = |(text, item): (&Cow<'_, str>, &Value)| matches!(item, Value::String(item) if **item == **text);
            items.len() == texts.len() && texts.iter().zip(items.iter()).all(same)
        }
        _ => false,
    };
    match (a, b) {
        (Seen::Bool(a), Seen::Bool(b)) => a == b,
        (Seen::Text(a), Seen::Text(b)) => a == b,
        (Seen::Texts(a), Seen::Texts(b)) => a == b,
        (Seen::Value(a), Seen::Value(b)) => a == b,
        (Seen::Texts(a), Seen::Value(b)) | (Seen::Value(b), Seen::Texts(a)) => texts(a, b),
        _ => false,
    }
}

pub(super) fn compare<'a>(op: &BoolOp, a: &Seen<'a>, b: &Seen<'a>) -> Seen<'a> {
    if matches!(a, Seen::Unknown) || matches!(b, Seen::Unknown) {
        return Seen::Unknown;
    }
    if matches!(a, Seen::Undefined) || matches!(b, Seen::Undefined) {
        return Seen::Undefined;
    }
    match op {
        BoolOp::Eq => return Seen::Bool(equal(a, b)),
        BoolOp::Ne => return Seen::Bool(!equal(a, b)),
        _ => {}
    }
    let order = match (a, b) {
        (Seen::Text(a), Seen::Text(b)) => a.cmp(b),
        (Seen::Value(a), Seen::Value(b)) => match (a.as_ref(), b.as_ref()) {
            (a @ Value::Number(_), b @ Value::Number(_)) => a.cmp(b),
            _ => return Seen::Unknown,
        },
        _ => return Seen::Unknown,
    };
    Seen::Bool(match op {
        BoolOp::Lt => order == Ordering::Less,
        BoolOp::Le => order != Ordering::Greater,
        BoolOp::Ge => order != Ordering::Less,
        _ => order == Ordering::Greater,
    })
}

/// Whole numbers that stay whole numbers.
pub(super) fn arithmetic<'a>(a: &Seen<'a>, b: &Seen<'a>, operation: fn(i64, i64) -> Option<i64>) -> Seen<'a> {
    match (a, b) {
        (Seen::Undefined, Seen::Undefined | Seen::Value(_)) | (Seen::Value(_), Seen::Undefined) => Seen::Undefined,
        (Seen::Value(a), Seen::Value(b)) => match (a.as_i64(), b.as_i64()) {
            (Ok(a), Ok(b)) => operation(a, b).map_or(Seen::Unknown, Seen::number),
            _ => Seen::Unknown,
        },
        _ => Seen::Unknown,
    }
}

/// `of[key]`
pub(super) fn at<'a>(of: Seen<'a>, key: &Seen<'a>) -> Seen<'a> {
    let key = match key {
        Seen::Text(text) => Value::from(&**text),
        Seen::Value(value) => value.as_ref().clone(),
        Seen::Undefined => return Seen::Undefined,
        _ => return Seen::Unknown,
    };
    match of {
        Seen::Texts(texts) => {
            let at = key.as_u64().ok().and_then(|at| usize::try_from(at).ok());
            at.and_then(|at| texts.get(at)).map_or(Seen::Undefined, |text| Seen::Text(text.clone()))
        }
        Seen::Value(Cow::Borrowed(value)) => Seen::of(&value[&key]),
        Seen::Value(Cow::Owned(value)) => Seen::owned(value[&key].clone()),
        Seen::Undefined | Seen::Text(_) | Seen::Bool(_) => Seen::Undefined,
        Seen::Unknown => Seen::Unknown,
    }
}
