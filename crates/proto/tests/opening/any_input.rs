//! Whatever comes, nothing panics, and what is accepted is in order.

use http::HeaderValue;
use openline_proto::handshake::*;
use proptest::{collection::vec, option::of, prelude::*, sample::select};

use crate::messages::{request, value};

/// A header value of any bytes that `http` lets pass, with the ones that mean something more often.
fn any_value() -> impl Strategy<Value = HeaderValue> {
    let byte = prop_oneof![
        4 => select(b" \t,;=\"\\/:-.[]@%13".to_vec()),
        4 => select(b"websocktupgrad".to_vec()),
        1 => any::<u8>(),
    ];
    vec(byte, 0..40).prop_filter_map("no header value", |bytes| HeaderValue::from_bytes(&bytes).ok())
}

fn any_subprotocols() -> impl Strategy<Value = Vec<Subprotocol>> {
    vec("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}", 0..5)
        .prop_map(|names| names.iter().map(|name| crate::messages::name(name)).collect())
}

proptest! {
    /// Whatever a client sends, the answer is an HTTP response, and one that can be sent.
    #[test]
    fn is_answered(name in select(vec![
        "host", "upgrade", "connection", "origin", "content-length", "sec-websocket-key", "sec-websocket-version",
        "sec-websocket-protocol", "sec-websocket-extensions",
    ]), value in any_value(), append in any::<bool>()) {
        let mut request = request(&[]);
        if append {
            request.headers_mut().append(name, value);
        } else {
            request.headers_mut().insert(name, value);
        }
        match ServerHandshake::default().accept(&request) {
            Ok((response, _)) => prop_assert_eq!(response.status(), 101),
            Err(rejection) => {
                let response = rejection.response();
                prop_assert!(response.status().is_client_error());
                prop_assert_eq!(&response.headers()["content-length"], &response.body().len().to_string());
            }
        }
    }

    /// Two sides of this module always agree, and on the server's first choice.
    #[test]
    fn both_sides_agree(nonce: [u8; 16], offered in any_subprotocols(), ours in any_subprotocols()) {
        let client = ClientHandshake::new(&"ws://example.com/".parse().unwrap(), nonce).unwrap();
        let client = client.subprotocols(offered.clone());
        let server = ServerHandshake { subprotocols: ours.clone(), ..Default::default() };
        let (response, negotiated) = server.accept(&client.request()).unwrap();
        prop_assert_eq!(client.finish(&response).unwrap(), negotiated.clone());
        prop_assert_eq!(negotiated.subprotocol(), ours.iter().find(|name| offered.contains(name)));
    }

    /// What is written is read back as it was.
    #[test]
    fn extensions_round_trip(list in vec(
        ("[a-z-]{1,8}", vec(("[a-z_]{1,8}", of("[0-9a-z.]{1,4}")), 0..3)), 1..4,
    )) {
        let offers: Vec<_> = list.into_iter().map(|(name, params)| ExtensionOffer { name, params }).collect();
        let text: Vec<String> = offers.iter().map(ToString::to_string).collect();
        prop_assert_eq!(ExtensionOffer::parse_list([&value(&text.join(", "))]), Ok(offers));
    }

    #[test]
    fn hosts_and_origins_round_trip(
        text in "[a-z]{2,5}://[a-zA-Z0-9.:-]{0,12}|\\[[0-9a-f:]{2,9}\\](:[0-9]{1,5})?",
    ) {
        if let Ok(origin) = Origin::parse(&text) {
            prop_assert_eq!(Origin::parse(&origin.to_string()), Ok(origin));
        }
        if let Ok(host) = Host::parse(&text) {
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
        }
    }
}
