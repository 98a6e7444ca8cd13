//! The first inputs of each fuzz target, from which the others grow, spelled out.
//!
//! They lie in `fuzz/corpus` as files; `WRITE_SEEDS=1 cargo test -p openline-fuzz-checks --test seeds` writes them.

use std::fs;
use std::path::Path;

#[test]
fn the_seeds_are_in_the_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    for (target, seeds) in seeds() {
        for (name, bytes) in seeds {
            let path = corpus.join(target).join(name).with_extension("seed");
            if std::env::var_os("WRITE_SEEDS").is_some() {
                fs::create_dir_all(corpus.join(target)).expect("writable");
                fs::write(&path, &bytes).expect("writable");
            }
            assert_eq!(fs::read(&path).ok(), Some(bytes), "{} is out of date: see above", path.display());
        }
    }
}

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn seeds() -> [(&'static str, Seeds); 14] {
    [
        ("frames", frames()),
        ("server_connection", scripts(masked)),
        ("client_connection", scripts(<[u8]>::to_vec)),
        ("compressed_server", compressed_scripts(masked)),
        ("compressed_client", compressed_scripts(<[u8]>::to_vec)),
        ("inflate", literal(&DEFLATED)),
        ("extensions", literal(&EXTENSIONS)),
        ("any_split", splits()),
        ("opening_request", literal(&REQUESTS)),
        ("opening_response", literal(&RESPONSES)),
        ("uri", literal(&URIS)),
        ("channels", literal(&CHANNELS)),
        ("configuration", literal(&CONFIGURATIONS)),
        ("session", sessions()),
    ]
}

fn literal(seeds: &[(&'static str, &[u8])]) -> Seeds {
    seeds.iter().map(|(name, bytes)| (*name, bytes.to_vec())).collect()
}

fn frames() -> Seeds {
    literal(&[
        ("text", b"\x81\x05Hello"),
        ("masked_text", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        ("length_16", b"\x82\x7e\x01\0"),
        ("length_64", b"\x82\x7f\0\0\0\0\0\x01\0\0"),
        ("masked_length_64", b"\x82\xff\0\0\0\0\0\x01\0\0\x37\xfa\x21\x3d"),
        ("not_minimal", b"\x82\x7e\0\x05"),
        ("out_of_range", b"\x82\x7f\x80\0\0\0\0\0\0\0"),
        ("reserved", b"\xf3\0"),
        ("ping", b"\x89\0"),
        ("long_ping", b"\x89\x7e\0\x7e"),
    ])
}

/// What comes in, without masks.
const WIRES: [(&str, &[u8]); 12] = [
    ("text", b"\x81\x05Hello"),
    ("fragments", b"\x01\x03Hel\x80\x02lo"),
    ("ping_in_fragments", b"\x01\x02\xe2\x82\x89\x01p\x80\x01\xac"),
    ("binary", b"\x82\x04\xff\xfe\0\x01"),
    ("close", b"\x88\x05\x03\xe8bye"),
    ("empty_close", b"\x88\0"),
    ("bad_close", b"\x88\x02\x03\xee"),
    ("not_utf_8", b"\x01\x02ab\x80\x01\xff"),
    ("interleaved", b"\x01\x01a\x81\x01b"),
    ("empty_fragments", b"\x02\0\0\0\0\0\0\0\0\0\0\0"),
    ("reserved", b"\x81\x01a\xc1\x01b"),
    ("long", b"\x82\x7e\x04\0"),
];

const WHOLE: u8 = 0;
const PARTS: u8 = 1;
const SEND: u8 = 2;
const SEND_OWNED: u8 = 3;
const SEND_SHARED: u8 = 4;
const SEND_PART: u8 = 5;
const PING: u8 = 6;
const CLOSE: u8 = 7;
const WRITE: u8 = 8;
const WAIT: u8 = 9;

fn scripts(dress: fn(&[u8]) -> Vec<u8>) -> Seeds {
    let hears = |mode: u8, wire: &[u8]| [&[mode, wire.len() as u8], wire].concat();
    let mut seeds: Seeds = Vec::new();
    for (name, wire) in WIRES {
        let wire = dress(wire);
        let (begin, end) = wire.split_at(wire.len() / 2);
        seeds.push((name, [hears(WHOLE, begin), hears(PARTS, end), hears(WHOLE, begin), hears(WHOLE, end)].concat()));
    }
    let answer = hears(WHOLE, &dress(b"\x88\x02\x03\xe8"));
    let pong = hears(WHOLE, &dress(b"\x8a\0"));
    let ping = hears(WHOLE, &dress(b"\x89\x05hello"));
    let send = [SEND, 9, SEND_OWNED, 255, SEND_SHARED, 100, SEND_SHARED, 3];
    seeds.push(("sends", [&send[..], &[WRITE, 7, PING, 3, WRITE, 255, PING, 126, WRITE, 1]].concat()));
    seeds.push(("sends_parts", vec![SEND_PART, 1, WRITE, 1, SEND, 1, PING, 1, SEND_PART, 200, SEND_PART, 3, SEND, 5]));
    seeds.push(("closes", [&[SEND, 9, CLOSE, 3][..], &ping, &[WRITE, 99], &answer, &[WAIT, 20]].concat()));
    seeds.push(("closes_alone", vec![CLOSE, 210, WRITE, 1, WAIT, 19, WAIT, 1]));
    seeds.push(("drops", vec![SEND, 9, CLOSE, 255, SEND, 9, WAIT, 1]));
    seeds.push(("keepalive", [&[WAIT, 90, WRITE, 9][..], &pong, &[WAIT, 90, WRITE, 9, WAIT, 80, WRITE, 9]].concat()));
    seeds.push(("stalls", vec![SEND_OWNED, 255, WRITE, 1, WAIT, 119, WAIT, 1]));
    seeds.push(("idles", [&[WAIT, 0][..], &[WAIT, 40, WRITE, 9].repeat(9), &pong.repeat(2)].concat()));
    seeds
}

/// Compressed frames, without masks: the examples of RFC 7692 §7.2.3, and what is wrong with others.
const COMPRESSED: [(&str, &[u8]); 12] = [
    ("hello", b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\0"),
    ("again", b"\xc1\x05\xf2\0\x11\0\0"),
    ("fragments", b"\x41\x03\xf2\x48\xcd\x89\x01x\x80\x04\xc9\xc9\x07\0"),
    ("stored", b"\xc1\x0b\0\x05\0\xfa\xff\x48\x65\x6c\x6c\x6f\0"),
    ("final", b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\0\0"),
    ("blocks", b"\xc1\x0d\xf2\x48\x05\0\0\0\xff\xff\xca\xc9\xc9\x07\0"),
    ("empty", b"\xc1\x01\0\xc2\x02\x02\0"),
    ("continued", b"\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\0"),
    ("cut", b"\xc1\x03\xf2\x48\xcd"),
    ("reserved", b"\xc2\x01\x06"),
    ("ping", b"\xc9\0"),
    ("zeros", b"\xc2\x0a\x62\x60\x18\x05\xa3\x60\x14\x8c\x02\0"),
];

fn compressed_scripts(dress: fn(&[u8]) -> Vec<u8>) -> Seeds {
    const HOWS: [u8; 6] = [0, 1 | 6, 1 | 2, 1 | 6 | 16 | 32, 16 | 64, 1];
    let hears = |mode: u8, wire: &[u8]| [&[mode, wire.len() as u8], wire].concat();
    let mut seeds: Seeds = Vec::new();
    for (i, (name, wire)) in COMPRESSED.into_iter().enumerate() {
        let wire = dress(wire);
        let (begin, end) = wire.split_at(wire.len() / 2);
        let how = vec![HOWS[i % HOWS.len()]];
        let hello = hears(WHOLE, &dress(COMPRESSED[0].1));
        let twice = [hears(WHOLE, begin), hears(PARTS, end), hears(PARTS, begin), hears(WHOLE, end)].concat();
        seeds.push((name, [how, hello, twice, vec![SEND, 99, WAIT, 130, WAIT, 9, SEND_PART, 98, WRITE, 255]].concat()));
    }
    let sends =
        [SEND, 99, SEND_OWNED, 255, SEND_SHARED, 100, SEND_PART, 200, SEND_PART, 3, SEND, 0, SEND_SHARED, 3, SEND, 99];
    for (name, how) in [("sends", 0), ("sends_remembering", 1 | 6), ("sends_without_room", 1 | 2)] {
        seeds.push((name, [&[how][..], &sends, &[WAIT, 130, WRITE, 255], &sends].concat()));
    }
    seeds
}

/// How many bytes at once, and a message.
const DEFLATED: [(&str, &[u8]); 8] = [
    ("hello", b"\x01\xf2\x48\xcd\xc9\xc9\x07\0"),
    ("stored", b"\x03\0\x05\0\xfa\xff\x48\x65\x6c\x6c\x6f\0"),
    ("final", b"\x01\xf3\x48\xcd\xc9\xc9\x07\0\0"),
    ("finals", b"\x02\x03\0\x03\0\xf3\x48\xcd\xc9\xc9\x07\0\x03\0"),
    ("blocks", b"\x05\xf2\x48\x05\0\0\0\xff\xff\xca\xc9\xc9\x07\0"),
    ("tail", b"\x01\0\0\0\xff\xff"),
    ("reserved", b"\x01\x07"),
    ("zeros", b"\x02\x62\x60\x18\x05\xa3\x60\x14\x8c\x02\0"),
];

const EXTENSIONS: [(&str, &[u8]); 8] = [
    ("chromium", b"permessage-deflate; client_max_window_bits"),
    ("firefox", b"permessage-deflate"),
    ("fallback", b"permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=\"10\""),
    ("all", b"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=9"),
    ("twice", b"permessage-deflate; client_max_window_bits; client_max_window_bits=9"),
    ("answer", b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
    ("zeros", b"permessage-deflate; client_max_window_bits=010"),
    ("others", b"x-webkit-deflate-frame, a; b=\"c\\d\" ;e, permessage-deflate"),
];

/// As a client puts these frames on the wire; their lengths are short.
fn masked(mut wire: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut masked = Vec::new();
    while let [first, second, rest @ ..] = wire {
        let extended = if *second == 126 { 2 } else { 0 };
        let (payload, after) = rest[extended..].split_at(usize::from(*second).min(rest.len() - extended));
        masked.extend([*first, second | 0x80]);
        masked.extend(&rest[..extended]);
        masked.extend(KEY);
        masked.extend(payload.iter().zip(KEY.into_iter().cycle()).map(|(byte, key)| byte ^ key));
        wire = after;
    }
    masked
}

fn splits() -> Seeds {
    WIRES
        .into_iter()
        .enumerate()
        .map(|(i, (name, wire))| {
            let how = i as u8 % 8;
            let wire = if how & 1 == 0 { masked(wire) } else { wire.to_vec() };
            (name, [&[how, 2, wire.len() as u8 / 2][..], &wire].concat())
        })
        .collect()
}

const REQUESTS: [(&str, &[u8]); 7] = [
    (
        "rfc",
        b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
          Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n",
    ),
    (
        "browser",
        b"GET /chat?room=1 HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
          Origin: https://example.com:8443\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\
          Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nCookie: a=b\r\n\r\n\x81\x80",
    ),
    ("version", b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 8\r\n\r\n"),
    ("plain", b"\r\nGET http://example.com/ HTTP/1.0\r\nAccept: */*\r\n\r\n"),
    ("connect", b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nSec-WebSocket-Version: 13\r\n\r\n"),
    ("smuggled", b"GET / HTTP/1.1\r\nHost : a\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
    (
        "extensions",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\nSec-WebSocket-Extensions: a; b=\"c\\d\", e;f=1;g\r\n\
          Sec-WebSocket-Extensions: h\r\nOrigin: null\r\n\r\n",
    ),
];

const RESPONSES: [(&str, &[u8]); 5] = [
    (
        "rfc",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
    ),
    (
        "accept",
        b"HTTP/1.1 101 \r\nupgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n\
          sec-websocket-accept:   s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\t\r\n\r\n\x81\x02hi",
    ),
    (
        "unoffered",
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    ),
    ("refused", b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nno\n"),
    ("redirect", b"HTTP/1.0 302 Found\r\nLocation: wss://example.com/\r\n\r\n"),
];

const URIS: [(&str, &[u8]); 8] = [
    ("plain", b"ws://example.com"),
    ("query", b"wss://example.com:8443/chat?room=1&name=%C3%A9"),
    ("ipv6", b"ws://[::1]:8080/"),
    ("no_path", b"ws://example.com?query"),
    ("fragment", b"ws://example.com/#fragment"),
    ("user", b"ws://user:password@example.com/"),
    ("letters", "ws://exämple.com/ä".as_bytes()),
    ("http", b"https://example.com:443/%2f//..;a=b"),
];

const CHANNELS: [(&str, &[u8]); 8] = [
    ("one", b"/c/news:today\n00c0ffee00c0ffee.42"),
    ("escaped", b"/c/a%23b%2Fc?after=00c0ffee00c0ffee.1&wait=25"),
    ("several", b"/c?ch=a&ch=b&ch=a&limit=5\n-,00c0ffee00c0ffee.7"),
    ("presence", b"/c/chat:x?presence"),
    ("not_utf_8", b"/c/a%FF"),
    ("space", b"/c/a%20b"),
    ("positions", b"/c?ch=a&ch=b&after=00C0FFEE00C0FFEE.01,-"),
    ("elsewhere", b"/cc?ch=a"),
];

const CONFIGURATIONS: [(&str, &[u8]); 6] = [
    ("empty", b""),
    ("small", b"[server]\nlisten = [\":8080\"]\nhosts = [\"a.example\"]\n[namespaces.chat]\nallow.subscribe = \"anyone\"\n"),
    ("unknown", b"[limits]\nmax_conections = 5\n[limit]\nx = 1\n"),
    ("types", b"[tls]\ncert = [1]\n[times]\nping_interval = 1979-05-27\n[channels]\nhistory = { count = -1, age = \"1 parsec\" }\n"),
    ("broken", b"[server\nlisten = [\n\"\n= 5\na.b = 1\na = 2\n"),
    ("inherited", b"[channels]\nhistory.count = 3\n[namespaces.a]\nhistory = 5\n[namespaces.\"b c\"]\nallow = []\n"),
];

/// What carries it and who decides; then commands (1, which, channel, flags), frames (0, length, bytes), sending (3), time (4, half
/// seconds), answers of a backend (5, which; 6, length, bytes), orders (7, which, channel), publications (8, channel, length,
/// bytes), and not reading (9).
fn sessions() -> Seeds {
    const CONNECT: [u8; 5] = [1, 0, 0, 0, 3];
    const SUBSCRIBE: [u8; 5] = [1, 2, 0, 0, 3];
    let life = |how: u8, parts: &[&[u8]]| [&[how][..], &parts.concat()].concat();
    vec![
        ("talks", life(6, &[&CONNECT, &SUBSCRIBE, b"\x08\0\x03[1]\x01\x05\0\x01\x03\x01\x07\0\x09\x03\x01\x06\0\0\x03"])),
        ("protobuf", life(14, &[&CONNECT, &SUBSCRIBE, b"\x08\0\x02\xff\0\x01\x08\0\x05\x01\x0b\0\x05\x03"])),
        ("raw", life(6, &[b"\0\x17{\"id\":1,\"connect\":{}}\n{}\x03\0\x02no\x03"])),
        ("raw_protobuf", life(14, &[b"\0\x06\x04\x08\x01\x22\0\0\x03"])),
        ("recovers", life(6, &[&CONNECT, b"\x08\0\x01a\x08\0\x01b\x01\x02\0\x08\x03\x08\0\x01c\x01\x04\0\0\x01\x02\0\x2a\x03"])),
        ("expires", life(6, &[b"\x01\0\0\x04\x03\x01\x02\0\x06\x03\x04\x0f\x01\x0c\0\0\x03\x01\x09\0\x04\x03\x04\x40\x04\x40"])),
        ("hooked", life(7, &[&CONNECT, b"\x05\x01\x01\x02\x01\0\x03\x05\0\x01\x05\x01\0\x03\x05\x02\x01\x08\0\0\x01\x0b\0\0\x03\x05\0\x05\0\x04\x3c\x05\x04"])),
        ("lies", life(1, &[&CONNECT, b"\x06\x05{\"a\":\x05\x02\x05\x08\x05\x0b"])),
        ("ordered", life(0, &[&CONNECT, b"\x07\x01\0\x08\0\x01x\x07\x02\0\x07\x03\0\x07\0\0\x07\xd1\0"])),
        ("does_not_read", life(6, &[&CONNECT, &SUBSCRIBE, b"\x09\x08\0\x01a\x08\0\x01b\x01\x07\0\xff\x03\x04\x33\x09\x04\xff"])),
    ]
}
