//! Every line of its standard input goes to everyone who is connected: `date | broadcast ADDR`, `tail -f log | ...`.
use openline::handshake::{Origins, ServerHandshake};
use openline::{CloseCode, Incoming, Listener, SharedMessage};
use std::{error::Error, time::Duration};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::JoinSet;

async fn listen(
    incoming: Incoming,
    mut news: broadcast::Receiver<SharedMessage>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let handshake = ServerHandshake { origins: Origins::Any, ..Default::default() }; // news are for everyone
    let mut socket = incoming.request().await?.accept(&handshake).await?;
    loop {
        tokio::select! {
            line = news.recv() => match line {
                Ok(line) => socket.feed_shared(&line).await?, // `recv` writes what was fed
                Err(RecvError::Lagged(missed)) => socket.feed(format!("({missed} lines were too fast for you)")).await?,
                Err(RecvError::Closed) => {
                    socket.close(CloseCode::GOING_AWAY, "that was all").await?;
                    return Ok(());
                }
            },
            // Nobody is asked to say anything, but pings are answered here, and a Close.
            message = socket.recv() => if message?.is_none() {
                return Ok(());
            },
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: broadcast ADDR")?;
    let listener = Listener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let (news, _) = broadcast::channel(100); // for those who are slow: a hundred lines
    let mut listeners = JoinSet::new();
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            incoming = listener.accept() => match incoming {
                Ok(incoming) => drop(listeners.spawn(listen(incoming, news.subscribe()))),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await, // too many open files, usually
            },
            Some(_) = listeners.join_next() => {} // someone left
            line = lines.next_line() => match line? {
                Some(line) => drop(news.send(SharedMessage::new(line))), // encoded once, for everyone
                None => break,
            },
        }
    }
    drop(news);
    while listeners.join_next().await.is_some() {} // everyone is told
    Ok(())
}
