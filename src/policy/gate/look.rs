//! What of the input a package may look at.

use crate::policy::fields::Wanted;
use crate::policy::syntax::{Expr, Form, Syntax, form};

/// The fields that a package may look at; none if it looks at no fields. What is not plain counts as a look at all of them; a
/// package that refers to others may look through any of them.
pub(in crate::policy) fn fields_read(package: &[&Syntax], all: &[&Syntax]) -> Option<Wanted> {
    let files = if package.iter().any(|file| look(file).others) { all } else { package };
    if !files.iter().any(|file| look(file).fields) {
        return None;
    }
    let mut wanted = Wanted::NONE;
    for file in files {
        if file.imports.iter().any(|(_, path)| path[0] == "input") {
            return Some(Wanted::ALL);
        }
        let is_own = |name: &str| file.imports_name(name) || all.iter().any(|file| file.has_rule(name));
        let mut known: Vec<*const Expr> = Vec::new();
        for rule in &file.rules {
            rule.each_expr(&mut |expr| match form(expr) {
                // outer expressions come before what stands in them
                Form::Call(name, [object, key, _]) if name == "object.get" && !is_own("object") => {
                    if let (Form::Path(mut path), Form::Text(key)) = (form(object), form(key)) {
                        path.push(key.to_owned());
                        add(&path, &mut wanted);
                        known.push(std::ptr::from_ref(object.as_ref()));
                    }
                }
                Form::Path(path) if !known.contains(&std::ptr::from_ref(expr)) => add(&path, &mut wanted),
                _ => {}
            });
        }
    }
    Some(wanted)
}

fn add(path: &[String], wanted: &mut Wanted) {
    match path {
        [input] if input == "input" => *wanted = Wanted::ALL,
        [input, fields, keys @ ..] if input == "input" && fields == "fields" => wanted.add(keys),
        _ => {}
    }
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
