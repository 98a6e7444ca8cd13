//! `openline connect`: a line from the shell. Lines of stdin become messages, messages become lines of stdout.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, BufRead, IsTerminal, Read};
use std::path::PathBuf;
use std::task::Poll;
use std::time::Duration;

use openline::proto::handshake::{Origin, Subprotocol};
use openline::tls::TlsError;
use openline::{
    Client, ClientStream, CloseCode, Closed, ConnectError, Error, Message, Proxy, Receiver, Sender, WebSocket,
};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};

use super::signals::Signals;
use super::trust::{self, Trust};
use super::units::{self, ConnectTo, Resolve};
use super::{fail, say};
use crate::exit::Exit;

/// Open a line to a WebSocket: type to send, and read what comes
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// ws://HOST:PORT/PATH; for this machine :PORT/PATH and localhost:PORT/PATH will do
    #[arg(value_parser = units::url)]
    url: String,

    /// Offer this subprotocol; may be repeated, the first is preferred
    #[arg(short, long, value_name = "NAME", value_parser = units::subprotocol)]
    subprotocol: Vec<Subprotocol>,

    /// Send this header field with the request; may be repeated
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = units::header)]
    header: Vec<(String, String)>,

    /// Claim to be a page of this origin
    #[arg(long, value_name = "ORIGIN", value_parser = units::origin)]
    origin: Option<Origin>,

    /// Log in with a user name and a password, as user:password@ in the URL does
    #[arg(short, long, value_name = "USER:PASSWORD", value_parser = units::user)]
    user: Option<(String, String)>,

    /// Follow redirects, up to 50; never from wss to ws, and to another origin without credentials
    #[arg(short = 'L', long)]
    location: bool,

    /// Go through this proxy: http://, https://, socks5:// or socks5h://, with user:password@ if it wants them. Otherwise the
    /// environment names one: wss_proxy, https_proxy, ws_proxy, http_proxy, all_proxy and no_proxy
    #[arg(short = 'x', long, value_name = "URL", help_heading = WAY)]
    proxy: Option<Proxy>,

    /// Connect to this address for this host and port; may be repeated
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR]...", value_parser = units::resolve, help_heading = WAY)]
    resolve: Vec<Resolve>,

    /// Connect to HOST2:PORT2 in the place of HOST1:PORT1; each may be left out; may be repeated
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2", value_parser = units::connect_to, help_heading = WAY)]
    connect_to: Vec<ConnectTo>,

    /// Connect to this Unix socket
    #[arg(long, value_name = "PATH", help_heading = WAY)]
    unix_socket: Option<PathBuf>,

    #[command(flatten)]
    trust: Trust,

    /// Send binary messages, and write those that come to stdout as they are, with nothing between them
    #[arg(short, long)]
    binary: bool,

    /// After stdin has ended, wait until nothing came for this long, then close
    #[arg(short, long, value_name = "TIME", default_value = "1s", value_parser = units::duration)]
    wait: Duration,

    /// The line must be open within this time
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::time)]
    timeout: Duration,

    /// Longest message taken; over it the line is closed with 1009
    #[arg(long, value_name = "BYTES", default_value = "16MiB", value_parser = units::bytes)]
    max_message_bytes: u64,
}

const WAY: &str = "Ways";

const AFTER_HELP: &str = "\
What goes where:
  Each line of stdin is sent as a text message, without its end of line. Each
  text message that comes is a line on stdout, each binary one a line of hex
  that begins with 0x; but see --binary. All else goes to stderr.

How it ends:
  The line is closed when stdin has ended and nothing came for --wait (1000), or
  with Ctrl-C (1001). stderr says how it ended. The exit code is 0 after a clean
  end with 1000, 1001 or no code; openline --help lists the others.

Examples:
  openline connect :8080/test
  echo hi | openline connect :8080/test
  openline connect ws://localhost:8080/chat --subprotocol chat
  openline connect :8080/increment -s dumb-increment-protocol | head -n 5
  openline connect wss://example.com/ -H 'Authorization: Bearer TOKEN'
  openline connect wss://intranet.example/ --cacert company-ca.pem --proxy http://proxy:3128";

pub(super) async fn run(args: Args) -> Exit {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(Exit::Failure, format_args!("cannot wait for signals: {error}")),
    };
    let client = match client(&args) {
        Ok(client) => client,
        Err(error) => return fail(Exit::Usage, format_args!("{error}")),
    };
    let opened = tokio::select! {
        opened = client.connect(&args.url) => opened,
        _ = signals.next() => return Exit::Interrupted,
    };
    match opened {
        Ok((socket, _)) => {
            match socket.subprotocol() {
                Some(subprotocol) => say(format_args!("open, with subprotocol {subprotocol}")),
                None => say(format_args!("open")),
            }
            talk(socket, args, signals).await
        }
        Err(error) => not_opened(&error),
    }
}

fn client(args: &Args) -> Result<Client, TlsError> {
    /// As many as curl follows.
    const MAX_REDIRECTS: usize = 50;
    let config = openline::Config {
        max_message_bytes: args.max_message_bytes,
        max_frame_bytes: args.max_message_bytes,
        ..openline::Config::default()
    };
    let mut client = Client::new().config(config).timeout(args.timeout);
    for name in &args.subprotocol {
        client = client.subprotocol(name);
    }
    for (name, value) in &args.header {
        client = client.header(name, value);
    }
    if let Some(origin) = &args.origin {
        client = client.origin(&origin.to_string());
    }
    if let Some((user, password)) = &args.user {
        client = client.basic_auth(user, password);
    }
    if args.location {
        client = client.follow_redirects(MAX_REDIRECTS);
    }
    if let Some(proxy) = &args.proxy {
        client = client.proxy(proxy.clone());
    }
    for Resolve { host, port, addresses } in &args.resolve {
        client = client.resolve(host, *port, addresses.iter().copied());
    }
    for ConnectTo { from, to } in &args.connect_to {
        client = client.connect_to((from.0.as_deref(), from.1), (to.0.as_deref(), to.1));
    }
    if let Some(path) = &args.unix_socket {
        client = client.unix_socket(path);
    }
    // The platform's roots are read only for those who may need them.
    let may_need_tls = trust::is_needed(&args.url) || args.location;
    let is_proxy_secure = args.proxy.as_ref().is_some_and(|proxy| proxy.to_string().starts_with("https:"));
    if may_need_tls || args.trust.says_something() || is_proxy_secure {
        client = client.tls(args.trust.connector()?);
    }
    Ok(client)
}

fn not_opened(error: &ConnectError) -> Exit {
    match error {
        ConnectError::Refused(refused) => {
            let mut answer = String::new();
            for (name, value) in &refused.headers {
                answer.push_str(&format!("\n  {name}: {}", String::from_utf8_lossy(value.as_bytes())));
            }
            let body = String::from_utf8_lossy(&refused.body);
            fail(Exit::Refused, format_args!("{error}{}\n\n{}", printable(&answer), printable(body.trim_end())))
        }
        ConnectError::Head(_) | ConnectError::Response(_) | ConnectError::Redirect { .. } => {
            fail(Exit::Refused, format_args!("{error}"))
        }
        ConnectError::Url(_) | ConnectError::TlsMissing | ConnectError::Setting(_) | ConnectError::Reserved(_) => {
            fail(Exit::Usage, format_args!("{error}"))
        }
        _ => fail(Exit::CannotConnect, format_args!("{error}")),
    }
}

/// Sends and receives at the same time: two sides that each wait for the other to read would wait for ever.
async fn talk(socket: WebSocket<ClientStream>, args: Args, mut signals: Signals) -> Exit {
    let (mut sender, mut receiver) = socket.split();
    let last_heard = Cell::new(Instant::now());
    let trouble = Cell::new(None);
    let nobody_reads = Notify::new();

    let sending = async {
        let talking = async {
            trouble.set(send_lines(&mut sender, args.binary).await.err());
            until_quiet(&last_heard, args.wait).await;
        };
        let code = tokio::select! {
            () = talking => CloseCode::NORMAL,
            () = nobody_reads.notified() => CloseCode::GOING_AWAY,
            _ = signals.next() => {
                say(format_args!("closing with 1001; a second Ctrl-C exits at once"));
                CloseCode::GOING_AWAY
            }
        };
        // What became of it, the receiver hears.
        let _ = sender.close(code).await;
        signals.next().await;
        Exit::Interrupted
    };
    let receiving = async {
        let received = receive(&mut receiver, args.binary, &last_heard, &nobody_reads).await;
        ended(received, receiver.closed().as_ref())
    };
    tokio::select! {
        exit = receiving => trouble.take().unwrap_or(exit),
        exit = sending => exit,
    }
}

async fn send_lines(sender: &mut Sender<ClientStream>, binary: bool) -> Result<(), Exit> {
    let mut lines = stdin_lines();
    let mut number = 0;
    while let Some(line) = lines.recv().await {
        number += 1;
        let line = match line {
            Ok(line) => line,
            Err(error) => return Err(fail(Exit::Failure, format_args!("cannot read stdin, line {number}: {error}"))),
        };
        let sent = if binary {
            sender.send(line).await
        } else {
            match String::from_utf8(line) {
                Ok(line) => sender.send(line).await,
                Err(_) => {
                    return Err(fail(
                        Exit::Failure,
                        format_args!("line {number} of stdin is not UTF-8, and a text message has to be; see --binary"),
                    ));
                }
            }
        };
        if sent.is_err() {
            // The line closes, or broke: the receiver says how.
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}

/// Lines as they come, without their ends, from a thread of its own: nothing else can wait for stdin, and not be kept
/// from exiting by it.
fn stdin_lines() -> mpsc::Receiver<io::Result<Vec<u8>>> {
    /// Whoever types more than this into one line has not typed it.
    const MAX_LINE_BYTES: u64 = 64 << 20;
    // A few lines ahead of the network, so that a big file is not read into memory.
    let (lines, received) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let read = match stdin.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(read) if read as u64 == MAX_LINE_BYTES => Err(io::Error::other("it is longer than 64 MiB")),
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            if line.last() == Some(&b'\n') {
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
            }
            let is_over = read.is_err();
            if lines.blocking_send(read.map(|()| line)).is_err() || is_over {
                return;
            }
        }
    });
    received
}

/// Waits for the answers to the last lines: until nothing came for `wait`.
async fn until_quiet(last_heard: &Cell<Instant>, wait: Duration) {
    let mut since = Instant::now();
    loop {
        sleep_until(since + wait).await;
        if last_heard.get() <= since {
            return;
        }
        since = last_heard.get();
    }
}

async fn receive(
    receiver: &mut Receiver<ClientStream>,
    binary: bool,
    last_heard: &Cell<Instant>,
    nobody_reads: &Notify,
) -> Result<(), Error> {
    /// What is written at once, if it came at once.
    const BATCH_BYTES: usize = 64 << 10;
    let is_terminal = io::stdout().is_terminal();
    let mut stdout = tokio::io::stdout();
    let mut batch = Vec::new();
    loop {
        let next = poll_fn(|cx| match receiver.poll_recv(cx) {
            Poll::Pending if !batch.is_empty() => Poll::Ready(None),
            next => next.map(Some),
        });
        let end = match next.await {
            Some(Ok(Some(message))) => {
                last_heard.set(Instant::now());
                show(&message, binary, is_terminal, &mut batch);
                if batch.len() < BATCH_BYTES {
                    continue;
                }
                None
            }
            Some(Ok(None)) => Some(Ok(())),
            Some(Err(error)) => Some(Err(error)),
            None => None,
        };
        let written = async {
            stdout.write_all(&batch).await?;
            stdout.flush().await
        };
        let written = written.await;
        if let Some(end) = end {
            return end;
        }
        if written.is_err() {
            // `| head` has seen enough. The rest is received, so that the closing handshake comes through.
            nobody_reads.notify_one();
            while receiver.recv().await?.is_some() {}
            return Ok(());
        }
        batch.clear();
    }
}

fn show(message: &Message, raw_binary: bool, is_terminal: bool, out: &mut Vec<u8>) {
    match (message, message.as_text()) {
        // A message may not move the cursor, or answer for the person.
        (_, Some(text)) if is_terminal => out.extend(printable(text).bytes()),
        (_, Some(text)) => out.extend(text.bytes()),
        (message, None) if raw_binary => return out.extend(message.as_bytes()),
        (message, None) => {
            out.extend(b"0x");
            for byte in message.as_bytes() {
                out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
            }
        }
    }
    out.push(b'\n');
}

/// Control characters, which a terminal obeys, as escapes that it shows. Line feeds and tabs are harmless.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Says how it ended, and judges it.
fn ended(received: Result<(), Error>, closed: Option<&Closed>) -> Exit {
    match received {
        Ok(()) => {
            let Some(closed) = closed else { return Exit::Ok };
            let code = closed.code();
            let name = CloseCode::try_from(code).ok().and_then(|code| code.name());
            let name = name.map_or(String::new(), |name| format!(" {name}"));
            let reason = printable(closed.reason());
            let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
            match code {
                1005 => say(format_args!("closed, without a code")),
                code => say(format_args!("closed with {code}{name}{reason}")),
            }
            // §7.4.1: the peer is done, goes away, or does not say. All else reports that something is wrong.
            if matches!(code, 1000 | 1001 | 1005) { Exit::Ok } else { Exit::EndedBadly }
        }
        Err(error @ Error::Protocol(_)) => fail(Exit::Protocol, format_args!("{error}")),
        Err(error) => fail(Exit::EndedBadly, format_args!("{error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(message: impl Into<Message>, raw_binary: bool, is_terminal: bool) -> Vec<u8> {
        let mut out = Vec::new();
        show(&message.into(), raw_binary, is_terminal, &mut out);
        out
    }

    #[test]
    fn a_pipe_gets_what_came_and_a_terminal_what_is_safe() {
        assert_eq!(shown(Message::Text("a\u{1b}[2Jb".into()), false, false), b"a\x1b[2Jb\n");
        assert_eq!(shown(Message::Text("a\u{1b}[2Jb".into()), false, true), b"a\\u{1b}[2Jb\n");
        assert_eq!(shown(Message::Binary(b"\x00\xffh".to_vec().into()), false, false), b"0x00ff68\n");
        assert_eq!(shown(Message::Binary(b"\x00\xffh".to_vec().into()), true, false), b"\x00\xffh");
        assert_eq!(shown(Message::Text("hi".into()), true, false), b"hi\n");
    }
}
