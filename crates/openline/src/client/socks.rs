//! A tunnel through a SOCKS 5 proxy (RFC 1928), with or without a user name and a password (RFC 1929).

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::proxy::{Proxy, ProxyError};

const VERSION: u8 = 5;
const NO_CREDENTIALS: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NOTHING_ACCEPTABLE: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Logs in and asks for a connection. From the reply on, the stream is the server's.
///
/// Every read here is of as many bytes as the proxy owes, so that none of the server's is taken.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<(), ProxyError> {
    // §3: the methods on offer.
    let methods: &[u8] = match proxy.credentials {
        Some(_) => &[VERSION, 2, NO_CREDENTIALS, USER_AND_PASSWORD],
        None => &[VERSION, 1, NO_CREDENTIALS],
    };
    let [version, method] = exchange(stream, methods).await?;
    match (version, method, &proxy.credentials) {
        (VERSION, NO_CREDENTIALS, _) => {}
        (VERSION, USER_AND_PASSWORD, Some((user, password))) => log_in(stream, user, password).await?,
        (VERSION, NOTHING_ACCEPTABLE, None) => return Err(ProxyError::CredentialsMissing),
        (VERSION, NOTHING_ACCEPTABLE, Some(_)) => return Err(ProxyError::CredentialsRefused),
        _ => return Err(ProxyError::NotSocks),
    }
    // §4: the request.
    let mut request = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => request.extend([&[IPV4][..], &address.octets()].concat()),
        Ok(IpAddr::V6(address)) => request.extend([&[IPV6][..], &address.octets()].concat()),
        Err(_) => request.extend([&[NAME, length(host.as_bytes())?][..], host.as_bytes()].concat()),
    }
    request.extend(port.to_be_bytes());
    // §6: the reply, and an address of the proxy's that is of no use here.
    let [version, reply, _, kind] = exchange(stream, &request).await?;
    let rest = match (version, reply, kind) {
        (VERSION, 0, IPV4) => 4,
        (VERSION, 0, IPV6) => 16,
        (VERSION, 0, NAME) => usize::from(stream.read_u8().await?),
        (VERSION, 1.., _) => return Err(ProxyError::Reply(reply)),
        _ => return Err(ProxyError::NotSocks),
    };
    stream.read_exact(&mut vec![0; rest + 2]).await?;
    Ok(())
}

/// RFC 1929 §2.
async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    user: &[u8],
    password: &[u8],
) -> Result<(), ProxyError> {
    let request = [&[1, length(user)?], user, &[length(password)?], password].concat();
    match exchange(stream, &request).await? {
        [_, 0] => Ok(()),
        _ => Err(ProxyError::CredentialsRefused),
    }
}

async fn exchange<const N: usize, S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    question: &[u8],
) -> Result<[u8; N], ProxyError> {
    stream.write_all(question).await?;
    stream.flush().await?;
    let mut answer = [0; N];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn length(bytes: &[u8]) -> Result<u8, ProxyError> {
    u8::try_from(bytes.len()).map_err(|_| ProxyError::TooLong)
}
