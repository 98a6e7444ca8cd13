//! Two ends that send, receive and change their minds at random, on a line that does what it likes: every message
//! arrives, once, whole and in order.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use openline::handshake::Negotiated;
use openline::{CloseCode, Config, Kind, Message, Role, SharedMessage, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// A sequence that is the same for the same seed.
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A line that makes its users wait for no reason, and takes and gives as many bytes as it feels like.
#[derive(Debug)]
struct Moody {
    stream: DuplexStream,
    dice: Dice,
}

impl Moody {
    fn hesitates(&mut self, cx: &mut Context<'_>) -> bool {
        let hesitates = self.dice.roll(4) == 0;
        if hesitates {
            cx.waker().wake_by_ref();
        }
        hesitates
    }

    fn bytes(&mut self) -> usize {
        1 << self.dice.roll(18)
    }
}

impl AsyncRead for Moody {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.hesitates(cx) {
            return Poll::Pending;
        }
        let mut some = vec![0; self.bytes().min(buffer.remaining())];
        let mut part = ReadBuf::new(&mut some);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut part);
        buffer.put_slice(part.filled());
        read
    }
}

impl AsyncWrite for Moody {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.hesitates(cx) {
            return Poll::Pending;
        }
        let some = self.bytes().min(bytes.len());
        Pin::new(&mut self.stream).poll_write(cx, &bytes[..some])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write(cx, &slices.concat_slices())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.hesitates(cx) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.hesitates(cx) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

trait ConcatSlices {
    fn concat_slices(&self) -> Vec<u8>;
}

impl ConcatSlices for [IoSlice<'_>] {
    fn concat_slices(&self) -> Vec<u8> {
        self.iter().flat_map(|slice| slice.iter().copied()).collect()
    }
}

/// What an end says: numbered, so that a lost message is seen, and of every size.
fn messages(mut dice: Dice) -> Vec<Message> {
    let message = |i| {
        let length = match dice.roll(10) {
            0 => dice.roll(200_000),
            1..=3 => dice.roll(10_000),
            _ => dice.roll(150),
        };
        match dice.roll(2) {
            0 => Message::from(format!("{i} {}", "é".repeat(length as usize / 2))),
            _ => Message::from([vec![i as u8], vec![dice.roll(256) as u8; length as usize]].concat()),
        }
    };
    (0..40).map(message).collect()
}

/// Sends by one of the ways there are. Dropped, it says whether to try again with the same message.
async fn send(socket: &mut WebSocket<Moody>, message: &Message, way: u64) -> Result<(), openline::Error> {
    match way {
        0 => socket.send(message).await,
        1 => socket.feed(message.clone()).await,
        2 => socket.feed_shared(&SharedMessage::new(message)).await,
        _ => match message {
            Message::Text(text) => {
                let mut writer = socket.start_text();
                let middle = text.floor_char_boundary(text.len() / 2);
                writer.write(&text[..middle]).await?;
                writer.write(&text[middle..]).await?;
                writer.finish().await
            }
            Message::Binary(bytes) => {
                let mut writer = socket.start_binary();
                for piece in bytes.chunks(30_000) {
                    writer.write(piece).await?;
                }
                writer.finish().await
            }
        },
    }
}

/// One end: sends what it has to say, hears all of what the other says, in whatever order the dice want.
async fn end(mut socket: WebSocket<Moody>, says: Vec<Message>, hears: Vec<Message>, mut dice: Dice) {
    let mut unsaid = says.iter();
    let mut heard = Vec::new();
    let mut part: Option<(Kind, Vec<u8>)> = None;
    let mut in_parts = false;
    while heard.len() < hears.len() || unsaid.len() > 0 {
        if dice.roll(2) == 0
            && let Some(message) = unsaid.next()
        {
            // Not dropped: what a dropped `send` did is another test's question. But the other end has to read.
            send(&mut socket, message, dice.roll(4)).await.unwrap();
        }
        let patience = dice.roll(20);
        let waiting = async {
            for _ in 0..patience {
                tokio::task::yield_now().await;
            }
        };
        if heard.len() == hears.len() {
            socket.flush().await.unwrap();
        } else if in_parts || dice.roll(4) == 0 {
            in_parts = true; // until the message is whole, or the rest of it would be dropped
            tokio::select! {
                received = socket.recv_part() => {
                    let received = received.unwrap().unwrap();
                    let (kind, bytes) = part.get_or_insert_with(|| (received.kind, Vec::new()));
                    assert_eq!(*kind, received.kind);
                    bytes.extend_from_slice(&received.bytes);
                    if received.last && let Some((kind, bytes)) = part.take() {
                        in_parts = false;
                        heard.push(match kind {
                            Kind::Text => Message::from(String::from_utf8(bytes).unwrap()),
                            Kind::Binary => Message::from(bytes),
                        });
                    }
                }
                () = waiting => {}
            }
        } else {
            tokio::select! {
                message = socket.recv() => heard.push(message.unwrap().unwrap()),
                () = waiting => {}
            }
        }
        assert_eq!(heard.last(), heard.len().checked_sub(1).map(|last| &hears[last]));
    }
    socket.flush().await.unwrap();
    if socket.config().fragment_bytes > 1 {
        socket.close(CloseCode::NORMAL, "").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn every_message_arrives_whatever_the_line_does() {
    for seed in 0..40 {
        let mut dice = Dice(seed);
        // The line holds all that one end says: both may send for a while without reading.
        let (ours, theirs) = tokio::io::duplex(32 << 20);
        let (ours_say, theirs_say) = (messages(Dice(dice.roll(1 << 30))), messages(Dice(dice.roll(1 << 30))));
        let config = Config {
            max_output_bytes: 1 << dice.roll(21),
            fragment_bytes: 1 << (4 + dice.roll(14)),
            max_empty_fragments: 2,
            ..Config::default()
        };
        let open = |stream, role, dice| {
            WebSocket::from_parts(Moody { stream, dice }, b"", role, &Negotiated::default(), config.clone())
        };
        let server = open(ours, Role::Server, Dice(dice.roll(1 << 30)));
        let client = open(theirs, Role::Client, Dice(dice.roll(1 << 30)));
        let (one, other) = (Dice(dice.roll(1 << 30)), Dice(dice.roll(1 << 30)));
        tokio::join!(end(server, ours_say.clone(), theirs_say.clone(), one), end(client, theirs_say, ours_say, other));
    }
}
