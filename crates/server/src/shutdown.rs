//! How the server ends: what each line is told and when, and how long everybody is waited for.

use std::time::Duration;

use openline::proto::CloseCode;
use tokio::time::{Instant, sleep, sleep_until};

use crate::lines::{Goodbye, Lines};

/// How to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stop listening, and close every line at once with 1001. (Ctrl-C.)
    Close,
    /// Keep answering newcomers with 503, and close the lines one after the other with 1012, spread evenly over the
    /// drain window: who reconnects does not do so all at once. (SIGTERM.)
    Drain,
}

impl Order {
    /// What the peer reads in the Close frame.
    pub(crate) fn goodbye(self) -> Goodbye {
        match self {
            // RFC 6455 §7.4.1: "an endpoint is 'going away', such as a server going down".
            Self::Close => Goodbye { code: CloseCode::GOING_AWAY, reason: "the server is stopping".into() },
            // The registry of §11.7: "Service Restart": come back.
            Self::Drain => Goodbye { code: CloseCode::RESTART, reason: "the server is restarting".into() },
        }
    }
}

/// How the end went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// Lines that were told to close.
    pub told: usize,
    /// Lines that were still open when the time was over, and were dropped.
    pub dropped: usize,
}

/// Tells every line `goodbye`, the i-th of n after i/n of `window`, and waits for their closing handshakes until
/// `patience` after the last one.
pub(crate) async fn close(lines: &Lines, goodbye: Goodbye, window: Duration, patience: Duration) -> Farewell {
    let start = Instant::now();
    let untold = lines.farewell(goodbye);
    let told = untold.len();
    let time_is_over = async {
        for (turn, line) in untold.into_iter().enumerate() {
            // A share of the window is exact enough in f64 for any number of lines that fits in memory.
            sleep_until(start + window.mul_f64(turn as f64 / told as f64)).await;
            lines.tell(line);
        }
        sleep(patience).await;
    };
    tokio::select! {
        biased;
        () = lines.none() => {}
        () = time_is_over => {}
    }
    Farewell { told, dropped: lines.count() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Kind;

    const WINDOW: Duration = Duration::from_secs(10);
    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn lines_close_evenly_over_the_window() {
        let lines = Lines::new();
        let start = Instant::now();
        let peers = (0..4).map(|_| {
            let mut line = lines.open(Kind::Test);
            tokio::spawn(async move {
                assert_eq!(line.told_to_close().await.code, CloseCode::RESTART);
                start.elapsed().as_millis()
            })
        });
        let peers: Vec<_> = peers.collect();
        let farewell = close(&lines, Order::Drain.goodbye(), WINDOW, PATIENCE).await;
        assert_eq!(farewell, Farewell { told: 4, dropped: 0 });
        let mut times = Vec::new();
        for peer in peers {
            times.push(peer.await.unwrap());
        }
        for (time, due) in times.iter().zip([0, 2500, 5000, 7500]) {
            assert!((due..due + 10).contains(time), "{times:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_close_is_dropped_in_time() {
        let lines = Lines::new();
        let stubborn = lines.open(Kind::Test);
        let start = Instant::now();
        let farewell = close(&lines, Order::Close.goodbye(), Duration::ZERO, PATIENCE).await;
        assert_eq!(farewell, Farewell { told: 1, dropped: 1 });
        assert!(start.elapsed() >= PATIENCE && start.elapsed() < PATIENCE + Duration::from_millis(10));
        drop(stubborn);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_there_is_no_wait() {
        let start = Instant::now();
        let farewell = close(&Lines::new(), Order::Close.goodbye(), WINDOW, PATIENCE).await;
        assert_eq!((farewell.told, start.elapsed()), (0, Duration::ZERO));
    }
}
