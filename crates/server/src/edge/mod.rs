//! The edge: one TCP connection, from its first byte to its last.
//!
//! ```text
//! enter ─▶ HeadGuard ─┬─▶ http (hyper): pages and refusals, while requests are plain HTTP
//!                     └─▶ its End ─┬─▶ upgrade: the opening handshake, and then the line
//!                                  └─▶ answer: what is wrong; close
//! ```

pub(crate) mod answer;
mod body;
mod guard;
mod http;
pub(crate) mod path;
mod stall;
#[cfg(test)]
mod tests;
mod upgrade;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::Response;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use self::guard::{End, HeadGuard};
use crate::knock::Reach;
use crate::site::Site;

/// What is to be done with a connection that was accepted: serve it, say why not, or (`None`) drop it.
pub(crate) fn enter(
    stream: TcpStream,
    peer: SocketAddr,
    reach: Reach,
    site: &Arc<Site>,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let (slot, refusal) = match site.slots.clone().try_acquire_owned() {
        Ok(slot) => (slot, site.closing.is_cancelled().then(answer::closing)),
        Err(_) => (site.refusals.clone().try_acquire_owned().ok()?, Some(answer::full())),
    };
    let site = site.clone();
    Some(async move {
        let ended = match refusal {
            None => serve(stream, peer, reach, site).await,
            Some(refusal) => Box::pin(refuse(HeadGuard::new(stream, &site.config), refusal)).await,
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "the connection broke");
        }
        drop(slot);
    })
}

/// Who is refused anyway has this long to send a request.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);

/// The request is read, so that the answer arrives, and no more is done about it.
async fn refuse<S>(mut guard: HeadGuard<S>, refusal: Response<Bytes>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _ = timeout(REFUSAL_PATIENCE, guard.ready()).await;
    let (_, _, stream) = guard.into_end();
    answer::send_and_close(stream, refusal).await
}

async fn serve<S>(stream: S, peer: SocketAddr, reach: Reach, site: Arc<Site>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // In boxes, all that is not the line itself: an idle line keeps the memory of its task, and there are many.
    let Some((end, leftover, stream)) = Box::pin(serve_requests(stream, reach, &site)).await? else { return Ok(()) };
    let last_words = match end {
        None | Some(End::Closed | End::Idle | End::Body) => return Box::pin(answer::close(stream)).await,
        Some(End::Upgrade(request)) => return upgrade::serve(request, leftover, stream, peer, reach, &site).await,
        Some(End::Malformed(error)) => error.response().map(Into::into),
        Some(End::HalfHead) => answer::half_a_head(),
        Some(End::SlowHead) => answer::too_slow(),
    };
    Box::pin(answer::send_and_close(stream, last_words)).await
}

/// Plain HTTP, as long as it lasts: why it ended, what was not read, and the connection (`None`: it is of no more use).
async fn serve_requests<S>(stream: S, reach: Reach, site: &Arc<Site>) -> io::Result<Option<(Option<End>, Bytes, S)>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut guard = HeadGuard::new(stream, &site.config);
    // Most connections begin with an upgrade, and those have no use for hyper.
    tokio::select! {
        biased;
        ready = guard.ready() => ready?,
        () = site.closing.cancelled() => {
            // Who has begun to ask is answered; who keeps a connection for later has nothing to hear.
            if guard.has_begun() {
                refuse(guard, answer::closing()).await?;
            }
            return Ok(None);
        }
    }
    if !guard.shows_something() {
        return Ok(Some(guard.into_end()));
    }
    Ok(http::serve(guard, reach, site).await.map(HeadGuard::into_end))
}
