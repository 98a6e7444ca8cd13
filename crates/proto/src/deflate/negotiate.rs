//! Which parameters two ends agree on (RFC 7692 §5, §7.1): a server's answer to offers, a client's offers and its verdict
//! on the answer.

use std::sync::Arc;

use super::memory::Reservation;
use super::params::Sent;
use super::settings::MIN_WINDOW_BITS;
use super::{Deflate, DeflateParams, Direction, InvalidDeflate};
use crate::handshake::ExtensionOffer;

/// What was agreed on, and by whose settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) params: DeflateParams,
    pub(crate) settings: Deflate,
    /// The room for what we remember for the peer, for as long as anybody needs it.
    pub(crate) remembered: Option<Arc<Reservation>>,
}

/// A server's part: the answer to the first offer that can be served, with what it agrees on. `None` declines all of
/// them, and the connection opens without compression.
///
/// §7.1: "A server MUST decline an extension negotiation offer for this extension if any of the following conditions are
/// met", unknown, repeated and invalid parameters and what the server does not support: then the next offer counts.
pub(crate) fn answer<'a>(
    settings: &Deflate,
    offers: impl IntoIterator<Item = &'a ExtensionOffer>,
) -> Option<(String, Agreed)> {
    let offer = offers.into_iter().filter_map(|offer| Sent::read(&offer.params).ok()).find(|offer| {
        // We cannot compress with a window of 256 bytes.
        offer.server_max_window_bits.is_none_or(|bits| bits >= MIN_WINDOW_BITS)
    })?;

    let server = Direction {
        takeover: settings.takeover.is_some() && !offer.server_no_context_takeover,
        window_bits: settings.window_bits().min(offer.server_max_window_bits.unwrap_or(15)),
    };
    let mut client = Direction::UNLIMITED;
    if let Some(hint) = offer.client_max_window_bits {
        client.window_bits = settings.peer_window_bits().min(hint.unwrap_or(15));
    }
    let mut remembered = None;
    if !offer.client_no_context_takeover && client.window_bits <= settings.peer_window_bits() {
        remembered = remember(settings, client);
    }
    client.takeover = remembered.is_some();

    let answer = Sent {
        // §7.1.1.1: to be repeated when offered; else "a server MAY include" it, which lets the client forget.
        server_no_context_takeover: !server.takeover,
        client_no_context_takeover: !client.takeover,
        // §7.1.2.1: likewise.
        server_max_window_bits: (offer.server_max_window_bits.is_some() || server.window_bits < 15)
            .then_some(server.window_bits),
        // §7.1.2.2: only to an offer that has it.
        client_max_window_bits: (client.window_bits < 15).then_some(Some(client.window_bits)),
    };
    let params = DeflateParams { server, client };
    Some((answer.to_string(), Agreed { params, settings: settings.clone(), remembered }))
}

/// A client's part: what it offers, and then what the answer means.
#[derive(Clone, Debug)]
pub(crate) struct Offers {
    settings: Deflate,
    offers: Vec<Sent>,
    remembered: Option<Arc<Reservation>>,
}

impl Offers {
    pub(crate) fn new(settings: Deflate) -> Self {
        let window_bits = settings.window_bits();
        let plain = Sent { client_max_window_bits: Some((window_bits < 15).then_some(window_bits)), ..Sent::default() };
        let peer = Direction { takeover: true, window_bits: settings.peer_window_bits() };
        let remembered = remember(&settings, peer);
        // A server that cannot limit its window as we ask may still do without takeover.
        let forgetting =
            Sent { server_no_context_takeover: true, client_no_context_takeover: settings.takeover.is_none(), ..plain };
        let mut offers = Vec::with_capacity(2);
        if remembered.is_some() {
            let server_max_window_bits = (peer.window_bits < 15).then_some(peer.window_bits);
            offers.push(Sent { server_max_window_bits, ..plain });
        }
        if remembered.is_none() || peer.window_bits < 15 {
            offers.push(forgetting);
        }
        Self { settings, offers, remembered }
    }

    /// The header's value: the offers in the order of preference.
    pub(crate) fn header(&self) -> String {
        let offers: Vec<String> = self.offers.iter().map(Sent::to_string).collect();
        offers.join(", ")
    }

    /// Holds the server's answer against the offers.
    ///
    /// §7.1: "A client MUST _Fail the WebSocket Connection_ if the peer server accepted an extension negotiation offer for
    /// this extension with an extension negotiation response meeting any of the following conditions": unknown, repeated
    /// and invalid parameters, and what the client did not offer.
    pub(crate) fn finish(&self, answer: &ExtensionOffer) -> Result<Agreed, InvalidDeflate> {
        let answer = Sent::read(&answer.params)?;
        if answer.client_max_window_bits == Some(None) {
            // §7.1.2.2: in a response it has a value.
            return Err(InvalidDeflate::InvalidValue(String::new()));
        }
        let client_bits = answer.client_max_window_bits.flatten();
        let offer = self.offers.iter().find(|offer| answers(offer, answer)).ok_or(InvalidDeflate::Unoffered)?;
        let params = DeflateParams {
            server: Direction {
                takeover: !answer.server_no_context_takeover,
                window_bits: answer.server_max_window_bits.unwrap_or(15),
            },
            client: Direction {
                takeover: self.settings.takeover.is_some()
                    && !offer.client_no_context_takeover
                    && !answer.client_no_context_takeover,
                // What we said we would keep to binds us, said back or not.
                window_bits: client_bits.unwrap_or(15).min(self.settings.window_bits()),
            },
        };
        let remembered = self.remembered.clone().filter(|_| params.server.takeover);
        Ok(Agreed { params, settings: self.settings.clone(), remembered })
    }
}

/// Whether an answer is one to this offer (§7.1.1.1, §7.1.2.1, §7.1.2.2).
fn answers(offer: &Sent, answer: Sent) -> bool {
    let server_forgets = answer.server_no_context_takeover || !offer.server_no_context_takeover;
    let server_bits = match (offer.server_max_window_bits, answer.server_max_window_bits) {
        (Some(most), bits) => bits.is_some_and(|bits| bits <= most),
        (None, _) => true,
    };
    let client_bits = match (offer.client_max_window_bits, answer.client_max_window_bits) {
        (_, None) => true,
        (Some(hint), Some(bits)) => bits.is_some_and(|bits| bits <= hint.unwrap_or(15)),
        (None, Some(_)) => false,
    };
    server_forgets && server_bits && client_bits
}

/// Room for what the peer's messages may refer to, if it may at all.
fn remember(settings: &Deflate, peer: Direction) -> Option<Arc<Reservation>> {
    settings.takeover.as_ref()?.reserve(peer.window_bytes()).map(Arc::new)
}
