//! Why somebody who knocked is not answered.

use std::fmt;

use http::{HeaderName, StatusCode};

use super::Reach;

/// Why a request is not answered. `Display` says what is wrong, and what the operator could do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A header that proxies add.
    Proxied(HeaderName),
    /// No Host, or one that is none.
    NoHost,
    /// A Host that we do not answer for.
    ForeignHost(String, Reach),
    /// More than one Origin, or one that is none.
    UnreadableOrigin,
    /// A page that is not ours.
    ForeignOrigin(String),
    /// A page that is not ours, without an Origin.
    CrossSite,
}

impl Refusal {
    /// The status that the refusal is answered with.
    pub fn status(&self) -> StatusCode {
        match self {
            // RFC 9112 §3.2; RFC 6454 §7.1.
            Self::NoHost | Self::UnreadableOrigin => StatusCode::BAD_REQUEST,
            // RFC 9110 §15.5.20: the server "is unable or unwilling to produce an authoritative response".
            Self::ForeignHost(..) => StatusCode::MISDIRECTED_REQUEST,
            Self::Proxied(_) | Self::ForeignOrigin(_) | Self::CrossSite => StatusCode::FORBIDDEN,
        }
    }
}

impl Refusal {
    /// In a word or two, to count by.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Proxied(_) => "proxied",
            Self::NoHost => "no host",
            Self::ForeignHost(..) => "host",
            Self::UnreadableOrigin => "unreadable origin",
            Self::ForeignOrigin(_) => "origin",
            Self::CrossSite => "cross-site",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxied(name) => {
                write!(
                    f,
                    "The request has a {name} header, so it came through a proxy. The demo has no login and answers nobody there."
                )
            }
            Self::NoHost => f.write_str("The request does not say which host it is for: send a valid Host header."),
            Self::ForeignHost(host, Reach::Loopback) => write!(
                f,
                "This server does not answer for the host {host:?}, only for localhost, for IP addresses and for what --host names."
            ),
            Self::ForeignHost(host, Reach::Public) => {
                write!(
                    f,
                    "On a public address this server answers only for the hosts that --host names, and {host:?} is none of them."
                )
            }
            Self::UnreadableOrigin => {
                f.write_str("The Origin header must hold one origin, such as \"https://example.com\".")
            }
            Self::ForeignOrigin(origin) => {
                write!(
                    f,
                    "Pages of the origin {origin:?} may not use this server: --allow-origin names those that may."
                )
            }
            Self::CrossSite => {
                f.write_str("Pages of other sites may not use this server: --allow-origin names those that may.")
            }
        }
    }
}
