//! `openline serve`: starts the server, says where it is and what to try, and ends it when told.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches};
use openline::proto::handshake::{Host, Origin};
use openline::tls::Fingerprint;

use super::routes::RouteArgs;
use super::signals::{Signal, Signals};
use super::units::{self, Maybe};
use super::{fail, say};
use crate::config::flags::FLAGS;
use crate::config::load::{self, Loaded, Said};
use crate::config::values::Secret;
use crate::config::{Listen, Network};
use crate::exit::Exit;
use crate::hosting::Groups;
use crate::lines::Lines;
use crate::server::{Server, StartError};
use crate::shutdown::Order;

/// What was said on the command line, and what was not.
#[derive(Debug)]
pub(super) struct Args {
    config: Option<PathBuf>,
    /// Over what the file and the environment say: only what was said, and no defaults.
    said: Vec<Said>,
    routes: RouteArgs,
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let was_said = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let said = FLAGS.iter().filter_map(|(flag, path)| {
            let id = flag.replace('-', "_");
            was_said(&id).then(|| {
                let text = |value: &OsStr| value.to_string_lossy().into_owned();
                let values: Vec<_> = matches.get_raw(&id).into_iter().flatten().map(text).collect();
                Said { flag: (*flag).to_owned(), path, values }
            })
        });
        let routes = RouteArgs::from_arg_matches(matches)?;
        Ok(Self { config: matches.get_one("config").cloned(), said: said.collect(), routes })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Args {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

/// Serve files, applications, programs and channels; without any of them, a demo
///
/// Without a file: a page at /, WebSockets at /test (echo), /chat and /increment, and channels at /c/NAME.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
struct Flags {
    #[command(flatten)]
    routes: RouteArgs,

    /// Do what this file says [default: openline.toml, if there is one here]. Flags are stronger, and OPENLINE_... variables;
    /// see `openline check`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Listen there instead of on port 8080 of this machine; may be repeated. Port 0 picks a free one
    #[arg(long, value_name = "ADDR:PORT", value_parser = units::listen)]
    listen: Vec<Listen>,

    /// Answer for this host name, too; may be repeated
    #[arg(long, value_name = "NAME", value_parser = units::host)]
    host: Vec<Host>,

    /// Let pages of this origin in, too; may be repeated
    #[arg(long, value_name = "ORIGIN", value_parser = units::origin)]
    allow_origin: Vec<Origin>,

    /// Answer /metrics, /live and /ready there, for whoever runs the server; or "off"
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8090", value_parser = units::maybe_listen)]
    admin: units::MaybeListen,

    /// Believe this proxy, or all of this network, where its clients are (X-Forwarded-For, Forwarded), and let them in as on
    /// a public address; may be repeated
    #[arg(long, value_name = "ADDR[/BITS]", help_heading = PROXIES)]
    trust_proxy: Vec<Network>,

    /// Trusted proxies, and nobody else, connect, and begin with a header of the PROXY protocol, of either version
    #[arg(long, requires = "trust_proxy", help_heading = PROXIES)]
    proxy_protocol: bool,

    /// Speak TLS with this certificate, and its chain, in PEM: https and wss. May be repeated, each with its --tls-key; the
    /// name that a client asks for chooses. Read again when it changes
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_cert: Vec<PathBuf>,

    /// The certificate's private key in PEM; may be left out where it is in the certificate's file
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = TLS)]
    tls_key: Vec<PathBuf>,

    /// Let in only clients with a certificate of an authority in this file
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    tls_client_ca: Option<PathBuf>,

    /// Speak TLS with a certificate of its own making, for development; prints its fingerprint
    #[arg(long, conflicts_with = "tls_cert", help_heading = TLS)]
    tls_self_signed: bool,

    /// A TLS handshake must be done within this time
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::time, help_heading = TLS)]
    tls_timeout: Duration,

    /// Compress for clients that offer it. With takeover messages refer to those before them: smaller, for memory
    #[arg(long, value_name = "HOW", default_value = "on", help_heading = COMPRESSION)]
    compression: Compression,

    /// Compress this hard: 1 is fast, 9 is small
    #[arg(long, value_name = "LEVEL", default_value = "1", value_parser = clap::value_parser!(u8).range(1..=9), help_heading = COMPRESSION)]
    compression_level: u8,

    /// Shorter messages are not compressed [default: 512, with takeover 64]
    #[arg(long, value_name = "BYTES", value_parser = units::memory, help_heading = COMPRESSION)]
    compression_min_bytes: Option<usize>,

    /// What takeover may hold, all lines together; those over it are compressed without
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = units::memory, help_heading = COMPRESSION)]
    compression_memory: usize,

    /// Connections at once; newcomers over it get 503
    #[arg(long, value_name = "N", default_value = "10000", value_parser = units::count, help_heading = LIMITS)]
    max_connections: usize,

    /// Longest message taken; over it the line is closed with 1009
    #[arg(long, value_name = "BYTES", default_value = "1MiB", value_parser = units::bytes, help_heading = LIMITS)]
    max_message_bytes: u64,

    /// Longest frame taken; over it the line is closed with 1009
    #[arg(long, value_name = "BYTES", default_value = "1MiB", value_parser = units::bytes, help_heading = LIMITS)]
    max_frame_bytes: u64,

    /// What may wait for one slow reader; over it /chat closes its line with 1013, and the others wait for it
    #[arg(long, value_name = "BYTES", default_value = "1MiB", value_parser = units::memory, help_heading = LIMITS)]
    max_output_bytes: usize,

    /// Longest head of a request; over it 431
    #[arg(long, value_name = "BYTES", default_value = "16KiB", value_parser = units::memory, help_heading = LIMITS)]
    max_head_bytes: usize,

    /// Most header fields of a request; over it 431
    #[arg(long, value_name = "N", default_value = "100", value_parser = units::count, help_heading = LIMITS)]
    max_headers: usize,

    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N", value_parser = units::count, help_heading = LIMITS)]
    threads: Option<usize>,

    /// A request's head must be here within this time; over it 408
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::time, help_heading = TIMES)]
    head_timeout: Duration,

    /// A quiet line is pinged this often; or "off"
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = units::time_or_off, help_heading = TIMES)]
    ping_interval: Maybe,

    /// A line that stays quiet this long after a ping is given up
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = units::time, help_heading = TIMES)]
    pong_timeout: Duration,

    /// A begun message must get its next byte within this time; over it the line is closed with 1008
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = units::time, help_heading = TIMES)]
    message_timeout: Duration,

    /// A peer that takes nothing of what waits for it this long is given up
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = units::time, help_heading = TIMES)]
    write_timeout: Duration,

    /// A closing handshake is waited for this long
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::time, help_heading = TIMES)]
    close_timeout: Duration,

    /// At the end, all closing handshakes are waited for this long
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::duration, help_heading = TIMES)]
    shutdown_timeout: Duration,

    /// A drain (SIGTERM) spreads its closes over this time
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = units::duration, help_heading = TIMES)]
    drain_window: Duration,
}

/// Whether messages are compressed, and whether they may refer to those before them.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Compression {
    Off,
    On,
    Takeover,
}

const PROXIES: &str = "Proxies in front";
const TLS: &str = "TLS";
const COMPRESSION: &str = "Compression";
const LIMITS: &str = "Limits (bytes: 65536, 64KiB, 1MiB)";
const TIMES: &str = "Times (500ms, 10s, 2m)";

const AFTER_HELP: &str = "\
Who is answered:
  The demo has no login, so it keeps to this machine. It answers for localhost,
  for IP addresses and for each --host, and lets in pages of this machine (on
  any port), its own pages, and those of each --allow-origin. Programs, which
  send no Origin, are let in. What came through a proxy is not: requests with
  Forwarded, X-Forwarded-For or Via; unless it came through a --trust-proxy,
  whose clients are answered as on an address that other machines can reach.
  On an address that other machines can reach, only what --host and
  --allow-origin name is answered, and without either the server does not start
  there. Neither is a login: whoever sends the right name is in.

How it ends:
  Ctrl-C (SIGINT) closes every line at once, with 1001. SIGTERM drains: it
  answers newcomers 503 and closes the lines with 1012, one after the other over
  --drain-window. Both then wait for closing handshakes, --shutdown-timeout at
  most, and exit with 0. A second signal exits at once, with 130.

Examples:
  openline serve
  openline serve --listen :9000
  openline serve --listen 0.0.0.0:8080 --host chat.lan
  openline serve --allow-origin https://app.example.com
  openline serve --tls-self-signed
  openline serve --listen 0.0.0.0:443 --host chat.example --tls-cert chat.pem --tls-key chat.key
  openline serve --max-message-bytes 16MiB --max-frame-bytes 16MiB";

/// Reads everything that there is to say about the server.
pub(super) fn prepare(args: Args) -> Result<Loaded, Exit> {
    let variables = load::environment();
    let file = load::which(args.config.as_deref(), &variables);
    let loaded = load::load(file, &variables, &args.said);
    let mut loaded = loaded.map_err(|wrong| fail(Exit::Usage, format_args!("{wrong}")))?;
    let routes = args.routes.routes().map_err(|wrong| fail(Exit::Usage, format_args!("{wrong}")))?;
    loaded.config.routes.extend(routes);
    loaded.config.allow_public_backends |= args.routes.allow_public_backends;
    Ok(loaded)
}

/// How many threads to run it on.
pub(super) fn threads(loaded: &Loaded) -> usize {
    loaded.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

pub(super) async fn run(loaded: Loaded) -> Exit {
    let Loaded { mut config, file, warnings, .. } = loaded;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    if let Some(file) = file {
        say(format_args!("as {} says", file.display()));
    }
    raise_file_limit(config.max_connections);
    let signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(Exit::Failure, format_args!("cannot wait for signals: {error}")),
    };
    // Even the demo has a key: nobody publishes to everybody by accident.
    let demo_key = (config.demo && config.api_keys.is_empty()).then(crate::api::random);
    config.api_keys.extend(demo_key.clone());
    let is_tls = config.tls.is_some();
    let named = config.knock.hosts.first().map(|host| host.name().to_owned());
    let is_demo = config.demo;
    let server = match Server::bind(config).await {
        Ok(server) => server,
        Err(error) => {
            let exit = match error {
                StartError::Public(_) | StartError::Unprotected(_) | StartError::Route(_) | StartError::Tls(_) => {
                    Exit::Usage
                }
                StartError::Bind(_) | StartError::Admin(_) => Exit::CannotListen,
                StartError::Io(_) => Exit::Failure,
            };
            return fail(exit, format_args!("{error}"));
        }
    };
    // Whoever started us may have stopped reading: that is no reason not to serve.
    let tls = is_tls.then(|| server.fingerprint());
    let key = demo_key.as_ref().map(Secret::expose);
    let _ = announce(&server.local_addrs(), named.as_deref(), tls, is_demo, key, &server.routes());
    if let Some(admin) = server.admin_addr() {
        say(format_args!("metrics and health on http://{admin} (/metrics, /live, /ready)"));
    }
    let (lines, programs) = (server.lines(), server.programs());
    let farewell = server.serve(first_order(signals, lines, programs)).await;
    if farewell.dropped > 0 {
        say(format_args!(
            "dropped {} of {} lines: their closing handshakes took too long",
            farewell.dropped, farewell.told
        ));
    }
    Exit::Ok
}

/// Each connection needs a file descriptor, and what shells grant by default is often 1,024.
fn raise_file_limit(max_connections: usize) {
    /// Listeners, the runtime's own, stdio, and refusals that are being said.
    const SPARE: u64 = 128;
    let needed = max_connections as u64 + SPARE;
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < needed => tracing::warn!(
            "the system allows {limit} open files, {max_connections} connections may need {needed}: \
             raise `ulimit -Hn`, or lower --max-connections"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!("cannot raise the limit of open files: {error}"),
    }
}

/// For scripts, one line per address, the same in every version; for people, the rest. `tls`: it speaks TLS, and if its
/// certificate is of its own making, with this fingerprint.
fn announce(
    addresses: &[SocketAddr],
    named: Option<&str>,
    tls: Option<Option<Fingerprint>>,
    is_demo: bool,
    key: Option<&str>,
    routes: &[(String, String)],
) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    let s = if tls.is_some() { "s" } else { "" };
    for address in addresses {
        writeln!(out, "listening on http{s}://{address}")?;
    }
    let trust = match tls {
        Some(Some(fingerprint)) => {
            writeln!(out, "certificate SHA-256 {fingerprint}")?;
            format!(" --fingerprint {fingerprint}")
        }
        _ => String::new(),
    };
    let Some(address) = addresses.first() else { return Ok(()) };
    if !routes.is_empty() {
        let title = anstyle::Style::new().bold();
        writeln!(out, "\n{title}What is there{title:#}")?;
        let width = routes.iter().map(|(path, _)| path.len()).max().unwrap_or_default();
        for (path, what) in routes {
            writeln!(out, "  {path:width$}  {what}")?;
        }
        writeln!(out, "\nCtrl-C ends it.\n")?;
        return out.flush();
    }
    if !is_demo {
        return out.flush(); // whoever wrote a file knows what is in it
    }
    let at = match named {
        _ if address.ip().is_loopback() => format!("localhost:{}", address.port()),
        Some(name) => format!("{name}:{}", address.port()),
        None => address.to_string(),
    };
    let insecurely = if trust.is_empty() { "" } else { " --insecure" };
    let title = anstyle::Style::new().bold();
    let command = anstyle::AnsiColor::Cyan.on_default();
    writeln!(
        out,
        "
{title}What is there{title:#}
  /           a page to connect, send and watch with
  /test       sends back whatever it gets
  /chat       everyone hears everyone else          (subprotocol chat, or none)
  /increment  counts, 20 times a second             (subprotocol dumb-increment-protocol)
  /c/NAME     a channel: what is posted there, everyone hears who listens
  /connection/websocket, /connection/http_stream, /connection/sse
              many channels on one line, for Centrifuge clients
  /api        for backends

{title}What to try{title:#}
  {command}http{s}://{at}{command:#}  in a browser
  {command}openline connect ws{s}://{at}/test{trust}{command:#}  and type
  {command}openline connect ws{s}://{at}/chat{trust}{command:#}  in two terminals
  {command}openline connect ws{s}://{at}/c/news{trust}{command:#}  and then
  {command}curl{insecurely} -d Hello http{s}://{at}/c/news{command:#}"
    )?;
    if let Some(key) = key {
        let data = r#"{"channel":"news","data":"Hello"}"#;
        writeln!(
            out,
            "  {command}curl{insecurely} -H 'X-API-Key: {key}' -d '{data}' http{s}://{at}/api/publish{command:#}"
        )?;
    }
    writeln!(out, "\nCtrl-C ends it.\n")?;
    out.flush()
}

/// Waits for the first signal; the second one ends the program at once.
async fn first_order(mut signals: Signals, lines: Arc<Lines>, programs: Arc<Groups>) -> Order {
    let (order, code) = match signals.next().await {
        Signal::Interrupt => (Order::Close, 1001),
        Signal::Terminate => (Order::Drain, 1012),
    };
    let count = lines.count();
    let noun = if count == 1 { "line" } else { "lines" };
    say(format_args!("closing {count} {noun} with {code}; a second Ctrl-C exits at once"));
    tokio::spawn(async move {
        signals.next().await;
        programs.kill_all();
        std::process::exit(Exit::Interrupted as i32);
    });
    order
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Parser};
    use serde_json::Value as Json;

    use super::*;
    use crate::config::{Admin, Config, schema};

    #[derive(Parser)]
    struct Serve {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn without_a_file_it_is_the_servers_own_defaults() {
        let args = Serve::parse_from(["serve"]).args;
        let loaded = load::load(None, &Vec::new(), &args.said).unwrap();
        // But that in the demo people see each other, and that there is an internal address.
        let settings = openline_hub::Settings { presence: true, ..openline_hub::Settings::default() };
        let namespaces = openline_hub::Namespaces::new(settings);
        let admin = Some(Admin { listen: Listen::At(([127, 0, 0, 1], 8090).into()), is_needed: false });
        let demo = Config { namespaces, admin, ..Config::default() };
        assert_eq!(format!("{:?}", loaded.config), format!("{demo:?}"));
    }

    #[test]
    fn every_flag_has_its_key_and_the_same_default() {
        let command = Flags::augment_args(Command::new("serve"));
        let keys = schema::keys();
        // A route is a table in a file, and has no key of its own.
        let is_route = |argument: &clap::Arg| {
            RouteArgs::augment_args(Command::new("")).get_arguments().any(|route| route.get_id() == argument.get_id())
        };
        for argument in command.get_arguments().filter(|argument| argument.get_id() != "config" && !is_route(argument))
        {
            let flag = argument.get_long().unwrap();
            let (_, path) = FLAGS.iter().find(|(known, _)| *known == flag).unwrap_or_else(|| panic!("--{flag}"));
            let key = keys.iter().find(|key| key.path == *path).unwrap_or_else(|| panic!("{path}"));
            let [default] = argument.get_default_values() else { continue };
            let shown = match &key.schema["default"] {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            let is_same = default.to_str().unwrap() == shown || argument.is_global_set();
            assert!(
                is_same || units::time(&shown) == units::time(default.to_str().unwrap()),
                "--{flag}: {default:?}, {shown}"
            );
        }
    }

    #[test]
    fn only_what_was_said_is_stronger_than_a_file() {
        let args = Serve::parse_from(["serve", "--max-headers", "7", "--tls-cert", "a", "--tls-cert", "b"]).args;
        let said: Vec<_> = args.said.iter().map(|said| (said.path, said.values.join(" "))).collect();
        assert_eq!(said, [("tls.cert", "a b".to_owned()), ("limits.max_headers", "7".to_owned())]);
    }
}
