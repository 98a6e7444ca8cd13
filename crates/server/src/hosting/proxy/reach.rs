//! The first of several servers that can be reached, for a line.

use http::StatusCode;
use openline::ClientStream;

use super::pool::{Pool, Taken};
use crate::edge::answer::text;
use crate::hosting::arrive::Refusal;
use crate::hosting::place::Found;

impl Pool {
    /// Connects to the one that has the least to do; and if that one cannot be reached, to the next.
    ///
    /// # Errors
    /// 502 or 504, as of the last one: nobody can be reached.
    pub(super) async fn reach(&self, found: &Found) -> Result<(Taken, ClientStream), Refusal> {
        let mut tried = Vec::new();
        let mut last = None;
        while let Some(taken) = self.take(&tried) {
            let member = taken.0.clone();
            match member.connector.connect().await {
                Ok(stream) => return Ok((taken, stream)),
                Err(error) => {
                    let upstream = &member.upstream;
                    tracing::warn!(route = %found.place.shown, %upstream, %error, "cannot reach the server behind");
                    member.pause();
                    last = Some(Box::new(error.response()));
                    tried.push(member);
                }
            }
        }
        Err(last.unwrap_or_else(|| Box::new(text(StatusCode::BAD_GATEWAY, "There is nothing behind this address."))))
    }
}
