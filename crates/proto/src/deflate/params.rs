//! What the ends of a connection agree on: the four parameters of permessage-deflate (RFC 7692 §7.1).

use std::{error, fmt};

use crate::role::Role;

/// The extension's registered name (§8.1).
pub(crate) const NAME: &str = "permessage-deflate";

/// The parameters that both ends agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateParams {
    /// What binds the server's compressor.
    pub server: Direction,
    /// What binds the client's.
    pub client: Direction,
}

/// What binds one end's compressor, and so what the other's decompressor has to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Whether a message may refer to those before it (§7.1.1).
    pub takeover: bool,
    /// How far back it may refer, as a power of two: 8 to 15, 256 bytes to 32 KiB (§7.1.2).
    pub window_bits: u8,
}

impl Direction {
    /// What nobody has limited.
    pub(crate) const UNLIMITED: Self = Self { takeover: true, window_bits: 15 };

    /// How much may be referred to.
    pub fn window_bytes(self) -> usize {
        1 << self.window_bits
    }
}

impl DeflateParams {
    /// What binds the compressor of this end.
    pub fn of(&self, role: Role) -> Direction {
        match role {
            Role::Client => self.client,
            Role::Server => self.server,
        }
    }
}

/// The parameters of one offer or answer, as they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(super) server_no_context_takeover: bool,
    pub(super) client_no_context_takeover: bool,
    pub(super) server_max_window_bits: Option<u8>,
    /// In an offer the value may be left out: "The client […] can use" the parameter, whatever its value (§7.1.2.2).
    pub(super) client_max_window_bits: Option<Option<u8>>,
}

impl Sent {
    /// §7: a parameter that is not defined, has an invalid value or comes twice makes the whole of no use.
    ///
    /// Names are taken as they are registered, in lower case.
    pub(super) fn read(params: &[(String, Option<String>)]) -> Result<Self, InvalidDeflate> {
        let mut sent = Self::default();
        for (name, value) in params {
            let value = value.as_deref();
            let again = match name.as_str() {
                "server_no_context_takeover" => std::mem::replace(&mut sent.server_no_context_takeover, absent(value)?),
                "client_no_context_takeover" => std::mem::replace(&mut sent.client_no_context_takeover, absent(value)?),
                "server_max_window_bits" => sent.server_max_window_bits.replace(window_bits(value)?).is_some(),
                "client_max_window_bits" => {
                    let bits = value.map(|value| window_bits(Some(value))).transpose()?;
                    sent.client_max_window_bits.replace(bits).is_some()
                }
                _ => return Err(InvalidDeflate::UnknownParameter(name.clone())),
            };
            if again {
                return Err(InvalidDeflate::RepeatedParameter(name.clone()));
            }
        }
        Ok(sent)
    }
}

/// As it goes over the wire.
impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        match self.client_max_window_bits {
            None => Ok(()),
            Some(None) => f.write_str("; client_max_window_bits"),
            Some(Some(bits)) => write!(f, "; client_max_window_bits={bits}"),
        }
    }
}

/// §7.1.1: the parameter "has no value": `true` for one that is there and has none.
fn absent(value: Option<&str>) -> Result<bool, InvalidDeflate> {
    match value {
        None => Ok(true),
        Some(value) => Err(InvalidDeflate::InvalidValue(value.into())),
    }
}

/// §7.1.2: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
fn window_bits(value: Option<&str>) -> Result<u8, InvalidDeflate> {
    let value = value.unwrap_or_default();
    match value {
        "8" => Ok(8),
        "9" => Ok(9),
        "10" => Ok(10),
        "11" => Ok(11),
        "12" => Ok(12),
        "13" => Ok(13),
        "14" => Ok(14),
        "15" => Ok(15),
        _ => Err(InvalidDeflate::InvalidValue(value.into())),
    }
}

/// What is wrong with an answer to our offer of permessage-deflate (§7.1). An offer with the first three faults is
/// declined, and nobody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidDeflate {
    /// A parameter that RFC 7692 does not define.
    UnknownParameter(String),
    /// A parameter that comes twice.
    RepeatedParameter(String),
    /// A value that the parameter cannot have, or that it must not lack.
    InvalidValue(String),
    /// Well-formed, but no answer to anything that was offered: it lacks a parameter that it had to repeat, has one that
    /// was not offered, or a window larger than the one that was.
    Unoffered,
}

impl fmt::Display for InvalidDeflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownParameter(name) => write!(f, "the parameter {name:?} does not exist"),
            Self::RepeatedParameter(name) => write!(f, "the parameter {name:?} comes twice"),
            Self::InvalidValue(value) => write!(f, "{value:?} is no value for its parameter"),
            Self::Unoffered => f.write_str("its parameters do not answer what was offered"),
        }
    }
}

impl error::Error for InvalidDeflate {}
