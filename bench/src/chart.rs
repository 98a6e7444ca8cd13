//! Bar charts as SVG: text, so that they can be compared and reviewed like any other.

use std::fmt::Write as _;

use crate::spread::Spread;

/// One row of bars, of one unit.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
    /// A line across all bars, such as 1.00.
    pub(crate) mark: Option<f64>,
    pub(crate) text: fn(f64) -> String,
}

pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: f64,
    /// The middle half of the rounds.
    pub(crate) range: Option<(f64, f64)>,
}

impl Bar {
    pub(crate) fn of(name: &str, spread: Spread) -> Bar {
        Bar { name: name.into(), value: spread.median, range: Some((spread.lower, spread.upper)) }
    }

    fn is_ours(&self) -> bool {
        self.name.starts_with("openline")
    }
}

/// Panels below each other, two abreast; readable on a light page and on a dark one.
pub(crate) fn svg(what: &str, panels: &[Panel]) -> String {
    let heights: Vec<usize> =
        panels.chunks(COLUMNS).map(|row| row.iter().map(Panel::height).max().unwrap_or(0)).collect();
    let (width, height) = (COLUMNS * PANEL_WIDTH, heights.iter().sum::<usize>() + GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n{STYLE}",
        escaped(what)
    );
    let mut top = 0;
    for (row, height) in panels.chunks(COLUMNS).zip(heights) {
        for (column, panel) in row.iter().enumerate() {
            panel.draw(&mut svg, column * PANEL_WIDTH, top);
        }
        top += height;
    }
    svg.push_str("</svg>\n");
    svg
}

impl Panel {
    fn height(&self) -> usize {
        TITLE_HEIGHT + self.bars.len() * BAR_PITCH + GAP
    }

    fn draw(&self, svg: &mut String, left: usize, top: usize) {
        let reach = |bar: &Bar| bar.range.map_or(bar.value, |(_, upper)| upper.max(bar.value));
        let most = self.bars.iter().map(reach).chain(self.mark).fold(f64::MIN_POSITIVE, f64::max);
        let x = |value: f64| left as f64 + NAME_WIDTH as f64 + (value.max(0.0) / most) * BAR_WIDTH as f64;
        let mut line = |text: std::fmt::Arguments<'_>| writeln!(svg, "{text}").expect("a String takes everything");
        line(format_args!(
            "<text class=\"title\" x=\"{}\" y=\"{}\">{}</text>",
            left + GAP,
            top + TITLE_HEIGHT - 10,
            escaped(&self.title)
        ));
        for (n, bar) in self.bars.iter().enumerate() {
            let y = top + TITLE_HEIGHT + n * BAR_PITCH;
            let middle = y + BAR_HEIGHT / 2;
            line(format_args!(
                "<text class=\"name\" x=\"{}\" y=\"{}\">{}</text>",
                left + NAME_WIDTH - 8,
                middle + 4,
                escaped(&bar.name)
            ));
            let class = if bar.is_ours() { "ours" } else { "bar" };
            line(format_args!(
                "<rect class=\"{class}\" x=\"{:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{BAR_HEIGHT}\"/>",
                x(0.0),
                x(bar.value) - x(0.0)
            ));
            let mut end = x(bar.value);
            if let Some((lower, upper)) = bar.range {
                line(format_args!(
                    "<line class=\"range\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>",
                    x(lower),
                    x(upper)
                ));
                end = end.max(x(upper));
            }
            let text = (self.text)(bar.value);
            line(format_args!("<text x=\"{:.1}\" y=\"{}\">{text}</text>", end + 6.0, middle + 4));
        }
        if let Some(mark) = self.mark {
            let (from, to) = (top + TITLE_HEIGHT - 4, top + self.height() - GAP);
            line(format_args!("<line class=\"mark\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{from}\" y2=\"{to}\"/>", x(mark)));
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

const COLUMNS: usize = 2;
const PANEL_WIDTH: usize = 480;
const NAME_WIDTH: usize = 190;
/// Leaves room for the value behind the longest bar.
const BAR_WIDTH: usize = 210;
const BAR_HEIGHT: usize = 14;
const BAR_PITCH: usize = 20;
const TITLE_HEIGHT: usize = 36;
const GAP: usize = 12;

const STYLE: &str = "<style>\
text{font:12px system-ui,sans-serif;fill:#333}.title{font-weight:600}.name{text-anchor:end}\
.bar{fill:#9aa5b1}.ours{fill:#2f7fd1}.range{stroke:#333;stroke-width:1.5}.mark{stroke:#c0392b;stroke-dasharray:3 3}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.bar{fill:#66707c}.ours{fill:#5aa2ea}.range{stroke:#ddd}}\
</style>\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_value() {
        let bar = |name: &str, value: f64| Bar { name: name.into(), value, range: Some((value - 0.5, value)) };
        let panel = Panel {
            title: "a < b".into(),
            bars: vec![bar("openline", 2.0), bar("other", 1.0)],
            mark: Some(1.0),
            text: |value| format!("{value:.2}"),
        };
        let svg = svg("it", &[panel]);
        assert!(svg.contains("<rect class=\"ours\" x=\"190.0\" y=\"36\" width=\"210.0\""), "{svg}");
        assert!(svg.contains("<rect class=\"bar\" x=\"190.0\" y=\"56\" width=\"105.0\""), "{svg}");
        assert!(svg.contains("a &lt; b") && svg.contains(">2.00</text>"), "{svg}");
        assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    }
}
