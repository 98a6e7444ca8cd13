//! The rule as tables: who asks how, where, and what they are told.

use super::*;

/// Fields of a request, then the verdict: "ok", or the status and whose fault.
fn verdict(knock: &Knock, reach: Reach, fields: &[(&str, &str)]) -> &'static str {
    let mut request = Request::get("/test");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    match knock.admit(&request.body(()).unwrap(), reach) {
        Ok(()) => "ok",
        Err(refusal) => {
            let status = refusal.status().as_u16();
            match refusal {
                Refusal::Proxied(_) if status == 403 => "403 proxied",
                Refusal::NoHost if status == 400 => "400 no host",
                Refusal::ForeignHost(..) if status == 421 => "421 host",
                Refusal::UnreadableOrigin if status == 400 => "400 unreadable",
                Refusal::ForeignOrigin(_) if status == 403 => "403 origin",
                Refusal::CrossSite if status == 403 => "403 cross-site",
                other => panic!("{other:?} answers {status}"),
            }
        }
    }
}

fn knock(hosts: &[&str], origins: &[&str]) -> Knock {
    Knock {
        any_origin: false,
        hosts: hosts.iter().map(|host| Host::parse(host).unwrap()).collect(),
        origins: origins.iter().map(|origin| Origin::parse(origin).unwrap()).collect(),
    }
}

#[test]
fn on_loopback_the_host_is_this_machine_or_an_address() {
    let closed = Knock::default();
    for (host, expected) in [
        ("localhost", "ok"),
        ("localhost:8080", "ok"),
        ("LOCALHOST:8080", "ok"),
        ("localhost.", "ok"),
        ("app.localhost:8080", "ok"),
        ("127.0.0.1:8080", "ok"),
        ("127.8.8.8", "ok"),
        ("[::1]:8080", "ok"),
        ("192.168.1.5:8080", "ok"),
        ("[2001:db8::1]", "ok"),
        ("evil.example", "421 host"),
        ("localhost.evil.example", "421 host"),
        ("127.0.0.1.evil.example", "421 host"),
        ("xlocalhost", "421 host"),
        ("2130706433", "421 host"),
        ("0x7f.1", "421 host"),
        ("chat.lan", "421 host"),
        ("", "400 no host"),
        ("localhost:x", "400 no host"),
        ("user@localhost", "400 no host"),
        ("localhost, evil.example", "400 no host"),
    ] {
        assert_eq!(verdict(&closed, Reach::Loopback, &[("host", host)]), expected, "{host:?}");
    }
    assert_eq!(verdict(&closed, Reach::Loopback, &[]), "400 no host");
    let named = knock(&["chat.lan"], &[]);
    assert_eq!(verdict(&named, Reach::Loopback, &[("host", "chat.lan:8080")]), "ok");
    assert_eq!(verdict(&named, Reach::Loopback, &[("host", "CHAT.LAN")]), "ok");
    assert_eq!(verdict(&named, Reach::Loopback, &[("host", "x.chat.lan")]), "421 host");
}

/// RFC 9112 §3.2.2.
#[test]
fn an_absolute_target_outranks_the_host_header() {
    let ask = |target: &str, host: &str| {
        let request = Request::get(target).header("host", host).body(()).unwrap();
        Knock::default().admit(&request, Reach::Loopback).map_err(|refusal| refusal.status().as_u16())
    };
    assert_eq!(ask("http://localhost/test", "evil.example"), Ok(()));
    assert_eq!(ask("http://evil.example/test", "localhost"), Err(421));
    assert_eq!(ask("http://evil.example@localhost/test", "localhost"), Err(400));
}

#[test]
fn on_loopback_the_origin_is_this_machine_or_ours_or_named() {
    let closed = Knock::default();
    for (host, origin, expected) in [
        ("localhost:8080", "http://localhost:8080", "ok"),
        ("localhost:8080", "http://localhost:5173", "ok"),
        ("localhost:8080", "https://localhost", "ok"),
        ("localhost:8080", "http://127.0.0.1:3000", "ok"),
        ("127.0.0.1:8080", "http://[::1]:9", "ok"),
        ("localhost:8080", "http://app.localhost", "ok"),
        ("192.168.1.5:8080", "http://192.168.1.5:8080", "ok"),
        ("192.168.1.5:8080", "http://192.168.1.5", "403 origin"),
        ("localhost:8080", "http://evil.example", "403 origin"),
        ("localhost:8080", "http://localhost.evil.example", "403 origin"),
        ("localhost:8080", "http://evil.example:8080", "403 origin"),
        ("localhost:8080", "app://localhost", "403 origin"),
        ("localhost:8080", "null", "403 origin"),
        ("localhost:8080", "", "400 unreadable"),
        ("localhost:8080", "localhost:8080", "400 unreadable"),
        ("localhost:8080", "http://localhost:8080/", "400 unreadable"),
        ("localhost:8080", "http://localhost:8080 http://evil.example", "400 unreadable"),
        // DNS rebinding: same origin, and not our name.
        ("evil.example", "http://evil.example", "421 host"),
        ("evil.example", "http://localhost:8080", "421 host"),
    ] {
        let asked = [("host", host), ("origin", origin)];
        assert_eq!(verdict(&closed, Reach::Loopback, &asked), expected, "{origin} at {host}");
    }
    let twice = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://localhost")];
    assert_eq!(verdict(&closed, Reach::Loopback, &twice), "400 unreadable");
}

#[test]
fn a_named_origin_passes_whatever_the_host() {
    let named = knock(&[], &["http://old.inapp.com"]);
    for (host, origin, expected) in [
        ("inapp.com", "http://old.inapp.com", "ok"),
        ("localhost:8080", "http://old.inapp.com", "ok"),
        ("inapp.com", "http://old.inapp.com:80", "ok"),
        ("inapp.com", "https://old.inapp.com", "421 host"),
        ("localhost", "https://old.inapp.com", "403 origin"),
        ("localhost", "http://inapp.com", "403 origin"),
        ("localhost", "http://old.inapp.com.evil.example", "403 origin"),
        ("inapp.com", "http://inapp.com", "421 host"),
    ] {
        let asked = [("host", host), ("origin", origin)];
        assert_eq!(verdict(&named, Reach::Loopback, &asked), expected, "{origin} at {host}");
    }
    let null = knock(&[], &["null"]);
    assert_eq!(verdict(&null, Reach::Loopback, &[("host", "localhost"), ("origin", "null")]), "ok");
}

#[test]
fn a_named_host_is_its_own_origin() {
    let named = knock(&["chat.lan"], &[]);
    for (host, origin, expected) in [
        ("chat.lan:8080", "http://chat.lan:8080", "ok"),
        ("chat.lan:8080", "http://chat.lan", "403 origin"),
        ("chat.lan", "http://chat.lan", "ok"),
        ("chat.lan", "http://other.lan", "403 origin"),
    ] {
        let asked = [("host", host), ("origin", origin)];
        for reach in [Reach::Loopback, Reach::Public] {
            assert_eq!(verdict(&named, reach, &asked), expected, "{origin} at {host}, {reach:?}");
        }
    }
}

#[test]
fn on_a_public_address_only_what_was_named_is_open() {
    let named = knock(&["chat.lan", "192.168.1.5"], &["https://app.example"]);
    for (fields, expected) in [
        (&[("host", "chat.lan:8080")][..], "ok"),
        (&[("host", "192.168.1.5:8080")], "ok"),
        (&[("host", "192.168.1.6:8080")], "421 host"),
        (&[("host", "localhost:8080")], "421 host"),
        (&[("host", "127.0.0.1:8080")], "421 host"),
        (&[("host", "chat.lan"), ("origin", "http://localhost:5173")], "403 origin"),
        (&[("host", "chat.lan"), ("origin", "https://app.example")], "ok"),
        (&[("host", "whatever.example"), ("origin", "https://app.example")], "ok"),
    ] {
        assert_eq!(verdict(&named, Reach::Public, fields), expected, "{fields:?}");
    }
    assert!(!Knock::default().opens_anything());
    assert_eq!(verdict(&Knock::default(), Reach::Public, &[("host", "localhost")]), "421 host");
}

#[test]
fn nobody_comes_through_a_proxy() {
    let open = knock(&["chat.lan"], &["https://app.example"]);
    for name in ["forwarded", "x-forwarded-for", "via", "Via", "X-Forwarded-For"] {
        for reach in [Reach::Loopback, Reach::Public] {
            let asked = [("host", "chat.lan"), ("origin", "https://app.example"), (name, "")];
            assert_eq!(verdict(&open, reach, &asked), "403 proxied", "{name}");
        }
    }
}

#[test]
fn without_an_origin_the_fetch_metadata_decide() {
    let closed = Knock::default();
    let navigation = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let image = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    let frame = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    for (host, site, how, expected) in [
        ("localhost:8080", "none", navigation, "ok"),
        ("localhost:8080", "same-origin", image, "ok"),
        ("localhost:8080", "same-site", image, "ok"),
        ("localhost:8080", "cross-site", image, "403 cross-site"),
        ("localhost:8080", "cross-site", frame, "403 cross-site"),
        ("localhost:8080", "cross-site", navigation, "ok"),
        ("localhost:8080", "else", image, "403 cross-site"),
        ("192.168.1.5", "same-site", image, "403 cross-site"),
    ] {
        let mut asked = vec![("host", host), ("sec-fetch-site", site)];
        asked.extend(how);
        assert_eq!(verdict(&closed, Reach::Loopback, &asked), expected, "{asked:?}");
        if expected == "ok" && site == "cross-site" {
            asked.push(("upgrade", "websocket"));
            assert_eq!(verdict(&closed, Reach::Loopback, &asked), "403 cross-site", "{asked:?}");
        }
    }
    let named = knock(&["chat.example"], &[]);
    let sibling = [("host", "chat.example"), ("sec-fetch-site", "same-site"), image[0], image[1]];
    assert_eq!(verdict(&named, Reach::Loopback, &sibling), "403 cross-site");
}

#[test]
fn what_can_be_reached_from_elsewhere() {
    for (address, reach) in [
        ("127.0.0.1", Reach::Loopback),
        ("127.1.2.3", Reach::Loopback),
        ("::1", Reach::Loopback),
        ("::ffff:127.0.0.1", Reach::Loopback),
        ("0.0.0.0", Reach::Public),
        ("::", Reach::Public),
        ("192.168.1.5", Reach::Public),
    ] {
        assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
    }
}
