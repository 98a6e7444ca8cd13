//! What fuzzing checks: each function takes any bytes, and panics if the code that reads them breaks a promise.
//!
//! `cargo fuzz` calls them with bytes that it makes up (`fuzz/fuzz_targets`), and `cargo test` with those in
//! `fuzz/corpus`, so that what was once found stays found without a nightly compiler.

mod connection;
mod deflate;
mod frames;
mod opening;
mod split;

pub use connection::{client_connection, compressed_client, compressed_server, server_connection};
pub use deflate::{extensions, inflate};
pub use frames::frames;
pub use opening::{opening_request, opening_response, uri};
pub use openline_server::fuzzing::{channels, configuration, session};
pub use split::any_split;

/// A check, which panics when a promise is broken.
pub type Check = fn(&[u8]);

/// Every check, with the name of its fuzz target and of the folder in `fuzz/corpus`.
pub const CHECKS: [(&str, Check); 14] = [
    ("frames", frames),
    ("server_connection", server_connection),
    ("client_connection", client_connection),
    ("compressed_server", compressed_server),
    ("compressed_client", compressed_client),
    ("inflate", inflate),
    ("extensions", extensions),
    ("any_split", any_split),
    ("opening_request", opening_request),
    ("opening_response", opening_response),
    ("uri", uri),
    ("channels", channels),
    ("configuration", configuration),
    ("session", session),
];
