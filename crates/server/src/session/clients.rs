//! The clients of a server's sessions, for programs in Rust that have the server as a library.

use std::sync::Arc;

use serde::Serialize;

use super::Realm;
use super::codes::Disconnect;
use super::sessions::Order;

/// The clients of the sessions of a [`Server`](crate::Server), by who they are. Clones are the same.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # use openline_server::{Config, Order, Server};
/// let server = Server::bind(Config::default()).await?;
/// let clients = server.clients();
/// tokio::spawn(server.serve(std::future::pending::<Order>()));
/// // Heard as `client.on('message', …)`, on every page that Ann has open.
/// clients.send("ann", &"lunch is ready")?;
/// // She has logged out.
/// clients.disconnect("ann");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Clients(Arc<Realm>);

impl Clients {
    pub(crate) fn new(realm: Arc<Realm>) -> Self {
        Self(realm)
    }

    /// How many sessions there are.
    pub fn count(&self) -> usize {
        self.0.sessions.count().0
    }

    /// Says something, as JSON, to every session that a user has now, in no channel; says to how many. Each gets it once, in
    /// order, or is disconnected with 3008 because over 1 MiB waited for it already: who must not miss anything listens to a
    /// channel.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn send(&self, user: &str, data: &impl Serialize) -> Result<usize, serde_json::Error> {
        let data = serde_json::to_vec(data)?;
        Ok(self.0.sessions.tell(user, None, &[], &Order::Message(data.into())))
    }

    /// Ends every session that a user has now, with 3503, after which client libraries stay away; says how many there were.
    pub fn disconnect(&self, user: &str) -> usize {
        self.0.sessions.tell(user, None, &[], &Order::Disconnect(Disconnect::FORCED))
    }
}
