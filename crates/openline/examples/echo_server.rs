//! Echoes every message: `echo_server ADDR [--threads N] [--takeover]`.
use openline::deflate::{ContextMemory, Deflate};
use openline::handshake::{Offer, Origins, ServerHandshake};
use openline::{Config, Incoming, Listener};
use std::{error::Error, sync::Arc};

/// Takes the first subprotocol on offer: a browser fails a connection whose offer is not answered.
fn handshake(offer: &Offer, deflate: &Deflate) -> ServerHandshake {
    let subprotocols = offer.subprotocols().iter().take(1).cloned().collect();
    ServerHandshake { subprotocols, origins: Origins::Any, deflate: Some(deflate.clone()), ..Default::default() }
}

async fn echo(
    incoming: Incoming,
    config: Arc<Config>,
    deflate: Arc<Deflate>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let opening = incoming.request().await?.config(config);
    let accepted = {
        let handshake = handshake(opening.offer(), &deflate); // not for the rest of the connection's life
        opening.accept(&handshake)
    };
    let mut socket = accepted.await?;
    while let Some((message, mut reply)) = socket.recv_ref().await? {
        reply.feed(message)?; // every answer to one read goes out in one write
    }
    Ok(())
}

async fn serve(address: String, deflate: Arc<Deflate>) -> Result<(), Box<dyn Error>> {
    let listener = Listener::bind(address).await?;
    let config = Arc::new(Config { max_frame_bytes: 32 << 20, max_message_bytes: 32 << 20, ..Config::default() });
    println!("listening on {}", listener.local_addr()?);
    loop {
        match listener.accept().await {
            Ok(incoming) => drop(tokio::spawn(echo(incoming, config.clone(), deflate.clone()))),
            Err(error) => {
                eprintln!("cannot accept: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await; // too many open files, usually
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: echo_server ADDR [--threads N] [--takeover]")?;
    let (mut threads, mut deflate) = (std::thread::available_parallelism()?.get(), Deflate::default());
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--threads" => threads = arguments.next().ok_or("--threads needs a number")?.parse()?,
            "--takeover" => deflate = Deflate::with_takeover(ContextMemory::new(256 << 20)), // for all together
            other => return Err(format!("unknown argument {other:?}").into()),
        }
    }
    let mut runtime = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    runtime.worker_threads(threads).enable_all().build()?.block_on(serve(address, deflate.into()))
}
