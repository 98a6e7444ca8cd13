//! One connection, told byte by byte: what hyper sees, what it does not, and how each end is answered (RFC 9112).

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::guard::{End, HeadGuard};
use super::visitor::Visitor;
use crate::config::Config;
use crate::hosting::Table;
use crate::knock::Reach;
use crate::site::Site;

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: localhost\r\n";
const UPGRADE: &str = "GET /test HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A connection to its very end, whether it becomes a line or not.
async fn until_closed(stream: DuplexStream, visitor: Visitor, site: Arc<Site>) -> std::io::Result<()> {
    if let Some(line) = super::serve(stream, visitor, site).await? {
        line.await;
    }
    Ok(())
}

/// The other end of a connection that is being served.
fn connect() -> DuplexStream {
    connect_through(1 << 20)
}

fn connect_through(buffer_bytes: usize) -> DuplexStream {
    let (peer, stream) = duplex(buffer_bytes);
    let site = Site::new(Config::default(), Table::default(), None).unwrap();
    tokio::spawn(until_closed(stream, Visitor::new(([127, 0, 0, 1], 1).into(), Reach::Loopback), site));
    peer
}

/// Reads responses until EOF: of each, the status, and whether it says that it is the last.
async fn answers(mut peer: DuplexStream) -> Vec<(u16, bool)> {
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).await.unwrap();
    parse(&bytes)
}

fn parse(mut bytes: &[u8]) -> Vec<(u16, bool)> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
        let head = std::str::from_utf8(&bytes[..end]).unwrap().to_ascii_lowercase();
        let status = head[9..12].parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        answers.push((status, head.contains("\r\nconnection: close")));
        bytes = &bytes[end + length..];
    }
    answers
}

/// What is answered to `bytes` in one piece.
async fn answers_to_whole(bytes: &str) -> Vec<(u16, bool)> {
    let mut peer = connect();
    peer.write_all(bytes.as_bytes()).await.unwrap();
    peer.shutdown().await.unwrap();
    answers(peer).await
}

/// What is answered to `bytes`, however they are cut.
async fn answers_to(bytes: &str) -> Vec<(u16, bool)> {
    let whole = answers_to_whole(bytes).await;
    let mut peer = connect_through(1);
    let (mut from, mut to) = tokio::io::split(&mut peer);
    let mut cut = Vec::new();
    let write = async {
        // Who was refused may hang up before hearing us out.
        let _ = to.write_all(bytes.as_bytes()).await;
        let _ = to.shutdown().await;
    };
    tokio::join!(async { from.read_to_end(&mut cut).await.unwrap() }, write);
    assert_eq!(parse(&cut), whole, "cut into bytes: {bytes:?}");
    whole
}

#[tokio::test(start_paused = true)]
async fn requests_are_answered_one_after_the_other() {
    assert_eq!(answers_to(GET).await, [(200, false)]);
    assert_eq!(answers_to(&GET.repeat(3)).await, [(200, false); 3]);
    assert_eq!(
        answers_to(&format!("{GET}{}{GET}", GET.replace("/ ", "/nowhere "))).await,
        [(200, false), (404, false), (200, false)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_later_head_is_read_as_strictly_as_the_first() {
    for (broken, status) in [
        ("GET / HTTP/1.1\nHost: localhost\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", 505),
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nhal", 400),
    ] {
        assert_eq!(answers_to(broken).await, [(status, true)], "{broken:?}");
        assert_eq!(answers_to(&format!("{GET}{broken}{GET}")).await, [(200, false), (status, true)], "{broken:?}");
    }
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(16 << 10));
    assert_eq!(answers_to(&format!("{GET}{long}")).await, [(200, false), (431, true)]);
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: x\r\n".repeat(100));
    assert_eq!(answers_to(&format!("{GET}{many}")).await, [(200, false), (431, true)]);
}

#[tokio::test(start_paused = true)]
async fn what_the_limits_allow_hyper_allows_too() {
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat((16 << 10) - 50));
    assert_eq!(answers_to(&long).await, [(200, false)]);
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: x\r\n".repeat(99));
    assert_eq!(answers_to(&many).await, [(200, false)]);
}

/// Bodies are followed to their end, and what is in them is no request, whatever it looks like (§11.2).
#[tokio::test(start_paused = true)]
async fn an_upgrade_ends_the_requests_and_keeps_its_bytes() {
    for before in [
        String::new(),
        GET.to_owned(),
        format!("{POST}Content-Length: 3\r\n\r\nabc"),
        format!("{POST}Content-Length: {}\r\n\r\n{UPGRADE}{GET}", UPGRADE.len()),
        format!("{POST}Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"),
        format!("{POST}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{UPGRADE}\r\n0\r\n\r\n{GET}", UPGRADE.len()),
    ] {
        for buffer_bytes in [1, 1 << 16] {
            let (mut peer, stream) = duplex(buffer_bytes);
            let all = format!("{before}{UPGRADE}frames");
            tokio::spawn(async move { peer.write_all(all.as_bytes()).await });
            let mut guard = HeadGuard::new(stream, &Config::default());
            let mut shown = String::new();
            guard.read_to_string(&mut shown).await.unwrap();
            assert_eq!(shown, before);
            let (end, leftover, mut stream) = guard.into_end();
            assert!(matches!(end, Some(End::Upgrade(request)) if request.uri() == "/test"));
            let mut frames = leftover.to_vec();
            stream.read_to_end(&mut frames).await.unwrap();
            assert_eq!(frames, b"frames");
        }
    }
}

/// Nothing of the demo reads a body. hyper answers at once; a body that is here already is dropped and the connection
/// kept, any other ends it, and is not read as requests.
#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_wants_is_not_waited_for() {
    assert_eq!(
        answers_to_whole(&format!("{POST}Content-Length: 5\r\n\r\nhello{GET}")).await,
        [(405, false), (200, false)]
    );
    assert_eq!(answers_to_whole(&format!("{POST}Content-Length: 9999\r\n\r\n{GET}{GET}")).await, [(405, true)]);
    let chunked = format!("{POST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{GET}");
    assert_eq!(answers_to_whole(&chunked).await, [(405, true)]);
}

/// What was answered already is not answered again.
#[tokio::test(start_paused = true)]
async fn a_broken_body_ends_the_connection() {
    let broken = format!("{POST}Transfer-Encoding: chunked\r\n\r\n5\nhello{GET}");
    let mut peer = connect();
    peer.write_all(broken.as_bytes()).await.unwrap();
    let statuses: Vec<_> = answers(peer).await.into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, [405]);
}

/// §9.6
#[tokio::test(start_paused = true)]
async fn nothing_is_read_after_the_last_request() {
    for last in [
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: x, Close\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n",
    ] {
        let statuses: Vec<_> =
            answers_to(&format!("{last}{GET}nonsense")).await.into_iter().map(|(status, _)| status).collect();
        assert_eq!(statuses, [200], "{last:?}");
    }
    let stays = "GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n";
    let statuses: Vec<_> = answers_to(&stays.repeat(2)).await.into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, [200, 200]);
}

async fn answers_and_time(sent: &str) -> (Vec<u16>, Duration) {
    let start = Instant::now();
    let mut peer = connect();
    peer.write_all(sent.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).await.unwrap();
    (parse(&bytes).into_iter().map(|(status, _)| status).collect(), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn everything_has_a_deadline() {
    for (sent, statuses, seconds) in [
        // A connection without a word is closed without one.
        (String::new(), &[][..], 10),
        ("GET / HTT".to_owned(), &[408], 10),
        (GET.to_owned(), &[200], 75),
        (format!("{GET}GET / HTT"), &[200, 408], 10),
        (format!("{POST}Content-Length: 5\r\n\r\nhel"), &[405], 0),
    ] {
        let (answered, time) = answers_and_time(&sent).await;
        assert_eq!(answered, statuses, "{sent:?}");
        let expected = Duration::from_secs(seconds);
        assert!((expected..expected + Duration::from_secs(2)).contains(&time), "{sent:?}: {time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_read_has_a_deadline_too() {
    let (mut peer, stream) = duplex(1 << 16);
    peer.write_all(format!("{POST}Content-Length: 5\r\n\r\nhel").as_bytes()).await.unwrap();
    let start = Instant::now();
    let mut guard = HeadGuard::new(stream, &Config::default());
    let mut shown = String::new();
    guard.read_to_string(&mut shown).await.unwrap();
    assert!(shown.ends_with("\r\n\r\nhel"));
    assert!(matches!(guard.into_end(), (Some(End::Body), _, _)));
    assert_eq!(start.elapsed().as_secs(), 30);
}

/// The deadline of a head counts from its first byte, and not from each of them.
#[tokio::test(start_paused = true)]
async fn dribbling_does_not_help() {
    let start = Instant::now();
    let mut peer = connect();
    peer.write_all(GET.as_bytes()).await.unwrap();
    let (mut from, mut to) = tokio::io::split(peer);
    let dribble = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        while to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(parse(&bytes), [(200, false), (408, true)]);
    assert!((70..73).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    dribble.abort();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_dropped() {
    let (mut peer, stream) = duplex(64);
    let site = Site::new(Config::default(), Table::default(), None).unwrap();
    let served = tokio::spawn(until_closed(stream, Visitor::new(([127, 0, 0, 1], 1).into(), Reach::Loopback), site));
    let start = Instant::now();
    peer.write_all(GET.as_bytes()).await.unwrap();
    served.await.unwrap().ok();
    assert!((30..33).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn waiting_connections_end_with_the_server() {
    let site = Site::new(Config::default(), Table::default(), None).unwrap();
    let open = |site: &Arc<Site>| {
        let (peer, stream) = duplex(1 << 16);
        (
            peer,
            tokio::spawn(until_closed(stream, Visitor::new(([127, 0, 0, 1], 1).into(), Reach::Loopback), site.clone())),
        )
    };
    let (_silent, first) = open(&site);
    let (mut idle, second) = open(&site);
    idle.write_all(GET.as_bytes()).await.unwrap();
    idle.read_exact(&mut [0; 12]).await.unwrap();
    let start = Instant::now();
    site.closing.cancel();
    first.await.unwrap().unwrap();
    drop(idle);
    second.await.unwrap().ok();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_is_asking_when_the_server_ends_is_answered() {
    let site = Site::new(Config::default(), Table::default(), None).unwrap();
    let (mut peer, stream) = duplex(1 << 16);
    tokio::spawn(until_closed(stream, Visitor::new(([127, 0, 0, 1], 1).into(), Reach::Loopback), site.clone()));
    let (half, rest) = UPGRADE.split_at(20);
    peer.write_all(half.as_bytes()).await.unwrap();
    tokio::task::yield_now().await;
    site.closing.cancel();
    tokio::task::yield_now().await;
    peer.write_all(rest.as_bytes()).await.unwrap();
    assert_eq!(answers(peer).await, [(503, true)]);
}

/// The deadlines of requests end with the handshake.
#[tokio::test(start_paused = true)]
async fn a_line_is_no_request() {
    let mut peer = connect();
    peer.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut response = vec![0; 129];
    peer.read_exact(&mut response).await.unwrap();
    assert!(response.starts_with(b"HTTP/1.1 101 ") && response.ends_with(b"\r\n\r\n"));
    tokio::time::sleep(Duration::from_secs(15)).await;
    peer.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    let mut echo = [0; 4];
    peer.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"\x81\x02hi");
}
