//! `Sec-WebSocket-Key` and what answers it, `Sec-WebSocket-Accept` (RFC 6455 §4.1, §4.2.2).

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use sha1::{Digest, Sha1};

/// §4.2.2: the `Sec-WebSocket-Accept` value that answers this `Sec-WebSocket-Key`: base64(SHA-1(key + GUID)).
///
/// It proves that the server read *this* request as a WebSocket handshake; it is no secret (§10.8).
/// The key goes in as it was sent, without the white space around it, and is not checked.
///
/// ```
/// assert_eq!(openline_proto::handshake::accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &str) -> String {
    BASE64.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// §4.1: a key is "a nonce consisting of a randomly selected 16-byte value that has been base64-encoded".
pub(super) fn encode(nonce: [u8; 16]) -> String {
    BASE64.encode(nonce)
}

/// §4.2.1: a key is base64 "that, when decoded, is 16 bytes in length".
pub(super) fn is_valid(key: &[u8]) -> bool {
    let mut nonce = [0; 18]; // 24 characters decode to 18 bytes at most
    key.len() == 24 && BASE64.decode_slice(key, &mut nonce) == Ok(16)
}

/// §1.3: the string that no server sends by accident.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Standard base64 with padding. The four bits that 24 characters have too many may be set: RFC 6455's own example key
/// had them (erratum 3150), browsers' test suites still print it, and the bytes decoded are the same.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

#[cfg(test)]
mod tests {
    use super::*;

    /// §1.3 and §4.2.2, and a second answer that every client and server computes alike.
    #[test]
    fn known_answers() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(accept_key("x3JJHMbDL1EzLkh9GBhXDw=="), "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
    }

    /// Erratum 3150: the bytes 1 to 16 encode to a key that ends in `A==`, not in the `C==` first printed; both are
    /// taken.
    #[test]
    fn a_key_is_sixteen_bytes_of_base64() {
        assert_eq!(encode([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]), "AQIDBAUGBwgJCgsMDQ4PEA==");
        for good in ["AQIDBAUGBwgJCgsMDQ4PEA==", "AQIDBAUGBwgJCgsMDQ4PEC==", "dGhlIHNhbXBsZSBub25jZQ=="] {
            assert!(is_valid(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "AQIDBAUGBwgJCgsMDQ4PEA",       // no padding
            "AQIDBAUGBwgJCgsMDQ4PEA=",      // half of it
            "AQIDBAUGBwgJCgsMDQ4P",         // 15 bytes
            "AQIDBAUGBwgJCgsMDQ4PEBE=",     // 17 bytes
            "AQIDBAUGBwgJCgsMDQ4PEBES",     // 18 bytes
            "AQIDBAUGBwgJCgsMDQ4PEBESExQ=", // 20 bytes
            "AQIDBAUGBwgJCgsMDQ4P-A==",     // the URL alphabet
            "AQIDBAUGBwgJCgsMDQ4PE===",
            "AQIDBAUGBwgJ CgsMDQ4PEA=",
        ] {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
    }
}
