//! What of the input a package may look at.

use crate::policy::syntax::{Form, Syntax, form};

/// Whether a package may look at `input.fields`. What is not plain counts as a look; a package that refers to others
/// may look through any of them.
pub(in crate::policy) fn reads_fields(package: &[&Syntax], all: &[&Syntax]) -> bool {
    let own = package.iter().any(|file| look(file).fields);
    own || (package.iter().any(|file| look(file).others) && all.iter().any(|file| look(file).fields))
}

/// Whether any of the files may look at `input.labels`.
pub(in crate::policy) fn reads_labels(all: &[&Syntax]) -> bool {
    all.iter().any(|file| look(file).labels)
}

struct Look {
    fields: bool,
    labels: bool,
    others: bool,
}

fn look(file: &Syntax) -> Look {
    let imports_input = file.imports.iter().any(|(_, path)| path[0] == "input");
    let mut look = Look { fields: imports_input, labels: imports_input, others: !file.imports.is_empty() };
    for rule in &file.rules {
        rule.each_expr(&mut |expr| match form(expr) {
            Form::Path(path) if path[0] == "data" => look.others = true,
            Form::Path(path) if path[0] == "input" => {
                let key = path.get(1).map(String::as_str);
                let is_plain = matches!(key, Some("message" | "source" | "host" | "time"));
                look.fields |= !is_plain && key != Some("labels");
                look.labels |= !is_plain && key != Some("fields");
            }
            _ => {}
        });
    }
    look
}
