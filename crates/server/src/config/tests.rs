//! Whole files: what they become, and what is said when they make no sense.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use openline_hub::Overflow;

use super::load::{Loaded, Said, Variables, Wrong, load_text};
use super::{Config, reference, schema};
use crate::rights::{Act, Identity, Who};

fn load(text: &str, variables: &[(&str, &str)], flags: &[(&str, &'static str, &str)]) -> Result<Loaded, Wrong> {
    let variables: Variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let said = |(flag, path, value): &(&str, &'static str, &str)| Said {
        flag: (*flag).to_owned(),
        path,
        values: vec![(*value).to_owned()],
    };
    let flags: Vec<_> = flags.iter().map(said).collect();
    load_text(Some("openline.toml".into()), Some(text), &variables, &flags)
}

fn config(text: &str) -> Config {
    load(text, &[], &[]).unwrap_or_else(|wrong| panic!("{wrong}")).config
}

fn complaint(text: &str) -> String {
    load(text, &[], &[]).expect_err(text).to_string()
}

#[test]
fn an_empty_file_opens_nothing() {
    let config = config("");
    assert!(!config.demo && config.api_keys.is_empty());
    let channel = |name: &str| name.parse().unwrap();
    for act in [Act::Subscribe, Act::Publish, Act::History, Act::Presence, Act::Delete] {
        for identity in [Identity::Anonymous, Identity::User("ann".into())] {
            assert!(!config.policies.of(&channel("news")).rights.allow(act, &identity), "{act:?}");
        }
    }
    assert!(config.namespaces.of(&channel("news")).is_some());
    assert!(config.namespaces.of(&channel("chat:x")).is_none(), "unknown namespaces do not exist");
}

#[test]
fn a_namespace_has_what_channels_have_unless_it_says_otherwise() {
    let config = config(
        r#"
        [channels]
        idle = "1m"
        overflow = "drop-oldest"
        history = { count = 7, age = "1h" }
        allow.subscribe = "anyone"

        [namespaces.chat]
        history.count = 9
        allow = { publish = ["ann"] }
        hears_itself = false
        "#,
    );
    let (news, chat) = ("news".parse().unwrap(), "chat:x".parse().unwrap());
    let (default, own) = (config.namespaces.of(&news).unwrap(), config.namespaces.of(&chat).unwrap());
    assert_eq!((default.history.count, own.history.count), (7, 9));
    assert_eq!((default.history.age, own.history.age), (Duration::from_secs(3600), Duration::from_secs(3600)));
    assert_eq!((own.idle, own.overflow), (Duration::from_secs(60), Overflow::DropOldest));
    let (default, own) = (config.policies.of(&news), config.policies.of(&chat));
    assert_eq!((&default.rights.subscribe, &own.rights.subscribe), (&Who::Anyone, &Who::Anyone));
    assert_eq!((&default.rights.publish, &own.rights.publish), (&Who::Nobody, &Who::Users(["ann".into()].into())));
    assert_eq!((default.hears_itself, own.hears_itself), (true, false));
}

#[test]
fn the_server_a_host_a_route_and_a_namespace_override_each_other() {
    let config = config(
        r#"
        [server]
        allowed_origins = ["https://a.example"]
        [limits]
        max_message_bytes = "1MiB"
        [times]
        ping_interval = "20s"
        [rates]
        messages_per_address = "10/s"

        [hosts."Chat.Example"]
        allowed_origins = ["https://b.example"]
        compression = "off"
        max_message_bytes = "64KiB"
        pong_timeout = "3s"
        rates.messages_per_address = "20/s"
        rates.bytes_per_address = "off"

        [[route]]
        path = "/echo"
        host = "chat.example"
        echo = true
        ping_interval = "5s"
        rates = { messages_per_connection = "1/m" }

        [channels]
        rates.messages_per_connection = "2/s"
        [namespaces.chat]
        rates.subscriptions_per_address = "3/h"
        "#,
    );
    let [host] = &config.hosts[..] else { panic!("{:?}", config.hosts) };
    assert_eq!(host.name.name(), "chat.example");
    assert!(config.knock.hosts.contains(&host.name), "the server answers for it");
    assert_eq!(host.origins.as_ref().unwrap()[0].to_string(), "https://b.example");
    let line = host.line.as_ref().unwrap();
    assert_eq!((line.max_message_bytes, line.ping_interval), (64 << 10, Some(Duration::from_secs(20))));
    let shown = |rate: Option<Option<crate::Rate>>| rate.map(|rate| rate.map(|rate| rate.to_string()));
    assert_eq!(shown(host.rates.messages_per_address), Some(Some("20/s".to_owned())));
    assert_eq!((host.rates.bytes_per_address, host.rates.bytes_per_connection), (Some(None), None));
    // Key by key: what the route does not say, its host does.
    let line = config.routes[0].line.as_ref().unwrap();
    let times = (line.ping_interval.unwrap().as_secs(), line.pong_timeout.as_secs());
    assert_eq!((times, line.max_message_bytes), ((5, 3), 64 << 10));
    assert_eq!(shown(config.routes[0].rates.messages_per_connection), Some(Some("1/m".to_owned())));
    let own = &config.policies.of(&"chat:x".parse().unwrap()).rates;
    assert_eq!(shown(own.messages_per_connection), Some(Some("2/s".to_owned())));
    assert_eq!(shown(own.subscriptions_per_address), Some(Some("3/h".to_owned())));
    assert!(complaint("[hosts.\"a b\"]").starts_with("openline.toml:1:2: hosts: \"a b\" is none: a host is a name"));
    assert_eq!(
        complaint("[namespaces.a]\nrates.connects_per_address = \"1/s\""),
        "openline.toml:2:30: namespaces.a.rates.connects_per_address: a channel has no connections: say it in [rates], for a \
         host or for a route"
    );
    assert!(complaint("[hosts.a]\nmax_message_byte = 1").contains("max_message_bytes"));
}

#[test]
fn the_environment_is_over_the_file_and_flags_are_over_both() {
    let text = "[limits]\nmax_connections = 1\nmax_headers = 1\nmax_channels = 1\n";
    let variables = [
        ("OPENLINE_LIMITS_MAX_CONNECTIONS", "2"),
        ("OPENLINE_LIMITS_MAX_HEADERS", "2"),
        ("OPENLINE_SERVER_HOSTS", "a.example, b.example"),
        ("OPENLINE_SERVER_DEMO", "true"),
        ("OPENLINE_TLS_SELF_SIGNED", "yes"),
        ("OPENLINE_TIMES_PING_INTERVAL", "off"),
        ("OPENLINE_CHANNELS_ALLOW_SUBSCRIBE", "anyone"),
        ("OPENLINE_CHANNELS_ALLOW_PUBLISH", "ann,bob"),
        ("OPENLINE_API_KEYS", "0123456789abcdef"),
    ];
    let loaded = load(text, &variables, &[("max-connections", "limits.max_connections", "3")]).unwrap();
    let config = loaded.config;
    assert_eq!((config.max_connections, config.head.max_headers, config.channels.max_channels), (3, 2, 1));
    let hosts: Vec<_> = config.knock.hosts.iter().map(|host| host.name()).collect();
    assert_eq!(hosts, ["a.example", "b.example"]);
    assert!(config.demo && config.tls.is_some() && config.line.ping_interval.is_none());
    let rights = &config.policies.of(&"x".parse().unwrap()).rights;
    assert_eq!((&rights.subscribe, &rights.publish), (&Who::Anyone, &Who::Users(["ann".into(), "bob".into()].into())));
    assert_eq!(config.api_keys.len(), 1);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn variables_that_mean_nothing_are_warned_of() {
    let variables = [
        ("OPENLINE_LIMITS_MAX_CONECTIONS", "2"),
        ("OPENLINE_WHATEVER", "2"),
        ("OPENLINE_SERVICE_HOST", "10.0.0.1"),
        ("OPENLINE_PORT", "tcp://10.0.0.1:8080"),
        ("OPENLINE_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ];
    let warnings = load("", &variables, &[]).unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("did you mean OPENLINE_LIMITS_MAX_CONNECTIONS?"), "{warnings:?}");
}

/// Each file, and the lines that are said about it.
#[test]
fn what_is_wrong_is_said_with_its_place_and_what_would_be_right() {
    for (text, expected) in [
        (
            "[limits]\nmax_conections = 5",
            "openline.toml:2:1: there is no key \"max_conections\" in [limits]; did you mean \"max_connections\"?",
        ),
        ("[limit]\n", "openline.toml:1:2: there is no key \"limit\" in a configuration file; did you mean \"limits\"?"),
        (
            "[server]\nmax_connections = 5",
            "openline.toml:2:1: there is no key \"max_connections\" in [server]; \"max_connections\" belongs into [limits]",
        ),
        (
            "max-connections = 5",
            "openline.toml:1:1: there is no key \"max-connections\" in a configuration file; \"max_connections\" belongs into [limits]",
        ),
        (
            "[limits]\nmax_connections = \"many\"",
            "openline.toml:2:19: limits.max_connections: it is a text in quotes, and should be a whole number",
        ),
        ("[limits]\nmax_connections = 0", "openline.toml:2:19: limits.max_connections: it must be at least 1"),
        ("[limits]\nmax_connections = -1", "openline.toml:2:19: limits.max_connections: it must be a number"),
        (
            "[limits]\nmax_connections = 1.5",
            "openline.toml:2:19: limits.max_connections: it is a number with a fraction, and should be a whole number",
        ),
        (
            "[limits]\nmax_message_bytes = \"1MB\"",
            "openline.toml:2:21: limits.max_message_bytes: a size is a number of bytes, or of KiB, MiB or GiB: 65536, 64KiB, 1MiB",
        ),
        (
            "[times]\nping_interval = 20",
            "openline.toml:2:17: times.ping_interval: it is a whole number, and should be a text in quotes",
        ),
        (
            "[times]\npong_timeout = \"0s\"",
            "openline.toml:2:16: times.pong_timeout: nothing is done in no time: say how long, as in 10s",
        ),
        (
            "[times]\npong_timeout = \"10 parsecs\"",
            "openline.toml:2:16: times.pong_timeout: a duration has a unit: 500ms, 10s, 2m",
        ),
        ("[compression]\nlevel = 12", "openline.toml:2:9: compression.level: it must be from 1 to 9, and is 12"),
        (
            "[compression]\nmode = \"takover\"",
            "openline.toml:2:8: compression.mode: it is one of \"off\", \"on\", \"takeover\" (did you mean \"takeover\"?), and not \"takover\"",
        ),
        (
            "[server]\nlisten = [\"8080\"]",
            "openline.toml:2:11: server.listen[0]: an address to listen on is like 127.0.0.1:8080, [::1]:8080 or :8080 (this machine alone)",
        ),
        (
            "[server]\nlisten = \":8080\"",
            "openline.toml:2:10: server.listen: it is a text in quotes, and should be a list",
        ),
        ("[server]\ndemo = 1979-05-27", "openline.toml:2:8: server.demo: it is a date, and should be true or false"),
        (
            "[namespaces.\"a b\"]\n",
            "openline.toml:1:1: namespaces.a b: the name of a namespace has 1 to 32 letters, digits, - and _",
        ),
        (
            "[namespaces.chat]\nhistry = 1",
            "openline.toml:2:1: there is no key \"histry\" in [namespaces.chat]; did you mean \"history\"?",
        ),
        (
            "[namespaces.chat]\nallow.publish = \"everyone\"",
            "openline.toml:2:17: namespaces.chat.allow.publish: it is \"nobody\", \"anyone\", \"known\" (whoever has a name), or a list of names, such as [\"ann\", \"bob\"]",
        ),
        (
            "[api]\nkeys = [\"hunter2\"]",
            "openline.toml:2:9: api.keys[0]: a key has at least 16 characters: `openssl rand -hex 32` makes a good one",
        ),
        (
            "[tls]\nclient_ca = \"ca.pem\"",
            "openline.toml:2:13: tls.client_ca: it needs TLS: say tls.cert and tls.key, or tls.self_signed",
        ),
        (
            "[tls]\ncert = [\"a\", \"b\"]\nkey = \"a\"",
            "openline.toml:3:7: tls.key: each certificate needs its key, in the same order: 2 of tls.cert, 1 here",
        ),
        (
            "[proxies]\nprotocol = true",
            "openline.toml:2:12: proxies.protocol: it needs to know which proxies: name them in proxies.trusted",
        ),
        ("[limits]\nmax_headers = 1\nmax_headers = 2", "openline.toml:3:1: duplicate key"),
    ] {
        assert_eq!(complaint(text), expected, "{text}");
    }
}

#[test]
fn all_errors_are_said_at_once_in_the_order_of_the_file() {
    let said = complaint(
        "[limits]\nmax_conections = 5\nmax_headers = 0\n[times]\npong_timeout = 3\nx = \n[server]\ndemo = 1\n",
    );
    let places: Vec<_> = said.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "openline.toml:2:1",
            "openline.toml:3:15",
            "openline.toml:5:16",
            "openline.toml:6:1",
            "openline.toml:6:5",
            "openline.toml:8:8",
            "6 errors"
        ],
        "{said}"
    );
}

#[test]
fn the_environments_mistakes_name_the_variable() {
    let said = load("", &[("OPENLINE_LIMITS_MAX_CONNECTIONS", "lots")], &[]).unwrap_err().to_string();
    assert_eq!(
        said,
        "environment variable OPENLINE_LIMITS_MAX_CONNECTIONS: limits.max_connections: it is a text in quotes, and should be a whole number"
    );
    let said = load("", &[("OPENLINE_API_KEYS", "hunter2")], &[]).unwrap_err().to_string();
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn secrets_are_in_no_message() {
    let secret = "correct horse battery staple";
    for text in [
        format!("[api]\nkeys = \"{secret}\""),
        format!("[api]\nkeys = [\"{secret}\"]"),
        format!("[api]\nkeys = [\"{secret}\", 5]"),
        format!("[api]\nkeys = [\"{secret}\"\n"),
    ] {
        let said = complaint(&text);
        assert!(!said.contains("horse"), "{said}");
    }
}

/// The walk that complains, and the schema as other programs read it, are of one mind.
#[test]
fn whoever_reads_the_schema_agrees() {
    let validator = jsonschema::validator_for(&schema::SCHEMA).unwrap();
    for (text, valid) in [
        ("", true),
        ("[server]\nlisten = [\":80\"]\n[namespaces.x]\nallow.publish = [\"a\"]\nallow.history = \"anyone\"", true),
        ("[tls]\ncert = \"a\"", true),
        ("[tls]\ncert = [\"a\"]", true),
        ("[tls]\ncert = 5", false),
        ("[limits]\nmax_conections = 5", false),
        ("[compression]\nlevel = 12", false),
        ("[compression]\nmode = \"no\"", false),
        ("[namespaces.x]\nidel = \"1s\"", false),
        ("unknown = 1", false),
    ] {
        let json: serde_json::Value = toml::from_str(text).unwrap();
        assert_eq!(validator.is_valid(&json), valid, "{text}");
        assert_eq!(load(text, &[], &[]).is_ok(), valid, "{text}");
    }
}

/// A file of the repository is what the program writes; `UPDATE_DOCS=1 cargo test` writes it.
fn is_up_to_date(file: &str, text: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, text).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == text,
        "{file} is not what the program says: UPDATE_DOCS=1 cargo test"
    );
}

#[test]
fn the_schema_for_editors_is_up_to_date() {
    is_up_to_date("configuration.schema.json", &schema::published());
}

#[test]
fn the_reference_is_up_to_date() {
    is_up_to_date("configuration.md", &reference::page());
}

#[test]
fn every_key_says_what_it_is_for() {
    for key in schema::keys() {
        let said = key.schema["description"].as_str().unwrap_or_default();
        assert!(said.len() > 20 && said.ends_with('.'), "{}: {said:?}", key.path);
    }
}
