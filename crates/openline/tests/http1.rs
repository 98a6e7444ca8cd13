//! HTTP/1.1 heads, rule by rule (RFC 9112; field syntax and semantics in RFC 9110).

#![allow(clippy::unwrap_used)] // in helpers as well as in tests

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use openline::http1::*;

mod requests {
    use super::*;

    /// RFC 6455 §1.2, and the first frame right behind it.
    #[test]
    fn an_opening_handshake() {
        let head = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
            Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";
        let (request, length) = parse_request(&[head, &b"\x81\x80\0\0\0\0"[..]].concat(), &limits()).unwrap().unwrap();
        assert_eq!(length, head.len());
        assert_eq!((request.method(), request.version()), (&Method::GET, Version::HTTP_11));
        assert_eq!(request.uri(), "/chat");
        assert_eq!(
            fields(request.headers()),
            [
                "host: server.example.com",
                "upgrade: websocket",
                "connection: Upgrade",
                "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
                "origin: http://example.com",
                "sec-websocket-protocol: chat, superchat",
                "sec-websocket-version: 13",
            ]
        );
    }

    #[test]
    fn in_order() {
        for (head, method, target, version) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", Version::HTTP_11),
            // §2.3: a later minor version is understood as ours; HTTP/1.0 has no Host to lack.
            ("GET / HTTP/1.9\r\nHost: a\r\n\r\n", "GET", "/", Version::HTTP_11),
            ("GET / HTTP/1.0\r\n\r\n", "GET", "/", Version::HTTP_10),
            ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET", "/", Version::HTTP_10),
            // §2.2: one empty line in front.
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/", Version::HTTP_11),
            // §3.1: any method, as written.
            ("M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n", "M-SEARCH", "/", Version::HTTP_11),
            ("get / HTTP/1.1\r\nHost: a\r\n\r\n", "get", "/", Version::HTTP_11),
            // §3.2.1: origin form.
            ("GET /a/%20b?c=d&e=? HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "/a/%20b?c=d&e=?", Version::HTTP_11),
            ("GET //a//b HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "//a//b", Version::HTTP_11),
            // §3.2.2: absolute form.
            ("GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "http://a/b?c", Version::HTTP_11),
            (
                "GET https://[::1]:8443/ HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n",
                "GET",
                "https://[::1]:8443/",
                Version::HTTP_11,
            ),
            ("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "GET", "http://a/", Version::HTTP_11),
            // §3.2.3: authority form.
            ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "CONNECT", "a:443", Version::HTTP_11),
            // §3.2.4: asterisk form.
            ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "*", Version::HTTP_11),
            ("OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS", "/a", Version::HTTP_11),
        ] {
            let (request, length) = parse_request(head.as_bytes(), &limits()).unwrap().unwrap();
            let parts = (request.method().as_str(), request.uri().to_string(), request.version(), length);
            assert_eq!(parts, (method, target.to_owned(), version, head.len()), "{head:?}");
        }
    }

    /// §5, §6 and RFC 9110 §5: fields that are in order.
    #[test]
    fn fields_in_order() {
        for (lines, read) in [
            ("a:b", "a: b"),
            ("A-b_c: d e", "a-b_c: d e"),
            ("a:\t b \t", "a: b"),
            ("a:", "a: "),
            ("a: b: c", "a: b: c"),
            ("a: b\tc", "a: b\tc"),
            ("!#$%&'*+-.^_`|~0: x", "!#$%&'*+-.^_`|~0: x"),
            ("Content-Length: 0", "content-length: 0"),
            ("Content-Length: 18446744073709551615", "content-length: 18446744073709551615"),
            ("Transfer-Encoding: chunked", "transfer-encoding: chunked"),
            ("Transfer-Encoding: Chunked", "transfer-encoding: Chunked"),
        ] {
            let (request, _) = parse_request(get(lines).as_bytes(), &limits()).unwrap().unwrap();
            assert_eq!(fields(request.headers()), ["host: a", read], "{lines:?}");
        }
        // RFC 9110 §5.5: obs-text is opaque.
        let (request, _) =
            parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nb: \xe9\xff\r\n\r\n", &limits()).unwrap().unwrap();
        assert_eq!(request.headers()["b"].as_bytes(), b"\xe9\xff");
    }

    /// §3.2.2: "the origin server MUST ignore the received Host header field (if any) and instead use the host
    /// information of the request-target".
    #[test]
    fn an_absolute_target_overrides_host() {
        let head = b"GET http://real.example:81/ HTTP/1.1\r\nHost: other.example\r\n\r\n";
        let (request, _) = parse_request(head, &limits()).unwrap().unwrap();
        assert_eq!(fields(request.headers()), ["host: real.example:81"]);
        // Which does not excuse a Host that is missing or wrong.
        for (lines, error) in [("", HeadError::MissingHost), ("Host: a b\r\n", HeadError::InvalidHost)] {
            let head = format!("GET http://real.example/ HTTP/1.1\r\n{lines}\r\n");
            assert_eq!(request_length(head.as_bytes(), &limits()), Err(error));
        }
    }

    /// Whole heads that are refused, what for, and what the answer's status is.
    #[test]
    fn out_of_order() {
        use HeadError::*;
        let table: &[(&str, u16, HeadError)] = &[
            // §3: one space between three parts.
            ("GET /\r\n", 400, RequestLine),
            ("GET\r\n", 400, RequestLine),
            ("GET  / HTTP/1.1\r\n", 400, RequestLine),
            ("GET /  HTTP/1.1\r\n", 400, RequestLine),
            ("GET / HTTP/1.1 \r\n", 400, RequestLine),
            (" GET / HTTP/1.1\r\n", 400, RequestLine),
            ("GET /a b HTTP/1.1\r\n", 400, RequestLine),
            ("GET\t/\tHTTP/1.1\r\n", 400, RequestLine),
            ("G(T / HTTP/1.1\r\n", 400, RequestLine),
            ("hello\r\n", 400, RequestLine),
            ("\r\n\r\n", 400, RequestLine),
            // §2.3.
            ("GET / http/1.1\r\n", 400, RequestLine),
            ("GET / HTTP/1\r\n", 400, RequestLine),
            ("GET / HTTP/1.10\r\n", 400, RequestLine),
            ("GET / HTTP/11\r\n", 400, RequestLine),
            ("GET / HTTPS/1.1\r\n", 400, RequestLine),
            ("GET / HTTP/0.9\r\n", 505, HttpVersion),
            ("GET / HTTP/2.0\r\n", 505, HttpVersion),
            ("GET / HTTP/3.0\r\n", 505, HttpVersion),
            // RFC 9113 §3.4; RFC 8446 §5.1.
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, Http2Preface),
            ("\x16\x03\x01\x02\0\x01", 400, Tls),
            // §3.2.
            ("GET chat HTTP/1.1\r\n", 400, Target),
            ("GET * HTTP/1.1\r\n", 400, Target),
            ("GET a:80 HTTP/1.1\r\n", 400, Target),
            ("GET /#a HTTP/1.1\r\n", 400, Target),
            ("GET http://a/#b HTTP/1.1\r\n", 400, Target),
            ("GET /é HTTP/1.1\r\n", 400, Target),
            ("GET /<a> HTTP/1.1\r\n", 400, Target),
            ("GET ws://a/ HTTP/1.1\r\n", 400, Target),
            ("GET ftp://a/ HTTP/1.1\r\n", 400, Target),
            ("GET http://u@a/ HTTP/1.1\r\n", 400, Target),
            ("GET http:///a HTTP/1.1\r\n", 400, Target),
            ("OPTIONS ** HTTP/1.1\r\n", 400, Target),
            ("CONNECT / HTTP/1.1\r\n", 400, Target),
            ("CONNECT a HTTP/1.1\r\n", 400, Target),
            ("CONNECT http://a:80 HTTP/1.1\r\n", 400, Target),
            ("CONNECT u@a:80 HTTP/1.1\r\n", 400, Target),
            // §2.2: CR LF, and nothing else.
            ("GET / HTTP/1.1\nHost: a\n\n", 400, BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400, BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400, BareLineFeed),
            ("\nGET / HTTP/1.1\r\n", 400, BareLineFeed),
            ("GET / HTTP/1.1\rHost: a\r\n\r\n", 400, BareCarriageReturn),
            ("GET / HTTP/1.1\r\nHost: a\r\r\n", 400, BareCarriageReturn),
            // RFC 9110 §5.5: no control characters.
            ("GET /\0 HTTP/1.1\r\n", 400, Control(0)),
            ("GET / HTTP/1.1\r\nHost: a\0b\r\n", 400, Control(0)),
            ("GET / HTTP/1.1\r\nHost: a\x7f\r\n", 400, Control(0x7f)),
            ("GET / HTTP/1.1\r\nHo\x0bst: a\r\n", 400, Control(0x0b)),
            // §2.2, §5.2: white space in front of a field.
            ("GET / HTTP/1.1\r\n Host: a\r\n", 400, FoldedLine),
            ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n", 400, FoldedLine),
            ("GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n", 400, FoldedLine),
            ("GET / HTTP/1.1\r\nHost: a\r\n \r\n", 400, FoldedLine),
            // §5, §5.1.
            ("GET / HTTP/1.1\r\nHost\r\n", 400, NoColon),
            ("GET / HTTP/1.1\r\nHost : a\r\n", 400, SpaceBeforeColon),
            ("GET / HTTP/1.1\r\nHost\t: a\r\n", 400, SpaceBeforeColon),
            ("GET / HTTP/1.1\r\n: a\r\n", 400, FieldName),
            ("GET / HTTP/1.1\r\nHo st: a\r\n", 400, FieldName),
            ("GET / HTTP/1.1\r\nHöst: a\r\n", 400, FieldName),
            ("GET / HTTP/1.1\r\n\"Host\": a\r\n", 400, FieldName),
            // §3.2: one valid Host.
            ("GET / HTTP/1.1\r\n\r\n", 400, MissingHost),
            ("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400, DuplicateHost),
            ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, DuplicateHost),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, InvalidHost),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, InvalidHost),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, InvalidHost),
            ("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", 400, InvalidHost),
            ("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400, InvalidHost),
            ("GET / HTTP/1.1\r\nHost: é\r\n\r\n", 400, InvalidHost),
            ("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400, InvalidHost),
            // §6.1, §6.3: one end of the body, the same for everybody.
            (&get("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400, ContentLengthWithTransferEncoding),
            (&get("Content-Length: 5\r\nContent-Length: 6"), 400, DuplicateContentLength),
            (&get("Content-Length: 5\r\nContent-Length: 5"), 400, DuplicateContentLength),
            (&get("Content-Length: 5, 5"), 400, InvalidContentLength),
            (&get("Content-Length: +5"), 400, InvalidContentLength),
            (&get("Content-Length: -1"), 400, InvalidContentLength),
            (&get("Content-Length: 0x5"), 400, InvalidContentLength),
            (&get("Content-Length:"), 400, InvalidContentLength),
            (&get("Content-Length: 18446744073709551616"), 400, InvalidContentLength),
            ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, TransferEncodingInHttp10),
            (&get("Transfer-Encoding:"), 400, TransferEncoding),
            (&get("Transfer-Encoding: identity"), 400, TransferEncoding),
            (&get("Transfer-Encoding: xchunked"), 400, TransferEncoding),
            (&get("Transfer-Encoding: chunked, identity"), 400, TransferEncoding),
            (&get("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), 400, TransferEncoding),
            (&get("Transfer-Encoding: \"chunked\""), 400, TransferEncoding),
            (&get("Transfer-Encoding: gzip, chunked"), 501, UnknownTransferEncoding),
            (&get("Transfer-Encoding: chunked, chunked"), 501, UnknownTransferEncoding),
        ];
        for (head, status, error) in table {
            let refused = parse_request(head.as_bytes(), &limits()).expect_err(head);
            assert_eq!((refused, refused.status().as_u16()), (*error, *status), "{head:?}");
        }
    }

    /// The bytes that break a rule are enough; nobody waits for the blank line.
    #[test]
    fn refused_at_once() {
        for (head, error) in [
            (&b"\x16"[..], HeadError::Tls),
            (b"\0", HeadError::Control(0)),
            (b"\n", HeadError::BareLineFeed),
            (b"SSH-2.0-OpenSSH_9.6\r\n", HeadError::RequestLine),
            (b"GET / HTTP/1.1\n", HeadError::BareLineFeed),
            (b"GET / HTTP/1.1\r\nHost : a\r\n", HeadError::SpaceBeforeColon),
            (b"GET / HTTP/1.1\r\n Host: a\r\n", HeadError::FoldedLine),
        ] {
            assert_eq!(request_length(head, &limits()), Err(error));
            assert_eq!(request_length(&head[..head.len() - 1], &limits()), Ok(None));
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let response = parse_request(b"GET / HTTP/1.1\nHost: a\n\n", &limits()).unwrap_err().response();
        assert_eq!(
            String::from_utf8([encode_response(&response), response.into_body().into_bytes()].concat()).unwrap(),
            "HTTP/1.1 400 Bad Request\r\n\
             Connection: close\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: 56\r\n\
             \r\n\
             A line ends in a line feed alone: end lines with CR LF.\n"
        );
    }
}

mod limits_of_a_head {
    use super::*;

    #[test]
    fn bytes() {
        let head = get(&format!("a: {}", "x".repeat(1000)));
        let exact = HeadLimits { max_bytes: head.len(), ..limits() };
        assert!(parse_request(head.as_bytes(), &exact).unwrap().is_some());
        assert!(parse_request(&[head.as_bytes(), b"more"].concat(), &exact).unwrap().is_some());

        let less = HeadLimits { max_bytes: head.len() - 1, ..limits() };
        assert_eq!(request_length(head.as_bytes(), &less), Err(HeadError::TooManyBytes(head.len() - 1)));
        // As soon as there is no room for the end, and not before.
        assert_eq!(
            request_length(&head.as_bytes()[..head.len() - 1], &less),
            Err(HeadError::TooManyBytes(head.len() - 1))
        );
        assert_eq!(request_length(&head.as_bytes()[..head.len() - 2], &less), Ok(None));
        assert_eq!(HeadError::TooManyBytes(0).status(), 431);
    }

    #[test]
    fn the_default_is_16_kib() {
        let endless = format!("GET / HTTP/1.1\r\na: {}", "x".repeat(20_000));
        assert_eq!(request_length(endless.as_bytes(), &limits()), Err(HeadError::TooManyBytes(16 << 10)));
        assert_eq!(request_length(&endless.as_bytes()[..(16 << 10) - 1], &limits()), Ok(None));
    }

    #[test]
    fn header_fields() {
        let few = HeadLimits { max_headers: 3, ..limits() };
        assert!(parse_request(get("a: 1\r\nb: 2").as_bytes(), &few).unwrap().is_some());
        for lines in ["a: 1\r\nb: 2\r\nc: 3", "a: 1\r\na: 2\r\na: 3"] {
            assert_eq!(request_length(get(lines).as_bytes(), &few), Err(HeadError::TooManyHeaders(3)));
        }
        let lines = |count| (1..count).map(|_| "a: b").collect::<Vec<_>>().join("\r\n");
        assert!(parse_request(get(&lines(100)).as_bytes(), &limits()).unwrap().is_some());
        assert_eq!(request_length(get(&lines(101)).as_bytes(), &limits()), Err(HeadError::TooManyHeaders(100)));
        assert_eq!(HeadError::TooManyHeaders(0).status(), 431);
    }

    /// §3: 414 "to any request-target longer than any URI it wishes to parse"; at least 8000 octets have to go.
    #[test]
    fn the_request_line() {
        let line = |length: usize| format!("GET /{} HTTP/1.1", "x".repeat(length - "GET / HTTP/1.1".len()));
        let head = |length| format!("{}\r\nHost: a\r\n\r\n", line(length));
        assert!(parse_request(head(8000).as_bytes(), &limits()).unwrap().is_some());
        assert!(parse_request(head(8192).as_bytes(), &limits()).unwrap().is_some());
        assert_eq!(request_length(head(8193).as_bytes(), &limits()), Err(HeadError::RequestLineTooLong));
        assert_eq!(request_length("x".repeat(8193).as_bytes(), &limits()), Err(HeadError::RequestLineTooLong));
        assert_eq!(request_length("x".repeat(8192).as_bytes(), &limits()), Ok(None));
        // A smaller limit for the whole head is one for its first line too.
        let small = HeadLimits { max_bytes: 100, ..limits() };
        assert_eq!(request_length(head(200).as_bytes(), &small), Err(HeadError::RequestLineTooLong));
        assert_eq!(HeadError::RequestLineTooLong.status(), 414);
    }
}

mod responses {
    use super::*;

    const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    /// RFC 6455 §4.1: what follows the blank line are the server's frames, in the same packet or not.
    #[test]
    fn a_101_in_any_number_of_packets() {
        let bytes = [SWITCHING, b"\x81\x02hi"].concat();
        for split in 0..bytes.len() {
            let mut reader = ResponseReader::new(&limits());
            let first = reader.read(&bytes[..split]).unwrap();
            assert_eq!(first.is_some(), split >= SWITCHING.len(), "{split}");
            let (response, length) = first.or_else(|| reader.read(&bytes).unwrap()).unwrap();
            assert_eq!((response.status(), length), (StatusCode::SWITCHING_PROTOCOLS, SWITCHING.len()));
            assert_eq!(response.headers()["Sec-WebSocket-Accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        }
    }

    /// RFC 9110 §15.2: interim responses come before the one that counts.
    #[test]
    fn one_after_the_other() {
        let bytes = [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", SWITCHING].concat();
        let mut reader = ResponseReader::new(&limits());
        let (hints, length) = reader.read(&bytes).unwrap().unwrap();
        assert_eq!(hints.status(), 103);
        let (response, rest) = reader.read(&bytes[length..]).unwrap().unwrap();
        assert_eq!((response.status().as_u16(), length + rest), (101, bytes.len()));
        assert!(!response.headers().contains_key("link"));
    }

    #[test]
    fn in_order() {
        for (head, version, status) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Version::HTTP_11, 200),
            ("HTTP/1.0 404 Not Found\r\n\r\n", Version::HTTP_10, 404),
            ("HTTP/1.1 200 \r\n\r\n", Version::HTTP_11, 200),
            ("HTTP/1.1 200\r\n\r\n", Version::HTTP_11, 200),
            ("HTTP/1.1 200 all is well, \u{e9}\r\n\r\n", Version::HTTP_11, 200),
            ("HTTP/1.2 599 x\r\nTransfer-Encoding: gzip\r\n\r\n", Version::HTTP_11, 599),
        ] {
            let (response, length) = parse_response(head.as_bytes(), &limits()).unwrap().unwrap();
            assert_eq!(
                (response.version(), response.status().as_u16(), length),
                (version, status, head.len()),
                "{head:?}"
            );
        }
    }

    #[test]
    fn out_of_order() {
        use HeadError::*;
        for (head, error) in [
            ("HTTP/1.1\r\n", StatusLine),
            ("HTTP/1.1 \r\n", StatusLine),
            ("HTTP/1.1  200 OK\r\n", StatusLine),
            ("HTTP/1.1 20 OK\r\n", StatusLine),
            ("HTTP/1.1 2000 OK\r\n", StatusLine),
            ("HTTP/1.1 099 OK\r\n", StatusLine),
            ("HTTP/1.1 +20 OK\r\n", StatusLine),
            ("HTTP/1.1\t200 OK\r\n", StatusLine),
            ("http/1.1 200 OK\r\n", StatusLine),
            ("ICY 200 OK\r\n", StatusLine),
            ("SSH-2.0-OpenSSH_9.6\r\n", StatusLine),
            ("\r\n", StatusLine),
            ("HTTP/2.0 200 OK\r\n", HttpVersion),
            ("HTTP/1.1 101 x\nUpgrade: websocket\n\n", BareLineFeed),
            ("HTTP/1.1 101 x\r\nUpgrade: websocket\n\r\n", BareLineFeed),
            ("HTTP/1.1 101 x\rUpgrade: websocket\r\n\r\n", BareCarriageReturn),
            ("HTTP/1.1 101 x\0\r\n", Control(0)),
            ("HTTP/1.1 101 x\r\n a: b\r\n", FoldedLine),
            ("HTTP/1.1 101 x\r\na: b\r\n c\r\n", FoldedLine),
            ("HTTP/1.1 101 x\r\na : b\r\n", SpaceBeforeColon),
            ("HTTP/1.1 101 x\r\na\r\n", NoColon),
            ("HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", DuplicateContentLength),
            (
                "HTTP/1.1 200 x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                ContentLengthWithTransferEncoding,
            ),
            ("HTTP/1.1 200 x\r\nContent-Length: one\r\n\r\n", InvalidContentLength),
        ] {
            assert_eq!(response_length(head.as_bytes(), &limits()), Err(error), "{head:?}");
        }
    }

    #[test]
    fn limits_are_those_of_requests() {
        let small = HeadLimits { max_bytes: SWITCHING.len(), max_headers: 3, ..limits() };
        assert!(parse_response(SWITCHING, &small).unwrap().is_some());
        let fewer = HeadLimits { max_headers: 2, ..small.clone() };
        assert_eq!(response_length(SWITCHING, &fewer), Err(HeadError::TooManyHeaders(2)));
        let smaller = HeadLimits { max_bytes: SWITCHING.len() - 1, ..small };
        assert_eq!(response_length(SWITCHING, &smaller), Err(HeadError::TooManyBytes(SWITCHING.len() - 1)));
        let endless = "HTTP/1.1 101 x".to_owned() + &"x".repeat(20_000);
        assert_eq!(response_length(endless.as_bytes(), &limits()), Err(HeadError::TooManyBytes(16 << 10)));
    }
}

mod encoding {
    use super::*;

    #[test]
    fn a_request() {
        let request = Request::get("/chat?a=b")
            .header("host", "example.com")
            .header("upgrade", "websocket")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .body(())
            .unwrap();
        assert_eq!(
            encode_request(&request),
            b"GET /chat?a=b HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n"
        );
    }

    /// §3.2: each form with the URI that calls for it.
    #[test]
    fn targets() {
        for (method, uri, line) in [
            ("GET", "/", "GET / HTTP/1.1"),
            ("GET", "http://a", "GET http://a/ HTTP/1.1"),
            ("GET", "http://a:81?b", "GET http://a:81/?b HTTP/1.1"),
            ("CONNECT", "a:443", "CONNECT a:443 HTTP/1.1"),
            ("CONNECT", "https://a:443/x", "CONNECT a:443 HTTP/1.1"),
            ("OPTIONS", "*", "OPTIONS * HTTP/1.1"),
            ("GET", "/\u{fc}?\u{e9}", "GET /%C3%BC?%C3%A9 HTTP/1.1"),
        ] {
            let request = Request::builder().method(method).uri(uri).body(()).unwrap();
            assert_eq!(String::from_utf8(encode_request(&request)).unwrap(), format!("{line}\r\n\r\n"));
        }
        let request = Request::get("/").version(Version::HTTP_10).body(()).unwrap();
        assert_eq!(encode_request(&request), b"GET / HTTP/1.0\r\n\r\n");
    }

    #[test]
    fn a_response() {
        let response = Response::builder().status(101).header("sec-websocket-accept", "x").body(()).unwrap();
        assert_eq!(encode_response(&response), b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n");
        // §4: the space stays where there is no phrase.
        let response = Response::builder().status(499).version(Version::HTTP_2).body("body").unwrap();
        assert_eq!(encode_response(&response), b"HTTP/1.1 499 \r\n\r\n");
    }

    #[test]
    fn names_as_people_write_them() {
        for name in [
            "Host",
            "Connection",
            "Sec-WebSocket-Accept",
            "Sec-WebSocket-Protocol",
            "WWW-Authenticate",
            "ETag",
            "TE",
            "Last-Event-ID",
            "X-Forwarded-For",
            "Content-Type",
            "X--A",
            "1a",
        ] {
            let response = Response::builder().header(name, "x").body(()).unwrap();
            assert_eq!(
                String::from_utf8(encode_response(&response)).unwrap(),
                format!("HTTP/1.1 200 OK\r\n{name}: x\r\n\r\n")
            );
        }
    }

    /// No caller can write a line of their own: the types do not hold one.
    #[test]
    fn no_line_can_be_smuggled_in() {
        assert!(HeaderValue::from_bytes(b"a\r\nb: c").is_err());
        assert!("a\r\nb".parse::<http::HeaderName>().is_err());
        assert!("/a\r\nb: c".parse::<http::Uri>().is_err());
        assert!("GET /\r\n".parse::<Method>().is_err());
    }
}

mod any_input {
    use super::*;
    use proptest::{
        collection::vec,
        prelude::*,
        sample::{Index, select},
    };

    /// A valid head, and its parts: target, fields.
    fn head() -> impl Strategy<Value = Vec<u8>> {
        let field = ("[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", "[ \t]{0,2}", "[!-~]([ -~\t]{0,20}[!-~])?", "[ \t]{0,2}");
        let fields = vec(field, 0..8);
        ("(\r\n)?(GET|POST|X-Y)", "/[a-z0-9/%?=&.-]{0,20}", "[01]", fields).prop_map(
            |(method, target, minor, fields)| {
                let mut head = format!("{method} {target} HTTP/1.{minor}\r\nHost: example.com\r\n");
                for (name, before, value, after) in fields {
                    if !["host", "content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str()) {
                        head += &format!("{name}:{before}{value}{after}\r\n");
                    }
                }
                head += "\r\n";
                head.into_bytes()
            },
        )
    }

    /// Bytes that are nearly a head: the parts that mean something, in any order.
    fn nearly_a_head() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            8 => select(vec![
                "GET ", "/", " HTTP/1.1", " HTTP/1.0", "\r\n", "\r\n", "\r\n\r\n", "\r", "\n", " ", "\t", ":", "\0",
                "Host: a", "a: b", "Host", "Content-Length: 1", "Transfer-Encoding: chunked", "http://a/", "*",
                "PRI * HTTP/2.0", "#", "HTTP/1.1 200 OK", "GET / HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1 101 x\r\n",
            ]).prop_map(|part| part.as_bytes().to_vec()),
            1 => vec(any::<u8>(), 0..5),
        ];
        vec(part, 0..12).prop_map(|parts| parts.concat())
    }

    /// Small enough to be met by what is generated.
    fn tight() -> HeadLimits {
        HeadLimits { max_bytes: 60, max_headers: 2, ..limits() }
    }

    type Read<T> = Result<Option<(T, usize)>, HeadError>;

    /// The first outcome that is one.
    fn until_done<T>(mut reads: impl Iterator<Item = Read<T>>) -> Read<T> {
        reads.find(|read| !matches!(read, Ok(None))).unwrap_or(Ok(None))
    }

    /// A request or a response as something to compare.
    fn shown<T: std::fmt::Debug>(read: Read<T>) -> String {
        format!("{read:?}")
    }

    proptest! {
        /// Any truncation of a valid head is unfinished, never wrong, and what follows it does not matter.
        #[test]
        fn truncated(head in head(), at in any::<Index>(), rest in vec(any::<u8>(), 0..20)) {
            let (_, length) = parse_request(&head, &limits()).unwrap().unwrap();
            prop_assert_eq!(length, head.len());
            prop_assert_eq!(request_length(&head[..at.index(head.len())], &limits()), Ok(None));
            let followed = [head.clone(), rest].concat();
            prop_assert_eq!(shown(parse_request(&followed, &limits())), shown(parse_request(&head, &limits())));
        }

        /// However the bytes are split, the outcome is the same, whether it is a request or a refusal.
        #[test]
        fn split(
            bytes in prop_oneof![head(), nearly_a_head()],
            mut cuts in vec(any::<Index>(), 0..6),
            limits in select(vec![limits(), tight()]),
        ) {
            cuts.sort_by_key(|cut| cut.index(bytes.len() + 1));
            let mut prefixes: Vec<_> = cuts.iter().map(|cut| &bytes[..cut.index(bytes.len() + 1)]).collect();
            prefixes.push(&bytes);

            let mut reader = RequestReader::new(&limits);
            let bit_by_bit = until_done(prefixes.iter().map(|prefix| reader.read(prefix)));
            prop_assert_eq!(shown(bit_by_bit), shown(parse_request(&bytes, &limits)));

            let mut reader = ResponseReader::new(&limits);
            let bit_by_bit = until_done(prefixes.iter().map(|prefix| reader.read(prefix)));
            prop_assert_eq!(shown(bit_by_bit), shown(parse_response(&bytes, &limits)));
        }

        /// What we take, another parser takes too, and reads the same in it.
        #[test]
        fn httparse_agrees(bytes in prop_oneof![head(), nearly_a_head()]) {
            let mut headers = [httparse::EMPTY_HEADER; 100];
            let mut other = httparse::Request::new(&mut headers);
            if let Ok(Some((request, length))) = parse_request(&bytes, &limits()) {
                prop_assert_eq!(other.parse(&bytes), Ok(httparse::Status::Complete(length)));
                prop_assert_eq!(other.method, Some(request.method().as_str()));
                prop_assert_eq!(other.version, Some(u8::from(request.version() == Version::HTTP_11)));
                prop_assert_eq!(other.headers.len(), request.headers().len());
                for header in other.headers.iter().filter(|header| !header.name.eq_ignore_ascii_case("host")) {
                    let mut values = request.headers().get_all(header.name).iter();
                    prop_assert!(values.any(|value| value.as_bytes() == header.value), "{:?}", header);
                }
            }
            let mut headers = [httparse::EMPTY_HEADER; 100];
            let mut other = httparse::Response::new(&mut headers);
            if let Ok(Some((response, length))) = parse_response(&bytes, &limits()) {
                prop_assert_eq!(other.parse(&bytes), Ok(httparse::Status::Complete(length)));
                prop_assert_eq!(other.code, Some(response.status().as_u16()));
                prop_assert_eq!(other.headers.len(), response.headers().len());
            }
        }

        /// What is written is read back as it was.
        #[test]
        fn round_trip(head in head()) {
            let (request, _) = parse_request(&head, &limits()).unwrap().unwrap();
            let written = encode_request(&request);
            let (again, length) = parse_request(&written, &limits()).unwrap().unwrap();
            prop_assert_eq!(length, written.len());
            prop_assert_eq!((again.method(), again.uri()), (request.method(), request.uri()));
            prop_assert_eq!(again.version(), request.version());
            prop_assert_eq!(again.headers(), request.headers());
        }
    }
}

fn limits() -> HeadLimits {
    HeadLimits::default()
}

/// What can be compared of a request: its head's length, or what is wrong with it.
fn request_length(bytes: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
    Ok(parse_request(bytes, limits)?.map(|(_, length)| length))
}

fn response_length(bytes: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
    Ok(parse_response(bytes, limits)?.map(|(_, length)| length))
}

/// A whole request with these further lines.
fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n")
}

fn fields(headers: &HeaderMap) -> Vec<String> {
    headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
}
