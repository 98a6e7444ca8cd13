//! As the examples of yawc do it.

fn main() -> std::io::Result<()> {
    support::serve(peer_yawc::echo)
}
