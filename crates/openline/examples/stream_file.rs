//! A file as one message, however long, in bounded memory: `stream_file serve ADDR FILE`, `stream_file fetch URL FILE`.
use openline::{Client, CloseCode, Config, Incoming, Listener};
use std::{error::Error, path::PathBuf, time::Duration};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn send(incoming: Incoming, path: PathBuf) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = incoming.request().await?.accept(&Default::default()).await?;
    let mut file = File::open(path).await?;
    let mut message = socket.start_binary();
    let mut piece = vec![0; 64 << 10];
    while let bytes @ 1.. = file.read(&mut piece).await? {
        message.write(&piece[..bytes]).await?; // waits until the client has taken it
    }
    message.finish().await?;
    socket.close(CloseCode::NORMAL, "").await?;
    Ok(())
}

async fn serve(address: &str, path: PathBuf) -> Result<(), Box<dyn Error>> {
    let listener = Listener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let Ok(incoming) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await; // too many open files, usually
            continue;
        };
        let path = path.clone();
        tokio::spawn(async move {
            if let Err(error) = send(incoming, path).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn fetch(url: &str, path: PathBuf) -> Result<(), Box<dyn Error>> {
    let client = Client::new().config(Config { max_message_bytes: u64::MAX, ..Config::default() });
    let (mut socket, _) = client.connect(url).await?;
    let mut file = File::create(path).await?;
    let mut bytes = 0;
    while let Some(part) = socket.recv_part().await? {
        file.write_all(&part.bytes).await?;
        bytes += part.bytes.len();
    }
    file.flush().await?;
    println!("{bytes} bytes");
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address, path] => serve(address, path.into()).await,
        ["fetch", url, path] => fetch(url, path.into()).await,
        _ => Err("usage: stream_file serve ADDR FILE, or stream_file fetch URL FILE".into()),
    }
}
