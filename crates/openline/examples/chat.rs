//! Everyone hears everyone: `chat ADDR`. Say something with the example `client`, or from any web page.
use openline::handshake::{Origins, ServerHandshake};
use openline::{CloseCode, Incoming, Listener, SharedMessage};
use std::{error::Error, time::Duration};
use tokio::sync::broadcast::{self, error::RecvError};

/// The room remembers so many messages for those who are slow to hear them.
const MESSAGES: usize = 100;

async fn talk(incoming: Incoming, room: broadcast::Sender<SharedMessage>) -> Result<(), Box<dyn Error + Send + Sync>> {
    // Only for a demonstration: with cookies, any page could speak for its visitors.
    let handshake = ServerHandshake { origins: Origins::Any, ..Default::default() };
    let mut socket = incoming.request().await?.accept(&handshake).await?;
    let mut heard = room.subscribe();
    loop {
        tokio::select! {
            said = socket.recv() => match said? {
                Some(message) => drop(room.send(SharedMessage::new(message))), // encoded once, for everyone
                None => return Ok(()),
            },
            heard = heard.recv() => match heard {
                Ok(message) => socket.feed_shared(&message).await?, // `recv` writes what was fed
                Err(RecvError::Lagged(_)) => {
                    socket.close(CloseCode::TRY_AGAIN, "you read too slowly").await?;
                    return Ok(());
                }
                Err(RecvError::Closed) => return Ok(()),
            },
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: chat ADDR")?;
    let listener = Listener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let (room, _) = broadcast::channel(MESSAGES);
    loop {
        let Ok(incoming) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await; // too many open files, usually
            continue;
        };
        let (peer, room) = (incoming.peer_addr(), room.clone());
        tokio::spawn(async move {
            if let Err(error) = talk(incoming, room).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}
