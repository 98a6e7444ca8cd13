//! Listening: binding the addresses, and accepting from them without ever stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{error, fmt, io};

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use crate::config::{Listen, Need};
use crate::connections::Connections;
use crate::edge;
use crate::knock::Reach;
use crate::site::Site;

/// When the system is out of file descriptors or memory, accepting again at once would only spin. A tenth of a second
/// costs the waiting newcomers little, and the backlog keeps them.
const BACK_OFF: Duration = Duration::from_millis(100);

/// And it is said this often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// Who may wait to be accepted. After a restart everybody comes back at once, and whoever finds the queue full is not
/// told: their system tries again after one second, then after three. The system's own limit applies as well, which is
/// 4,096 on Linux.
const BACKLOG: u32 = 4096;

/// Binds every address of `listen`. No IPv6 on this machine is a warning.
pub(crate) fn bind(listen: &[Listen]) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    for (address, need) in listen.iter().flat_map(|listen| listen.addresses()) {
        match bind_one(address) {
            Ok(listener) => listeners.push(listener),
            // How a system says that it has no IPv6 differs from system to system; that somebody else has the port,
            // and would get half of our visitors, does not.
            Err(error) if need == Need::IfThereIsIpv6 && error.kind() != io::ErrorKind::AddrInUse => {
                tracing::warn!("not listening on {address}: is there no IPv6 on this machine? ({error})");
            }
            Err(error) => return Err(BindError { address, error }),
        }
    }
    Ok(listeners)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart need not wait for old connections. On Windows it would let another program take the port over.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts for ever, each connection in a task of its own.
pub(crate) async fn accept(listener: TcpListener, reach: Reach, site: Arc<Site>, connections: Arc<Connections>) {
    let mut complained: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // A message must not wait for the answer to the one before (Nagle): lines are for low latency.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "already gone");
                    continue;
                }
                if let Err(error) = be_impatient(&stream, site.config.line.write_timeout) {
                    tracing::debug!(%peer, %error, "the kernel waits for its peers as long as it likes");
                }
                if let Some(connection) = edge::enter(stream, peer, reach, &site) {
                    connections.spawn(connection);
                }
            }
            Err(error) if is_about_one_connection(&error) => tracing::debug!(%error, "gone before it was accepted"),
            Err(error) => {
                if complained.is_none_or(|then| then.elapsed() >= COMPLAIN_EVERY) {
                    complained = Some(Instant::now());
                    tracing::error!(
                        "cannot accept connections: {error}; newcomers wait until others leave (raise `ulimit -n`?)"
                    );
                }
                sleep(BACK_OFF).await;
            }
        }
    }
}

/// What a peer does not acknowledge within this time ends the connection: whoever went without a word, as phones do, would
/// otherwise be there for a quarter of an hour, as long as the kernel tries.
fn be_impatient(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let patience = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(stream, patience)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (stream, patience);
    Ok(())
}

/// accept(2) also reports what went wrong with the connection that it would have returned.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// An address that cannot be listened on. `Display` says what to do about it.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, error } = self;
        let ip = address.ip();
        match error.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "cannot listen on {address}: the port is in use; stop what listens there, or choose another port (--listen {} takes any free one)",
                SocketAddr::new(ip, 0)
            ),
            io::ErrorKind::PermissionDenied => {
                write!(
                    f,
                    "cannot listen on {address}: not allowed; choose a port from 1024 on (--listen {})",
                    SocketAddr::new(ip, 8080)
                )
            }
            io::ErrorKind::AddrNotAvailable => {
                write!(
                    f,
                    "cannot listen on {address}: {ip} is not an address of this machine; listen on one that is, such as 127.0.0.1"
                )
            }
            _ => write!(f, "cannot listen on {address}: {error}"),
        }
    }
}

impl error::Error for BindError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.error)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_is_told_how_long_a_peer_may_be_silent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        be_impatient(&stream, Duration::from_millis(12_345)).unwrap();
        assert_eq!(rustix::net::sockopt::tcp_user_timeout(&stream).unwrap(), 12_345);
    }
}
