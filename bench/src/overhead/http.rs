//! As much of HTTP/1.1 as a listener needs, with every byte counted.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

/// The fields that Chromium sends with a `fetch` of a page's own origin, but for those that say what is asked for.
pub(crate) const BROWSER: &str = "Connection: keep-alive\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
    sec-ch-ua: \"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    Accept: */*\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Referer: http://localhost:8080/\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n";

/// Longer than a message may be on its way, and than the server is silent on an event stream.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A connection that counts.
pub(crate) struct Wire {
    stream: BufReader<Counted>,
    written: u64,
}

struct Counted {
    stream: TcpStream,
    read: u64,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.stream.read(into)?;
        self.read += bytes as u64;
        Ok(bytes)
    }
}

/// The head of a response.
pub(crate) struct Head {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }
}

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { stream: BufReader::new(Counted { stream, read: 0 }), written: 0 })
    }

    /// Bytes that were read and looked at, and bytes that were written.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.stream.get_ref().read - self.stream.buffer().len() as u64, self.written)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.get_mut().stream.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    pub(crate) fn reader(&mut self) -> &mut impl Read {
        &mut self.stream
    }

    /// A line without its end; `None` at the end of the connection.
    pub(crate) fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    pub(crate) fn head(&mut self) -> Result<Head> {
        let first = self.line()?.context("no answer")?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut head = Head { status: status.with_context(|| format!("not HTTP: {first:?}"))?, fields: Vec::new() };
        while let Some(line) = self.line()?.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').with_context(|| format!("no field: {line:?}"))?;
            head.fields.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(head)
    }

    /// The body of an answer that says how long it is.
    pub(crate) fn body(&mut self, head: &Head) -> Result<Vec<u8>> {
        let length = head.field("content-length").context("no Content-Length")?.parse()?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    /// The next chunk of a body that comes in chunks (RFC 9112 §7.1); `None` after the last.
    pub(crate) fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(size) = self.line()? else { bail!("the connection ended between two chunks") };
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
            .with_context(|| format!("no size of a chunk: {size:?}"))?;
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk)?;
        ensure!(chunk.ends_with(b"\r\n"), "a chunk is longer than it says");
        chunk.truncate(size);
        Ok((size > 0).then_some(chunk))
    }
}
