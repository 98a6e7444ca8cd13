//! Places in a channel's sequence of publications.

use std::{error, fmt, str};

/// One life of a channel: a new one begins when a channel is created, so that offsets of another life are never taken for
/// its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    pub(crate) fn new(random: u64) -> Self {
        Self(random)
    }
}

/// The place behind the publication with this offset; offset 0 is the place before the first.
///
/// Written as `<epoch>.<offset>`, 16 lower-case hexadecimal digits and a decimal number. Offsets step by one, so that
/// whoever counts knows whether something is missing.
///
/// ```
/// use openline_hub::Position;
/// let position: Position = "00c0ffee00c0ffee.42".parse().unwrap();
/// assert_eq!((position.offset, position.to_string().as_str()), (42, "00c0ffee00c0ffee.42"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which life of the channel.
    pub epoch: Epoch,
    /// How many publications that life had up to here.
    pub offset: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.offset)
    }
}

impl str::FromStr for Epoch {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let digits = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match u64::from_str_radix(text, 16) {
            Ok(epoch) if digits => Ok(Self(epoch)),
            _ => Err(PositionError),
        }
    }
}

impl str::FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (epoch, offset) = text.split_once('.').ok_or(PositionError)?;
        // One way to write a number only: positions are compared as text by those who do not know what they mean.
        if !offset.bytes().all(|byte| byte.is_ascii_digit()) || (offset.len() > 1 && offset.starts_with('0')) {
            return Err(PositionError);
        }
        Ok(Self { epoch: epoch.parse()?, offset: offset.parse().map_err(|_| PositionError)? })
    }
}

/// It is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositionError;

impl fmt::Display for PositionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a position is 16 lower-case hexadecimal digits, a dot and a number, as in 00c0ffee00c0ffee.42")
    }
}

impl error::Error for PositionError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_as_they_are_written() {
        for (epoch, offset) in [(0, 0), (1, 9), (u64::MAX, u64::MAX)] {
            let position = Position { epoch: Epoch(epoch), offset };
            assert_eq!(position.to_string().parse(), Ok(position));
        }
    }

    #[test]
    fn anything_else_is_not_a_position() {
        for bad in [
            "",
            ".",
            "0",
            "0.1",
            "00c0ffee00c0ffee",
            "00c0ffee00c0ffee.",
            "00c0ffee00c0ffee.-1",
            "00c0ffee00c0ffee.+1",
            "00c0ffee00c0ffee.01",
            "00c0ffee00c0ffee.1.2",
            "00C0FFEE00C0FFEE.1",
            "+0c0ffee00c0ffee.1",
            " 00c0ffee00c0ffee.1",
            "00c0ffee00c0ffee.18446744073709551616",
            "00c0ffee00c0ffee0.1",
        ] {
            assert_eq!(bad.parse::<Position>(), Err(PositionError), "{bad}");
        }
    }
}
