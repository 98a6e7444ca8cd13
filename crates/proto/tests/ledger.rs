//! The ledgers, `conformance/rfc6455.toml`, `rfc7692.toml` and `systems.toml`: every clause of an RFC, and everything that the systems
//! have whose place we take, names the tests that hold us to it, or says why there are none; and the tests that it names exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

#[test]
fn every_clause_names_its_tests_or_its_reason() {
    let mut problems = Vec::new();
    for (id, entry) in LEDGERS.into_iter().flat_map(ledger) {
        problems.extend(problems_of(&entry).into_iter().map(|problem| format!("{id}: {problem}")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_test_that_is_named_exists() {
    let mut sources = Sources::default();
    let mut missing = Vec::new();
    for (id, entry) in LEDGERS.into_iter().flat_map(ledger) {
        for test in entry.get("tests").and_then(Value::as_array).into_iter().flatten() {
            let test = test.as_str().unwrap_or_default();
            if !sources.have(test) {
                missing.push(format!("{id}: there is no test {test:?}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// So that a ledger that lost a chapter is noticed.
#[test]
fn every_part_of_rfc_6455_is_there() {
    has_sections(
        "rfc6455",
        &[
            "3", "4.1", "4.2.1", "4.2.2", "4.3", "4.4", "5.1", "5.2", "5.3", "5.4", "5.5", "5.5.1", "5.5.2", "5.5.3",
            "5.6", "5.7", "5.8", "6.1", "6.2", "7.1.1", "7.1.2", "7.1.5", "7.1.7", "7.2.1", "7.2.3", "7.4.1", "7.4.2",
            "8.1", "9.1", "10.2", "10.3", "10.4", "10.7", "11.3.1", "11.3.3", "11.3.4", "11.3.5",
        ],
    );
}

#[test]
fn every_part_of_rfc_7692_is_there() {
    has_sections(
        "rfc7692",
        &[
            "5", "5.1", "6", "6.1", "6.2", "7.1", "7.1.1.1", "7.1.1.2", "7.1.2", "7.1.2.1", "7.1.2.2", "7.2.1",
            "7.2.2", "7.2.3.1", "7.2.3.2", "7.2.3.3", "7.2.3.4", "7.2.3.5", "7.2.3.6", "8",
        ],
    );
}

#[test]
fn every_system_is_there() {
    let ledger = ledger("systems");
    for (system, least) in [("iis", 20), ("apache", 25), ("tomcat", 50)] {
        let count = ledger.values().filter(|entry| entry.get("who").and_then(Value::as_str) == Some(system)).count();
        assert!(count >= least, "{system}: {count}");
    }
}

const LEDGERS: [&str; 3] = ["rfc6455", "rfc7692", "systems"];

fn has_sections(rfc: &str, sections: &[&str]) {
    let ledger = ledger(rfc);
    for section in sections {
        assert!(
            ledger.keys().any(|id| id.split_once('/').is_some_and(|(of, _)| of == *section)),
            "{rfc}: nothing of §{section}"
        );
    }
}

fn ledger(rfc: &str) -> BTreeMap<String, Table> {
    let text = fs::read_to_string(root().join(format!("conformance/{rfc}.toml"))).expect("the ledger is there");
    let ledger: Table = text.parse().expect("the ledger is TOML");
    ledger.into_iter().map(|(id, entry)| (id, entry.try_into().expect("an entry is a table"))).collect()
}

fn problems_of(entry: &Table) -> Vec<&'static str> {
    const KEYS: [&str; 6] = ["who", "clause", "words", "status", "tests", "reason"];
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let has_tests = entry.get("tests").and_then(Value::as_array).is_some_and(|tests| !tests.is_empty());
    let answer = match text("status") {
        "met" => (has_tests, "what is met names its `tests`"),
        "later" | "not applicable" => (!has_tests && !text("reason").is_empty(), "what has no tests has a `reason`"),
        _ => (false, "`status` is \"met\", \"later\" or \"not applicable\""),
    };
    let who = ["server", "client", "both", "intermediary", "iis", "apache", "tomcat"].contains(&text("who"));
    let checks = [
        (who, "`who` is server, client, both or intermediary, or a system"),
        (!text("clause").is_empty(), "`clause` says what is asked"),
        (!text("words").is_empty(), "`words` quotes what decides"),
        (entry.keys().all(|key| KEYS.contains(&key.as_str())), "there is a key that nobody reads"),
        answer,
    ];
    checks.into_iter().filter(|(good, _)| !good).map(|(_, problem)| problem).collect()
}

/// The files that tests are in, read once.
#[derive(Default)]
struct Sources(BTreeMap<String, String>);

impl Sources {
    /// `file.rs::module::function`, `file.py::function`, `file.mjs::what it says`, or `autobahn:1.1.1`.
    fn have(&mut self, test: &str) -> bool {
        if let Some(case) = test.strip_prefix("autobahn:") {
            return self.read("conformance/autobahn/cases.txt").lines().any(|line| line == case);
        }
        let Some((file, name)) = test.split_once("::") else { return false };
        let source = self.read(file);
        match file.rsplit_once('.') {
            Some((_, "rs")) => has_rust_test(source, name),
            Some((_, "py")) => name.starts_with("test_") && source.contains(&format!("\ndef {name}(")),
            Some((_, "mjs")) => source.contains(&format!("\ntest('{name}'")),
            _ => false,
        }
    }

    /// A file that is not there has no tests.
    fn read(&mut self, file: &str) -> &str {
        self.0.entry(file.to_owned()).or_insert_with(|| fs::read_to_string(root().join(file)).unwrap_or_default())
    }
}

/// One function of that name in that module, under a `#[test]` that is not ignored.
fn has_rust_test(source: &str, path: &str) -> bool {
    let mut lines: Vec<&str> = source.lines().collect();
    let mut modules: Vec<&str> = path.split("::").collect();
    let function = modules.pop().expect("a split has at least one part");
    for module in modules {
        lines = body_of_module(&lines, module);
    }
    let declares =
        |line: &str| line.split_once("fn ").is_some_and(|(_, rest)| rest.starts_with(&format!("{function}(")));
    let found: Vec<usize> = (0..lines.len()).filter(|number| declares(lines[*number])).collect();
    let [number] = found[..] else { return false };
    let above: Vec<&str> =
        lines[..number].iter().rev().map(|line| line.trim()).take_while(|line| line.starts_with(['#', '/'])).collect();
    above.iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
        && !above.iter().any(|line| line.starts_with("#[ignore"))
}

/// The lines between `mod name {` and the brace that closes it, which stands right below its `mod`.
fn body_of_module<'a>(lines: &[&'a str], name: &str) -> Vec<&'a str> {
    let Some(first) = lines.iter().position(|line| line.trim() == format!("mod {name} {{")) else { return Vec::new() };
    let indent = lines[first].len() - lines[first].trim_start().len();
    let end = format!("{}}}", " ".repeat(indent));
    lines[first + 1..].iter().take_while(|line| **line != end).copied().collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

mod the_search_itself {
    use super::has_rust_test;

    const SOURCE: &str = "#[test]\nfn twice() {}\nmod a {\n    /// Why.\n    #[tokio::test(start_paused = true)]\n    async fn \
        once() {}\n    fn helper() {}\n    #[test]\n    #[ignore]\n    fn ignored() {}\n}\n#[test]\nfn twice() {}\n";

    #[test]
    fn finds_tests_and_nothing_else() {
        assert!(has_rust_test(SOURCE, "a::once"));
        assert!(has_rust_test(SOURCE, "once"));
        for no_test in ["twice", "b::once", "a::twice", "a::helper", "a::ignored", "onc", ""] {
            assert!(!has_rust_test(SOURCE, no_test), "{no_test:?}");
        }
    }
}
