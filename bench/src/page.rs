//! docs/performance.md: what was measured, how, and how to measure it again.

use crate::{
    calls,
    cell::{Cell, Kind, Over},
    chart::{Bar, Panel},
    comparison::Comparison,
    connect, fan_out,
    idle::{self, Measure},
    proxies,
    table::{self, thousands},
};

/// What there is.
pub(crate) struct Figures {
    pub(crate) echo: Option<Comparison>,
    pub(crate) connect: Option<connect::Report>,
    pub(crate) idle: Option<idle::Report>,
    pub(crate) fan_out: Option<fan_out::Report>,
    pub(crate) calls: Option<calls::Report>,
    pub(crate) proxies: Option<proxies::Report>,
}

/// File, what it shows, and its panels.
pub(crate) type Chart = (&'static str, &'static str, Vec<Panel>);

pub(crate) fn charts(figures: &Figures) -> Vec<Chart> {
    let mut charts: Vec<Chart> = Vec::new();
    if let Some(echo) = &figures.echo {
        charts.push((ECHO, "Echo: messages per second of server CPU time, as a share of raw TCP", echo_panels(echo)));
    }
    if let Some(connect) = &figures.connect {
        let bars = connect.servers.iter().filter_map(|name| Some(Bar::of(name, connect.per_cpu_second(name)?)));
        let panel = Panel {
            title: "Connections opened per CPU second".into(),
            bars: bars.collect(),
            mark: None,
            text: thousands,
        };
        charts.push((CONNECT, "Connections opened per second of server CPU time", vec![panel]));
    }
    if let Some(idle) = &figures.idle {
        let panel = |title: &str, measure| Panel {
            title: title.into(),
            bars: idle
                .per_connection(measure)
                .into_iter()
                .map(|(name, value)| Bar { name, value, range: None })
                .collect(),
            mark: None,
            text: thousands,
        };
        let panels = vec![
            panel("Resident bytes per idle connection", Measure::ResidentMemory),
            panel("Kernel bytes per idle connection, both ends", Measure::Kernel),
        ];
        charts.push((IDLE, "Memory per idle connection", panels));
    }
    if let Some(fan_out) = &figures.fan_out {
        let panels = fan_out.in_flight.iter().map(|&in_flight| Panel {
            title: format!("Deliveries per CPU second, {in_flight} at a time"),
            bars: fan_out
                .servers
                .iter()
                .filter_map(|name| Some(Bar::of(name, fan_out.per_cpu_second(name, in_flight)?)))
                .collect(),
            mark: None,
            text: thousands,
        });
        charts.push((FAN_OUT, "Deliveries per second of server CPU time", panels.collect()));
    }
    charts
}

fn echo_panels(echo: &Comparison) -> Vec<Panel> {
    let panel = |&cell: &Cell| Panel {
        title: title(cell),
        bars: echo.servers.iter().filter_map(|name| Some(Bar::of(name, echo.ratio(cell, name)?))).collect(),
        mark: Some(1.0),
        text: |ratio| format!("{ratio:.2}"),
    };
    echo.cells.iter().map(panel).collect()
}

fn title(cell: Cell) -> String {
    let bytes = match cell.payload_bytes {
        bytes @ ..1024 => format!("{bytes} B"),
        bytes @ ..1_048_576 => format!("{} KiB", bytes / 1024),
        bytes => format!("{} MiB", bytes / 1_048_576),
    };
    let kind = match cell.kind {
        Kind::Binary => "",
        Kind::Ascii => ", ASCII text",
        Kind::Mixed => ", mixed scripts",
        Kind::Json => ", JSON",
    };
    let over = match cell.over {
        Over { tls: false, deflate: false } => "",
        Over { tls: true, deflate: false } => ", wss",
        Over { tls: false, deflate: true } => ", deflate",
        Over { tls: true, deflate: true } => ", wss, deflate",
    };
    format!("{} × {bytes}, {} in flight{kind}{over}", thousands(cell.connections as f64), cell.in_flight)
}

pub(crate) fn markdown(figures: &Figures, charts: &[Chart]) -> String {
    let image = |name: &str| {
        let chart = charts.iter().find(|(file, ..)| *file == name);
        chart.map_or_else(String::new, |(file, what, _)| format!("\n![{what}](images/{file})\n"))
    };
    let sections = [
        figures.echo.as_ref().map(|echo| format!("{}{}\n{}", echo.markdown(), image(ECHO), ratios(echo))),
        figures.fan_out.as_ref().map(|report| report.markdown() + &image(FAN_OUT)),
        figures.connect.as_ref().map(|report| report.markdown() + &image(CONNECT)),
        figures.idle.as_ref().map(|report| report.markdown() + &image(IDLE)),
        figures.calls.as_ref().map(calls::Report::markdown),
        figures.proxies.as_ref().map(proxies::Report::markdown),
    ];
    let sections: Vec<String> = sections.into_iter().flatten().collect();
    if sections.is_empty() {
        return format!("{HEAD}\n{NOTHING}");
    }
    format!("{HEAD}\n{}", sections.join("\n"))
}

/// Every server's ratio to the raw echo in every cell: the whole comparison at a glance.
fn ratios(echo: &Comparison) -> String {
    let heads: Vec<String> = ["cell".to_owned()].into_iter().chain(echo.servers.iter().cloned()).collect();
    let rows: Vec<Vec<String>> = echo
        .cells
        .iter()
        .map(|&cell| {
            let ratio = |server: &String| match echo.ratio(cell, server) {
                Some(ratio) => format!("{:.2}", ratio.median),
                None => String::new(),
            };
            [cell.to_string()].into_iter().chain(echo.servers.iter().map(ratio)).collect()
        })
        .collect();
    format!("### As a share of the raw echo on tokio\n\n{}", table::any(1, &heads, &rows))
}

const ECHO: &str = "performance-echo.svg";
const CONNECT: &str = "performance-connect.svg";
const IDLE: &str = "performance-idle.svg";
const FAN_OUT: &str = "performance-fan-out.svg";

const HEAD: &str = "\
# Performance

Written by the program that measured it; nothing here is typed by hand. On a quiet Linux machine with at least two cores:

```sh
cargo run --release -p openline-bench -- all --uws PATH
```

builds the floors, ours and its peers, measures, and writes this page, its charts and every single run as JSON. Without `--uws`, the path of
an echo server on uWebSockets, that peer is left out. What is measured and how to read it: [bench/README.md](../bench/README.md). Each peer is
there twice: as its documentation says, and `corked`, on a stream that writes once for each read, which is as well as it can be used
without changing it.

Figures of different machines cannot be compared; ratios within one table can.
";

const NOTHING: &str =
    "There are no figures yet: the command above has not been run on a machine that was quiet enough.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_figures_the_page_says_so() {
        let figures = Figures { echo: None, connect: None, idle: None, fan_out: None, calls: None, proxies: None };
        let page = markdown(&figures, &charts(&figures));
        assert!(page.ends_with(NOTHING));
        // What is committed before the first measurement is what this would write.
        assert!(!page.contains("![") && page.starts_with("# Performance\n"));
    }
}
