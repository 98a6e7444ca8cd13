//! The life of one line: opened, held until the load begins, loaded, held until the end, closed.

use std::rc::Rc;

use openline::{CloseCode, ConnectError, Error};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::open::Line;
use super::plan::Mode;
use super::worker::{Seat, Worker};
use super::{echo, fan_out};

/// Why a line ended before it was told to.
#[derive(Debug)]
pub(super) enum Ended {
    /// The server closed it, or broke it off, or broke the protocol.
    ByServer(Option<Error>),
    /// It owes an answer for too long.
    Silent,
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::ByServer(Some(error))
    }
}

pub(super) async fn run(worker: Rc<Worker>, seat: Rc<Seat>, slot: OwnedSemaphorePermit) {
    let Some(mut line) = open(&worker, &seat).await else { return };
    drop(slot);
    let ended = live(&worker, &seat, &mut line).await;
    if let Err(ended) = ended {
        lost(&worker, &seat, &mut line, ended).await;
        return;
    }
    close(&worker, &mut line).await;
}

async fn open(worker: &Worker, seat: &Seat) -> Option<Line> {
    let began = Instant::now();
    let opened = tokio::select! {
        opened = worker.plan.opener.open() => opened,
        // Ctrl-C: neither open nor failed.
        () = stopped(worker, seat) => {
            worker.settled(seat, false);
            return None;
        }
    };
    let opened = match (opened, &worker.plan.first) {
        (Ok((mut line, compresses)), Some(first)) => match line.send(first.as_str()).await {
            Ok(()) => Ok((line, compresses)),
            Err(error) => Err(error.to_string()),
        },
        (Ok(opened), None) => Ok(opened),
        (Err(error), _) => {
            let refused = matches!(error, ConnectError::Refused(_) | ConnectError::Head(_) | ConnectError::Response(_));
            worker.tally.borrow_mut().lines.refused += u64::from(refused);
            Err(reason(&error))
        }
    };
    let mut tally = worker.tally.borrow_mut();
    match opened {
        Ok((line, compresses)) => {
            tally.lines.opened += 1;
            tally.lines.compressed += u64::from(compresses);
            tally.lines.opening.record(began.elapsed());
            drop(tally);
            if let Some(ledger) = &worker.ledger {
                ledger.join();
            }
            worker.settled(seat, true);
            Some(line)
        }
        Err(reason) => {
            tally.lines.failed.add(reason, String::new);
            drop(tally);
            worker.settled(seat, false);
            None
        }
    }
}

async fn stopped(worker: &Worker, seat: &Seat) {
    while worker.draining().is_none() && !worker.is_closing() {
        seat.bell.rung().await;
    }
}

async fn live(worker: &Worker, seat: &Seat, line: &mut Line) -> Result<(), Ended> {
    match &worker.plan.mode {
        Mode::Echo { load, expect } => {
            hold(worker, seat, line, |worker| !worker.is_open()).await?;
            echo::talk(worker, seat, line, load, *expect).await?;
        }
        Mode::FanOut { .. } => fan_out::hear(worker, seat, line).await?,
        Mode::Idle => hold(worker, seat, line, |worker| worker.draining().is_some()).await?,
    }
    worker.fell_quiet(seat);
    hold(worker, seat, line, Worker::is_closing).await
}

/// Receives, so that pings are answered, until it is time for something else.
async fn hold(worker: &Worker, seat: &Seat, line: &mut Line, until: fn(&Worker) -> bool) -> Result<(), Ended> {
    while !until(worker) && !worker.is_closing() {
        tokio::select! {
            biased;
            received = line.recv_ref() => match received? {
                // What comes before the load is the server's greeting, or the answer to --first.
                Some(_) if worker.is_open() => {}
                Some(_) => worker.tally.borrow_mut().messages.unasked += 1,
                None => return Err(Ended::ByServer(None)),
            },
            () = seat.bell.rung() => {}
        }
    }
    Ok(())
}

/// Counts a line that ended early, by what it said about it.
async fn lost(worker: &Worker, seat: &Seat, line: &mut Line, ended: Ended) {
    let code = line.closed().map(|closed| closed.code());
    {
        let lines = &mut worker.tally.borrow_mut().lines;
        match &ended {
            Ended::Silent => {
                let timeout = humantime::format_duration(worker.plan.reply_timeout);
                lines.lost.add(format!("no reply within {timeout}"), String::new);
            }
            Ended::ByServer(None) => {
                let code = code.unwrap_or(1005);
                *lines.close_codes.entry(code).or_default() += 1;
                let reason = || line.closed().map(|closed| closed.reason().to_owned()).unwrap_or_default();
                lines.lost.add(format!("the server closed it with {}", code_name(code)), reason);
            }
            Ended::ByServer(Some(error @ (Error::Aborted | Error::Io(_)))) => {
                *lines.close_codes.entry(1006).or_default() += 1;
                lines.lost.add(error.to_string(), String::new);
            }
            Ended::ByServer(Some(error)) => lines.lost.add(error.to_string(), String::new),
        }
    }
    worker.lost(seat);
    if matches!(ended, Ended::Silent) {
        // It did not answer before, so whether it answers now says nothing more.
        let _ = line.close(CloseCode::NORMAL, "").await;
    }
}

async fn close(worker: &Worker, line: &mut Line) {
    let closed = line.close(CloseCode::NORMAL, "").await;
    let lines = &mut worker.tally.borrow_mut().lines;
    match closed {
        Ok(_) => lines.closed += 1,
        Err(error) => lines.unclosed.add(error.to_string(), String::new),
    }
}

/// Why a line did not open, short enough to count by.
fn reason(error: &ConnectError) -> String {
    match error {
        ConnectError::Connect { address, error } if error.kind() == std::io::ErrorKind::AddrNotAvailable => {
            format!("cannot connect to {address}: this machine has no port left for one more line to it")
        }
        error => error.to_string(),
    }
}

/// `1001 Going Away`.
pub(super) fn code_name(code: u16) -> String {
    match (code, CloseCode::try_from(code)) {
        (1005, _) => "no code".to_owned(),
        (1006, _) => "1006 (no closing handshake)".to_owned(),
        (_, Ok(code)) => code.to_string(),
        (code, Err(_)) => code.to_string(),
    }
}
