//! Frame headers: what is read is what was written, and no prefix is read differently.

use openline::proto::frame::Header;

/// Any bytes as a header.
pub fn frames(bytes: &[u8]) {
    let parsed = Header::parse(bytes);
    for cut in 0..bytes.len().min(Header::MAX_BYTES) {
        match Header::parse(&bytes[..cut]) {
            Ok(None) => {}
            // Whatever more bytes bring, they do not change what was said.
            decided => assert_eq!(decided, parsed),
        }
    }
    if let Ok(Some((header, length))) = parsed {
        let mut written = Vec::new();
        header.write(&mut written);
        assert_eq!(written, bytes[..length]);
        assert!(!header.opcode.is_control() || header.fin && header.payload_bytes <= 125);
    }
    assert!(bytes.len() < Header::MAX_BYTES || parsed != Ok(None));
}
