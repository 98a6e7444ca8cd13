//! Each proxy: how it is told to pass WebSockets on to one address, on one thread, and how it is started.

use std::{
    ffi::OsString,
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::{child::Running, servers::Server};

/// What the load meets first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Front {
    /// `openline serve`, and nothing behind it.
    Itself,
    /// `openline serve --proxy`: message by message.
    Messages,
    /// The same, byte by byte.
    Tunnel,
    Nginx,
    Haproxy,
    Caddy,
}

/// A proxy that listens; its configuration goes with it.
pub(super) struct Started {
    pub(super) running: Running,
    pub(super) address: SocketAddr,
}

impl Front {
    pub(super) const ALL: [Front; 6] =
        [Front::Itself, Front::Messages, Front::Tunnel, Front::Nginx, Front::Haproxy, Front::Caddy];

    pub(super) fn name(self) -> &'static str {
        match self {
            Front::Itself => "openline serve, /test",
            Front::Messages => "openline serve --proxy",
            Front::Tunnel => "openline serve, tunnel",
            Front::Nginx => "nginx",
            Front::Haproxy => "haproxy",
            Front::Caddy => "caddy",
        }
    }

    /// What the load asks it for.
    pub(super) fn server(self) -> Server {
        let mut server = Server::new(self.name(), Path::new(""), &[]);
        server.path = "/test";
        server
    }

    /// Starts it; ours is at `product`.
    pub(super) fn start(self, product: &Path, behind: SocketAddr) -> Result<Started> {
        let folder = std::env::temp_dir().join(format!("openline-bench-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let file = |name: &str, text: String| -> Result<OsString> {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path.into())
        };
        let ours = |more: &[OsString]| -> Result<Started> {
            let flags = [
                "serve",
                "--listen=127.0.0.1:0",
                "--threads=1",
                "--max-connections=1000000",
                "--admin=off",
                "--log-level=error",
            ];
            let command: Vec<OsString> =
                [product.into()].into_iter().chain(flags.map(OsString::from)).chain(more.iter().cloned()).collect();
            let (running, address) = Running::server(&command)?;
            Ok(Started { running, address })
        };
        // Theirs do not say which port they got.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let theirs = |program: &str, arguments: Vec<OsString>| -> Result<Started> {
            let mut command = Command::new(program);
            let running = Running::start(command.args(arguments).env("GOMAXPROCS", "1").env("HOME", &folder))?;
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            listens(address).with_context(|| format!("{program} does not listen"))?;
            Ok(Started { running, address })
        };
        match self {
            Front::Itself => ours(&[]),
            Front::Messages => ours(&["--proxy".into(), format!("/test=ws://{behind}/").into()]),
            Front::Tunnel => {
                let text = format!("[[route]]\npath = \"/test\"\nproxy = \"ws://{behind}/\"\ntunnel = true\n");
                ours(&["--config".into(), file("openline.toml", text)?])
            }
            Front::Nginx => {
                let home = folder.display();
                let text = format!(
                    "daemon off; master_process off; pid {home}/nginx.pid; error_log stderr crit; worker_rlimit_nofile 200000;\n\
                     events {{ worker_connections 100000; }}\nhttp {{\n  access_log off;\n\
                     client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;\n\
                     server {{ listen 127.0.0.1:{port} backlog=4096; location /test {{ proxy_pass http://{behind}/; proxy_http_version 1.1;\n\
                     proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\"; proxy_set_header Host $host; }} }}\n}}\n"
                );
                theirs(
                    "nginx",
                    vec![
                        "-e".into(),
                        "stderr".into(),
                        "-p".into(),
                        folder.clone().into(),
                        "-c".into(),
                        file("nginx.conf", text)?,
                    ],
                )
            }
            Front::Haproxy => {
                let text = format!(
                    "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
                     timeout tunnel 1h\nfrontend in\n  bind 127.0.0.1:{port}\n  http-request set-path /\n  default_backend out\nbackend out\n  server one {behind}\n"
                );
                theirs("haproxy", vec!["-db".into(), "-q".into(), "-f".into(), file("haproxy.cfg", text)?])
            }
            Front::Caddy => {
                let text = format!(
                    "{{\n  admin off\n  auto_https off\n  log {{\n    level ERROR\n  }}\n}}\nhttp://127.0.0.1:{port} {{\n  rewrite * /\n  reverse_proxy {behind}\n}}\n"
                );
                let arguments = ["run", "--adapter", "caddyfile", "--config"].map(OsString::from);
                theirs("caddy", arguments.into_iter().chain([file("Caddyfile", text)?]).collect())
            }
        }
    }
}

/// Waits until somebody does.
fn listens(address: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        ensure!(Instant::now() < deadline, "nobody listens on {address} after 10 s");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
