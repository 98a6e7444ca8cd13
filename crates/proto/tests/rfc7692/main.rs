//! RFC 7692, permessage-deflate, clause by clause: each module is a part of it, and each test one thing that it says.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod negotiation;
