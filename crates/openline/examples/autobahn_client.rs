//! The client's side of the Autobahn|Testsuite: `autobahn_client URL AGENT`, against `wstest -m fuzzingserver`.
use openline::deflate::{ContextMemory, Deflate};
use openline::{Client, Config};
use std::error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(agent)) = (arguments.next(), arguments.next()) else {
        return Err("usage: autobahn_client URL AGENT".into());
    };
    let client = Client::new()
        .config(Config { max_frame_bytes: 32 << 20, max_message_bytes: 32 << 20, ..Config::default() })
        .deflate(Deflate::with_takeover(ContextMemory::new(16 << 20)));
    let count = client.connect(&format!("{url}/getCaseCount")).await?.0.recv().await?;
    let cases: u32 = count.and_then(|count| count.as_text()?.parse().ok()).ok_or("no case count")?;

    for case in 1..=cases {
        let (mut socket, _) = client.connect(&format!("{url}/runCase?case={case}&agent={agent}")).await?;
        // A case that makes the connection fail is one that we are meant to fail: the report judges.
        while let Ok(Some((message, mut reply))) = socket.recv_ref().await {
            if reply.feed(message).is_err() {
                break;
            }
        }
    }
    client.connect(&format!("{url}/updateReports?agent={agent}")).await?.0.recv().await?;
    Ok(())
}
