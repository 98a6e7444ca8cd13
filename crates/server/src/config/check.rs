//! Holds what was said against the schema, and says all that is wrong, each with its place and what would be right.

use serde_json::Value as Json;

use super::schema::{self, SCHEMA};
use super::tree::{Node, Source, Value};
use super::values;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    pub(crate) source: Source,
    pub(crate) message: String,
}

impl Problem {
    /// About what was said at a path; the message begins with the path.
    pub(crate) fn at(node: &Node, path: &str, what: impl std::fmt::Display) -> Self {
        Self { source: node.source.clone(), message: format!("{path}: {what}") }
    }
}

/// All that is wrong.
pub(crate) fn check(tree: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    look(&SCHEMA, tree, "", &mut problems);
    problems
}

fn look(schema: &Json, node: &Node, path: &str, problems: &mut Vec<Problem>) {
    let kind = kind(&node.value);
    let types = schema::types(schema);
    let is_taken = types.is_empty() || types.contains(&kind) || (kind == "integer" && types.contains(&"number"));
    if !is_taken {
        let expected: Vec<_> = types.iter().map(|kind| name(kind)).collect();
        let found = if kind == "float" && !matches!(&node.value, Value::Scalar(value) if value.is_f64()) {
            "a number that is far too large"
        } else {
            name(kind)
        };
        problems.push(Problem::at(node, path, format!("it is {found}, and should be {}", expected.join(" or "))));
        return;
    }
    let matching = schema::options(schema).find(|option| {
        let types = schema::types(option);
        option["const"].is_null() && option["enum"].is_null() && types.contains(&kind)
    });
    if let Some(option) = matching {
        return look(option, node, path, problems);
    }
    match &node.value {
        Value::Table(_) => look_into(schema, node, path, problems),
        Value::Array(items) => {
            let mut inner = Vec::new();
            for (index, item) in items.iter().enumerate() {
                look(&schema["items"], item, &format!("{path}[{index}]"), &mut inner);
            }
            if inner.is_empty() {
                problems.extend(complaint(schema, node, path));
            }
            problems.extend(inner);
        }
        Value::Scalar(_) | Value::Date => problems.extend(complaint(schema, node, path)),
    }
}

/// What is wrong with a value that has the right type.
fn complaint(schema: &Json, node: &Node, path: &str) -> Option<Problem> {
    let value = node.json();
    let words = schema::words(schema);
    if let Some(text) = value.as_str()
        && !words.is_empty()
    {
        return (!words.contains(&text)).then(|| {
            let all: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
            let meant =
                nearest(text, words.iter().copied()).map_or(String::new(), |word| format!(" (did you mean {word:?}?)"));
            Problem::at(node, path, format!("it is one of {}{meant}, and not {text:?}", all.join(", ")))
        });
    }
    if let Some(number) = value.as_f64() {
        let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            let range = match (least, most) {
                (Some(least), Some(most)) => format!("it must be from {least} to {most}"),
                (Some(least), None) => format!("it must be at least {least}"),
                (_, most) => format!("it must be at most {}", most.unwrap_or_default()),
            };
            return Some(Problem::at(node, path, format!("{range}, and is {number}")));
        }
    }
    let why = values::complaint(schema["format"].as_str()?, &value)?;
    Some(Problem::at(node, path, why))
}

fn look_into(schema: &Json, node: &Node, path: &str, problems: &mut Vec<Problem>) {
    let Value::Table(entries) = &node.value else { return };
    let inside = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let known = schema["properties"].as_object();
    for (key, entry) in entries {
        if let Some(schema) = known.and_then(|known| known.get(key)) {
            look(schema, &entry.node, &inside(key), problems);
        } else if schema["additionalProperties"].is_object() {
            look(&schema["additionalProperties"], &entry.node, &inside(key), problems);
        } else {
            let source = entry.source.clone();
            problems.push(Problem { source, message: unknown(key, path, schema) });
        }
    }
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
        if !entries.contains_key(key) {
            let message = format!("{} is missing: it has to be said", inside(key));
            problems.push(Problem { source: node.source.clone(), message });
        }
    }
}

/// What to say about a key that there is not.
fn unknown(key: &str, path: &str, schema: &Json) -> String {
    let place = if path.is_empty() { "a configuration file".to_owned() } else { format!("[{path}]") };
    let begun = format!("there is no key {key:?} in {place}");
    let known = || schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    if let Some(meant) = nearest(key, known()) {
        return format!("{begun}; did you mean {meant:?}?");
    }
    let wanted = key.replace('-', "_");
    let elsewhere = schema::keys().into_iter().find(|known| known.path.rsplit('.').next() == Some(&*wanted));
    if let Some(elsewhere) = elsewhere
        && let Some((section, _)) = elsewhere.path.rsplit_once('.')
    {
        return format!("{begun}; {wanted:?} belongs into [{section}]");
    }
    let known: Vec<_> = known().collect();
    format!("{begun}; there are: {}", known.join(", "))
}

/// What a word may have been meant to be.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// "timeout" and "time" are 0.57 alike, "max_conections" and "max_connections" 0.93.
    const ALIKE: f64 = 0.6;
    let word = word.to_ascii_lowercase().replace('-', "_");
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(&word, known);
    let best = known.map(|known| (likeness(known), known)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= ALIKE).then_some(best.1)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Table(_) => "object",
        Value::Array(_) => "array",
        Value::Scalar(Json::String(_)) => "string",
        Value::Scalar(Json::Bool(_)) => "boolean",
        Value::Scalar(Json::Number(number)) if !number.is_f64() => "integer",
        Value::Scalar(_) => "float",
        Value::Date => "date",
    }
}

/// What TOML calls it.
pub(crate) fn name(kind: &str) -> &'static str {
    match kind {
        "object" => "a table",
        "array" => "a list",
        "string" => "a text in quotes",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "float" | "number" => "a number with a fraction",
        "date" => "a date",
        _ => "something else",
    }
}
