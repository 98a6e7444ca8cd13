//! The same, with one write for each read.

fn main() -> std::io::Result<()> {
    support::serve(|stream| peer_sockudo::echo(support::Corked::new(stream)))
}
