//! A server on one thread: `PROGRAM ADDR [--threads 1]`, which prints the address it got.

use std::{fmt::Display, io};

use tokio::net::{TcpListener, TcpStream};

/// Calls `echo` for each connection, in a task of its own.
///
/// # Errors
/// When the address cannot be listened on.
pub fn serve<F, E>(echo: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Display + 'static,
{
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection = echo(stream);
            tokio::spawn(async move {
                // The load ends by ending the server, so an end is nothing to report.
                let _ = connection.await;
            });
        }
    })
}
