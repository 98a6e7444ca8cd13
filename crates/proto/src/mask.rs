//! Masking (§5.3): one XOR, the same in both directions.

/// XORs `payload` with `key` in place, where `payload` begins `offset` bytes into its frame.
///
/// §5.3: "Octet i of the transformed data is the XOR of octet i of the original data with octet at index i modulo 4 of
/// the masking key". Applying it twice restores the data. Eight bytes at a time, which compilers turn into vectors, and
/// from a cache line's start on when there are many: stores that straddle two lines take twice as long.
///
/// ```
/// let mut payload = *b"\x7f\x9f\x4d\x51\x58"; // §5.7: "a single-frame masked text message"
/// openline_proto::mask(&mut payload, [0x37, 0xfa, 0x21, 0x3d], 0);
/// assert_eq!(&payload, b"Hello");
/// ```
#[inline]
pub fn mask(payload: &mut [u8], key: [u8; 4], offset: usize) {
    // Octet i of a little-endian word is its i-th byte from the low end, so to begin elsewhere in the key is to rotate it.
    let key = u32::from_le_bytes(key).rotate_right(8 * (offset % 4) as u32);
    if payload.len() < LONG_BYTES { words(payload, key) } else { lines(payload, key) }
}

/// From here on it pays to look for the start of a cache line.
const LONG_BYTES: usize = 256;

/// What compilers unroll and vectorise; a common size of cache lines.
const LINE_BYTES: usize = 64;

#[inline]
fn words(payload: &mut [u8], key: u32) {
    let wide = u64::from(key) << 32 | u64::from(key);
    let (words, tail) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ wide).to_le_bytes();
    }
    // At most seven bytes are left: four at once, as messages are often a multiple of that, and the rest one by one.
    let (halves, tail) = tail.as_chunks_mut::<4>();
    for half in halves {
        *half = (u32::from_le_bytes(*half) ^ key).to_le_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.to_le_bytes()) {
        *byte ^= key;
    }
}

#[inline(never)]
fn lines(payload: &mut [u8], key: u32) {
    let before = payload.as_ptr().align_offset(LINE_BYTES).min(payload.len());
    let (head, rest) = payload.split_at_mut(before);
    let (lines, tail) = rest.as_chunks_mut::<LINE_BYTES>();
    words(head, key);
    let key = key.rotate_right(8 * (before % 4) as u32);
    lines.iter_mut().for_each(|line| words(line, key));
    words(tail, key);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_meets_the_octet_of_the_key_at_its_index_modulo_four() {
        let key = [1, 2, 3, 4];
        for length in (0..70).chain(LONG_BYTES - 1..LONG_BYTES + 2 * LINE_BYTES) {
            for offset in 0..9 {
                // Every distance from the start of a cache line comes about.
                let mut bytes = vec![0xa5; length + offset * 7];
                let payload = &mut bytes[offset * 7..];
                mask(payload, key, offset);
                for (i, octet) in payload.iter().enumerate() {
                    assert_eq!(*octet, 0xa5 ^ key[(i + offset) % 4], "length {length}, offset {offset}, octet {i}");
                }
            }
        }
    }
}
