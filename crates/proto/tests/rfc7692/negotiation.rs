//! §5, §7.1: what is offered, what is answered, and what that means to both ends.

use http::{HeaderValue, Request, Response, StatusCode, header};
use openline_proto::deflate::{ContextMemory, Deflate, DeflateParams, InvalidDeflate};
use openline_proto::handshake::{ClientHandshake, ResponseError, ServerHandshake};

const NONCE: [u8; 16] = *b"the sample nonce";

/// Without context takeover, as by default.
fn forgetting() -> Deflate {
    Deflate::default()
}

/// With context takeover, and room for it.
fn remembering() -> Deflate {
    Deflate::with_takeover(ContextMemory::new(1 << 20))
}

/// What a server answers these header fields with; `Err` with its status when it does not open.
fn answer(deflate: &Deflate, fields: &[&str]) -> Result<(Option<String>, Option<DeflateParams>), StatusCode> {
    let mut request = ClientHandshake::new(&"ws://a/".parse().unwrap(), NONCE).unwrap().request();
    for field in fields {
        request.headers_mut().append(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(field).unwrap());
    }
    let server = ServerHandshake { deflate: Some(deflate.clone()), ..ServerHandshake::default() };
    let (response, negotiated) = server.accept(&request).map_err(|rejection| rejection.status())?;
    let extensions = response.headers().get(header::SEC_WEBSOCKET_EXTENSIONS);
    Ok((extensions.map(|value| value.to_str().unwrap().to_owned()), negotiated.deflate()))
}

/// "takeover, window bits" of the server, and of the client.
fn params(agreed: Option<DeflateParams>) -> Option<((bool, u8), (bool, u8))> {
    let of = |end: openline_proto::deflate::Direction| (end.takeover, end.window_bits);
    agreed.map(|agreed| (of(agreed.server), of(agreed.client)))
}

const NONE: &str = "; server_no_context_takeover; client_no_context_takeover";

/// One offer, and what is answered by a server that wants no takeover and by one that allows it.
#[test]
fn a_server_answers_each_offer_by_its_parameters() {
    for (offer, forgetting_answer, remembering_answer) in [
        // What browsers offer.
        ("permessage-deflate; client_max_window_bits", NONE, ""),
        ("permessage-deflate", NONE, ""),
        ("permessage-deflate; server_no_context_takeover", NONE, "; server_no_context_takeover"),
        ("permessage-deflate; client_no_context_takeover", NONE, "; client_no_context_takeover"),
        ("permessage-deflate; client_no_context_takeover; server_no_context_takeover", NONE, NONE),
        // §7.1.2.1: to be repeated, and no larger.
        ("permessage-deflate; server_max_window_bits=9", "+9", "; server_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=10", "+10", "; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=\"10\"", "+10", "; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=\"1\\2\"", "+12", "; server_max_window_bits=12"),
        ("permessage-deflate;server_max_window_bits = 15", "+15", "; server_max_window_bits=15"),
        // §7.1.2.2: a hint that we are content with, and say so.
        ("permessage-deflate; client_max_window_bits=8", "-8", "; client_max_window_bits=8"),
        ("permessage-deflate; client_max_window_bits=10", "-10", "; client_max_window_bits=10"),
        ("permessage-deflate; client_max_window_bits=\"10\"", "-10", "; client_max_window_bits=10"),
        ("permessage-deflate; client_max_window_bits=15", NONE, ""),
        (
            "permessage-deflate; client_max_window_bits=9; server_max_window_bits=11",
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11; client_max_window_bits=9",
            "; server_max_window_bits=11; client_max_window_bits=9",
        ),
    ] {
        let expand = |short: &str| match short.split_at_checked(1) {
            Some(("+", bits)) => format!("permessage-deflate{NONE}; server_max_window_bits={bits}"),
            Some(("-", bits)) => format!("permessage-deflate{NONE}; client_max_window_bits={bits}"),
            _ => format!("permessage-deflate{short}"),
        };
        let answered = |settings| answer(&settings, &[offer]).unwrap().0;
        assert_eq!(answered(forgetting()), Some(expand(forgetting_answer)), "{offer}");
        assert_eq!(answered(remembering()), Some(expand(remembering_answer)), "{offer}");
    }
}

#[test]
fn what_both_ends_keep_to() {
    for (settings, offer, agreed) in [
        (forgetting(), "permessage-deflate", ((false, 15), (false, 15))),
        (remembering(), "permessage-deflate", ((true, 15), (true, 15))),
        (remembering(), "permessage-deflate; server_no_context_takeover", ((false, 15), (true, 15))),
        (remembering(), "permessage-deflate; client_no_context_takeover", ((true, 15), (false, 15))),
        (remembering(), "permessage-deflate; server_max_window_bits=9", ((true, 9), (true, 15))),
        (remembering(), "permessage-deflate; client_max_window_bits=8", ((true, 15), (true, 8))),
        (Deflate { window_bits: 12, ..remembering() }, "permessage-deflate", ((true, 12), (true, 15))),
        (
            Deflate { window_bits: 12, ..remembering() },
            "permessage-deflate; server_max_window_bits=10",
            ((true, 10), (true, 15)),
        ),
        (
            Deflate { window_bits: 12, ..remembering() },
            "permessage-deflate; server_max_window_bits=14",
            ((true, 12), (true, 15)),
        ),
        (
            Deflate { peer_window_bits: 11, ..remembering() },
            "permessage-deflate; client_max_window_bits",
            ((true, 15), (true, 11)),
        ),
        (
            Deflate { peer_window_bits: 11, ..remembering() },
            "permessage-deflate; client_max_window_bits=13",
            ((true, 15), (true, 11)),
        ),
        (
            Deflate { peer_window_bits: 11, ..remembering() },
            "permessage-deflate; client_max_window_bits=10",
            ((true, 15), (true, 10)),
        ),
        // A client that cannot be told how large a window we bear: then it must not refer back at all.
        (Deflate { peer_window_bits: 11, ..remembering() }, "permessage-deflate", ((true, 15), (false, 15))),
    ] {
        assert_eq!(params(answer(&settings, &[offer]).unwrap().1), Some(agreed), "{offer} for {settings:?}");
    }
}

/// §7.1: a well-formed offer that cannot be served is declined, the next one counts, and the connection opens.
#[test]
fn a_server_declines_and_goes_on() {
    for declined in [
        // §7.1.2.1: "A value […] between 8 to 15"; zlib cannot compress with 8, nor would anybody be told.
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=\"8\"",
        "permessage-deflate; server_max_window_bits=8; client_max_window_bits",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=0",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=\"010\"",
        "permessage-deflate; server_max_window_bits=+10",
        "permessage-deflate; server_max_window_bits=-10",
        "permessage-deflate; server_max_window_bits=10.0",
        "permessage-deflate; server_max_window_bits=1e1",
        "permessage-deflate; server_max_window_bits=ten",
        "permessage-deflate; server_max_window_bits=4294967306",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=08",
        "permessage-deflate; client_max_window_bits=\"08\"",
        "permessage-deflate; client_max_window_bits=x",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; server_no_context_takeover=true",
        "permessage-deflate; client_no_context_takeover=\"1\"",
        // Unknown, among them names in other cases than the registered one.
        "permessage-deflate; unknown",
        "permessage-deflate; client_max_window_bits; x=1",
        "permessage-deflate; Server_No_Context_Takeover",
        "permessage-deflate; max_window_bits=10",
        // Repeated.
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        // Other extensions.
        "x-webkit-deflate-frame",
        "permessage-bzip2",
        "Permessage-Deflate",
        "deflate-stream",
        "bbf-usp-protocol; fromid=\"1\"",
    ] {
        assert_eq!(answer(&remembering(), &[declined]), Ok((None, None)), "{declined}");
        let fallback = format!("{declined}, permessage-deflate; server_max_window_bits=10, permessage-deflate");
        let accepted = Some("permessage-deflate; server_max_window_bits=10".to_owned());
        assert_eq!(answer(&remembering(), &[&fallback]).unwrap().0, accepted, "{fallback}");
        let fields = [declined, "permessage-deflate; server_max_window_bits=10"];
        assert_eq!(answer(&remembering(), &fields).unwrap().0, accepted, "{fields:?}");
    }
    assert_eq!(answer(&remembering(), &[]), Ok((None, None)));
}

/// RFC 6455 §9.1: what breaks the grammar of the header fails the handshake.
#[test]
fn a_malformed_offer_is_answered_400() {
    for malformed in [
        "",
        ",",
        "permessage-deflate;",
        "permessage-deflate; ;",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=\"\"",
        "permessage-deflate; server_max_window_bits=\"10",
        "permessage-deflate; server_max_window_bits=\"1 0\"",
        "permessage-deflate; server_max_window_bits=10 10",
        "permessage-deflate client_max_window_bits",
        "permessage-deflate; =10",
        "permessage-deflate, permessage-deflate; @",
    ] {
        assert_eq!(answer(&forgetting(), &[malformed]), Err(StatusCode::BAD_REQUEST), "{malformed:?}");
    }
}

/// Nor does a server that does not compress refuse to open.
#[test]
fn a_server_without_compression_declines_all_offers() {
    let client = ClientHandshake::new(&"ws://a/".parse().unwrap(), NONCE).unwrap().deflate(forgetting());
    let server = ServerHandshake { deflate: None, ..ServerHandshake::default() };
    let (response, negotiated) = server.accept(&client.request()).unwrap();
    assert_eq!(negotiated.deflate(), None);
    assert_eq!(client.finish(&response).unwrap().deflate(), None);
}

#[test]
fn what_a_client_offers() {
    let none = ContextMemory::new(0);
    for (deflate, offers) in [
        (
            forgetting(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
        ),
        (
            Deflate { window_bits: 12, peer_window_bits: 10, ..forgetting() },
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=12",
        ),
        (remembering(), "permessage-deflate; client_max_window_bits"),
        (Deflate { window_bits: 9, ..remembering() }, "permessage-deflate; client_max_window_bits=9"),
        // What a server cannot do, it may do without.
        (
            Deflate { peer_window_bits: 10, ..remembering() },
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits, \
             permessage-deflate; server_no_context_takeover; client_max_window_bits",
        ),
        // No room to remember what the server said.
        (Deflate::with_takeover(none), "permessage-deflate; server_no_context_takeover; client_max_window_bits"),
    ] {
        let client = ClientHandshake::new(&"ws://a/".parse().unwrap(), NONCE).unwrap().deflate(deflate);
        assert_eq!(client.request().headers()["Sec-WebSocket-Extensions"], offers);
    }
    let client = ClientHandshake::new(&"ws://a/".parse().unwrap(), NONCE).unwrap();
    assert!(!client.request().headers().contains_key("Sec-WebSocket-Extensions"));
}

/// What a client with these settings makes of an answer.
fn finish(deflate: &Deflate, fields: &[&str]) -> Result<Option<DeflateParams>, ResponseError> {
    let client = ClientHandshake::new(&"ws://a/".parse().unwrap(), NONCE).unwrap().deflate(deflate.clone());
    finish_with(&client, fields)
}

fn finish_with(client: &ClientHandshake, fields: &[&str]) -> Result<Option<DeflateParams>, ResponseError> {
    let request: Request<()> = client.request();
    let server = ServerHandshake { deflate: None, ..ServerHandshake::default() };
    let (mut response, _): (Response<()>, _) = server.accept(&request).unwrap();
    for field in fields {
        response.headers_mut().append(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_str(field).unwrap());
    }
    client.finish(&response).map(|negotiated| negotiated.deflate())
}

#[test]
fn a_client_takes_the_answers_to_its_offers() {
    let limiting = Deflate { window_bits: 12, peer_window_bits: 10, ..remembering() };
    for (settings, response, agreed) in [
        (forgetting(), "; server_no_context_takeover", ((false, 15), (false, 15))),
        (forgetting(), "; server_no_context_takeover; client_no_context_takeover", ((false, 15), (false, 15))),
        (forgetting(), "; server_no_context_takeover; server_max_window_bits=9", ((false, 9), (false, 15))),
        (forgetting(), "; server_no_context_takeover; client_max_window_bits=9", ((false, 15), (false, 9))),
        (remembering(), "", ((true, 15), (true, 15))),
        // §7.1.1.1, §7.1.1.2, §7.1.2.1: a server may say these without being asked.
        (remembering(), "; server_no_context_takeover", ((false, 15), (true, 15))),
        (remembering(), "; client_no_context_takeover", ((true, 15), (false, 15))),
        (remembering(), "; server_max_window_bits=8", ((true, 8), (true, 15))),
        (remembering(), "; client_max_window_bits=8", ((true, 15), (true, 8))),
        (remembering(), "; client_max_window_bits=\"10\"; server_max_window_bits=\"11\"", ((true, 11), (true, 10))),
        (limiting.clone(), "; server_max_window_bits=10", ((true, 10), (true, 12))),
        (limiting.clone(), "; server_max_window_bits=9; client_max_window_bits=11", ((true, 9), (true, 11))),
        // The fallback.
        (limiting.clone(), "; server_no_context_takeover", ((false, 15), (true, 12))),
    ] {
        let response = format!("permessage-deflate{response}");
        assert_eq!(finish(&settings, &[&response]).map(params), Ok(Some(agreed)), "{response} to {settings:?}");
    }
    assert_eq!(finish(&forgetting(), &[]), Ok(None));
}

/// §7.1: "A client MUST _Fail the WebSocket Connection_".
#[test]
fn a_client_fails_on_any_other_answer() {
    use InvalidDeflate::*;
    let limiting = Deflate { window_bits: 12, peer_window_bits: 10, ..remembering() };
    for (settings, response, fault) in [
        // What had to be repeated is not.
        (forgetting(), "", Unoffered),
        (forgetting(), "; client_no_context_takeover", Unoffered),
        (limiting.clone(), "", Unoffered),
        // Larger than what was offered.
        (limiting.clone(), "; server_max_window_bits=11", Unoffered),
        (limiting.clone(), "; server_max_window_bits=10; client_max_window_bits=13", Unoffered),
        // Undefined, repeated, invalid.
        (remembering(), "; unknown", UnknownParameter("unknown".into())),
        (remembering(), "; Client_No_Context_Takeover", UnknownParameter("Client_No_Context_Takeover".into())),
        (
            remembering(),
            "; client_no_context_takeover; client_no_context_takeover",
            RepeatedParameter("client_no_context_takeover".into()),
        ),
        (
            remembering(),
            "; client_max_window_bits=10; client_max_window_bits=10",
            RepeatedParameter("client_max_window_bits".into()),
        ),
        (remembering(), "; client_max_window_bits", InvalidValue(String::new())),
        (remembering(), "; server_max_window_bits", InvalidValue(String::new())),
        (remembering(), "; server_max_window_bits=7", InvalidValue("7".into())),
        (remembering(), "; server_max_window_bits=16", InvalidValue("16".into())),
        (remembering(), "; client_max_window_bits=09", InvalidValue("09".into())),
        (remembering(), "; client_max_window_bits=\"09\"", InvalidValue("09".into())),
        (remembering(), "; server_no_context_takeover=1", InvalidValue("1".into())),
    ] {
        let response = format!("permessage-deflate{response}");
        let error = ResponseError::InvalidDeflate(fault);
        assert_eq!(finish(&settings, &[&response]), Err(error), "{response} to {settings:?}");
    }
}

#[test]
fn a_client_fails_on_an_extension_that_it_did_not_offer() {
    let client = ClientHandshake::new(&"ws://a/".parse().unwrap(), NONCE).unwrap();
    let unoffered = |name: &str| Err(ResponseError::UnofferedExtension(name.into()));
    assert_eq!(finish_with(&client, &["permessage-deflate"]), unoffered("permessage-deflate"));
    let client = client.deflate(remembering());
    assert_eq!(finish_with(&client, &["x-webkit-deflate-frame"]), unoffered("x-webkit-deflate-frame"));
    assert_eq!(finish_with(&client, &["permessage-deflate, other"]), unoffered("other"));
    assert_eq!(finish_with(&client, &["Permessage-Deflate"]), unoffered("Permessage-Deflate"));
    assert_eq!(finish_with(&client, &["permessage-deflate;"]), Err(ResponseError::InvalidExtensions));
    // §5: "at most one" of those that use the same bit.
    let twice = Err(ResponseError::DuplicateExtension("permessage-deflate".into()));
    assert_eq!(finish_with(&client, &["permessage-deflate, permessage-deflate"]), twice);
    assert_eq!(finish_with(&client, &["permessage-deflate", "permessage-deflate"]), twice);
}

/// Every pair of settings that we have agrees with itself, whatever it agrees on.
#[test]
fn both_of_our_ends_agree_on_the_same() {
    let mut all = Vec::new();
    for (window_bits, peer_window_bits) in [(15, 15), (9, 15), (15, 9), (12, 10)] {
        for settings in [forgetting(), remembering(), Deflate::with_takeover(ContextMemory::new(0))] {
            all.push(Deflate { window_bits, peer_window_bits, ..settings });
        }
    }
    for ours in &all {
        for theirs in &all {
            let client = ClientHandshake::new(&"ws://a/".parse().unwrap(), NONCE).unwrap().deflate(ours.clone());
            let server = ServerHandshake { deflate: Some(theirs.clone()), ..ServerHandshake::default() };
            let (response, negotiated) = server.accept(&client.request()).unwrap();
            let (there, here) = (negotiated.deflate().unwrap(), client.finish(&response).unwrap().deflate().unwrap());
            assert_eq!(there.server, here.server, "{ours:?} and {theirs:?}");
            assert_eq!(there.client.takeover, here.client.takeover, "{ours:?} and {theirs:?}");
            // What a client said it keeps to need not be said back.
            assert!(here.client.window_bits <= there.client.window_bits, "{ours:?} and {theirs:?}");
        }
    }
}

/// What is remembered for peers is taken from the memory that they share, and given back.
#[test]
fn takeover_ends_where_its_memory_does() {
    let memory = ContextMemory::new(70 << 10);
    let server =
        ServerHandshake { deflate: Some(Deflate::with_takeover(memory.clone())), ..ServerHandshake::default() };
    let client = ClientHandshake::new(&"ws://a/".parse().unwrap(), NONCE).unwrap().deflate(remembering());
    let open = || server.accept(&client.request()).unwrap();
    let (first, second, third) = (open(), open(), open());
    assert_eq!(memory.used(), 64 << 10);
    let takeover = |(_, negotiated): &(Response<()>, openline_proto::handshake::Negotiated)| {
        negotiated.deflate().unwrap().client.takeover
    };
    assert_eq!([&first, &second, &third].map(takeover), [true, true, false]);
    assert_eq!(client.finish(&third.0).unwrap().deflate().map(|agreed| agreed.client.takeover), Some(false));
    drop((first, third));
    assert!(takeover(&open()));
    drop(second);
    assert_eq!(memory.used(), 0);
}
