//! WebSocket client and server on tokio.

pub mod http1;
