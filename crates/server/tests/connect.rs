//! `openline connect`, the real program: what goes through it, how it ends, and what it says about it.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]
#![cfg(unix)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::signal::Signal::SIGINT;
use openline::{CloseCode, Listener, Message, WebSocket, handshake::ServerHandshake};
use openline_server::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::support::{PATIENCE, Program, openline, start};

/// Runs to the end with this on stdin: exit code, stdout, stderr.
async fn run(args: &[&str], stdin: &[u8]) -> (i32, Vec<u8>, String) {
    let mut program = Program::start(openline(&[&["connect"], args].concat()));
    let mut input = program.child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    let typing = tokio::spawn(async move { drop(input.write_all(&stdin).await) });
    let mut out = Vec::new();
    timeout(PATIENCE, program.stdout.read_to_end(&mut out)).await.expect("ends in time").unwrap();
    let (code, _, err) = program.end().await;
    typing.await.unwrap();
    (code, out, err)
}

/// A server for one line, and what it does with it.
async fn serve_one<F>(serve: impl FnOnce(WebSocket) -> F + Send + 'static) -> (String, JoinHandle<F::Output>)
where
    F: Future<Output: Send> + Send + 'static,
{
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let opening = listener.accept().await.unwrap().request().await.unwrap();
        serve(opening.accept(&ServerHandshake::default()).await.unwrap()).await
    });
    (url, served)
}

/// A server that reads one request and answers with these bytes.
async fn answer_one(answer: &'static [u8]) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer).await.unwrap();
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
        String::from_utf8(request).unwrap()
    });
    (address, served)
}

#[tokio::test]
async fn a_pipe_prints_the_reply_and_is_done() {
    let server = start(Config::default()).await;
    for url in [format!("ws://{}/test", server.address), format!("{}/test", server.address)] {
        let (code, out, err) = run(&[&url], b"hi\n").await;
        assert_eq!((code, out.as_slice()), (0, &b"hi\n"[..]), "{err}");
        assert_eq!(err, "openline: open\nopenline: closed with 1000 Normal Closure\n");
    }
    let url = format!(":{}/test", server.address.port());
    let (code, out, _) = run(&[&url], "zwölf\r\n\nthe last line has no end".as_bytes()).await;
    assert_eq!((code, String::from_utf8(out).unwrap().as_str()), (0, "zwölf\n\nthe last line has no end\n"));
}

#[tokio::test]
async fn a_big_pipe_goes_both_ways_at_once() {
    let server = start(Config::default()).await;
    let lines: String = (0..20_000).map(|number| format!("{number:>500}\n")).collect();
    let (code, out, err) = run(&[&format!("ws://{}/test", server.address)], lines.as_bytes()).await;
    assert_eq!(code, 0, "{err}");
    assert!(out == lines.as_bytes(), "{} of {} bytes came back", out.len(), lines.len());
}

#[tokio::test]
async fn a_slow_reply_is_waited_for() {
    let (url, _served) = serve_one(|mut socket| async move {
        let message = socket.recv().await.unwrap().unwrap();
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            socket.send(&message).await.unwrap();
        }
        while socket.recv().await.unwrap().is_some() {}
    })
    .await;
    let (code, out, _) = run(&[&url, "--wait", "800ms"], b"hi\n").await;
    assert_eq!((code, out.as_slice()), (0, &b"hi\nhi\nhi\n"[..]));
}

#[tokio::test]
async fn messages_come_out_as_documented() {
    let send = |mut socket: WebSocket| async move {
        socket.send("text").await.unwrap();
        socket.send(&b"\x00\xffx"[..]).await.unwrap();
        while socket.recv().await.unwrap().is_some() {}
    };
    let (url, _served) = serve_one(send).await;
    let (_, out, _) = run(&[&url, "--wait", "300ms"], b"").await;
    assert_eq!(out, b"text\n0x00ff78\n");
    let (url, _served) = serve_one(send).await;
    let (_, out, _) = run(&[&url, "--wait", "300ms", "--binary"], b"").await;
    assert_eq!(out, b"text\n\x00\xffx");
}

#[tokio::test]
async fn lines_go_in_as_documented() {
    let receive = |mut socket: WebSocket| async move {
        let message = socket.recv().await.unwrap();
        while socket.recv().await.unwrap().is_some() {}
        message
    };
    let (url, served) = serve_one(receive).await;
    run(&[&url, "--wait", "0"], b"text\n").await;
    assert_eq!(served.await.unwrap(), Some(Message::Text("text".into())));

    let (url, served) = serve_one(receive).await;
    run(&[&url, "--wait", "0", "--binary"], b"\xff\x00\n").await;
    assert_eq!(served.await.unwrap(), Some(Message::Binary(b"\xff\0".to_vec().into())));

    let (url, served) = serve_one(receive).await;
    let (code, _, err) = run(&[&url], b"\xff\n").await;
    assert_eq!(code, 1);
    assert!(err.contains("line 1 of stdin is not UTF-8") && err.contains("--binary"), "{err}");
    assert_eq!(served.await.unwrap(), None);
}

#[tokio::test]
async fn the_request_is_what_was_asked_for() {
    let (address, served) = answer_one(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let url = format!("ws://{address}/path?query");
    let flags =
        ["-s", "one", "--subprotocol", "two", "-H", "Authorization: Bearer x", "--origin", "https://example.com"];
    run(&[&[url.as_str()][..], &flags].concat(), b"").await;
    let request = served.await.unwrap().to_ascii_lowercase();
    for line in [
        "get /path?query http/1.1".to_owned(),
        format!("host: {address}"),
        "sec-websocket-protocol: one, two".to_owned(),
        "authorization: bearer x".to_owned(),
        "origin: https://example.com".to_owned(),
    ] {
        assert!(request.contains(&format!("{line}\r\n")), "{line:?} is not in {request}");
    }
}

#[tokio::test]
async fn a_refusal_is_shown_whole() {
    let (address, _served) = answer_one(
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 16\r\n\r\nlog in\x1b[2J first\n",
    )
    .await;
    let (code, out, err) = run(&[&format!("ws://{address}/")], b"lost\n").await;
    assert_eq!((code, out.as_slice()), (5, &b""[..]));
    for said in ["401 Unauthorized", "www-authenticate: Bearer", "log in\\u{1b}[2J first"] {
        assert!(err.contains(said), "{said:?} is not in {err:?}");
    }
}

#[tokio::test]
async fn a_wrong_acceptance_is_a_refusal() {
    let (address, _served) = answer_one(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n",
    )
    .await;
    let (code, _, err) = run(&[&format!("ws://{address}/")], b"").await;
    assert_eq!(code, 5);
    assert!(err.contains("Sec-WebSocket-Accept"), "{err}");
}

#[tokio::test]
async fn nobody_there_is_another_code() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (code, _, err) = run(&[&format!("ws://{free}/")], b"").await;
    assert_eq!((code, err.lines().count()), (4, 1), "{err}");
    assert!(err.starts_with(&format!("error: cannot connect to {free}")), "{err}");

    // Accepts, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", silent.local_addr().unwrap());
    let (code, _, err) = run(&[&url, "--timeout", "200ms"], b"").await;
    assert_eq!((code, err.lines().count()), (4, 1), "{err}");
}

#[tokio::test]
async fn a_wrong_url_is_a_usage_error() {
    for url in ["example.com/x", "http//x", "ftp://example.com", "ws://", "ws://x/#fragment", ""] {
        let (code, _, err) = run(&[url], b"").await;
        assert_eq!(code, 2, "{url:?}: {err}");
        assert!(err.starts_with("error: "), "{url:?}: {err}");
    }
    for wrong in [["-s", "a b"], ["-H", "no colon"], ["-H", "Upgrade: x"], ["-H", "a b: c"]] {
        let (code, _, err) = run(&[&["ws://127.0.0.1:9/"], &wrong[..]].concat(), b"").await;
        assert_eq!(code, 2, "{wrong:?}: {err}");
    }
}

#[tokio::test]
async fn the_end_is_told_and_judged() {
    for (code, reason, exit, said) in [
        (1000, "", 0, "closed with 1000 Normal Closure"),
        (1000, "done", 0, "closed with 1000 Normal Closure: done"),
        (1001, "", 0, "closed with 1001 Going Away"),
        (1011, "", 6, "closed with 1011 Internal Error"),
        (1012, "the server is restarting", 6, "closed with 1012 Service Restart: the server is restarting"),
        (4001, "expired", 6, "closed with 4001: expired"),
        (4001, "\u{1b}[2J", 6, "closed with 4001: \\u{1b}[2J"),
    ] {
        let (url, _served) = serve_one(move |mut socket| async move {
            socket.close(CloseCode::try_from(code).unwrap(), reason).await.unwrap();
        })
        .await;
        // The server ends it: whether stdin has ended does not matter.
        let program = Program::start(openline(&["connect", &url, "--wait", "1h"]));
        let (ended, _, err) = program.end().await;
        assert_eq!(ended, exit, "{code}: {err}");
        assert!(err.contains(said), "{said:?} is not in {err:?}");
    }
}

/// Opens a line by hand, sends these bytes, and hangs up.
async fn open_and_send(bytes: &'static [u8]) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let request = String::from_utf8(request).unwrap();
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = openline::handshake::accept_key(key);
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    (url, served)
}

#[tokio::test]
async fn a_line_that_just_ends_is_no_clean_end() {
    let (url, _served) = open_and_send(b"\x81\x02hi").await;
    let (code, out, err) = run(&[&url], b"").await;
    assert_eq!((code, out.as_slice()), (6, &b"hi\n"[..]));
    assert!(err.contains("1006"), "{err}");
}

#[tokio::test]
async fn a_broken_frame_is_the_peers_fault() {
    let (url, _served) = open_and_send(b"\x81\x02hi\x83\0").await;
    let (code, out, err) = run(&[&url], b"").await;
    assert_eq!((code, out.as_slice()), (7, &b"hi\n"[..]));
    assert!(err.contains("the peer broke the protocol"), "{err}");
}

#[tokio::test]
async fn ctrl_c_closes_the_line() {
    let (url, served) = serve_one(|mut socket| async move {
        socket.send("here").await.unwrap();
        while socket.recv().await.unwrap().is_some() {}
        socket.closed().unwrap().code()
    })
    .await;
    let mut program = Program::start(openline(&["connect", &url]));
    assert_eq!(program.line().await, "here");
    program.signal(SIGINT);
    program.says("a second Ctrl-C exits at once").await;
    assert_eq!(served.await.unwrap(), 1001);
    let (code, _, err) = program.end().await;
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("closed with 1001"), "{err}");
}

#[tokio::test]
async fn a_second_ctrl_c_exits_at_once() {
    let (url, served) = serve_one(|mut socket| async move {
        socket.send("here").await.unwrap();
        // Never reads, and so never answers a Close.
        std::future::pending::<()>().await;
    })
    .await;
    let mut program = Program::start(openline(&["connect", &url]));
    assert_eq!(program.line().await, "here");
    program.signal(SIGINT);
    program.says("closing").await;
    let start = Instant::now();
    program.signal(SIGINT);
    assert_eq!(program.end().await.0, 130);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    served.abort();
}

/// `| head -n 1`
#[tokio::test]
async fn when_nobody_reads_any_more_the_line_is_closed() {
    let server = start(Config::default()).await;
    let url = format!("ws://{}/increment", server.address);
    let Program { mut child, mut stdout, mut stderr } =
        Program::start(openline(&["connect", &url, "-s", "dumb-increment-protocol"]));
    stdout.read_u8().await.unwrap();
    drop(stdout);
    let status = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    let mut err = String::new();
    stderr.read_to_string(&mut err).await.unwrap();
    assert_eq!(status.code(), Some(0), "{err}");
    assert!(err.contains("closed with 1001"), "{err}");
}
