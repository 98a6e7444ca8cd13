//! From a name to a TCP connection: its addresses, tried as RFC 8305 says ("happy eyeballs").

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep_until};

use super::error::ConnectError;
use super::stage::{Progress, Stage};

/// RFC 8305 §5: "The recommended value for a default delay is 250 milliseconds."
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// A name whose addresses are given rather than looked up.
#[derive(Clone, Debug)]
pub(super) struct Override {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) addresses: Vec<IpAddr>,
}

/// A TCP connection to whichever of a host's addresses answers first.
pub(super) async fn connect(
    host: &str,
    addresses: Vec<SocketAddr>,
    progress: &Progress,
) -> Result<TcpStream, ConnectError> {
    progress.reach(Stage::Connection);
    let stream = race(interleaved(addresses), TcpStream::connect).await;
    let stream =
        stream.ok_or_else(|| no_address(host))?.map_err(|(address, error)| ConnectError::Connect { address, error })?;
    // A message that waits for the acknowledgement of the one before it (Nagle) waits for a round trip.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The addresses of a host, those that are preferred first: at least one.
pub(super) async fn look_up(
    host: &str,
    port: u16,
    overrides: &[Override],
    progress: &Progress,
) -> Result<Vec<SocketAddr>, ConnectError> {
    progress.reach(Stage::Name);
    let given = overrides.iter().find(|given| given.host.eq_ignore_ascii_case(host) && given.port == port);
    let addresses: Vec<_> = match given {
        Some(given) => given.addresses.iter().map(|address| SocketAddr::new(*address, port)).collect(),
        None => match lookup_host((host, port)).await {
            Ok(addresses) => addresses.collect(),
            Err(error) => return Err(ConnectError::Dns { host: host.into(), error }),
        },
    };
    if addresses.is_empty() { Err(no_address(host)) } else { Ok(addresses) }
}

fn no_address(host: &str) -> ConnectError {
    let error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    ConnectError::Dns { host: host.into(), error }
}

/// §4: "an address of one address family, followed by an address of the other", beginning with the one that the system
/// prefers (RFC 6724).
fn interleaved(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut ordered = VecDeque::with_capacity(preferred.len() + other.len());
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    loop {
        match (preferred.next(), other.next()) {
            (None, None) => return ordered,
            (one, another) => ordered.extend(one.into_iter().chain(another)),
        }
    }
}

/// §5: begins with the first; the next is begun when one fails, or 250 ms after the last began. The first that succeeds
/// ends the others. `None`: there is no address.
async fn race<T, F>(
    mut addresses: VecDeque<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> Option<Result<T, (SocketAddr, io::Error)>>
where
    F: Future<Output = io::Result<T>> + Send,
{
    let mut attempts: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut last_error = None;
    let mut timer = Box::pin(sleep_until(Instant::now()));
    loop {
        if attempts.is_empty() || timer.is_elapsed() {
            match addresses.pop_front() {
                Some(address) => {
                    attempts.push((address, Box::pin(connect(address))));
                    timer.as_mut().reset(Instant::now() + ATTEMPT_DELAY);
                }
                None if attempts.is_empty() => return last_error.map(Err),
                None => {}
            }
        }
        let some_left = !addresses.is_empty();
        let settled = poll_fn(|cx| {
            for (index, (_, attempt)) in attempts.iter_mut().enumerate() {
                if let Poll::Ready(result) = attempt.as_mut().poll(cx) {
                    return Poll::Ready(Some((index, result)));
                }
            }
            if some_left { timer.as_mut().poll(cx).map(|()| None) } else { Poll::Pending }
        });
        match settled.await {
            Some((_, Ok(stream))) => return Some(Ok(stream)),
            Some((index, Err(error))) => {
                let (address, _) = attempts.swap_remove(index);
                last_error = Some((address, error));
                // The next need not wait for its turn.
                timer.as_mut().reset(Instant::now());
                poll_fn(|cx| timer.as_mut().poll(cx)).await;
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::time::sleep;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns() {
        let resolved = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"].map(address);
        let ordered = interleaved(resolved.to_vec());
        assert_eq!(ordered, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"].map(address));
        let ordered = interleaved(["1.1.1.1:1", "[::1]:1"].map(address).to_vec());
        assert_eq!(ordered, ["1.1.1.1:1", "[::1]:1"].map(address));
    }

    /// What each address does (`Ok` or refuse after so many milliseconds), who wins, when the attempts began, and when it
    /// was over.
    async fn raced(
        addresses: &[(&str, Result<u64, u64>)],
    ) -> (Option<Result<SocketAddr, SocketAddr>>, Vec<u128>, u128) {
        let start = Instant::now();
        let begun = Mutex::new(Vec::new());
        let order = addresses.iter().map(|(name, _)| address(name)).collect();
        let result = race(order, |tried| {
            begun.lock().unwrap().push(start.elapsed().as_millis());
            let fate = addresses.iter().find(|(name, _)| address(name) == tried).unwrap().1;
            async move {
                sleep(Duration::from_millis(fate.unwrap_or_else(|after| after))).await;
                fate.map(|_| tried).map_err(|_| io::ErrorKind::ConnectionRefused.into())
            }
        });
        let result = result.await.map(|raced| raced.map_err(|(address, _)| address));
        let begun = begun.lock().unwrap().clone();
        (result, begun, start.elapsed().as_millis())
    }

    const HANGS: Result<u64, u64> = Ok(3_600_000);

    #[tokio::test(start_paused = true)]
    async fn rfc8305_a_dead_address_costs_a_quarter_of_a_second() {
        let (winner, begun, took) = raced(&[("[::1]:1", HANGS), ("1.1.1.1:1", Ok(10))]).await;
        assert_eq!((winner, begun), (Some(Ok(address("1.1.1.1:1"))), vec![0, 250]));
        assert!((260..265).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_address_is_the_only_one_tried() {
        let (winner, begun, _) = raced(&[("[::1]:1", Ok(200)), ("1.1.1.1:1", Ok(1))]).await;
        assert_eq!((winner, begun), (Some(Ok(address("[::1]:1"))), vec![0]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_address_may_still_win() {
        let (winner, ..) = raced(&[("[::1]:1", Ok(300)), ("1.1.1.1:1", Ok(100))]).await;
        assert_eq!(winner, Some(Ok(address("[::1]:1"))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_does_not_wait_for_the_next_turn() {
        let (winner, begun, took) = raced(&[("[::1]:1", Err(0)), ("1.1.1.1:1", Err(5)), ("[::2]:1", Ok(0))]).await;
        assert_eq!(winner, Some(Ok(address("[::2]:1"))));
        assert!(took < 20 && begun.len() == 3, "{took}: {begun:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_refuse_the_last_is_told() {
        let (winner, ..) = raced(&[("[::1]:1", Err(300)), ("1.1.1.1:1", Err(0))]).await;
        assert_eq!(winner, Some(Err(address("[::1]:1"))));
        assert_eq!(raced(&[]).await.0, None);
    }
}
