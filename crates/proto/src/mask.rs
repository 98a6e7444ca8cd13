//! Masking (§5.3): one XOR, the same in both directions.

/// XORs `payload` with `key` in place, where `payload` begins `offset` bytes into its frame.
///
/// §5.3: "Octet i of the transformed data is the XOR of octet i of the original data with octet at index i modulo 4 of
/// the masking key". Applying it twice restores the data. Eight bytes at a time, which compilers turn into vectors.
///
/// ```
/// let mut payload = *b"\x7f\x9f\x4d\x51\x58"; // §5.7: "a single-frame masked text message"
/// openline_proto::mask(&mut payload, [0x37, 0xfa, 0x21, 0x3d], 0);
/// assert_eq!(&payload, b"Hello");
/// ```
pub fn mask(payload: &mut [u8], key: [u8; 4], offset: usize) {
    let key: [u8; 8] = std::array::from_fn(|i| key[(offset + i) % 4]);
    let wide = u64::from_ne_bytes(key);
    let (words, tail) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_meets_the_octet_of_the_key_at_its_index_modulo_four() {
        let key = [1, 2, 3, 4];
        for length in 0..70 {
            for offset in 0..9 {
                let mut payload = vec![0xa5; length];
                mask(&mut payload, key, offset);
                for (i, octet) in payload.iter().enumerate() {
                    assert_eq!(*octet, 0xa5 ^ key[(i + offset) % 4], "length {length}, offset {offset}, octet {i}");
                }
            }
        }
    }
}
