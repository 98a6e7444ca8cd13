//! RFC 6455 §4.1: the client's opening handshake, as little of it as a load generator needs.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};

use crate::line::Stream;

/// Asks for a WebSocket, with or without compression, and checks the answer; nothing may follow it, since an echo server
/// speaks only when spoken to.
pub(crate) fn open(stream: &mut dyn Stream, address: SocketAddr, path: &str, deflate: bool) -> Result<()> {
    let extensions = if deflate { DEFLATE } else { "" };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    while !response.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut part = [0; 1024];
        let length = stream.read(&mut part).context("no answer to the opening handshake")?;
        ensure!(length > 0, "the server hung up during the opening handshake");
        response.extend(&part[..length]);
        ensure!(response.len() <= MAX_RESPONSE_BYTES, "the answer to the opening handshake does not end");
    }
    check(&response, deflate)
}

fn check(response: &[u8], deflate: bool) -> Result<()> {
    let text = String::from_utf8_lossy(response);
    let Some((head, "")) = text.split_once("\r\n\r\n") else { bail!("bytes before the first message:\n{text}") };
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 101"), "the server refused: {status}");
    let fields: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let field = |name: &str| fields.iter().find(|field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1.trim());
    let accept = field("sec-websocket-accept");
    ensure!(accept == Some(ACCEPT), "wrong Sec-WebSocket-Accept: {accept:?}");
    let agreed = field("sec-websocket-extensions").unwrap_or_default();
    // RFC 7692 §7.1.1.1: each reply has to be inflated without the ones before.
    ensure!(
        !deflate || (agreed.starts_with("permessage-deflate") && agreed.contains("server_no_context_takeover")),
        "asked for compression without context takeover, and got {agreed:?}"
    );
    Ok(())
}

/// Both sides compress each message for itself, which all who are compared can do.
const DEFLATE: &str =
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";

/// The example of §1.3, whose answer is known without computing it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A 101 is a few hundred bytes.
const MAX_RESPONSE_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_section_1_3_is_accepted() {
        check(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", false)
            .unwrap();
    }

    #[test]
    fn compression_must_be_agreed_on_as_it_was_asked_for() {
        let with = |extensions: &str| {
            let head = format!("HTTP/1.1 101 OK\r\nSec-WebSocket-Accept: {ACCEPT}\r\n{extensions}\r\n");
            check(head.as_bytes(), true)
        };
        with(DEFLATE).unwrap();
        with("").unwrap_err();
        with("sec-websocket-extensions: permessage-deflate; client_no_context_takeover\r\n").unwrap_err();
    }

    #[test]
    fn anything_else_is_refused() {
        for (response, reason) in [
            (&b"HTTP/1.1 426 Upgrade Required\r\n\r\n"[..], "the server refused: HTTP/1.1 426"),
            (b"HTTP/1.1 101 OK\r\n\r\n", "wrong Sec-WebSocket-Accept: None"),
            (b"HTTP/1.1 101 OK\r\nSec-WebSocket-Accept: x\r\n\r\n", "wrong Sec-WebSocket-Accept"),
            (
                b"HTTP/1.1 101 OK\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x89\0",
                "bytes before the first",
            ),
        ] {
            let error = check(response, false).unwrap_err().to_string();
            assert!(error.starts_with(reason), "{error}");
        }
    }
}
