//! What is measured: the floors, ours, and its peers; how each is built, started, and asked for a WebSocket.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use clap::Args;

use crate::{cargo::Cargo, cell::Over, certificate::Certificate, load::Protocol, peers};

#[derive(Args, Clone, Default)]
#[group(skip)] // its name is that of the options around it
pub(crate) struct Options {
    /// Measure other libraries, too: builds bench/peers and installs `ws` for Node
    #[arg(long)]
    pub(crate) peers: bool,
    /// An echo server on uWebSockets, built from bench/peers/uwebsockets/echo.cpp
    #[arg(long, value_name = "PATH")]
    pub(crate) uws: Option<PathBuf>,
    /// Measure this echo server, run as `PATH ADDR --threads 1`, in place of ours; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) server: Vec<PathBuf>,
    /// The raw TCP echo that the others are compared with [default: this package's, on tokio]
    #[arg(long, value_name = "PATH")]
    pub(crate) raw: Option<PathBuf>,
    /// Only servers with these names, as the tables show them; the raw echo is always there
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// The profile to build with; figures are worth something with `release` alone
    #[arg(long, default_value = "release")]
    pub(crate) profile: String,
}

/// A server to be measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) command: Vec<OsString>,
    pub(crate) protocol: Protocol,
    /// Of the URL that is asked for.
    pub(crate) path: &'static str,
    pub(crate) over: Over,
    /// What is added to the command to have it speak TLS, where it can.
    tls: Option<Vec<OsString>>,
    /// What is added to have it compress, where it can.
    deflate: Option<Vec<OsString>>,
    /// Whether it is there for cells that compress alone.
    only_deflate: bool,
    /// How many threads, and so how many cores, it has.
    pub(crate) threads: usize,
}

impl Server {
    pub(crate) fn new(name: &str, program: &Path, arguments: &[&str]) -> Server {
        let command =
            [program.as_os_str().to_owned()].into_iter().chain(arguments.iter().map(OsString::from)).collect();
        Server {
            name: name.into(),
            command,
            protocol: Protocol::WebSocket,
            path: "/",
            over: Over::default(),
            tls: None,
            deflate: None,
            only_deflate: false,
            threads: 1,
        }
    }

    /// A floor: what is compressed for others it returns as it is.
    pub(crate) fn raw(name: &str, program: &Path) -> Server {
        Server { protocol: Protocol::Raw, ..Server::new(name, program, ON_ANY_PORT) }.compresses(&[])
    }

    /// It can compress, when these are added to its command.
    fn compresses(self, arguments: &[&str]) -> Server {
        Server { deflate: Some(arguments.iter().map(OsString::from).collect()), ..self }
    }

    /// It can speak TLS, when these are added to its command.
    fn secures(self, arguments: impl IntoIterator<Item = OsString>) -> Server {
        Server { tls: Some(arguments.into_iter().collect()), ..self }
    }

    /// The same server as a cell wants it, if it can do that.
    pub(crate) fn over(&self, over: Over) -> Option<Server> {
        let mut server = Server { over, ..self.clone() };
        if self.only_deflate && !over.deflate {
            return None;
        }
        if over.tls {
            server.command.extend(self.tls.clone()?);
        }
        if over.deflate {
            server.command.extend(self.deflate.clone()?);
        }
        Some(server)
    }
}

/// The product as it comes, on a thread of its own and a port of its choice.
pub(crate) fn serve_alone(profile: &str) -> Result<Server> {
    let cargo = Cargo { profile: profile.to_owned() };
    Ok(Server::new(SERVE, &cargo.product()?, &["serve", "--listen=127.0.0.1:0", "--threads=1", "--log-level=error"]))
}

impl Options {
    pub(crate) fn cargo(&self) -> Cargo {
        Cargo { profile: self.profile.clone() }
    }

    /// The raw echo first, with which the others are compared.
    pub(crate) fn echo_servers(&self) -> Result<Vec<Server>> {
        let cargo = self.cargo();
        let mut servers = Vec::new();
        match &self.raw {
            Some(path) => servers.push(Server::raw("raw", path)),
            None => {
                let Certificate { chain, key } = Certificate::made()?;
                let raw = Server::raw("raw", &cargo.own("raw_echo")?);
                servers.push(raw.secures(["--tls".into(), chain.into(), key.into()]));
            }
        }
        if self.server.is_empty() {
            servers.push(Server::raw("raw mio", &cargo.own("raw_mio")?));
        }
        servers.extend(self.every_websocket_server()?);
        if self.server.is_empty() {
            servers.extend(self.variants()?);
        }
        let raw = servers.remove(0);
        let mut chosen = self.chosen(servers)?;
        chosen.insert(0, raw);
        Ok(chosen)
    }

    /// Ours in other ways than their defaults: on two threads, and compressing as hard as zlib does by default.
    fn variants(&self) -> Result<Vec<Server>> {
        let two = ["127.0.0.1:0", "--threads", "2"];
        let two = Server::new("openline (2 threads)", &self.cargo().example("echo_server")?, &two);
        let level_6 = self.serve(&format!("{SERVE} (level 6)"), "/test")?.compresses(&["--compression-level=6"]);
        Ok(vec![Server { threads: 2, ..two }, Server { only_deflate: true, ..level_6 }])
    }

    /// Those of them that were asked for.
    fn chosen(&self, mut servers: Vec<Server>) -> Result<Vec<Server>> {
        if let Some(unknown) = self.only.iter().find(|name| !servers.iter().any(|server| server.name == **name)) {
            let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
            bail!("there is no {unknown:?}; there are: {}", names.join(", "));
        }
        if !self.only.is_empty() {
            servers.retain(|server| self.only.contains(&server.name));
        }
        Ok(servers)
    }

    /// Without the floors.
    pub(crate) fn websocket_servers(&self) -> Result<Vec<Server>> {
        self.chosen(self.every_websocket_server()?)
    }

    fn every_websocket_server(&self) -> Result<Vec<Server>> {
        let cargo = self.cargo();
        let mut servers: Vec<Server> = Vec::new();
        for path in &self.server {
            let name = name(path, servers.iter().map(|server| server.name.as_str()));
            servers.push(Server::new(&name, path, ON_ANY_PORT));
        }
        if servers.is_empty() {
            servers.push(Server::new("openline", &cargo.example("echo_server")?, ON_ANY_PORT).compresses(&[]));
            servers.push(self.serve(SERVE, "/test")?);
        }
        if let Some(path) = &self.uws {
            let Certificate { chain, key } = Certificate::made()?;
            let uws = Server::new("uWebSockets", path, ON_ANY_PORT).compresses(&["--deflate"]);
            servers.push(uws.secures(["--tls".into(), chain.into(), key.into()]));
        }
        if self.peers {
            for (name, path) in peers::build(&self.profile)? {
                servers.push(Server::new(name, &path, ON_ANY_PORT));
            }
            let node = Server { command: peers::node()?, ..Server::new("ws (Node)", Path::new("node"), &[]) };
            servers.push(node.compresses(&["--deflate"]));
        }
        Ok(servers)
    }

    /// The product over all that it can be over, if it is among those that were asked for.
    pub(crate) fn serve_over(&self) -> Result<Vec<Server>> {
        if !self.server.is_empty() || !(self.only.is_empty() || self.only.iter().any(|name| name == SERVE)) {
            return Ok(Vec::new());
        }
        let serve = self.serve(SERVE, "/test")?;
        let over = |name: &str, tls, deflate| {
            let mut server = serve.over(Over { tls, deflate })?;
            server.name = format!("{SERVE}, {name}");
            // Thousands of TLS handshakes take longer than the time after which the first line would be pinged.
            server.command.push("--ping-interval=10m".into());
            Some(server)
        };
        let all = [over("deflate", false, true), over("wss", true, false), over("wss, deflate", true, true)];
        let mut session = self.serve(SESSION, SESSION_PATH)?;
        // Nor is a session pinged meanwhile.
        session.command.splice(0..0, ["env".into(), "OPENLINE_CLIENT_PING_INTERVAL=10m".into()]);
        Ok(all.into_iter().flatten().chain([session]).collect())
    }

    /// The product, with room for every cell.
    pub(crate) fn serve(&self, name: &str, path: &'static str) -> Result<Server> {
        let arguments = [
            "serve",
            "--listen=127.0.0.1:0",
            "--threads=1",
            "--max-connections=1000000",
            "--max-message-bytes=32MiB",
            "--max-frame-bytes=32MiB",
            "--max-output-bytes=64MiB",
            "--log-level=error",
        ];
        let server = Server { path, ..Server::new(name, &self.cargo().product()?, &arguments) };
        let Certificate { chain, key } = Certificate::made()?;
        let file = |flag: &str, path: PathBuf| [flag.into(), path.into()];
        Ok(server.compresses(&[]).secures([file("--tls-cert", chain), file("--tls-key", key)].concat()))
    }
}

/// What the tables call a session of the Centrifuge protocol with one subscription.
pub(crate) const SESSION: &str = "openline serve, session";

/// Where it is.
pub(crate) const SESSION_PATH: &str = "/connection/websocket";

/// What the tables call the product.
const SERVE: &str = "openline serve";

/// The name of the file, numbered if another server has it: two builds of one program are often compared.
fn name<'a>(path: &Path, taken: impl Iterator<Item = &'a str>) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    match taken.filter(|name| name.split('#').next() == Some(&stem)).count() {
        0 => stem,
        others => format!("{stem}#{}", others + 1),
    }
}

/// One address, a port of its choice, one thread.
pub(crate) const ON_ANY_PORT: &[&str] = &["127.0.0.1:0", "--threads", "1"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_builds_of_one_server_are_told_apart() {
        let mut names = vec!["raw".to_owned()];
        for path in ["old/echo_server", "new/echo_server", "newer/echo_server", "echo"] {
            names.push(name(Path::new(path), names.iter().map(String::as_str)));
        }
        assert_eq!(names, ["raw", "echo_server", "echo_server#2", "echo_server#3", "echo"]);
    }
}
