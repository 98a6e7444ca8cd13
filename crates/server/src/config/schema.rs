//! The schema of a configuration file: made of the sections' types, for editors, for the reference and for the check.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

use super::file::File;

/// The schema, with everything in its place.
pub(crate) static SCHEMA: LazyLock<Json> = LazyLock::new(|| {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<File>().to_value();
    tidy(&mut schema);
    schema["title"] = "openline.toml".into();
    schema
});

/// The schema as a file for editors.
pub(crate) fn published() -> String {
    let mut text = serde_json::to_string_pretty(&*SCHEMA).unwrap_or_default();
    text.push('\n');
    text
}

/// TOML has no null, a table's default is that of its keys, and a comment's lines are no lines of the text.
fn tidy(schema: &mut Json) {
    match schema {
        Json::Object(object) => {
            if let Some(Json::Array(types)) = object.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = &types[..] {
                    object["type"] = only.clone();
                }
            }
            if let Some(Json::Array(options)) = object.get_mut("anyOf") {
                options.retain(|option| option["type"] != "null");
                if let [Json::Object(only)] = &options[..] {
                    let only = only.clone();
                    object.remove("anyOf");
                    object.extend(only);
                }
            }
            if object.get("default").is_some_and(|default| default.is_null() || default.is_object()) {
                object.remove("default");
            }
            if let Some(Json::String(text)) = object.get_mut("description") {
                let paragraphs: Vec<_> = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
                *text = paragraphs.join("\n\n");
            }
            object.values_mut().for_each(tidy);
        }
        Json::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// A key that holds one value, or a list of them.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// `limits.max_connections`.
    pub(crate) path: String,
    pub(crate) schema: &'static Json,
}

impl Key {
    /// The variable of the environment that says the same: `OPENLINE_LIMITS_MAX_CONNECTIONS`.
    pub(crate) fn variable(&self) -> String {
        format!("OPENLINE_{}", self.path.replace('.', "_").to_ascii_uppercase())
    }
}

/// Every key whose name is known beforehand: not those of `[namespaces.NAME]`, nor those of lists of tables.
pub(crate) fn keys() -> Vec<Key> {
    fn collect(schema: &'static Json, path: &str, keys: &mut Vec<Key>) {
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match () {
                () if schema["properties"].is_object() => collect(schema, &path, keys),
                () if holds_tables(schema) => {}
                () => keys.push(Key { path, schema }),
            }
        }
    }
    let mut keys = Vec::new();
    collect(&SCHEMA, "", &mut keys);
    keys
}

/// Whether its value is a table with names of the user's, or a list of tables.
pub(crate) fn holds_tables(schema: &Json) -> bool {
    schema["additionalProperties"].is_object() || schema["items"]["properties"].is_object()
}

/// The types that a value may have, in the words of JSON schemas.
pub(crate) fn types(schema: &Json) -> Vec<&str> {
    let mut types: Vec<&str> = match &schema["type"] {
        Json::String(kind) => vec![kind],
        Json::Array(kinds) => kinds.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    for option in options(schema) {
        types.extend(self::types(option));
    }
    types.dedup();
    types
}

/// Alternatives.
pub(crate) fn options(schema: &Json) -> impl Iterator<Item = &Json> {
    let of = |name: &str| schema[name].as_array().into_iter().flatten();
    of("anyOf").chain(of("oneOf"))
}

/// The words that a value may be, if it is one of some.
pub(crate) fn words(schema: &Json) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten().filter_map(Json::as_str);
    let alone = schema["const"].as_str();
    listed.chain(alone).chain(options(schema).flat_map(words)).collect()
}
