//! docs/configuration.md: every key, with its type, its default, its flag and its variable; made of the schema.

use serde_json::Value as Json;

use super::schema::{self, Key, SCHEMA};
use super::{check, flags};

const BEGINNING: &str = include_str!("reference.md");

/// The page.
pub(crate) fn page() -> String {
    let mut page = BEGINNING.to_owned();
    let keys = schema::keys();
    for (section, schema) in SCHEMA["properties"].as_object().into_iter().flatten() {
        let description = schema["description"].as_str().unwrap_or_default();
        let inner = match () {
            () if schema["additionalProperties"].is_object() => format!("[{section}.NAME]"),
            () if schema["items"].is_object() => format!("[[{section}]]"),
            () => format!("[{section}]"),
        };
        page.push_str(&format!("\n## `{inner}`\n\n{description}\n"));
        // Those of a namespace are those of `[channels]`.
        let named = &schema["additionalProperties"];
        for tables in [&schema["items"], named].into_iter().filter(|tables| has_keys_of_its_own(tables)) {
            for (name, schema) in leaves(tables) {
                page.push_str(&entry(&name, schema, None));
            }
        }
        for key in keys.iter().filter(|key| key.path.split('.').next() == Some(section)) {
            let name = key.path.split_once('.').map_or(key.path.as_str(), |(_, name)| name);
            page.push_str(&entry(name, key.schema, Some(key)));
        }
    }
    page
}

fn has_keys_of_its_own(tables: &Json) -> bool {
    tables["properties"].is_object() && tables["properties"] != SCHEMA["properties"]["channels"]["properties"]
}

/// The keys of a table, and of the tables in it.
fn leaves(table: &Json) -> Vec<(String, &Json)> {
    let mut found = Vec::new();
    for (name, schema) in table["properties"].as_object().into_iter().flatten() {
        match schema["properties"].is_object() {
            true => found.extend(leaves(schema).into_iter().map(|(key, schema)| (format!("{name}.{key}"), schema))),
            false => found.push((name.clone(), schema)),
        }
    }
    found
}

fn entry(name: &str, schema: &Json, key: Option<&Key>) -> String {
    let mut facts = vec![kind(schema)];
    match &schema["default"] {
        Json::Null => {}
        default => facts.push(format!("default `{default}`")),
    }
    if let Some(key) = key {
        if let Some(flag) = flags::of(&key.path) {
            facts.push(format!("`--{flag}`"));
        }
        facts.push(format!("`{}`", key.variable()));
    }
    let mut said = schema["description"].as_str().unwrap_or_default().to_owned();
    let alternatives =
        schema::options(schema).filter_map(|option| Some((option["const"].as_str()?, option["description"].as_str()?)));
    for (word, meaning) in alternatives {
        said.push_str(&format!("\n- `\"{word}\"`: {meaning}"));
    }
    format!("\n### `{name}`\n\n{}\n\n{said}\n", facts.join(" · "))
}

/// What its value is, in words.
fn kind(schema: &Json) -> String {
    let of_format = |format: &str| match format {
        "bytes" => Some("a size: bytes, or `\"64KiB\"`, `\"1MiB\"`, `\"1GiB\"`"),
        "count" => Some("a number from 1 on"),
        "time" => Some("a time: `\"500ms\"`, `\"10s\"`, `\"2m\"`"),
        "duration" => Some("a time: `\"0s\"`, `\"500ms\"`, `\"10s\"`, `\"2m\"`"),
        "time-or-off" => Some("a time: `\"500ms\"`, `\"10s\"`, `\"2m\"`; or `\"off\"`"),
        "host-name" => Some("a host's name"),
        "web-origin" => Some("an origin"),
        "network" => Some("an address or a network"),
        "address" => Some("an address to listen on"),
        "address-or-off" => Some("an address to listen on, or `\"off\"`"),
        "rate-or-off" => Some("a rate: `\"100/s\"`, `\"6000/m\"`, `\"10000/h\"`; or `\"off\"`"),
        "bytes-rate-or-off" => Some("a rate of bytes: `\"1MiB/s\"`; or `\"off\"`"),
        "secret" => Some("a secret"),
        "whom" => Some("`\"nobody\"`, `\"anyone\"`, `\"known\"`, or a list of users"),
        _ => None,
    };
    if let Some(kind) = schema["format"].as_str().and_then(of_format) {
        return kind.to_owned();
    }
    let words = schema::words(schema);
    if !words.is_empty() {
        return words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ");
    }
    let options: Vec<_> = schema::options(schema).map(kind).collect();
    if !options.is_empty() {
        return options.join(", or ");
    }
    if schema["items"].is_object() {
        return format!("a list, of each {}", kind(&schema["items"]));
    }
    let mut kind = schema::types(schema).iter().map(|kind| check::name(kind)).collect::<Vec<_>>().join(" or ");
    if let (Some(least), Some(most)) = (schema["minimum"].as_f64(), schema["maximum"].as_f64())
        && most < 1000.0
    {
        kind.push_str(&format!(" from {least} to {most}"));
    }
    kind
}
