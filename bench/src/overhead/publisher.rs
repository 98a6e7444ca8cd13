//! The backend: publishes numbered messages at a steady rate, each with the time at which it was sent.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::http::Wire;

/// A number, a time, and what is between them.
pub(crate) const MIN_BYTES: usize = 40;

/// Late by a bit rather than two at once: each waits for its time, and for the answer to the one before.
pub(crate) fn publish(address: SocketAddr, messages: u32, gap: Duration, bytes: usize, start: Instant) -> Result<()> {
    let mut wire = Wire::connect(address)?;
    let begin = Instant::now();
    for number in 0..messages {
        thread::sleep((begin + gap * number).saturating_duration_since(Instant::now()));
        let body = message(number, start.elapsed(), bytes);
        let request = format!(
            "POST /c/overhead HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/plain\r\nContent-Length: {bytes}\r\n\r\n{body}"
        );
        wire.write(request.as_bytes())?;
        let head = wire.head()?;
        ensure!(head.status == 202, "a publication was answered with {}", head.status);
        wire.body(&head)?;
    }
    Ok(())
}

pub(crate) fn message(number: u32, sent: Duration, bytes: usize) -> String {
    let mut message = format!("{number:>10} {:>20} ", sent.as_nanos());
    message.extend(std::iter::repeat_n('.', bytes - message.len()));
    message
}

/// What `message` made: its number, and when it was sent.
pub(crate) fn read(message: &str, bytes: usize) -> Option<(u32, Duration)> {
    let mut words = message.split_ascii_whitespace();
    let (number, sent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (message.len() == bytes).then_some((number, Duration::from_nanos(sent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_when_they_were_sent() {
        let sent = Duration::from_micros(1_234_567);
        let text = message(7, sent, 100);
        assert_eq!((text.len(), read(&text, 100)), (100, Some((7, sent))));
        assert_eq!(read(&text[..99], 100), None);
        assert_eq!(message(u32::MAX, Duration::MAX / 2, MIN_BYTES + 20).len(), MIN_BYTES + 20);
    }
}
