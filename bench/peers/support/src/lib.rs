//! What the peers' echo servers have in common.

mod corked;
mod server;

pub use corked::Corked;
pub use server::serve;
