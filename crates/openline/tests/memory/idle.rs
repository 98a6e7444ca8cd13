//! An idle connection, in the shape of an echo server: a task, a socket, a WebSocket, a timer, and no buffer.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use openline::handshake::ServerHandshake;
use openline::{Config, Incoming, Listener};
use tokio::sync::oneshot;

use crate::wire::{masked, unmasked};
use crate::{alone, live_bytes};

/// Everything that a server holds for one connection, the task and tokio's own state included: 10,000 in 10 MB.
const MAX_BYTES: usize = 1024;

const CONNECTIONS: usize = 300; // under the usual limit of open files, with both ends in one process

/// A connection is idle again soon after its answer is read.
fn assert_idle_bytes(before: usize, state: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let bytes = live_bytes().saturating_sub(before) / CONNECTIONS;
        if bytes <= MAX_BYTES {
            println!("{bytes} bytes for a connection {state}");
            return;
        }
        assert!(Instant::now() < deadline, "{bytes} bytes for a connection {state}");
        std::thread::yield_now();
    }
}

async fn serve(address: mpsc::Sender<SocketAddr>) {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    address.send(listener.local_addr().unwrap()).unwrap();
    let config = Arc::new(Config::default());
    loop {
        tokio::spawn(echo(listener.accept().await.unwrap(), config.clone()));
    }
}

/// The echo server of the examples.
async fn echo(incoming: Incoming, config: Arc<Config>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let opening = incoming.request().await?.config(config);
    let accepted = opening.accept(&ServerHandshake::default()); // which is not kept for the connection's life
    let mut socket = accepted.await?;
    while let Some((message, mut reply)) = socket.recv_ref().await? {
        reply.feed(message)?;
    }
    Ok(())
}

fn connect(address: SocketAddr) -> TcpStream {
    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(REQUEST.as_bytes()).unwrap();
    let mut head = [0; 129];
    stream.read_exact(&mut head).unwrap();
    assert!(head.starts_with(b"HTTP/1.1 101 ") && head.ends_with(b"\r\n\r\n"), "{}", head.escape_ascii());
    stream
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    let _alone = alone();
    let (sender, address) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let server = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! { () = serve(sender) => {}, _ = stopped => {} }
        });
    });
    let address = address.recv().unwrap();
    // What is allocated once: the pool's buffers, the timer's wheels.
    let message = vec![7; 1024];
    let (frame, answer) = (masked(0x82, &message), unmasked(0x82, &message));
    let echo = |stream: &mut TcpStream, echoed: &mut [u8]| {
        stream.write_all(&frame).unwrap();
        stream.read_exact(echoed).unwrap();
        assert!(*echoed == answer[..]);
    };
    let mut echoed = vec![0; answer.len()];
    let mut first = connect(address);
    echo(&mut first, &mut echoed);
    let mut streams = Vec::with_capacity(CONNECTIONS);

    let before = live_bytes();
    streams.extend((0..CONNECTIONS).map(|_| connect(address)));
    assert_idle_bytes(before, "after the handshake");
    for stream in &mut streams {
        echo(stream, &mut echoed);
    }
    assert_idle_bytes(before, "after a message of 1 KiB");
    stop.send(()).unwrap();
    server.join().unwrap(); // or it would free memory while another test counts
}
