//! A socket that takes as much as it is told to.

use std::io::IoSlice;

use openline_proto::Output;

/// Writes `bytes` of what waits, or all of it, as a vectored write of at most `slices` slices would; what was written.
pub(crate) fn write(output: &mut Output, bytes: usize, slices: usize) -> Vec<u8> {
    let mut written = Vec::new();
    while written.len() < bytes && !output.is_empty() {
        let mut array = [IoSlice::new(&[]); 16];
        let used = output.slices(&mut array[..slices]);
        let before = written.len();
        for slice in &array[..used] {
            assert!(!slice.is_empty(), "a slice without a byte");
            written.extend_from_slice(&slice[..slice.len().min(bytes - written.len())]);
        }
        assert!(written.len() > before, "something waits, and nothing is shown");
        output.advance(written.len() - before);
    }
    written
}
