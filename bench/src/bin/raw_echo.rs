//! `raw_echo ADDR [--tls CERTIFICATE KEY]`: TCP echo without WebSocket, the floor below which no server on this runtime can get;
//! with two files of PEM, over TLS.
//!
//! One task per connection on a current_thread runtime, one read buffer for the whole thread, and one write for everything
//! that a read brought. `poll_read` inside one `poll_fn` rather than `readable` + `try_read`: tokio then takes a short read for
//! the end of what is there and spares the read that would only say so.

use std::{
    cell::RefCell,
    error::Error,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tls = match arguments.iter().position(|argument| argument == "--tls") {
        Some(at) => Some(tls(&arguments[at + 1..])?),
        None => None,
    };
    let listener = TcpListener::bind(arguments.first().map_or("127.0.0.1:0", String::as_str)).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        match tls.clone() {
            None => drop(tokio::spawn(echo(stream))),
            Some(tls) => drop(tokio::spawn(async move { echo(tls.accept(stream).await?).await })),
        }
    }
}

fn tls(files: &[String]) -> Result<TlsAcceptor, Box<dyn Error>> {
    let [chain, key, ..] = files else { return Err("--tls CERTIFICATE KEY".into()) };
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<_, _>>()?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    Ok(Arc::new(config).into())
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    while let Some(unsent) = poll_fn(|context| poll_echo(&mut stream, context)).await? {
        stream.write_all(&unsent).await?;
    }
    Ok(())
}

/// One read and one write. `None` at the end of the stream, else what the kernel did not take, which is nearly always nothing.
fn poll_echo<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    context: &mut Context<'_>,
) -> Poll<io::Result<Option<Vec<u8>>>> {
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
