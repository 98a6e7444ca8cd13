//! One compressor and one inflater, lent over and over, as a thread of a server lends them.

use std::cell::Cell;

use openline_proto::deflate::{Codecs, Deflater, DeflaterKind, Inflater};

thread_local! {
    static DEFLATER: Cell<Option<Box<Deflater>>> = const { Cell::new(None) };
    static INFLATER: Cell<Option<Box<Inflater>>> = const { Cell::new(None) };
}

#[derive(Debug)]
pub(crate) struct Lent;

impl Codecs for Lent {
    fn take_deflater(&self, kind: DeflaterKind) -> Box<Deflater> {
        DEFLATER.take().unwrap_or_else(|| Box::new(Deflater::of(kind)))
    }

    fn put_deflater(&self, deflater: Box<Deflater>) {
        DEFLATER.set(Some(deflater));
    }

    fn take_inflater(&self) -> Box<Inflater> {
        INFLATER.take().unwrap_or_default()
    }

    fn put_inflater(&self, inflater: Box<Inflater>) {
        INFLATER.set(Some(inflater));
    }
}
