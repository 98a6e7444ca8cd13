//! Frames as a client sends them (§5.2): masked.

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame whose first byte is `first`.
pub(crate) fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A message in fragments of so many bytes (§5.4).
pub(crate) fn client_message(opcode: u8, payload: &[u8], fragment_bytes: usize) -> Vec<u8> {
    let last = payload.len().div_ceil(fragment_bytes) - 1;
    let fragments = payload.chunks(fragment_bytes).enumerate();
    fragments
        .flat_map(|(n, fragment)| {
            let fin = if n == last { 0x80 } else { 0 };
            client_frame(fin | if n == 0 { opcode } else { 0 }, fragment)
        })
        .collect()
}
