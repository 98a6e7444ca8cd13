//! Where compressors and inflaters come from.

use std::fmt;

use super::{Deflater, DeflaterKind, Inflater};

/// Lends compressors and inflaters to connections, each for a message, or with context takeover for as long as messages
/// come. A connection that is idle holds none.
///
/// `openline` keeps a few per thread. A connection that is told of none makes its own, for each message anew.
pub trait Codecs: fmt::Debug + Sync {
    /// A compressor that remembers nothing.
    fn take_deflater(&self, kind: DeflaterKind) -> Box<Deflater>;

    /// Takes back a compressor that remembers nothing.
    fn put_deflater(&self, deflater: Box<Deflater>);

    /// An inflater that remembers nothing.
    fn take_inflater(&self) -> Box<Inflater>;

    /// Takes back an inflater that remembers nothing.
    fn put_inflater(&self, inflater: Box<Inflater>);
}

/// Makes what is asked for and keeps nothing.
#[derive(Debug)]
pub(crate) struct Fresh;

impl Codecs for Fresh {
    fn take_deflater(&self, kind: DeflaterKind) -> Box<Deflater> {
        Box::new(Deflater::of(kind))
    }

    fn put_deflater(&self, _: Box<Deflater>) {}

    fn take_inflater(&self) -> Box<Inflater> {
        Box::new(Inflater::new())
    }

    fn put_inflater(&self, _: Box<Inflater>) {}
}
