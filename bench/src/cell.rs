//! One thing that is measured: how many connections, how large the messages, how many in flight.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::wire::MIN_PAYLOAD_BYTES;

/// Written `CONNECTIONSxBYTESxDEPTH`, such as `100x1024x16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) connections: usize,
    pub(crate) payload_bytes: usize,
    /// Messages of one connection that are on their way at any moment.
    pub(crate) in_flight: usize,
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Cell, String> {
        let numbers: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
        let Ok([connections, payload_bytes, in_flight]) = numbers.as_deref() else {
            return Err("write CONNECTIONSxBYTESxDEPTH, such as 100x1024x16".into());
        };
        let cell = Cell { connections: *connections, payload_bytes: *payload_bytes, in_flight: *in_flight };
        match cell {
            Cell { connections: 0, .. } | Cell { in_flight: 0, .. } => {
                Err("at least one connection and one in flight".into())
            }
            Cell { payload_bytes: ..MIN_PAYLOAD_BYTES, .. } => {
                Err(format!("a payload needs {MIN_PAYLOAD_BYTES} bytes to hold its number at both ends"))
            }
            Cell { payload_bytes, .. } if payload_bytes > MAX_PAYLOAD_BYTES => {
                Err(format!("a payload of more than {MAX_PAYLOAD_BYTES} bytes is over the library's default limit"))
            }
            cell => Ok(cell),
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.connections, self.payload_bytes, self.in_flight)
    }
}

/// The library's default for a whole message.
const MAX_PAYLOAD_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_three_numbers() {
        let cell: Cell = "100x1024x16".parse().unwrap();
        assert_eq!(cell, Cell { connections: 100, payload_bytes: 1024, in_flight: 16 });
        assert_eq!(cell.to_string(), "100x1024x16");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "100", "100x20", "100x20x1x1", "0x20x1", "100x20x0", "100x15x1", "100x1048577x1", "-1x20x1", "ax20x1"]
        {
            assert!(text.parse::<Cell>().is_err(), "{text}");
        }
    }
}
