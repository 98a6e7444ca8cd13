//! Lines in, messages out: `client URL`.
use openline::{CloseCode, Message};
use std::error::Error;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

async fn talk(url: &str) -> Result<(), Box<dyn Error>> {
    let mut socket = openline::connect(url).await?;
    let mut lines = BufReader::new(stdin()).lines();
    let mut reading = true;
    loop {
        // Both can be dropped half-way and lose nothing.
        tokio::select! {
            line = lines.next_line(), if reading => match line? {
                Some(line) => socket.send(line).await?,
                None => {
                    socket.start_close(CloseCode::NORMAL); // and hear what was said before
                    reading = false;
                }
            },
            message = socket.recv() => match message? {
                Some(Message::Text(text)) => println!("{text}"),
                Some(Message::Binary(bytes)) => println!("({} bytes)", bytes.len()),
                None => break,
            },
        }
    }
    if let Some(closed) = socket.closed() {
        eprintln!("closed: {} {}", closed.code(), closed.reason());
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let result = match std::env::args().nth(1) {
        Some(url) => talk(&url).await,
        None => Err("usage: client URL".into()),
    };
    if let Err(error) = &result {
        eprintln!("{error}");
    }
    // Not by returning: nobody can interrupt a thread that reads from a terminal.
    std::process::exit(i32::from(result.is_err()));
}
