//! Where settings come from: a file, over it the environment, over that the flags.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, error, fmt, fs, io};

use serde_json::Value as Json;
use toml::de::DeTable;

use super::Config;
use super::check::{self, Problem};
use super::file::File;
use super::schema::{self, Key};
use super::tree::{Node, Source, Value};

/// The file that is read if nobody says which, and it is there.
pub(crate) const FILE: &str = "openline.toml";

/// The variable that names another one.
pub(crate) const FILE_VARIABLE: &str = "OPENLINE_CONFIG";

/// What was said on the command line: a flag without its dashes, the key that it stands for, and its values.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) flag: String,
    pub(crate) path: &'static str,
    pub(crate) values: Vec<String>,
}

/// Settings that make sense.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// Worker threads, if it was said how many.
    pub(crate) threads: Option<usize>,
    /// Where they are from, if there is a file.
    pub(crate) file: Option<PathBuf>,
    /// What may be a mistake.
    pub(crate) warnings: Vec<String>,
}

/// What the environment says.
pub(crate) type Variables = Vec<(String, String)>;

/// Of this process.
pub(crate) fn environment() -> Variables {
    let readable = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let ours = env::vars_os().map(|(name, value)| (readable(name), readable(value)));
    ours.filter(|(name, _)| name.starts_with("OPENLINE_")).collect()
}

/// The file that was asked for, or the one that is there.
pub(crate) fn which(asked: Option<&Path>, variables: &Variables) -> Option<PathBuf> {
    let named = variables.iter().find(|(name, value)| name == FILE_VARIABLE && !value.is_empty());
    let there = || Path::new(FILE).exists().then(|| FILE.into());
    asked.map(Path::to_owned).or_else(|| named.map(|(_, value)| value.into())).or_else(there)
}

/// Reads and checks everything.
///
/// # Errors
/// All that is wrong, at once.
pub(crate) fn load(file: Option<PathBuf>, variables: &Variables, flags: &[Said]) -> Result<Loaded, Wrong> {
    let text = file.as_deref().map(read).transpose()?;
    load_text(file, text.as_deref(), variables, flags)
}

/// The same, of a file that was read already.
pub(crate) fn load_text(
    file: Option<PathBuf>,
    text: Option<&str>,
    variables: &Variables,
    flags: &[Said],
) -> Result<Loaded, Wrong> {
    let wrong = |problems| Wrong { file: file.clone(), text: text.unwrap_or_default().to_owned(), problems };
    let (mut tree, mut problems) = match text {
        Some(text) => parse(text),
        None => (demo(), Vec::new()),
    };
    let mut warnings = Vec::new();
    lay_over(&mut tree, variables, &mut problems, &mut warnings);
    for Said { flag, path, values } in flags {
        if let Some(key) = schema::keys().into_iter().find(|key| key.path == *path) {
            set(&mut tree, &key, values, &Source::Flag(flag.clone()), &mut problems);
        }
    }
    problems.extend(check::check(&tree));
    if !problems.is_empty() {
        return Err(wrong(problems));
    }
    let tree = inherit(tree);
    let File { server, .. } = &read_tree(&tree).map_err(wrong)?;
    let threads = server.threads.as_ref().map(|threads| threads.0);
    let config = read_tree(&tree).and_then(|file| file.into_config(&tree)).map_err(wrong)?;
    Ok(Loaded { config, threads, file, warnings })
}

fn read(path: &Path) -> Result<String, Wrong> {
    let cannot = |why: &dyn fmt::Display| {
        let message = format!("cannot read {}: {why}", path.display());
        Wrong { file: None, text: String::new(), problems: vec![Problem { source: Source::Demo, message }] }
    };
    let bytes = fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => cannot(&"there is no such file"),
        _ => cannot(&error),
    })?;
    String::from_utf8(bytes).map_err(|_| cannot(&"it is not UTF-8 text"))
}

/// What is so without a file, on this machine alone: everything that there is to try.
fn demo() -> Node {
    let mut tree = Node::table(Source::Demo);
    for path in
        [&["server", "demo"][..], &["server", "any_namespace"], &["channels", "presence"], &["client", "anonymous"]]
    {
        tree.set(path, Node::scalar(Source::Demo, true));
    }
    for rate in schema::keys().iter().filter_map(|key| key.path.strip_prefix("rates.")) {
        tree.set(&["rates", rate], Node::scalar(Source::Demo, "off"));
    }
    for act in ["subscribe", "publish", "history", "presence", "delete"] {
        tree.set(&["channels", "allow", act], Node::scalar(Source::Demo, "anyone"));
    }
    tree
}

fn parse(text: &str) -> (Node, Vec<Problem>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let problems = errors.iter().map(|error| {
        let span = error.span().unwrap_or(0..0);
        Problem { source: Source::File(span.start, span.end), message: error.message().to_owned() }
    });
    let problems: Vec<_> = problems.collect();
    let span = table.span();
    (Node::of(table.get_ref(), span), problems)
}

/// A namespace has the keys of `[channels]`, unless it says otherwise.
fn inherit(mut tree: Node) -> Node {
    let Some(common) = tree.get("channels").cloned() else { return tree };
    if let Value::Table(sections) = &mut tree.value
        && let Some(namespaces) = sections.get_mut("namespaces")
        && let Value::Table(namespaces) = &mut namespaces.node.value
    {
        for namespace in namespaces.values_mut() {
            namespace.node = common.under(&namespace.node);
        }
    }
    tree
}

fn read_tree(tree: &Node) -> Result<File, Vec<Problem>> {
    // It was checked: should the two disagree, this is better than nothing.
    serde_json::from_value(tree.json())
        .map_err(|error| vec![Problem { source: tree.source.clone(), message: error.to_string() }])
}

/// Lays what the environment says over what the file says.
fn lay_over(tree: &mut Node, variables: &Variables, problems: &mut Vec<Problem>, warnings: &mut Vec<String>) {
    let keys = schema::keys();
    for (name, value) in variables {
        if name == FILE_VARIABLE {
            continue;
        }
        let Some(key) = keys.iter().find(|key| key.variable() == *name) else {
            if !is_of_kubernetes(name) {
                let known: Vec<_> = keys.iter().map(Key::variable).collect();
                let likeness = |known: &&String| strsim::normalized_damerau_levenshtein(name, known);
                let best = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
                let meant = best.filter(|best| likeness(best) > 0.8);
                let meant = meant.map_or(String::new(), |known| format!("; did you mean {known}?"));
                warnings.push(format!("the environment variable {name} means nothing to this server{meant}"));
            }
            continue;
        };
        set(tree, key, std::slice::from_ref(value), &Source::Environment(name.clone()), problems);
    }
}

/// A cluster tells every program where the service "openline" is, in variables of these names.
fn is_of_kubernetes(name: &str) -> bool {
    let rest = name.trim_start_matches("OPENLINE_");
    rest == "PORT"
        || rest.starts_with("PORT_")
        || rest.contains("SERVICE_")
        || rest.ends_with("_PORT")
        || rest.contains("_PORT_")
}

/// Says at a key what people write outside of files: texts, of which the key's type makes something.
fn set(tree: &mut Node, key: &Key, texts: &[String], source: &Source, problems: &mut Vec<Problem>) {
    let path: Vec<&str> = key.path.split('.').collect();
    let mut first_problems = None;
    for value in readings(key.schema, texts) {
        let node = node(value, source);
        let mut trial = Node::table(source.clone());
        trial.set(&path, node.clone());
        let wrong = check::check(&trial);
        if wrong.is_empty() {
            tree.set(&path, node);
            return;
        }
        first_problems.get_or_insert(wrong);
    }
    problems.extend(first_problems.unwrap_or_default());
}

/// What texts may mean to a key: in the order in which it is tried.
fn readings(schema: &Json, texts: &[String]) -> Vec<Json> {
    let types = schema::types(schema);
    let (one, words) = match texts {
        [text] => (Some(text.as_str()), text.split(',').map(|word| word.trim().to_owned()).collect()),
        several => (None, several.to_vec()),
    };
    let mut readings = Vec::new();
    if let Some(text) = one {
        if types.contains(&"boolean") {
            match text {
                "true" | "yes" | "on" | "1" => readings.push(true.into()),
                "false" | "no" | "off" | "0" => readings.push(false.into()),
                _ => {}
            }
        }
        if types.contains(&"integer")
            && let Ok(number) = text.parse::<i64>()
        {
            readings.push(number.into());
        }
        // A number that reads as none, to be told so.
        if types.contains(&"string") || !types.contains(&"array") {
            readings.push(text.into());
        }
    }
    if types.contains(&"array") {
        let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
        readings.push(words.into());
    }
    readings
}

fn node(value: Json, source: &Source) -> Node {
    let value = match value {
        Json::Array(items) => Value::Array(items.into_iter().map(|item| node(item, source)).collect()),
        scalar => Value::Scalar(scalar),
    };
    Node { source: source.clone(), value }
}

/// Settings that make no sense. `Display` says all that is wrong, each with its place and what would be right.
#[derive(Clone, Debug)]
pub(crate) struct Wrong {
    file: Option<PathBuf>,
    text: String,
    problems: Vec<Problem>,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut problems = self.problems.clone();
        problems.sort();
        problems.dedup();
        let mut said = String::new();
        for Problem { source, message } in &problems {
            match (source, &self.file) {
                (Source::File(start, _), Some(file)) => {
                    let (line, column) = place(&self.text, *start);
                    write!(said, "{}:{line}:{column}: ", file.display())?;
                }
                (Source::Environment(name), _) => write!(said, "environment variable {name}: ")?,
                (Source::Flag(name), _) => write!(said, "--{name}: ")?,
                _ => {}
            }
            writeln!(said, "{message}")?;
        }
        if problems.len() > 1 {
            writeln!(said, "{} errors", problems.len())?;
        }
        f.write_str(said.trim_end())
    }
}

impl error::Error for Wrong {}

/// Line and column, from 1, in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}
