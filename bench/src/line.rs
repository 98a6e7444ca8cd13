//! What the load reads from and writes to without waiting: TCP, or TLS over it.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream as Blocking},
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Context as _, Result};
use mio::net::TcpStream;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{self, CryptoProvider},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::{cell::Over, load::Protocol, opening, servers::Server};

/// One end of a connection.
pub(crate) enum Line {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Line {
    /// Connects, and opens whatever the server speaks, in at most so long.
    pub(crate) fn open(address: SocketAddr, server: &Server, patience: Duration) -> Result<Line> {
        let mut tcp = Blocking::connect(address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(patience))?;
        let Over { tls, deflate } = server.over;
        let open = |stream: &mut dyn Stream| match server.protocol {
            Protocol::WebSocket => opening::open(stream, address, server.path, deflate),
            Protocol::Raw => Ok(()),
        };
        if !tls {
            open(&mut tcp)?;
            tcp.set_nonblocking(true)?;
            return Ok(Line::Tcp(TcpStream::from_std(tcp)));
        }
        let client = ClientConnection::new(config()?, ServerName::IpAddress(address.ip().into()))?;
        let mut stream = StreamOwned::new(client, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).context("no TLS")?;
        }
        open(&mut stream)?;
        let (client, tcp) = stream.into_parts();
        tcp.set_nonblocking(true)?;
        Ok(Line::Tls(Box::new(StreamOwned::new(client, TcpStream::from_std(tcp)))))
    }

    /// What tells when there is something to do.
    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Line::Tcp(stream) => stream,
            Line::Tls(stream) => &mut stream.sock,
        }
    }

    /// Whether a read that fills less than it could has seen all there is. A record of TLS is at most 16 KiB.
    pub(crate) fn reads_all(&self) -> bool {
        matches!(self, Line::Tcp(_))
    }

    /// Writes what TLS holds back, as far as the kernel takes it.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Line::Tcp(_) => Ok(()),
            Line::Tls(stream) => match stream.flush() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
                done => done,
            },
        }
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Line::Tcp(stream) => stream.read(buffer),
            Line::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Line::Tcp(stream) => stream.write(bytes),
            Line::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Line::flush(self)
    }
}

/// An opening handshake is made over either.
pub(crate) trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

fn config() -> Result<Arc<ClientConfig>> {
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}

static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();

/// Takes every certificate: the server was started by this program, on this machine.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
