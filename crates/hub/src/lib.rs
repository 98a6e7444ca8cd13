//! Who hears what: channels with history, recovery and presence. No sockets, no runtime, no clock.
//!
//! ```text
//!    publish ──▶ Hub ──▶ channel: offset += 1 ──▶ history (the recent past)
//!                                    │
//!                                    └─▶ each subscriber's Outbox ──▶ poll_take ──▶ whatever carries it
//! ```
//!
//! A [`Hub`] has channels, which come into being when somebody asks for them and are forgotten when nobody does. What is
//! published gets the channel's next offset; [`Position`], the epoch of the channel and an offset, says where in the sequence
//! somebody is. Whoever comes back with a position is given everything after it, or is told that something is missing:
//! nothing is ever lost in silence. What waits for a client is bounded, by itself and together with what waits for all
//! others, and what happens to those who are slow is a rule of the namespace ([`Overflow`]).
//!
//! | what | takes of the heap |
//! | --- | --- |
//! | a channel with nothing in it | 140 bytes and its name |
//! | a subscription with an outbox of its own | 250 bytes |
//! | a publication that is kept | 160 bytes and its payload |
//!
//! As measured by `cargo run --release -p openline-hub --example memory` on 64-bit Linux.
//!
//! # Order
//! Publications of one channel are delivered in the order of their offsets, to everyone. A subscription begins at one place
//! of the sequence: what [`Hub::subscribe`] recovers ends there, and what comes through the outbox begins there.

mod budget;
mod channel;
mod counters;
mod error;
mod history;
mod hub;
mod idempotency;
mod name;
mod outbox;
mod position;
mod presence;
mod publication;
mod queue;
mod recovery;
mod run;
mod settings;

pub use counters::Stats;
pub use error::{PublishError, ReadError, SubscribeError};
pub use hub::{Hub, Limits, Published, Subscribe, Subscribed, Subscription};
pub use idempotency::MAX_IDEMPOTENCY_KEY_BYTES;
pub use name::{ChannelName, NameError};
pub use outbox::{Delivery, Outbox, TooSlow};
pub use position::{Epoch, Position, PositionError};
pub use presence::{Member, PresenceStats};
pub use publication::{Draft, Format, Publication, Tags};
pub use recovery::{Gap, Recovery, Window};
pub use run::Run;
pub use settings::{HistoryLimits, Namespaces, Overflow, Settings};
