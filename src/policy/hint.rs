//! What to do about the engine's messages, for someone who is new to Rego.

use super::controls::distance;

/// Functions that people look for, by the names that they have.
const FUNCTIONS: [&str; 36] = [
    "array.concat",
    "base64.decode",
    "concat",
    "contains",
    "count",
    "endswith",
    "glob.match",
    "indexof",
    "json.marshal",
    "json.unmarshal",
    "lower",
    "max",
    "min",
    "net.cidr_contains",
    "object.get",
    "object.keys",
    "regex.find_n",
    "regex.match",
    "regex.replace",
    "regex.split",
    "replace",
    "split",
    "sprintf",
    "startswith",
    "strings.any_prefix_match",
    "strings.any_suffix_match",
    "substring",
    "sum",
    "time.clock",
    "time.parse_rfc3339_ns",
    "time.weekday",
    "to_number",
    "trim",
    "trim_prefix",
    "trim_space",
    "upper",
];
/// The first parts of functions that reach out of the policy.
const OUTSIDE: [&str; 5] = ["http", "opa", "io", "net", "rego"];

/// What to add to a message; `line` is the source line that it is about, with the column's text behind `rest`.
pub(super) fn of(what: &str, line: &str, rest: &str) -> Option<String> {
    if let Some(name) = quoted(what, "Unknown function: '", '\'') {
        return Some(function(name));
    }
    if let Some(name) = quoted(what, "use of undefined variable `", '`') {
        return Some(match name {
            "message" | "fields" | "source" | "host" | "time" | "labels" => format!("did you mean `input.{name}`?"),
            _ => "nothing gives it a value; text stands between double quotes, values of the line are below `input`"
                .into(),
        });
    }
    let joined = [" and ", "&&", " or ", "||"].into_iter().find(|word| line.contains(word));
    if let (true, Some(word)) = (what.contains("expecting"), joined) {
        return Some(format!(
            "Rego has no `{}`: conditions that must all hold stand on lines of their own between {{ and }}; for one or the \
             other write a second rule",
            word.trim()
        ));
    }
    Some(
        match what {
            _ if what.contains("`if` keyword is required") => {
                "write `verdicts contains {\"id\": …} if { … }`, as Rego v1 has it"
            }
            _ if what.contains("invalid character") && rest.starts_with('\'') => "text stands between double quotes",
            _ if what.contains("while parsing object") => "is a comma, a quote or a bracket missing before this place?",
            _ if what.contains("while parsing query") => "is a `{` above not closed?",
            _ if what.contains("used before definition") => "put the line with `:=` before those that use it",
            _ if what.contains("expecting expression") => "is a sign doubled, or is something missing here?",
            _ => return None,
        }
        .to_owned(),
    )
}

fn function(name: &str) -> String {
    let first = name.split('.').next().unwrap_or(name);
    if OUTSIDE.contains(&first) {
        return "policies can't reach the network, files or the environment; facts for them stand in data.json"
            .to_owned();
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    if let Some(known) = FUNCTIONS.iter().find(|known| **known == last || known.ends_with(&format!(".{last}"))) {
        return format!("write `{known}(…)`; what it works on is an operand: contains(input.message, \"text\")");
    }
    match FUNCTIONS.iter().min_by_key(|known| distance(known, name)) {
        Some(known) if distance(known, name) <= 2 => format!("did you mean `{known}`?"),
        _ => "policies/README.md says which functions of OPA are not there".to_owned(),
    }
}

fn quoted<'a>(what: &'a str, before: &str, end: char) -> Option<&'a str> {
    what.split_once(before)?.1.split(end).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_in_functions_are_seen_through() {
        assert!(function("input.message.contains").contains("`contains(…)`"));
        assert!(function("http.send").contains("network"));
        assert!(function("regex.mach").contains("`regex.match`"));
        assert!(function("frobnicate").contains("README"));
    }
}
