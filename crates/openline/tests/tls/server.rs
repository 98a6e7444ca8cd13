//! A server in TLS that echoes, and a client that trusts whom it is told to.

use std::net::SocketAddr;

use openline::tls::{Acceptor, ClientTls, Connector, ServerTls};
use openline::{Client, ConnectError, Listener};

use crate::certificates::Authority;

/// Echoes to everybody, each in a task of its own; it ends with the test's runtime.
pub(crate) async fn echo(tls: &ServerTls) -> (SocketAddr, Acceptor) {
    let acceptor = Acceptor::new(tls).unwrap();
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let replaceable = acceptor.clone();
    tokio::spawn(async move {
        loop {
            let (incoming, acceptor) = (listener.accept().await.unwrap(), acceptor.clone());
            tokio::spawn(async move {
                let opening = incoming.tls(&acceptor).await?.request().await?;
                let mut socket = opening.accept(&Default::default()).await?;
                while let Some((message, mut reply)) = socket.recv_ref().await? {
                    reply.feed(message)?;
                }
                Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
            });
        }
    });
    (address, replaceable)
}

/// Trusts this authority and nobody else.
pub(crate) fn trusting(authority: &Authority) -> Connector {
    ClientTls::new().only_ca_pem(authority.pem().as_bytes()).unwrap().build().unwrap()
}

/// A line to `name`, which is where `address` is.
pub(crate) async fn open(
    connector: Connector,
    name: &str,
    address: SocketAddr,
) -> Result<openline::WebSocket<openline::ClientStream>, ConnectError> {
    let client = Client::new().no_proxy().tls(connector).resolve(name, address.port(), [address.ip()]);
    client.connect(&format!("wss://{name}:{}/", address.port())).await.map(|(socket, _)| socket)
}
