//! `openline bench`: opens lines, sends, matches every reply, and says how long each took.
//!
//! ```text
//! Args ─▶ Plan ─▶ Worker (a thread each) ─▶ line: open ─▶ echo · hear · hold ─▶ close
//!                  │        ▲                  │
//!           Tally, │        │ Order            ▼
//!           News   ▼        │              Payload: made, and checked, from its Stamp
//!                run ───────┘
//!                  └─▶ Figures ─▶ live view · text · JSON · limits
//! ```
//! A thread's lines are its own, so that nothing is locked for a message; what it counted, it tells ten times a second.

mod args;
mod bars;
mod bell;
mod busy;
mod echo;
mod fan_out;
mod figures;
mod json;
mod limits;
mod line;
mod live;
mod numbers;
mod open;
mod pacing;
mod payload;
mod plan;
mod run;
mod tally;
mod text;
mod troubles;
mod worker;

use std::io::{self, Write};

pub(super) use args::Args;

use self::plan::Plan;
use super::fail;
use super::signals::Signals;
use crate::exit::Exit;

pub(super) async fn run(args: Args) -> Exit {
    let (as_json, no_live) = (args.json, args.no_live);
    let plan = match Plan::new(args) {
        Ok(plan) => plan,
        Err(why) => return fail(Exit::Usage, format_args!("{why}")),
    };
    let signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return fail(Exit::Failure, format_args!("cannot wait for signals: {error}")),
    };
    let (plan, figures) = match run::run(plan, signals, no_live).await {
        Ok(done) => done,
        Err(exit) => return exit,
    };
    let verdicts = plan.limits.judge(&figures);
    let report =
        if as_json { json::report(&plan, &figures, &verdicts) } else { text::report(&plan, &figures, &verdicts) };
    // Whoever asked for the report may have gone; the exit code still says what it said.
    let mut out = io::stdout().lock();
    let _ = out.write_all(report.as_bytes()).and_then(|()| out.flush());

    if verdicts.iter().any(|verdict| !verdict.met) {
        return Exit::Missed;
    }
    let (lines, messages) = (&figures.tally.lines, &figures.tally.messages);
    match () {
        () if lines.opened == 0 && !figures.interrupted => {
            let was_refused = lines.refused == lines.failed.count();
            let exit = if was_refused { Exit::Refused } else { Exit::CannotConnect };
            fail(exit, format_args!("no line was opened"))
        }
        () if messages.sent > 0 && messages.received + messages.late + messages.abandoned == 0 => {
            fail(Exit::Failure, format_args!("not one message came back as it should"))
        }
        () => Exit::Ok,
    }
}
