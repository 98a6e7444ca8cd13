//! As the examples of fastwebsockets do it.

fn main() -> std::io::Result<()> {
    support::serve(peer_fastwebsockets::echo)
}
