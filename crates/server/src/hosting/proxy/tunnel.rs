//! A WebSocket passed on as bytes: what the two ends agree on is theirs, and nobody here looks at it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use openline::http1::{HeadLimits, ResponseReader, encode_request};
use openline::proto::handshake::accept_key;
use openline::{ClientStream, http1};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::fields::{introduce, strip_hop_by_hop};
use super::plain::{asker, host, path_at, refuse};
use super::pool::{Pool, Taken};
use crate::edge::answer::text;
use crate::edge::visitor::Visitor;
use crate::hosting::arrive::Refusal;
use crate::hosting::place::Found;
use crate::lines::Line;
use crate::site::Site;

/// The other server's end, after a 101 that was checked.
#[derive(Debug)]
pub(crate) struct Tunnel {
    upstream: ClientStream,
    /// What it sent behind the 101.
    rest: Bytes,
    /// The 101, for the client.
    pub(crate) response: Vec<u8>,
    pub(in crate::hosting) slot: Option<OwnedSemaphorePermit>,
    _taken: Taken,
}

/// Asks the first server that can be reached for the upgrade that the client asks for.
pub(in crate::hosting) async fn open(
    request: &Request<()>,
    pool: &Arc<Pool>,
    found: &Found,
    visitor: &Visitor,
    site: &Site,
) -> Result<Tunnel, Refusal> {
    let asker = asker(request, visitor, site);
    let mut tried = Vec::new();
    let mut last = None;
    while let Some(taken) = pool.take(&tried) {
        let member = taken.0.clone();
        let mut upstream = match member.connector.connect().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(route = %found.place.shown, upstream = %member.upstream, %error, "cannot reach the server behind");
                member.pause();
                last = Some(Box::new(error.response()));
                tried.push(member);
                continue;
            }
        };
        let mut asked = Request::new(());
        *asked.headers_mut() = request.headers().clone();
        let path = path_at(&member.upstream, request.uri(), found);
        *asked.uri_mut() = path.parse().map_err(|_| Box::new(refuse(found, &member, &"the path is none")))?;
        let headers = asked.headers_mut();
        strip_hop_by_hop(headers);
        introduce(headers, &asker);
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Some(host) = host(pool, &member.upstream, asker.host.as_ref()) {
            headers.insert(HOST, host);
        }
        let answered = timeout(pool.response_timeout, ask(&mut upstream, &asked)).await;
        let (response, rest) = match answered {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(Box::new(refuse(found, &member, &error))),
            Err(_) => {
                return Err(Box::new(text(
                    StatusCode::GATEWAY_TIMEOUT,
                    "What is behind this address does not answer.",
                )));
            }
        };
        let status = response.status().as_u16();
        if status >= 300 {
            let mut refusal = response.map(|()| rest);
            strip_hop_by_hop(refusal.headers_mut());
            refusal.headers_mut().remove(http::header::CONTENT_LENGTH);
            return Err(Box::new(refusal));
        }
        if !is_upgrade(&response, request) {
            return Err(Box::new(refuse(found, &member, &format_args!("{status} is no upgrade to WebSocket"))));
        }
        let response = with_route(response, found);
        return Ok(Tunnel { upstream, rest, response, slot: None, _taken: taken });
    }
    Err(last.unwrap_or_else(|| Box::new(text(StatusCode::BAD_GATEWAY, "There is nothing behind this address."))))
}

/// Whether it is the answer to this key (RFC 6455 §4.1): bytes are passed on to nobody who did not say so.
fn is_upgrade(response: &Response<()>, request: &Request<()>) -> bool {
    let field =
        |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let key = request.headers().get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok()).unwrap_or_default();
    response.status() == StatusCode::SWITCHING_PROTOCOLS
        && field(UPGRADE).eq_ignore_ascii_case("websocket")
        && field(CONNECTION).split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade"))
        && field(SEC_WEBSOCKET_ACCEPT) == accept_key(key)
}

fn with_route(mut response: Response<()>, found: &Found) -> Vec<u8> {
    let headers = response.headers_mut();
    strip_hop_by_hop(headers);
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    found.place.decorate(headers);
    http1::encode_response(&response)
}

/// The head of the answer, and what came behind it.
async fn ask(stream: &mut ClientStream, request: &Request<()>) -> io::Result<(Response<()>, Bytes)> {
    stream.write_all(&encode_request(request)).await?;
    stream.flush().await?;
    let mut reader = ResponseReader::new(&HeadLimits::default());
    let mut bytes = BytesMut::new();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some((response, head_bytes)) = reader.read(&bytes).map_err(io::Error::other)? {
            let rest = bytes.split_off(head_bytes);
            if response.status().is_informational() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                bytes = rest;
                continue;
            }
            return Ok((response, rest.freeze()));
        }
    }
}

impl Tunnel {
    /// Passes bytes both ways until both ends have ended, or the server does.
    pub(crate) fn serve<S>(self, mut stream: S, leftover: Bytes, mut line: Line, peer: SocketAddr) -> crate::edge::Line
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Box::pin(async move {
            let Self { mut upstream, rest, slot: _slot, _taken, .. } = self;
            let passing = async {
                upstream.write_all(&leftover).await?;
                stream.write_all(&rest).await?;
                copy_bidirectional(&mut stream, &mut upstream).await
            };
            tokio::select! {
                biased;
                _ = line.told_to_close() => tracing::debug!(%peer, "the tunnel is closed"),
                passed = passing => match passed {
                    Ok(_) => tracing::debug!(%peer, "the tunnel ended"),
                    Err(error) => tracing::debug!(%peer, %error, "the tunnel broke"),
                },
            }
        })
    }
}
