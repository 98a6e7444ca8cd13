//! openline.
fn main() {}
