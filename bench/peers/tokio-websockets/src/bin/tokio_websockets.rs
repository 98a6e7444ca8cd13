//! As the examples of tokio-websockets do it.

fn main() -> std::io::Result<()> {
    support::serve(peer_tokio_websockets::echo)
}
