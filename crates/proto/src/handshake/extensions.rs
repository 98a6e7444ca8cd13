//! `Sec-WebSocket-Extensions`: names with parameters (RFC 6455 §9.1).

use std::{error, fmt};

use http::HeaderValue;

use super::tokens;

/// One extension of a `Sec-WebSocket-Extensions` header: `permessage-deflate; client_max_window_bits`.
///
/// A client offers a list of them, in the order of its preference; the same name may come more than once, with other
/// parameters. A server answers with those it accepts, in the same grammar. Names it does not know it ignores (§9.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionOffer {
    /// A token, as sent.
    pub name: String,
    /// Parameters in order, repetitions included (RFC 7692 §7 declines an offer with any). A value is a token; quotes
    /// are undone.
    pub params: Vec<(String, Option<String>)>,
}

impl ExtensionOffer {
    /// Reads a header that may be split over several fields. No field gives an empty list.
    ///
    /// ```
    /// use http::HeaderValue;
    /// use openline_proto::handshake::ExtensionOffer;
    ///
    /// let header = HeaderValue::from_static("permessage-deflate; server_max_window_bits=\"10\", x-other");
    /// let offers = ExtensionOffer::parse_list([&header])?;
    /// assert_eq!(offers[0].name, "permessage-deflate");
    /// assert_eq!(offers[0].params, [("server_max_window_bits".to_owned(), Some("10".to_owned()))]);
    /// assert_eq!(offers[1].name, "x-other");
    /// # Ok::<(), openline_proto::handshake::InvalidExtensions>(())
    /// ```
    ///
    /// # Errors
    /// §9.1: a value that breaks the grammar; the recipient must fail the connection. A header that is there and lists
    /// nothing is one too (`extension-list = 1#extension`).
    pub fn parse_list<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> Result<Vec<Self>, InvalidExtensions> {
        let mut offers = Vec::new();
        let mut values = values.into_iter().peekable();
        let present = values.peek().is_some();
        for value in values {
            let mut rest = Rest(value.as_bytes());
            loop {
                rest.skip_blanks();
                if rest.0.is_empty() {
                    break;
                }
                if rest.skip(b',') {
                    continue; // an empty element does not count (RFC 9110 §5.6.1.2)
                }
                offers.push(rest.extension()?);
                rest.skip_blanks();
                if !rest.0.is_empty() && !rest.skip(b',') {
                    return Err(InvalidExtensions);
                }
            }
        }
        if present && offers.is_empty() {
            return Err(InvalidExtensions);
        }
        Ok(offers)
    }
}

/// As it goes over the wire. Values are tokens, so none is quoted.
impl fmt::Display for ExtensionOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (name, value) in &self.params {
            write!(f, "; {name}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
        }
        Ok(())
    }
}

/// What is left of a header field to read. Blanks may stand around `,`, `;` and `=` (RFC 2616 §2.1, implied white
/// space).
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// `extension = extension-token *( ";" extension-param )`
    fn extension(&mut self) -> Result<ExtensionOffer, InvalidExtensions> {
        let mut offer = ExtensionOffer { name: self.token()?, params: Vec::new() };
        loop {
            self.skip_blanks();
            if !self.skip(b';') {
                return Ok(offer);
            }
            self.skip_blanks();
            offer.params.push(self.param()?);
        }
    }

    /// `extension-param = token [ "=" (token | quoted-string) ]`
    fn param(&mut self) -> Result<(String, Option<String>), InvalidExtensions> {
        let name = self.token()?;
        self.skip_blanks();
        if !self.skip(b'=') {
            return Ok((name, None));
        }
        self.skip_blanks();
        let value = if self.skip(b'"') { self.quoted()? } else { self.token()? };
        Ok((name, Some(value)))
    }

    fn token(&mut self) -> Result<String, InvalidExtensions> {
        let length = self.0.iter().take_while(|&&byte| tokens::is_token_byte(byte)).count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        owned_token(token.to_vec())
    }

    /// The rest of a quoted string. §9.1: "the value after quoted-string unescaping MUST conform to the 'token' ABNF".
    fn quoted(&mut self) -> Result<String, InvalidExtensions> {
        let mut value = Vec::new();
        loop {
            let (&byte, rest) = self.0.split_first().ok_or(InvalidExtensions)?;
            self.0 = rest;
            match byte {
                b'"' => return owned_token(value),
                b'\\' => {
                    let (&escaped, rest) = self.0.split_first().ok_or(InvalidExtensions)?;
                    self.0 = rest;
                    value.push(escaped);
                }
                byte => value.push(byte),
            }
        }
    }

    fn skip(&mut self, byte: u8) -> bool {
        let Some(rest) = self.0.strip_prefix(&[byte]) else { return false };
        self.0 = rest;
        true
    }

    fn skip_blanks(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }
}

fn owned_token(bytes: Vec<u8>) -> Result<String, InvalidExtensions> {
    if !tokens::is_token(&bytes) {
        return Err(InvalidExtensions);
    }
    String::from_utf8(bytes).map_err(|_| InvalidExtensions)
}

/// A `Sec-WebSocket-Extensions` header that breaks its grammar (§9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidExtensions;

impl fmt::Display for InvalidExtensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sec-WebSocket-Extensions must be a list of names with parameters, like \"name; parameter=value\"")
    }
}

impl error::Error for InvalidExtensions {}
