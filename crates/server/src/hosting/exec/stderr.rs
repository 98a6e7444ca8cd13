//! What a program says on stderr, in our log.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::ChildStderr;
use tokio::time::{Instant, sleep_until};

/// A longer line is cut into several.
const LINE_BYTES: u64 = 4 << 10;

/// More lines in a second are waited with, and the program waits with us: a log that is flooded is read by nobody.
const LINES_PER_SECOND: u32 = 100;

/// Until it says nothing more.
pub(super) async fn log(said: ChildStderr, route: String, id: Option<u32>) {
    let mut said = BufReader::with_capacity(1 << 10, said);
    let mut line = Vec::new();
    let (mut second, mut count) = (Instant::now(), 0);
    loop {
        line.clear();
        match (&mut said).take(LINE_BYTES).read_until(b'\n', &mut line).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        if second.elapsed() >= Duration::from_secs(1) {
            (second, count) = (Instant::now(), 0);
        }
        count += 1;
        if count > LINES_PER_SECOND {
            sleep_until(second + Duration::from_secs(1)).await;
        }
        let text = String::from_utf8_lossy(&line);
        tracing::info!(%route, id, "stderr: {}", text.trim_end().escape_debug());
    }
}
