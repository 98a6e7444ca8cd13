//! One thing that is measured: how many connections, how large the messages, how many in flight, of which kind.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{compressed::MIN_JSON_BYTES, wire::MIN_PAYLOAD_BYTES};

/// Written `CONNECTIONSxBYTESxDEPTH`, such as `100x1024x16`; text is `100x1024x16-ascii` or `100x1024x16-mixed`, JSON over
/// permessage-deflate `100x1024x16-deflate`, and binary over TLS `100x1024x16-wss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) connections: usize,
    pub(crate) payload_bytes: usize,
    /// Messages of one connection that are on their way at any moment.
    pub(crate) in_flight: usize,
    #[serde(default)]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) over: Over,
}

/// What the messages are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    #[default]
    Binary,
    /// Text of one byte for each character.
    Ascii,
    /// Text in several scripts: two, three and four bytes for each character.
    Mixed,
    /// What an application sends: text that compresses to a third.
    Json,
}

/// What lies between messages and TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Over {
    /// wss, with whatever certificate the server has.
    pub(crate) tls: bool,
    /// permessage-deflate.
    pub(crate) deflate: bool,
}

/// What a cell's name ends with, and what that stands for.
const ENDINGS: [(&str, Kind, Over); 5] = [
    ("", Kind::Binary, Over { tls: false, deflate: false }),
    ("-ascii", Kind::Ascii, Over { tls: false, deflate: false }),
    ("-mixed", Kind::Mixed, Over { tls: false, deflate: false }),
    ("-deflate", Kind::Json, Over { tls: false, deflate: true }),
    ("-wss", Kind::Binary, Over { tls: true, deflate: false }),
];

impl Cell {
    /// Whether all that is on its way fits into a machine that also does other things.
    pub(crate) fn fits(&self) -> bool {
        self.connections * self.payload_bytes * self.in_flight <= MOST_BYTES_IN_FLIGHT
    }
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Cell, String> {
        let (numbers, ending) = text.split_at(text.find('-').unwrap_or(text.len()));
        let Some((_, kind, over)) = ENDINGS.into_iter().find(|(name, ..)| *name == ending) else {
            return Err("a kind is ascii, mixed, deflate or wss, as in 100x1024x16-mixed".into());
        };
        let numbers: Result<Vec<usize>, _> = numbers.split('x').map(str::parse).collect();
        let Ok([connections, payload_bytes, in_flight]) = numbers.as_deref() else {
            return Err("write CONNECTIONSxBYTESxDEPTH, such as 100x1024x16".into());
        };
        let cell = Cell { connections: *connections, payload_bytes: *payload_bytes, in_flight: *in_flight, kind, over };
        match cell {
            Cell { connections: 0, .. } | Cell { in_flight: 0, .. } => {
                Err("at least one connection and one in flight".into())
            }
            Cell { payload_bytes: ..MIN_PAYLOAD_BYTES, .. } => {
                Err(format!("a payload needs {MIN_PAYLOAD_BYTES} bytes to hold its number at both ends"))
            }
            Cell { payload_bytes: ..MIN_JSON_BYTES, kind: Kind::Json, .. } => {
                Err(format!("JSON begins at {MIN_JSON_BYTES} bytes: shorter messages are not compressed"))
            }
            Cell { payload_bytes, .. } if payload_bytes > MAX_PAYLOAD_BYTES => {
                Err(format!("a payload of more than {MAX_PAYLOAD_BYTES} bytes is over the limit of most servers"))
            }
            cell => Ok(cell),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.connections, self.payload_bytes, self.in_flight)?;
        let ending = ENDINGS.iter().find(|(_, kind, over)| (*kind, *over) == (self.kind, self.over));
        f.write_str(ending.map_or("-?", |(name, ..)| name))
    }
}

/// {1, 100, 5000} connections x {20 B, 1 KiB, 16 KiB, 1 MiB} x {1, 16} in flight, as far as they fit; and some text, compressed
/// JSON, and TLS.
pub(crate) fn matrix() -> Vec<Cell> {
    let mut cells = Vec::new();
    for connections in [1, 100, 5000] {
        for payload_bytes in [20, 1 << 10, 16 << 10, 1 << 20] {
            for in_flight in [1, 16] {
                let (kind, over) = (Kind::Binary, Over::default());
                cells.push(Cell { connections, payload_bytes, in_flight, kind, over });
            }
        }
    }
    for (_, kind, over) in &ENDINGS[1..] {
        for in_flight in [1, 16] {
            cells.push(Cell { connections: 100, payload_bytes: 1 << 10, in_flight, kind: *kind, over: *over });
        }
    }
    cells.retain(Cell::fits);
    cells
}

/// The library's default for a whole message, and that of many others.
const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// Both ends, and the kernel between them, may hold a copy.
const MOST_BYTES_IN_FLIGHT: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_three_numbers_and_a_kind() {
        for (ending, kind, over) in ENDINGS {
            let text = format!("100x1024x16{ending}");
            let cell: Cell = text.parse().unwrap();
            assert_eq!(cell, Cell { connections: 100, payload_bytes: 1024, in_flight: 16, kind, over });
            assert_eq!(cell.to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "100",
            "100x20",
            "100x20x1x1",
            "0x20x1",
            "100x20x0",
            "100x15x1",
            "100x1048577x1",
            "-1x20x1",
            "ax20x1",
            "100x20x1-latin",
            "100x20x1-deflate",
            "100x20x1-",
        ] {
            assert!(text.parse::<Cell>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_matrix_is_all_that_fits() {
        let cells = matrix();
        assert_eq!(cells.len(), 24 - 4 + 8);
        for (cell, fits) in [("5000x20x16", true), ("100x1048576x1", true), ("100x1048576x16", false)] {
            assert_eq!(cells.contains(&cell.parse().unwrap()), fits, "{cell}");
        }
    }
}
