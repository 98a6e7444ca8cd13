//! As the examples of tokio-tungstenite do it.

fn main() -> std::io::Result<()> {
    support::serve(peer_tungstenite::echo)
}
