//! The reference for editors.

use super::{Key, Kind, Need, TABLES, Table};
use serde_json::{Map, Value, json};

/// docs/sealtail.schema.json: JSON Schema, draft 2020-12.
pub fn schema() -> Value {
    let tables: Map<String, Value> = TABLES.iter().map(|one| (one.name.to_owned(), table(one))).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sealtail.toml",
        "type": "object",
        "properties": tables,
        "additionalProperties": false,
    })
}

fn table(table: &Table) -> Value {
    if table.types.is_empty() {
        return object(table.keys.iter().collect(), &[], table.doc);
    }
    let kinds = table.types.iter().map(|kind| {
        let keys = table.keys.iter().filter(|key| key.is_of(kind.name)).collect();
        let fixed = std::iter::once(("type", kind.word)).chain(kind.fixed);
        object(keys, &fixed.collect::<Vec<_>>(), kind.name)
    });
    json!({ "type": "array", "description": table.doc, "items": { "anyOf": kinds.collect::<Vec<_>>() } })
}

/// `fixed`: keys that make it this type, with their words.
fn object(keys: Vec<&Key>, fixed: &[(&str, &str)], doc: &str) -> Value {
    let mut properties: Map<String, Value> = keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let mut required: Vec<&str> = Vec::new();
    for (key, word) in fixed {
        properties.insert((*key).to_owned(), json!({ "const": word }));
        required.push(key);
    }
    required.extend(keys.iter().filter(|key| matches!(key.need, Need::Must(_))).map(|key| key.name));
    json!({
        "type": "object",
        "description": doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut value = match key.kind {
        Kind::Text => json!({ "type": "string" }),
        // what is put in may be any of them
        Kind::Word(words) => json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": "\\$\\{" }] }),
        Kind::Size(..) => json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB|TiB)$|\\$\\{" }),
        Kind::Duration(..) => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$|\\$\\{" }),
        Kind::Integer(least, most) => {
            let number = |text: &str| text.parse::<u64>().ok();
            json!({ "type": "integer", "minimum": number(least), "maximum": number(most) })
        }
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::List => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Map => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Inline(keys) => object(keys.iter().collect(), &[], key.doc),
    };
    value["description"] = match key.kind {
        Kind::Size(least, most) | Kind::Duration(least, most) => json!(format!("{} {least} to {most}.", key.doc)),
        _ => json!(key.doc),
    };
    // of a default, TOML and JSON write the same
    if let Need::Or(default) = key.need
        && let Ok(default) = serde_json::from_str::<Value>(default)
    {
        value["default"] = default;
    }
    value
}
