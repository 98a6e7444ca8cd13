//! What was said, and where: a file's tables, with the environment and the flags laid over them.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// In these bytes of the file: their beginning, and their end.
    File(usize, usize),
    /// In this variable of the environment.
    Environment(String),
    /// By this flag.
    Flag(String),
    /// Nowhere: it is so without a file.
    Demo,
}

/// A value, and where it was said.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) source: Source,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Table(BTreeMap<String, Entry>),
    Array(Vec<Node>),
    Scalar(Json),
    /// A date: TOML has them, and no key takes one.
    Date,
}

/// A key of a table, and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Where the key was said.
    pub(crate) source: Source,
    pub(crate) node: Node,
}

fn source(span: Range<usize>) -> Source {
    Source::File(span.start, span.end)
}

impl Node {
    /// Of a value that was said.
    pub(crate) fn scalar(source: Source, value: impl Into<Json>) -> Self {
        Self { source, value: Value::Scalar(value.into()) }
    }

    /// An empty table.
    pub(crate) fn table(source: Source) -> Self {
        Self { source, value: Value::Table(BTreeMap::new()) }
    }

    /// Of a file.
    pub(crate) fn of(table: &DeTable<'_>, span: Range<usize>) -> Self {
        let entries = table.iter().map(|(key, value)| {
            let node = Self::of_value(value.get_ref(), value.span());
            (key.get_ref().to_string(), Entry { source: source(key.span()), node })
        });
        Self { source: source(span), value: Value::Table(entries.collect()) }
    }

    fn of_value(value: &DeValue<'_>, span: Range<usize>) -> Self {
        let scalar = |json: Json| Self { source: source(span.clone()), value: Value::Scalar(json) };
        match value {
            DeValue::String(text) => scalar(text.to_string().into()),
            // One that does not fit is no number that any key takes, and shows as what it is.
            DeValue::Integer(number) => scalar(match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => number.into(),
                Err(_) => f64::INFINITY.into(),
            }),
            DeValue::Float(number) => scalar(Json::from(number.as_str().parse::<f64>().unwrap_or(f64::NAN))),
            DeValue::Boolean(yes) => scalar((*yes).into()),
            DeValue::Datetime(_) => Self { source: source(span), value: Value::Date },
            DeValue::Array(items) => {
                let items = items.iter().map(|item| Self::of_value(item.get_ref(), item.span()));
                Self { source: source(span.clone()), value: Value::Array(items.collect()) }
            }
            DeValue::Table(table) => Self::of(table, span),
        }
    }

    /// Says it, at this path, over whatever was said there.
    pub(crate) fn set(&mut self, path: &[&str], node: Node) {
        let [key, rest @ ..] = path else {
            *self = node;
            return;
        };
        if !matches!(self.value, Value::Table(_)) {
            self.value = Value::Table(BTreeMap::new());
        }
        let Value::Table(entries) = &mut self.value else { return };
        let empty = || Entry { source: node.source.clone(), node: Self::table(node.source.clone()) };
        entries.entry((*key).to_owned()).or_insert_with(empty).node.set(rest, node);
    }

    /// What was said at this path: `limits.max_headers`, `route[0].path`.
    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, key| {
            let (key, index) = match key.strip_suffix(']').and_then(|key| key.split_once('[')) {
                Some((key, index)) => (key, Some(index.parse::<usize>().ok()?)),
                None => (key, None),
            };
            let Value::Table(entries) = &node.value else { return None };
            let node = &entries.get(key)?.node;
            match (index, &node.value) {
                (None, _) => Some(node),
                (Some(index), Value::Array(items)) => items.get(index),
                (Some(_), _) => None,
            }
        })
    }

    /// What is said here where `over` says nothing: tables key by key.
    pub(crate) fn under(&self, over: &Node) -> Node {
        match (&self.value, &over.value) {
            (Value::Table(below), Value::Table(above)) => {
                let mut entries = below.clone();
                for (key, entry) in above {
                    let merged = match below.get(key) {
                        Some(below) => Entry { source: entry.source.clone(), node: below.node.under(&entry.node) },
                        None => entry.clone(),
                    };
                    entries.insert(key.clone(), merged);
                }
                Node { source: over.source.clone(), value: Value::Table(entries) }
            }
            _ => over.clone(),
        }
    }

    /// Without where it was said.
    pub(crate) fn json(&self) -> Json {
        match &self.value {
            Value::Table(entries) => {
                Json::Object(entries.iter().map(|(key, entry)| (key.clone(), entry.node.json())).collect())
            }
            Value::Array(items) => Json::Array(items.iter().map(Self::json).collect()),
            Value::Scalar(value) => value.clone(),
            Value::Date => Json::Null,
        }
    }
}
