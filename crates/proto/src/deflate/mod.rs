//! permessage-deflate (RFC 7692): what two ends agree on, and how messages are compressed and inflated.
//!
//! ```text
//!   handshake                     Negotiated                     connection
//!
//!   Deflate (settings) ─► offers ─► answer ─► DeflateParams ─┬─► Deflater: a message out ─► frames with RSV1
//!                                                            └─► Inflater: frames with RSV1 ─► a message in
//!                                            ContextMemory: what takeover may hold, all connections together
//! ```

mod codecs;
mod compression;
mod deflater;
mod inflater;
mod library;
mod memory;
mod negotiate;
mod params;
mod settings;

pub use codecs::Codecs;
pub use deflater::Deflater;
pub use inflater::{InflateError, Inflated, Inflater};
pub use library::{DeflaterKind, Library};
pub use memory::ContextMemory;
pub use params::{DeflateParams, Direction, InvalidDeflate};
pub use settings::Deflate;

pub(crate) use compression::Compression;
pub(crate) use negotiate::{Agreed, Offers, answer};
pub(crate) use params::NAME;
