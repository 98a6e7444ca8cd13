//! The same, with one write for each read.

fn main() -> std::io::Result<()> {
    support::serve(|stream| peer_tungstenite::echo(support::Corked::new(stream)))
}
