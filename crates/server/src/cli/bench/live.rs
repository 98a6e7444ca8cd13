//! What a person sees while it runs: a few lines on stderr, drawn over and over in the same place, and gone at the end.

use std::collections::VecDeque;
use std::time::Duration;

use console::Term;
use tokio::time::Instant;

use super::figures::Figures;
use super::plan::{End, Plan};
use super::{bars, line, numbers, text};

pub(super) struct Live {
    term: Term,
    /// What is on the screen.
    drawn: usize,
    last: Option<Instant>,
    /// Received in each of the last seconds, the current one last.
    seconds: VecDeque<Second>,
}

#[derive(Clone, Copy)]
struct Second {
    began: Instant,
    received_before: u64,
    rate: f64,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Opening,
    /// What is sent first may be answered.
    Settling,
    WarmUp,
    Measuring,
    Draining,
    Closing,
}

impl Live {
    /// `None` where nobody watches.
    pub(super) fn new(plan_says_no: bool) -> Option<Self> {
        let term = Term::buffered_stderr();
        let live = !plan_says_no && term.features().is_attended() && term.features().colors_supported();
        live.then(|| Self { term, drawn: 0, last: None, seconds: VecDeque::new() })
    }

    /// Draws what is known now, unless it did so a moment ago.
    pub(super) fn draw(&mut self, plan: &Plan, figures: &Figures, stage: Stage, elapsed: Duration) {
        let now = Instant::now();
        self.note_rate(figures.tally.messages.received, now);
        if self.last.is_some_and(|last| now - last < FRAME) {
            return;
        }
        self.last = Some(now);
        let (height, width) = self.term.size();
        let rows = self.rows(plan, figures, stage, elapsed, usize::from(width));
        // A row that wraps, or a view that scrolls, could not be drawn over.
        let rows: Vec<String> = rows
            .into_iter()
            .take(usize::from(height).saturating_sub(2))
            .map(|row| console::truncate_str(&row, usize::from(width).saturating_sub(1), "…").into_owned())
            .collect();
        let _ = self.erase();
        for row in &rows {
            let _ = self.term.write_line(row);
        }
        self.drawn = rows.len();
        // Whoever closed the terminal is not interested.
        let _ = self.term.flush();
    }

    /// Leaves the terminal as it was.
    pub(super) fn clear(&mut self) {
        let _ = self.erase();
        let _ = self.term.flush();
    }

    fn erase(&mut self) -> std::io::Result<()> {
        let drawn = std::mem::take(&mut self.drawn);
        self.term.clear_last_lines(drawn)
    }

    fn note_rate(&mut self, received: u64, now: Instant) {
        let Some(current) = self.seconds.back_mut() else {
            self.seconds.push_back(Second { began: now, received_before: received, rate: 0.0 });
            return;
        };
        let time = now - current.began;
        if received < current.received_before {
            // The measurement began, and what was before is forgotten.
            *current = Second { began: now, received_before: received, rate: 0.0 };
            return;
        }
        if !time.is_zero() {
            current.rate = (received - current.received_before) as f64 / time.as_secs_f64();
        }
        if time >= Duration::from_secs(1) {
            self.seconds.push_back(Second { began: now, received_before: received, rate: 0.0 });
            if self.seconds.len() > CURVE_SECONDS {
                self.seconds.pop_front();
            }
        }
    }

    fn rows(&self, plan: &Plan, figures: &Figures, stage: Stage, elapsed: Duration, width: usize) -> Vec<String> {
        let tally = &figures.tally;
        let mut rows = vec![text::headline(plan), progress(plan, figures, stage, elapsed), String::new()];
        let lost = tally.lines.lost.count();
        rows.push(format!(
            "lines      {} of {} open, {} failed, {} lost",
            numbers::count(tally.lines.opened.saturating_sub(lost)),
            numbers::count(figures.asked),
            numbers::count(tally.lines.failed.count()),
            numbers::count(lost)
        ));
        if plan.load().is_some() {
            let whole: Vec<f64> = self.seconds.iter().rev().skip(1).rev().map(|second| second.rate).collect();
            let now = whole.last().or(self.seconds.back().map(|second| &second.rate)).copied().unwrap_or(0.0);
            rows.push(format!(
                "rate       {}/s now, {}/s on average  {}",
                numbers::rate(now),
                numbers::rate(figures.rate()),
                bars::curve(&whole)
            ));
            rows.push(format!("latency    {}", text::percentiles(&tally.messages.latency)));
        }
        let codes = tally.lines.close_codes.iter();
        let codes: Vec<String> =
            codes.map(|(&code, &count)| format!("{} ×{}", line::code_name(code), numbers::count(count))).collect();
        if !codes.is_empty() {
            rows.push(format!("closed     {}", codes.join(", ")));
        }
        let errors = match tally.errors() {
            0 => "none".to_owned(),
            errors => {
                let troubles = [&tally.lines.failed, &tally.lines.lost, &tally.messages.wrong];
                let worst = troubles.iter().filter_map(|troubles| troubles.by_count().into_iter().next());
                let worst =
                    worst.max_by_key(|(_, trouble)| trouble.count).map_or_else(String::new, |(reason, trouble)| {
                        format!(": {} ×{}", numbers::printable(reason), numbers::count(trouble.count))
                    });
                format!("{}{worst}", numbers::count(errors))
            }
        };
        rows.push(format!("errors     {errors}"));
        if tally.messages.latency.histogram().is_some() {
            rows.push(String::new());
            let width = width.saturating_sub(24).clamp(10, 60);
            rows.extend(bars::histogram(&tally.messages.latency, width));
        }
        rows
    }
}

/// `measuring  ████████████         6.0 s of 10 s`.
fn progress(plan: &Plan, figures: &Figures, stage: Stage, elapsed: Duration) -> String {
    const WIDTH: usize = 30;
    let (name, share, text) = match stage {
        Stage::Opening => {
            let settled = figures.tally.lines.opened + figures.tally.lines.failed.count();
            ("opening", settled as f64 / figures.asked.max(1) as f64, String::new())
        }
        Stage::Settling => ("waiting", 1.0, String::new()),
        Stage::WarmUp => {
            let all = plan.warm_up.unwrap_or(elapsed).max(Duration::from_nanos(1));
            ("warming up", elapsed.as_secs_f64() / all.as_secs_f64(), String::new())
        }
        Stage::Measuring => match plan.end {
            End::After(all) => {
                let text = format!("{:.0} s of {:.0} s", elapsed.as_secs_f64(), all.as_secs_f64());
                ("measuring", elapsed.as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE), text)
            }
            End::Messages(all) => {
                let text = format!("{} of {}", numbers::count(figures.tally.messages.sent), numbers::count(all));
                ("measuring", figures.tally.messages.sent as f64 / all.max(1) as f64, text)
            }
        },
        Stage::Draining => ("waiting for the last replies", 1.0, String::new()),
        Stage::Closing => ("closing", 1.0, String::new()),
    };
    let done = (share.clamp(0.0, 1.0) * WIDTH as f64) as usize;
    format!("{name:10} {}{} {text}", "━".repeat(done), "─".repeat(WIDTH - done))
}

/// Five a second: quick enough to feel live, slow enough to read.
const FRAME: Duration = Duration::from_millis(200);

/// As many as fit beside the numbers.
const CURVE_SECONDS: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_counted_apart() {
        let start = Instant::now();
        let mut live = Live { term: Term::buffered_stderr(), drawn: 0, last: None, seconds: VecDeque::new() };
        for (millis, received) in [(0, 0), (500, 50), (1_000, 100), (1_500, 100), (2_000, 400)] {
            live.note_rate(received, start + Duration::from_millis(millis));
        }
        let rates: Vec<f64> = live.seconds.iter().map(|second| second.rate).collect();
        assert_eq!(rates, [100.0, 300.0, 0.0]);
        live.note_rate(0, start + Duration::from_millis(2_100));
        assert_eq!(live.seconds.back().unwrap().received_before, 0);
    }
}
