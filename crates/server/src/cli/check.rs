//! `openline check`: says whether a configuration makes sense, and what would be served.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use super::fail;
use crate::config::load::{self, Loaded};
use crate::config::{Config, reference, schema};
use crate::exit::Exit;
use crate::hosting::Table;
use crate::server::Server;
use crate::tls::{self, Certificates};

/// Say whether openline.toml makes sense, and what it would serve
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// The file [default: what OPENLINE_CONFIG names, or openline.toml]
    file: Option<PathBuf>,

    /// Print the JSON schema of the file, for editors
    #[arg(long, conflicts_with_all = ["file", "reference"])]
    schema: bool,

    /// Print every key with its default and its reason, in Markdown
    #[arg(long, conflicts_with = "file")]
    reference: bool,
}

const AFTER_HELP: &str = "\
It reads what `openline serve` would read, certificates and OPENLINE_... variables
included, and says all that is wrong at once, each with its place. Nothing is
started. The exit code is 0 when all is well, and 2 otherwise.

Examples:
  openline check
  openline check /etc/openline.toml
  openline check --reference | less
  openline check --schema > openline.schema.json";

pub(super) fn run(args: &Args) -> Exit {
    let print = |text: &str| {
        // Whoever reads may have stopped: `| head`.
        let _ = anstream::stdout().lock().write_all(text.as_bytes());
        Exit::Ok
    };
    if args.schema {
        return print(&schema::published());
    }
    if args.reference {
        return print(&reference::page());
    }
    let variables = load::environment();
    let file = load::which(args.file.as_deref(), &variables);
    if file.is_none() {
        let why = format!(
            "there is no {} here to check: name a file, or begin one with `openline check --reference`",
            load::FILE
        );
        return fail(Exit::Usage, format_args!("{why}"));
    }
    let loaded = match load::load(file, &variables, &[]) {
        Ok(loaded) => loaded,
        Err(wrong) => return fail(Exit::Usage, format_args!("{wrong}")),
    };
    if let Err(error) = Server::may_start(&loaded.config) {
        return fail(Exit::Usage, format_args!("{error}"));
    }
    if let Err(error) = Table::open(&loaded.config) {
        return fail(Exit::Usage, format_args!("{error}"));
    }
    if let Some(settings) = &loaded.config.tls
        && let Err(error) = tls::start(settings)
    {
        return fail(Exit::Usage, format_args!("{error}"));
    }
    for warning in &loaded.warnings {
        super::say(format_args!("warning: {warning}"));
    }
    print(&summary(&loaded))
}

/// What would be served. No secrets.
fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let mut said = String::new();
    let mut line = |what: &str, value: String| {
        let _ = writeln!(said, "  {what:<12} {value}");
    };
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let listen: Vec<_> = config.listen.iter().map(|address| format!("{scheme}://{address}")).collect();
    line("listens on", listen.join(", ").replace("://:", "://localhost:"));
    let hosts: Vec<_> = config.knock.hosts.iter().map(|host| host.name()).collect();
    line("as", if hosts.is_empty() { "this machine".to_owned() } else { hosts.join(", ") });
    let origins: Vec<_> = config.knock.origins.iter().map(ToString::to_string).collect();
    line("for pages of", if origins.is_empty() { "its own".to_owned() } else { origins.join(", ") });
    match config.tls.as_ref().map(|tls| &tls.certificates) {
        None => {}
        Some(Certificates::SelfSigned(_)) => line("certificate", "of its own making".to_owned()),
        Some(Certificates::Files(files)) => {
            let files: Vec<_> = files.iter().map(|(certificate, _)| certificate.display().to_string()).collect();
            line("certificate", files.join(", "));
        }
    }
    line("demo", if config.demo { "the start page, /test, /chat and /increment" } else { "off" }.to_owned());
    line(
        "backends",
        match config.api_keys.len() {
            0 => "none: there is no key in api.keys".to_owned(),
            1 => "with a key".to_owned(),
            keys => format!("with one of {keys} keys"),
        },
    );
    for (name, rights, settings) in namespaces(config) {
        let kept = format!(
            "keeps {} publications for {}",
            settings.history.count,
            humantime::format_duration(settings.history.age)
        );
        line(&name, format!("{rights}; {kept}"));
    }
    let file = loaded.file.as_deref().map_or(String::new(), |file| file.display().to_string());
    format!("{file} makes sense. It would be served:\n{said}")
}

/// Each namespace's channels, who may do what there, and its settings.
fn namespaces(config: &Config) -> Vec<(String, String, &openline_hub::Settings)> {
    let mut all = Vec::new();
    for (namespace, settings) in config.namespaces.all() {
        let (name, channel) = match namespace {
            "" => ("/c/…".to_owned(), "x".parse()),
            namespace => (format!("/c/{namespace}:…"), format!("{namespace}:x").parse()),
        };
        let Ok(channel) = channel else { continue };
        let rights = &config.policies.of(&channel).rights;
        let acts = [("subscribe", &rights.subscribe), ("publish", &rights.publish), ("history", &rights.history)];
        let acts: Vec<_> = acts.iter().map(|(act, who)| format!("{act} {who}")).collect();
        all.push((name, acts.join(", "), settings));
    }
    all
}
