//! Publishes the numbers from 1 on, each until it is told that it is published.

use std::net::SocketAddr;

use crate::report::{Report, add};
use crate::support::Raw;

pub(crate) async fn publish(address: SocketAddr, path: &str, messages: u64, report: &Report) {
    let mut raw = None;
    for number in 1..=messages {
        let body = number.to_string();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nIdempotency-Key: {number}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        loop {
            match attempt(&mut raw, address, &request).await {
                Some((position, repeated)) => {
                    let offset: u64 = position.split_once('.').unwrap().1.parse().unwrap();
                    assert_eq!(offset, number, "published twice, or not at all");
                    add(&report.repeated, repeated.into());
                    break;
                }
                None => {
                    add(&report.retries, 1);
                    raw = None;
                }
            }
        }
    }
}

/// The position, and whether it was known; `None` when the connection broke.
async fn attempt(raw: &mut Option<Raw>, address: SocketAddr, request: &str) -> Option<(String, bool)> {
    if raw.is_none() {
        *raw = Some(Raw::try_connect(address).await?);
    }
    let raw = raw.as_mut()?;
    raw.try_send(request).await?;
    let answer = raw.try_answer().await?;
    assert_eq!(answer.status, 202, "{answer:?}");
    Some((answer.header("openline-position")?.to_owned(), answer.body.contains("\"repeated\":true")))
}
