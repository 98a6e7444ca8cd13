//! `raw_echo ADDR`: TCP echo without WebSocket, the floor below which no server on this runtime can get.
//!
//! One task per connection on a current_thread runtime, one read buffer for the whole thread, and one write for everything
//! that a read brought. `poll_read` inside one `poll_fn` rather than `readable` + `try_read`: tokio then takes a short read for
//! the end of what is there and spares the read that would only say so.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    while let Some(unsent) = poll_fn(|context| poll_echo(&mut stream, context)).await? {
        stream.write_all(&unsent).await?;
    }
    Ok(())
}

/// One read and one write. `None` at the end of the stream, else what the kernel did not take, which is nearly always nothing.
fn poll_echo(stream: &mut TcpStream, context: &mut Context<'_>) -> Poll<io::Result<Option<Vec<u8>>>> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
        let bytes = buffer.filled();
        if bytes.is_empty() {
            return Poll::Ready(Ok(None));
        }
        let sent = match Pin::new(stream).poll_write(context, bytes) {
            Poll::Ready(sent) => sent?,
            Poll::Pending => 0,
        };
        Poll::Ready(Ok(Some(bytes[sent..].to_vec())))
    })
}

thread_local! {
    /// Room for 16 messages of 1 KiB, the largest batch that is measured by default, several times over.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 << 10]);
}
