//! From the first line to the last: tells the threads what to do, and gathers what they tell.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use openline::ConnectError;
use openline::proto::handshake::{Host, parse_uri};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::fan_out::Ledger;
use super::figures::Figures;
use super::live::{Live, Stage};
use super::plan::{End, Mode, Plan};
use super::worker::{self, News, Order, Turns};
use crate::cli::fail;
use crate::cli::signals::Signals;
use crate::exit::Exit;

struct Run {
    plan: Arc<Plan>,
    figures: Figures,
    orders: Vec<mpsc::UnboundedSender<Order>>,
    stage: Stage,
    /// When this stage began.
    since: Instant,
    /// Lines of each thread, once all of its handshakes are done.
    opened: Vec<Option<usize>>,
    /// Threads that have something to wait for.
    loud: usize,
    /// Threads whose lines are not closed.
    running: usize,
}

/// Runs the plan. What was measured, or why nothing was.
pub(super) async fn run(plan: Plan, mut signals: Signals, no_live: bool) -> Result<(Arc<Plan>, Figures), Exit> {
    let plan = Arc::new(plan);
    let figures = Figures {
        asked: plan.connections as u64,
        is_local: is_local(&plan.url),
        file_limit: raise_file_limit(plan.connections),
        ..Figures::default()
    };
    let ledger = match &plan.mode {
        Mode::FanOut { load, .. } => Some(Arc::new(Ledger::new(load.in_flight))),
        Mode::Echo { .. } | Mode::Idle => None,
    };
    let (tell, mut news) = mpsc::unbounded_channel();
    let (mut threads, mut orders) = (Vec::new(), Vec::new());
    for id in 0..plan.threads {
        let (order, told) = mpsc::unbounded_channel();
        match worker::start(id, plan.clone(), ledger.clone(), told, tell.clone()) {
            Ok(thread) => {
                threads.push(thread);
                orders.push(order);
            }
            Err(error) => return Err(fail(Exit::Failure, format_args!("cannot start a thread: {error}"))),
        }
    }
    drop(tell);

    let mut run = Run {
        figures,
        orders,
        stage: Stage::Opening,
        since: Instant::now(),
        opened: vec![None; plan.threads],
        loud: plan.threads,
        running: plan.threads,
        plan,
    };
    let mut live = Live::new(no_live);
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let outcome = loop {
        tokio::select! {
            biased;
            _ = signals.next() => {
                if run.figures.interrupted {
                    break Err(Exit::Interrupted);
                }
                run.interrupt();
            }
            said = news.recv() => match said {
                Some(said) => if let Err(error) = run.hear(said) {
                    break Err(no_publisher(&error));
                },
                // Every thread has ended.
                None => break Ok(()),
            },
            () = sleep_until(run.deadline()) => run.next_stage(),
            _ = frames.tick() => if let Some(live) = &mut live {
                run.figures.measured = run.measured();
                live.draw(&run.plan, &run.figures, run.stage, run.since.elapsed());
            },
        }
        if run.running == 0 {
            break Ok(());
        }
    };
    if let Some(live) = &mut live {
        live.clear();
    }
    outcome?;
    for thread in threads {
        // A thread that panicked has said so on stderr.
        let _ = thread.join();
    }
    Ok((run.plan, run.figures))
}

impl Run {
    fn hear(&mut self, news: News) -> Result<(), ConnectError> {
        match news {
            News::Counted { tally, measured } => {
                let mut tally = *tally;
                if !measured {
                    tally.messages = Default::default();
                }
                self.figures.tally.merge(tally);
            }
            News::Opened { worker, lines } => {
                self.opened[worker] = Some(lines);
                if self.stage == Stage::Opening && self.opened.iter().all(Option::is_some) {
                    self.figures.opening = self.since.elapsed();
                    match self.plan.first {
                        Some(_) => self.enter(Stage::Settling),
                        None => self.load(),
                    }
                }
            }
            News::NoPublisher(error) => return Err(error),
            News::Published => self.drain(None),
            News::Quiet => {
                self.loud = self.loud.saturating_sub(1);
                if self.loud == 0 {
                    self.all_quiet();
                }
            }
            News::Busy(share) => self.figures.busy.push(share),
            News::Done => self.running -= 1,
        }
        Ok(())
    }

    fn load(&mut self) {
        let lines: Vec<usize> = self.opened.iter().map(|lines| lines.unwrap_or(0)).collect();
        let firsts = lines.iter().scan(0, |before, lines| {
            let first = *before;
            *before += lines;
            Some(first)
        });
        let turns = Arc::new(Turns { firsts: firsts.collect(), lines: lines.iter().sum::<usize>().max(1) });
        let measured = self.plan.warm_up.is_none();
        self.enter(if measured { Stage::Measuring } else { Stage::WarmUp });
        self.order(Order::Load { start: self.since, turns, measured });
    }

    /// When this stage ends by itself.
    fn deadline(&self) -> Instant {
        let after = match (self.stage, self.plan.end) {
            (Stage::Settling, _) => SETTLING,
            (Stage::WarmUp, _) => self.plan.warm_up.unwrap_or_default(),
            (Stage::Measuring, End::After(time)) => time,
            _ => FAR_AWAY,
        };
        self.since + after
    }

    fn next_stage(&mut self) {
        match self.stage {
            Stage::Settling => self.load(),
            Stage::WarmUp => {
                self.enter(Stage::Measuring);
                self.order(Order::Measure);
            }
            Stage::Measuring => self.drain(None),
            Stage::Opening | Stage::Draining | Stage::Closing => {}
        }
    }

    fn interrupt(&mut self) {
        self.figures.interrupted = true;
        match self.stage {
            Stage::Opening => {
                self.figures.opening = self.since.elapsed();
                self.enter(Stage::Closing);
                self.order(Order::Close);
            }
            Stage::Settling => self.close(),
            Stage::WarmUp | Stage::Measuring => self.drain(Some(Instant::now() + GRACE)),
            Stage::Draining => self.close(),
            Stage::Closing => {}
        }
    }

    /// No more is sent.
    fn drain(&mut self, until: Option<Instant>) {
        if matches!(self.stage, Stage::WarmUp | Stage::Measuring) {
            self.figures.measured = self.measured();
            self.enter(Stage::Draining);
            self.order(Order::Drain { at: self.since, until });
        }
    }

    /// No reply is waited for any more.
    fn all_quiet(&mut self) {
        if matches!(self.stage, Stage::WarmUp | Stage::Measuring | Stage::Draining) {
            // All that was to be sent may be sent and answered before the time is over: it took as long as it took.
            self.drain(None);
            self.close();
        }
    }

    fn close(&mut self) {
        self.enter(Stage::Closing);
        self.order(Order::Close);
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.since = Instant::now();
    }

    fn order(&self, order: Order) {
        for orders in &self.orders {
            // A thread that has ended needs no more orders.
            let _ = orders.send(order.clone());
        }
    }

    fn measured(&self) -> Duration {
        match self.stage {
            Stage::Opening | Stage::Settling | Stage::WarmUp => Duration::ZERO,
            Stage::Measuring => self.since.elapsed(),
            Stage::Draining | Stage::Closing => self.figures.measured,
        }
    }
}

fn no_publisher(error: &ConnectError) -> Exit {
    let exit = match error {
        ConnectError::Refused(_) | ConnectError::Head(_) | ConnectError::Response(_) => Exit::Refused,
        _ => Exit::CannotConnect,
    };
    fail(exit, format_args!("there is no publisher: {error}"))
}

/// Each line needs a file descriptor, and what shells grant by default is often 1,024. The limit, if it stays too low.
fn raise_file_limit(connections: usize) -> Option<u64> {
    /// The runtimes' own, stdio, and a publisher.
    const SPARE: u64 = 64;
    let needed = connections as u64 + SPARE;
    let raised = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
    (raised < needed).then_some(raised)
}

fn is_local(url: &str) -> bool {
    let host = |uri: Uri| Host::parse(uri.authority()?.as_str()).ok();
    let Some(host) = parse_uri(url).ok().and_then(host) else { return false };
    host.is_loopback() || host.name().parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// For the answers to what is sent first, which are not replies to what is measured.
const SETTLING: Duration = Duration::from_millis(250);

/// A second Ctrl-C comes from somebody who does not want to wait for replies that long.
const GRACE: Duration = Duration::from_secs(1);

/// Longer than any run.
const FAR_AWAY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

const FRAME: Duration = Duration::from_millis(200);
