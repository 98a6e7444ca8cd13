//! The one place where lines are opened, and the type that they have.

use std::sync::Arc;
use std::time::Duration;

use openline::{Client, ClientStream, Config, ConnectError, WebSocket};

use super::args::Args;
use super::plan::Load;

/// An open line.
pub(super) type Line = WebSocket<ClientStream>;

/// How to open a line, and where to.
#[derive(Clone, Debug)]
pub(super) struct Opener {
    client: Client,
    url: String,
}

impl Opener {
    pub(super) fn new(args: &Args, url: &str, load: &Load) -> Self {
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
        let mut client = Client::new().config(Arc::new(config)).timeout(args.connect_timeout);
        for name in &args.subprotocol {
            client = client.subprotocol(name);
        }
        for (name, value) in &args.header {
            client = client.header(name, value);
        }
        if let Some(origin) = &args.origin {
            client = client.origin(&origin.to_string());
        }
        Self { client, url: url.to_owned() }
    }

    pub(super) async fn open(&self) -> Result<Line, ConnectError> {
        self.client.connect(&self.url).await.map(|(line, _)| line)
    }
}

/// What a server may send unasked: as much as `openline connect` takes.
const MAX_MESSAGE_BYTES: u64 = 16 << 20;

/// Messages may be large and lines many: what is short for a reply is not for a write.
const MIN_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
