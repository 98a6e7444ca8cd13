//! Connections and requests that come through a proxy: where their client really is, as far as the proxy is trusted.

use std::io;
use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::FORWARDED;
use proxy_header::{ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::config::Network;

/// Version 1 ends at 107 bytes, by its specification. Version 2 may be as long as 64 KiB; what haproxy and its like send, a
/// certificate's name included, is some 100 to 500 bytes.
const MAX_BYTES: usize = 2 << 10;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads the PROXY protocol's header, of either version, and nothing behind it. `None`: the proxy speaks for itself, as when
/// it asks whether we are well.
pub(super) async fn read_header<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<SocketAddr>> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    // No header of version 1 is shorter than the signature of version 2.
    let mut bytes = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut bytes).await?;
    if bytes == SIGNATURE {
        bytes.resize(16, 0);
        stream.read_exact(&mut bytes[12..]).await?;
        let length = 16 + usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
        if length > MAX_BYTES {
            return Err(invalid("the PROXY header is too long"));
        }
        bytes.resize(length, 0);
        stream.read_exact(&mut bytes[16..]).await?;
    } else if bytes.starts_with(b"PROXY ") {
        while bytes.last() != Some(&b'\n') && bytes.len() <= 107 {
            bytes.push(stream.read_u8().await?);
        }
    } else {
        return Err(invalid("the proxy does not speak the PROXY protocol"));
    }
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    let (header, _) = ProxyHeader::parse(&bytes, config).map_err(|error| invalid(&error.to_string()))?;
    Ok(header.proxied_address().map(|addresses| addresses.source))
}

/// The client of a request that came from `peer`: the last address in the chain that no trusted proxy has. What stands before
/// it in `X-Forwarded-For`, or in `Forwarded`, the client may have written itself.
pub(super) fn client_of(headers: &HeaderMap, peer: IpAddr, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer;
    for hop in chain(headers).into_iter().rev() {
        if !is_trusted(client) {
            break;
        }
        // "unknown", or a name that hides one: further back nothing can be known.
        let Some(address) = hop else { break };
        client = address;
    }
    client
}

/// RFC 7239 where it is used, otherwise its forerunner: the addresses in the order in which they were added.
fn chain(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let list = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|element| element.trim().to_owned()).collect()
    };
    if headers.contains_key(FORWARDED) {
        return list("forwarded").iter().map(|element| address(forwarded_for(element)?)).collect();
    }
    list("x-forwarded-for").iter().map(|element| address(element)).collect()
}

/// RFC 7239 §4: `for=` among the pairs of an element.
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// With or without a port, in brackets or not.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let bare = || text.trim_start_matches('[').trim_end_matches(']').parse().ok();
    with_port().or_else(bare).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> (Option<Option<SocketAddr>>, Vec<u8>) {
        let mut rest = bytes;
        let header = read_header(&mut rest).await.ok();
        (header, rest.to_vec())
    }

    #[tokio::test]
    async fn headers_of_both_versions_and_nothing_behind_them() {
        let version_1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET /";
        assert_eq!(read(version_1).await, (Some(Some("192.0.2.1:56324".parse().unwrap())), b"GET /".to_vec()));
        let version_2 =
            [&SIGNATURE[..], b"\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb\x16\x03"].concat();
        assert_eq!(read(&version_2).await, (Some(Some("192.0.2.1:56324".parse().unwrap())), vec![0x16, 3]));
        let local = [&SIGNATURE[..], b"\x20\x00\x00\x00"].concat();
        assert_eq!(read(&local).await, (Some(None), vec![]));
        assert_eq!(read(b"PROXY UNKNOWN\r\n").await.0, Some(None));
        for wrong in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.1",
            b"PROXY TCP4 here there 1 2\r\n",
            &[b"PROXY TCP4 ", &[b'1'; 200][..], b"\r\n"].concat(),
            &[&SIGNATURE[..], b"\x21\x11\xff\xff"].concat(),
            &[&SIGNATURE[..], b"\x21\x11\x00\x01\x00"].concat(),
            b"\x16\x03\x01",
        ] {
            assert_eq!(read(wrong).await.0, None, "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn the_last_address_that_nobody_trusted_has() {
        let trusted: Vec<Network> =
            ["127.0.0.1", "10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).into();
        for (name, value, client) in [
            ("x-forwarded-for", "192.0.2.1", "192.0.2.1"),
            ("x-forwarded-for", "6.6.6.6, 192.0.2.1", "192.0.2.1"),
            ("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
            ("x-forwarded-for", "192.0.2.1:4711, 10.0.0.1", "192.0.2.1"),
            ("x-forwarded-for", "[2001:db8::1]:4711", "2001:db8::1"),
            ("x-forwarded-for", "10.0.0.2, 10.0.0.1", "10.0.0.2"),
            ("x-forwarded-for", "192.0.2.1, unknown", "127.0.0.1"),
            ("x-forwarded-for", "", "127.0.0.1"),
            ("forwarded", "for=192.0.2.1;proto=https", "192.0.2.1"),
            ("forwarded", "for=6.6.6.6, proto=http;For=\"[2001:db8::1]:80\"", "2001:db8::1"),
            ("forwarded", "for=_hidden", "127.0.0.1"),
        ] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            let seen = client_of(&headers, [127, 0, 0, 1].into(), &trusted);
            assert_eq!(seen, client.parse::<IpAddr>().unwrap(), "{name}: {value}");
            // From somebody whom nobody trusts, it is a lie.
            assert_eq!(client_of(&headers, [192, 0, 2, 9].into(), &trusted), IpAddr::from([192, 0, 2, 9]));
        }
    }
}
