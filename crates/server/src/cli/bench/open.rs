//! The one place where lines are opened, and the type that they have.

use std::sync::Arc;
use std::time::Duration;

use http::header::SEC_WEBSOCKET_EXTENSIONS;
use openline::deflate::{ContextMemory, Deflate};
use openline::{Client, ClientStream, Config, ConnectError, WebSocket};

use super::args::{Args, Compression};
use super::plan::Load;
use crate::cli::trust;

/// An open line.
pub(super) type Line = WebSocket<ClientStream>;

/// How to open a line, and where to.
#[derive(Clone, Debug)]
pub(super) struct Opener {
    client: Client,
    url: String,
}

impl Opener {
    /// # Errors
    /// A sentence about what cannot be used.
    pub(super) fn new(args: &Args, url: &str, load: &Load) -> Result<Self, String> {
        let longest = load.payload.len().max(args.first.as_deref().map_or(0, str::len));
        let most = (longest as u64 * 2).max(MAX_MESSAGE_BYTES);
        let config = Config {
            max_message_bytes: most,
            max_frame_bytes: most,
            // What may wait is bounded by the messages in flight. A line that waited for room would not receive meanwhile.
            max_output_bytes: usize::MAX,
            // A ping of ours would be measured, too. The server's are answered.
            ping_interval: None,
            write_timeout: args.reply_timeout.max(MIN_WRITE_TIMEOUT),
            ..Config::default()
        };
        let deflate = match args.compression {
            Compression::Off => None,
            Compression::On => Some(Deflate::default()),
            // Every line is to have it: who measures takeover has the memory for it, or wants to know.
            Compression::Takeover => Some(Deflate::with_takeover(ContextMemory::new(usize::MAX))),
        };
        let mut client = Client::new().config(Arc::new(config)).deflate(deflate).timeout(args.connect_timeout);
        for name in &args.subprotocol {
            client = client.subprotocol(name);
        }
        for (name, value) in &args.header {
            client = client.header(name, value);
        }
        if let Some(origin) = &args.origin {
            client = client.origin(&origin.to_string());
        }
        if trust::is_needed(url) {
            client = client.tls(args.trust.connector().map_err(|error| error.to_string())?);
        }
        Ok(Self { client, url: url.to_owned() })
    }

    /// A line, and whether the server compresses.
    pub(super) async fn open(&self) -> Result<(Line, bool), ConnectError> {
        let (line, response) = self.client.connect(&self.url).await?;
        let extensions = response.headers().get_all(SEC_WEBSOCKET_EXTENSIONS);
        let compresses = extensions.iter().any(|value| value.as_bytes().starts_with(b"permessage-deflate"));
        Ok((line, compresses))
    }
}

/// What a server may send unasked: as much as `openline connect` takes.
const MAX_MESSAGE_BYTES: u64 = 16 << 20;

/// Messages may be large and lines many: what is short for a reply is not for a write.
const MIN_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
