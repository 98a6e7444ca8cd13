//! As the examples of sockudo-ws do it.

fn main() -> std::io::Result<()> {
    support::serve(peer_sockudo::echo)
}
