//! What is where, said in flags: a folder, other servers, programs, services.

use std::fmt::Display;
use std::path::PathBuf;

use crate::hosting::{Address, Exec, Files, InvalidUpstream, Proxy, Redirect, Respond, Route, Tcp, Upstream, What};

const WHAT: &str = "What is where (instead of the demo)";

/// Each is one route, and with any of them there is no demo.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct RouteArgs {
    /// Serve the files of this folder at /
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,

    /// Serve the files of another folder at this path and below; may be repeated
    #[arg(help_heading = WHAT, long = "static", value_name = "PATH=FOLDER")]
    files: Vec<String>,

    /// Pass plain HTTP and WebSockets on to another server, at this path and below: /=http://127.0.0.1:3000,
    /// /app=wss://app.internal, /api=unix:/run/api.sock. A path behind the address, even /, takes the place of PATH. Several with
    /// the same PATH share the work. May be repeated
    #[arg(help_heading = WHAT, long, value_name = "PATH=URL")]
    proxy: Vec<String>,

    /// Run a program for each line: /count=./count.sh, /log="./log.sh --all". Its arguments follow, as a shell would split them;
    /// no shell is there. May be repeated
    #[arg(help_heading = WHAT, long, value_name = "PATH=COMMAND")]
    exec: Vec<String>,

    /// Carry a TCP service, or one at a Unix socket: /vnc=127.0.0.1:5900, /db=unix:/run/db.sock. May be repeated
    #[arg(help_heading = WHAT, long, value_name = "PATH=ADDRESS")]
    tcp: Vec<String>,

    /// Redirect: /old=/new, /docs=https://docs.example.com/. May be repeated
    #[arg(help_heading = WHAT, long, value_name = "PATH=ADDRESS")]
    redirect: Vec<String>,

    /// Answer with a text: /health=well. May be repeated
    #[arg(help_heading = WHAT, long, value_name = "PATH=TEXT")]
    respond: Vec<String>,

    /// Send every message back: /echo. May be repeated
    #[arg(help_heading = WHAT, long, value_name = "PATH")]
    echo: Vec<String>,

    /// Let other machines use what --exec, --tcp and --proxy lead to, whoever they are: without a login, without a certificate
    #[arg(help_heading = WHAT, long)]
    pub(super) allow_public_backends: bool,
}

impl RouteArgs {
    pub(super) fn routes(&self) -> Result<Vec<Route>, String> {
        let mut routes = Vec::new();
        let mut add =
            |flag: &str, said: &[String], what: &dyn Fn(&str) -> Result<What, String>| -> Result<(), String> {
                for said in said {
                    let wrong = |why: &str| format!("--{flag} {said:?}: {why}");
                    let (path, rest) = said.split_once('=').ok_or_else(|| wrong("say where, and what: /path=..."))?;
                    if rest.is_empty() {
                        return Err(wrong("nothing follows the ="));
                    }
                    routes.push(Route::new(path, what(rest).map_err(|why| wrong(&why))?));
                }
                Ok(())
            };
        add("static", &self.files, &|folder| Ok(What::Files(Files::new(folder))))?;
        add("exec", &self.exec, &|command| Exec::parse(command).map(What::Exec))?;
        let mut proxies: Vec<(&str, Vec<Upstream>)> = Vec::new();
        for said in &self.proxy {
            let wrong = |why: &dyn Display| format!("--proxy {said:?}: {why}");
            let (path, url) =
                said.split_once('=').ok_or_else(|| wrong(&"say where, and what: /path=http://127.0.0.1:3000"))?;
            let upstream = url.parse().map_err(|error: InvalidUpstream| wrong(&error))?;
            match proxies.iter_mut().find(|(other, _)| *other == path) {
                Some((_, upstreams)) => upstreams.push(upstream),
                None => proxies.push((path, vec![upstream])),
            }
        }
        add("tcp", &self.tcp, &|address| match address.parse::<Address>() {
            Ok(address) => Ok(What::Tcp(Tcp::to(address))),
            Err(error) => Err(error.to_string()),
        })?;
        add("redirect", &self.redirect, &|to| Redirect::new(to).map(What::Redirect))?;
        add("respond", &self.respond, &|text| Ok(What::Respond(Respond::text(text))))?;
        let proxies =
            proxies.into_iter().map(|(path, upstreams)| (path, What::Proxy(Box::new(Proxy::to_any(upstreams)))));
        routes.extend(proxies.map(|(path, what)| Route::new(path, what)));
        routes.extend(self.echo.iter().map(|path| Route::new(path, What::Echo)));
        if let Some(folder) = &self.folder {
            routes.push(Route::new("/", What::Files(Files::new(folder))));
        }
        Ok(routes)
    }
}
