//! A proxy that breaks what goes through it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::random::Random;
use crate::report::{Report, add};

/// It ends with this.
pub(crate) struct Faults {
    pub(crate) address: SocketAddr,
    accepting: JoinHandle<()>,
}

/// How a connection ends.
#[derive(Clone, Copy)]
enum Fate {
    /// Both directions end, in the middle of whatever goes through.
    Cut,
    /// With a reset.
    Reset,
    /// Nothing goes through any more, for a while; then it is cut.
    Stall,
}

impl Faults {
    pub(crate) async fn start(server: SocketAddr, seed: u64, report: Arc<Report>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            let mut random = Random(seed);
            while let Ok((client, _)) = listener.accept().await {
                let fates = Random(random.next());
                let report = report.clone();
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(server).await {
                        carry(client, server, fates, &report).await;
                    }
                });
            }
        });
        Self { address, accepting }
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Carries bytes both ways until the connection meets its fate.
async fn carry(mut client: TcpStream, mut server: TcpStream, mut random: Random, report: &Report) {
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let fate = match random.below(10) {
        0..=4 => Fate::Cut,
        5..=7 => Fate::Reset,
        _ => Fate::Stall,
    };
    // From the first bytes of the handshake to some thousands of messages.
    let magnitude = 7 + random.below(9);
    let mut left = random.below(1 << magnitude);
    let (mut up, mut down) = ([0; 4096], [0; 4096]);
    loop {
        let (bytes, into, from_client) = tokio::select! {
            read = client.read(&mut up) => (read, &mut server, true),
            read = server.read(&mut down) => (read, &mut client, false),
        };
        let Ok(bytes @ 1..) = bytes else { return };
        let mut piece = if from_client { &up[..bytes] } else { &down[..bytes] };
        match random.below(1000) {
            0 => sleep(Duration::from_millis(random.below(200))).await,
            1..20 => sleep(Duration::from_millis(random.below(3))).await,
            _ => {}
        }
        piece = &piece[..piece.len().min(left as usize)];
        left -= piece.len() as u64;
        if into.write_all(piece).await.is_err() {
            return;
        }
        if left > 0 {
            continue;
        }
        add(&report.broken, 1);
        match fate {
            Fate::Cut => {}
            Fate::Reset => {
                for stream in [&client, &server] {
                    SockRef::from(stream).set_linger(Some(Duration::ZERO)).ok();
                }
            }
            Fate::Stall => sleep(Duration::from_millis(random.below(100))).await,
        }
        return;
    }
}
