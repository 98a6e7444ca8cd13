//! The inflater alone, and the header that agrees on what it gets.

use http::{HeaderValue, Response, header};
use openline::deflate::{ContextMemory, Deflate, InflateError, Inflated, Inflater};
use openline::handshake::{ClientHandshake, ExtensionOffer, ServerHandshake};

/// A message, in pieces of the length that the first byte says, inflates to the same as in one piece, and another inflater
/// goes on where the first one was.
pub fn inflate(bytes: &[u8]) {
    let Some((step, mut message)) = bytes.split_first() else { return };
    let step = usize::from(*step).max(1);
    let (mut whole, mut pieces) = (Inflater::new(), Inflater::new());
    for _ in 0..2 {
        let all = inflate_all(&mut whole, message, message.len().max(1));
        assert_eq!(inflate_all(&mut pieces, message, step), all, "in pieces of {step}");
        if all.is_err() {
            return;
        }
        assert_eq!(whole.history(1 << 15), pieces.history(1 << 15));
        let mut other = Inflater::new();
        other.resume(whole.history(1 << 15));
        (whole, pieces) = (other, whole);
        message = &message[message.len() / 2..];
    }
}

/// What the first 100,000 bytes are: without a limit, a few bytes go on for long.
fn inflate_all(inflater: &mut Inflater, message: &[u8], step: usize) -> Result<Vec<u8>, InflateError> {
    let mut inflated = Vec::new();
    for mut piece in message.chunks(step) {
        loop {
            let Inflated { taken, bytes, pending } = inflater.inflate(piece, 5000)?;
            assert!(bytes.len() <= 5000);
            inflated.extend_from_slice(bytes);
            piece = &piece[taken..];
            if inflated.len() > 100_000 {
                return Err(InflateError::Corrupt);
            }
            if piece.is_empty() && !pending {
                break;
            }
        }
    }
    inflater.finish()?;
    Ok(inflated)
}

/// A value of `Sec-WebSocket-Extensions`: as an offer it is answered by what was offered, as an answer it agrees to what
/// was.
pub fn extensions(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let Ok(list) = ExtensionOffer::parse_list([&value]) else { return };
    let text = list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let again = HeaderValue::from_str(&text).expect("tokens");
    assert_eq!(ExtensionOffer::parse_list([&again]).as_ref(), Ok(&list), "read as it is written");

    let narrow = Deflate { window_bits: 12, peer_window_bits: 10, ..Deflate::default() };
    let remembering = Deflate::with_takeover(ContextMemory::new(1 << 20));
    for settings in [Deflate::default(), narrow, remembering] {
        is_answered(&list, &value, &settings);
        is_an_answer(&list, &value, &settings);
    }
}

fn is_answered(offers: &[ExtensionOffer], value: &HeaderValue, settings: &Deflate) {
    let mut request = client(None).request();
    request.headers_mut().insert(header::SEC_WEBSOCKET_EXTENSIONS, value.clone());
    let server = ServerHandshake { deflate: Some(settings.clone()), ..ServerHandshake::default() };
    let (response, negotiated) = server.accept(&request).expect("the header is well-formed");
    let answers = ExtensionOffer::parse_list(response.headers().get_all(header::SEC_WEBSOCKET_EXTENSIONS));
    let answers = answers.expect("what we write we can read");
    let Some(params) = negotiated.deflate() else { return assert_eq!(answers, []) };
    let [answer] = &answers[..] else { panic!("one answer") };
    assert!((9..=15).contains(&params.server.window_bits) && (8..=15).contains(&params.client.window_bits));
    let has = |extension: &ExtensionOffer, name: &str| extension.params.iter().any(|(found, _)| found == name);
    let answered = |offer: &&ExtensionOffer| {
        offer.name == answer.name
            && (!has(offer, "server_no_context_takeover") || !params.server.takeover)
            && (!has(offer, "client_no_context_takeover") || !params.client.takeover)
            && (!has(offer, "server_max_window_bits") || has(answer, "server_max_window_bits"))
            && (has(offer, "client_max_window_bits") || !has(answer, "client_max_window_bits"))
    };
    assert!(offers.iter().any(|offer| answered(&offer)), "{answer} answers no offer");
}

fn is_an_answer(answers: &[ExtensionOffer], value: &HeaderValue, settings: &Deflate) {
    let client = client(Some(settings.clone()));
    let server = ServerHandshake { deflate: None, ..ServerHandshake::default() };
    let (mut response, _): (Response<()>, _) = server.accept(&client.request()).expect("in order");
    response.headers_mut().insert(header::SEC_WEBSOCKET_EXTENSIONS, value.clone());
    let Ok(negotiated) = client.finish(&response) else { return };
    assert_eq!(answers.len(), 1);
    let params = negotiated.deflate().expect("it was offered and accepted");
    assert!((8..=15).contains(&params.server.window_bits) && params.client.window_bits <= settings.window_bits);
    assert!(settings.takeover.is_some() || !params.client.takeover && !params.server.takeover);
    assert!(!params.server.takeover || params.server.window_bits <= settings.peer_window_bits);
}

fn client(deflate: Option<Deflate>) -> ClientHandshake {
    let uri = "ws://a/".parse().expect("a URI");
    ClientHandshake::new(&uri, [0; 16]).expect("for WebSockets").deflate(deflate)
}
