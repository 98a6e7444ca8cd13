//! Routes as they are written, and everything that can be wrong about one.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::load::load_text;
use crate::config::{Config, schema};
use crate::hosting::{self, Frames, Health, HostHeader, Sharing, Table, What};

fn load(text: &str) -> Result<Config, String> {
    let loaded = load_text(Some("openline.toml".into()), Some(text), &Vec::new(), &[]);
    loaded.map(|loaded| loaded.config).map_err(|wrong| wrong.to_string())
}

#[test]
fn a_route_becomes_what_it_says() {
    let config = load(
        r#"
        [times]
        ping_interval = "7s"
        [[route]]
        path = "/app"
        host = "app.example"
        proxy = ["http://a:1", "wss://b/base"]
        health_interval = "1s"
        health_path = "/well"
        upstream_host = "own"
        origins = "any"
        compression = "off"
        max_lines = 9
        headers = { X-Team = "blue" }
        max_message_bytes = "2MiB"
        [[route]]
        path = "/gone"
        enabled = false
        exec = "./none"
        [[route]]
        path = "/count"
        exec = ["./count.sh", "a b"]
        frames = "binary"
        shared = true
        environment = { A = "b" }
        max_programs = 3
        stdin_grace = "1s"
        [[route]]
        path = "/vnc/{machine}"
        tcp = "{machine}"
        targets = { desk = "10.0.0.5:5900" }
        subprotocols = ["binary"]
        [[route]]
        path = "/old"
        redirect = "/new"
        status = 308
        "#,
    )
    .unwrap();
    let names: Vec<_> = config.routes.iter().map(|route| (route.path.as_str(), route.what.name())).collect();
    assert_eq!(names, [("/app", "proxy"), ("/count", "exec"), ("/vnc/{machine}", "tcp"), ("/old", "redirect")]);
    let app = &config.routes[0];
    let What::Proxy(proxy) = &app.what else { panic!("{app:?}") };
    assert_eq!((proxy.upstreams.len(), &proxy.host), (2, &HostHeader::Upstream));
    assert_eq!(proxy.health, Some(Health { path: Some("/well".into()), interval: Duration::from_secs(1) }));
    assert!(matches!((&app.origins, &app.compression), (hosting::Origins::Any, hosting::Compression::Off)));
    assert_eq!((app.max_lines, app.headers["x-team"].to_str().unwrap()), (Some(9), "blue"));
    let line = app.line.as_ref().unwrap();
    assert_eq!((line.max_message_bytes, line.ping_interval), (2 << 20, Some(Duration::from_secs(7))));
    let What::Exec(exec) = &config.routes[1].what else { panic!("{config:?}") };
    assert_eq!(
        (&exec.arguments[..], exec.frames, exec.sharing),
        (&["a b".to_owned()][..], Frames::Binary, Sharing::All)
    );
    assert_eq!(
        (exec.max_programs, exec.stdin_grace, exec.term_grace),
        (3, Duration::from_secs(1), Duration::from_secs(5))
    );
    assert!(config.routes[1].line.is_none(), "what differs from nothing is nothing");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, expected) in [
        ("echo = true", "openline.toml:1:1: route[0].path is missing: it has to be said"),
        (
            "path = \"/a\"",
            "openline.toml:2:8: route[0].path: nothing is there: say one of static, proxy, exec, tcp, channel, redirect, respond, echo",
        ),
        (
            "path = \"/a\"\necho = true\nexec = \"cat\"",
            "openline.toml:4:8: route[0].exec: one thing is at a path, and these are several: echo, exec",
        ),
        (
            "path = \"/a\"\nproxy = \"127.0.0.1:3000\"",
            "openline.toml:3:9: route[0].proxy: say how to speak to it: http://127.0.0.1:3000, ws://127.0.0.1:3000, https://..., wss://... or unix:/run/app.sock",
        ),
        (
            "path = \"/a\"\ntcp = \"127.0.0.1\"",
            "openline.toml:3:7: route[0].tcp: a backend is a host and a port, 127.0.0.1:5900, or a Unix socket, unix:/run/app.sock",
        ),
        ("path = \"/a\"\nexec = \"./a 'b\"", "openline.toml:3:8: route[0].exec: a quote or a backslash has no end"),
        (
            "path = \"/a\"\nredirect = \"b\"",
            "openline.toml:3:12: route[0].redirect: \"b\" is no address to redirect to: use /path or https://host/path",
        ),
        (
            "path = \"/a\"\nrespond = \"b\"\nstatus = 99",
            "openline.toml:3:11: route[0].respond: 99 is no answer: use 200 to 599",
        ),
        (
            "path = \"/a\"\nrespond = \"b\"\nframes = \"lines\"",
            "openline.toml:4:10: route[0].frames: it is for exec, and this is respond",
        ),
        (
            "path = \"/a\"\nexec = \"cat\"\nframes = \"line\"",
            "openline.toml:4:10: route[0].frames: it is one of \"lines\", \"binary\" (did you mean \"lines\"?), and not \"line\"",
        ),
        (
            "path = \"/a\"\nexec = \"cat\"\nmax_programs = 0",
            "openline.toml:4:16: route[0].max_programs: it must be at least 1",
        ),
        ("path = \"/a\"\necho = true\nsubprotocols = [\"a b\"]", "openline.toml:4:16: route[0].subprotocols: "),
        (
            "path = \"/a\"\nproxy = \"http://a\"\nhealth_path = \"/\"",
            "openline.toml:3:9: route[0].proxy: health_path needs health_interval: how often to ask, as in \"10s\"",
        ),
        ("path = \"/a\"\necho = true\norigins = \"all\"", "openline.toml:4:11: route[0].origins: "),
    ] {
        let said = load(&format!("[[route]]\n{text}")).unwrap_err();
        assert!(said.starts_with(expected), "{text}\n{said}\n{expected}");
    }
}

/// Every key, with a value of no type that any has, and with a name that it does not have.
#[test]
fn every_key_has_its_type_and_its_spelling() {
    let keys = schema::SCHEMA["properties"]["route"]["items"]["properties"].as_object().unwrap();
    assert!(keys.len() > 40);
    for (key, schema) in keys {
        let said = load(&format!(
            "[[route]]\npath = \"/a\"\necho = true\n[[route]]\npath = \"/b\"\nrespond = \"\"\n{key} = 1979-05-27"
        ))
        .unwrap_err();
        let place = if matches!(&key[..], "path" | "respond") {
            "duplicate key".to_owned()
        } else {
            format!("route[1].{key}: ")
        };
        assert!(said.contains(&place) && said.contains("openline.toml:7:"), "{key}: {said}");
        let said = load(&format!("[[route]]\npath = \"/a\"\necho = true\n{key}s_ = 1")).unwrap_err();
        assert!(said.contains("openline.toml:4:1: there is no key"), "{key}: {said}");
        let described = schema["description"].as_str().unwrap_or_default();
        assert!(described.len() > 20 && described.ends_with('.'), "{key}: {described:?}");
    }
}

/// What a server with this route says, before it starts.
fn opened(text: &str) -> Result<(), String> {
    let config = load(&format!("[auth]\nsecret = \"{}\"\n[[route]]\n{text}", "s".repeat(32)))?;
    Table::open(&config).map(drop).map_err(|error| error.to_string())
}

/// Every key, with a value of its type that it cannot have.
#[test]
fn every_key_has_its_range() {
    let echo = "path = \"/a\"\necho = true";
    let (proxy, tls) = ("path = \"/a\"\nproxy = \"http://a\"", "path = \"/a\"\nproxy = \"https://a\"");
    let (exec, tcp) = ("path = \"/a\"\nexec = \"cat\"", "path = \"/a\"\ntcp = \"a:1\"");
    let (files, respond) = ("path = \"/a\"\nstatic = \".\"", "path = \"/a\"\nrespond = \"\"");
    let (path, named) = ("path = \"/{x}\"", "path = \"/{x}\"\ntcp = \"{x}\"");
    let mut keys: BTreeSet<&str> = BTreeSet::new();
    for (base, key, wrong) in [
        ("echo = true", "path", &["\"a\"", "\"\"", "\"/{\"", "\"/a{b}\"", "\"/{a}/{a}\"", "\"/{*a}/b\""][..]),
        (echo, "host", &["\"\"", "\"a b\"", "\"a:1\"", "\"http://a\""]),
        (path, "channel", &["\"room-{y}\""]),
        (path, "static", &["\"./none\"", "\"Cargo.toml\""]),
        (
            path,
            "proxy",
            &["\"\"", "[]", "\"a:1\"", "\"ftp://a\"", "\"http://{x}\"", "\"http://u:p@a\"", "[\"http://a\", \"b\"]"],
        ),
        (path, "exec", &["\"\"", "[]", "\"./none\"", "\"'\"", "\"no-such-program-anywhere\""]),
        (path, "tcp", &["\"\"", "\"a\"", "\"a:0\"", "\"{x}\"", "\"a:99999\""]),
        (path, "redirect", &["\"\"", "\"b\"", "\"//b\"", "\"ftp://b\"", "\"/a b\""]),
        (echo, "origins", &["\"all\"", "[\"a\"]", "[\"https://a/b\"]"]),
        (echo, "allow", &["\"everybody\"", "[\"\"]"]),
        (echo, "subprotocols", &["[\"\"]", "[\"a b\"]", "[\"a,b\"]"]),
        (echo, "max_lines", &["0", "-1", "1.5"]),
        (
            echo,
            "rates",
            &[
                "{ messages_per_connection = \"0/s\" }",
                "{ messages_per_connection = \"often\" }",
                "{ words = \"1/s\" }",
            ],
        ),
        (echo, "headers", &["{ \"a b\" = \"c\" }", "{ a = \"b\\nc\" }"]),
        (echo, "compression", &["\"maybe\""]),
        (echo, "max_message_bytes", &["0", "-1", "\"1TiB\"", "\"99999999999GiB\""]),
        (echo, "max_frame_bytes", &["0", "-1", "\"1 byte\""]),
        (echo, "max_output_bytes", &["0", "-1"]),
        (echo, "ping_interval", &["\"0s\"", "\"-1s\"", "\"1\"", "\"never\""]),
        (echo, "pong_timeout", &["\"0s\"", "\"off\""]),
        (echo, "message_timeout", &["\"0s\"", "\"off\""]),
        (echo, "write_timeout", &["\"0s\"", "\"off\""]),
        (echo, "close_timeout", &["\"0s\"", "\"off\""]),
        (echo, "idle_timeout", &["\"0s\"", "\"5\""]),
        (respond, "status", &["0", "99", "101", "600", "99999", "-1"]),
        (respond, "content_type", &["\"a\\nb\""]),
        (files, "fallback", &["\"none.html\""]),
        (exec, "folder", &["\"./none\""]),
        (exec, "frames", &["\"line\""]),
        (exec, "environment", &["{ \"\" = \"a\" }", "{ \"a=b\" = \"c\" }", "{ a = \"b\\u0000\" }"]),
        (exec, "pass_environment", &["[\"\"]", "[\"a=b\"]"]),
        (exec, "max_programs", &["0", "-1"]),
        (exec, "stdin_grace", &["\"0s\"", "\"off\""]),
        (exec, "term_grace", &["\"0s\"", "\"off\""]),
        (named, "targets", &["{}", "{ desk = \"a\" }", "{ desk = \"a:0\" }"]),
        (tcp, "connect_timeout", &["\"0s\"", "\"off\""]),
        (proxy, "response_timeout", &["\"0s\"", "\"off\""]),
        (proxy, "max_body_bytes", &["0", "-1"]),
        (proxy, "user_header", &["\"\"", "\"a b\"", "\"X-User\""]),
        (proxy, "upstream_host", &["\"theirs\""]),
        (proxy, "health_path", &["\"\"", "\"healthz\"", "\"/a b\"", "\"/healthz\""]),
        (proxy, "health_interval", &["\"0s\"", "\"off\""]),
        (tls, "backend_ca", &["\"./none.pem\"", "\"Cargo.toml\""]),
        (tls, "backend_name", &["\"\"", "\"a b\""]),
    ] {
        keys.insert(key);
        for wrong in wrong {
            let said = opened(&format!("{base}\n{key} = {wrong}")).expect_err(&format!("{key} = {wrong}"));
            let words = said.strip_prefix("openline.toml:").unwrap_or(&said);
            assert!(words.contains("route") && words.len() > 30, "{key} = {wrong}: {said}");
        }
    }
    // The others are texts of any kind, or say yes or no.
    let schema = schema::SCHEMA["properties"]["route"]["items"]["properties"].as_object().unwrap();
    for (key, schema) in schema {
        let is_free = key == "respond" || schema.to_string().contains("\"boolean\"");
        assert!(is_free != keys.contains(&key[..]), "{key} has a range that nobody tests, or none: {schema}");
    }
}
