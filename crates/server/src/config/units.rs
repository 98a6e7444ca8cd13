//! Values of settings: sizes, durations, hosts, origins and addresses, from how people write them.

use std::net::SocketAddr;
use std::time::Duration;

use openline::proto::handshake::{Host, Origin};

use crate::config::Listen;
use crate::rates::Rate;

/// `4096`, `64KiB`, `1 MiB`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return Err("a size is a number of bytes, or of KiB, MiB or GiB: 65536, 64KiB, 1MiB".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "a size begins with a number: 65536, 64KiB, 1MiB".to_owned())?;
    match number.checked_mul(factor) {
        Some(0) => Err("nothing fits into 0 bytes".to_owned()),
        Some(bytes) => Ok(bytes),
        None => Err("that is more than any machine has".to_owned()),
    }
}

/// As [`bytes()`], of memory.
pub(crate) fn memory(text: &str) -> Result<usize, String> {
    usize::try_from(bytes(text)?).map_err(|_| "that is more than this machine can address".to_owned())
}

/// How many, and at least one.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(count) => Ok(count),
        Err(_) => Err("it must be a number".to_owned()),
    }
}

/// `500ms`, `10s`, `2m`, `1h 30m`; `0` is none.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text).map_err(|_| "a duration has a unit: 500ms, 10s, 2m".to_owned())
}

/// A [`duration`] of which something must be left.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("nothing is done in no time: say how long, as in 10s".to_owned()),
        duration => Ok(duration),
    }
}

/// A [`time`], or `off`. (In a type of its own, as clap reads an `Option` as "may be left out".)
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maybe(pub(crate) Option<Duration>);

pub(crate) fn time_or_off(text: &str) -> Result<Maybe, String> {
    match text {
        "off" => Ok(Maybe(None)),
        text => time(text).map(Some).map(Maybe).map_err(|error| format!("{error}, or off")),
    }
}

/// `100/s`, `6000/m`, `10000/h`; of bytes, `1MiB/s`.
fn rate(text: &str, amount: fn(&str) -> Result<u64, String>) -> Result<Rate, String> {
    let wrong = || "a rate is like 100/s, 6000/m (a minute) or 10000/h".to_owned();
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let seconds = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    Ok(Rate { amount: amount(number.trim())?, per: Duration::from_secs(seconds) })
}

/// A rate of anything that is counted, or `off`.
pub(crate) fn rate_or_off(text: &str) -> Result<Option<Rate>, String> {
    let amount = |text: &str| count(text).map(|count| count as u64);
    if text == "off" { Ok(None) } else { rate(text, amount).map(Some).map_err(|why| format!("{why}; or off")) }
}

/// A rate of bytes, or `off`.
pub(crate) fn bytes_rate_or_off(text: &str) -> Result<Option<Rate>, String> {
    if text == "off" { Ok(None) } else { rate(text, bytes).map(Some).map_err(|why| format!("{why}; or off")) }
}

/// `127.0.0.1:8090`, as [`listen`], or `off`.
pub(crate) fn listen_or_off(text: &str) -> Result<Option<Listen>, String> {
    if text == "off" { Ok(None) } else { listen(text).map(Some).map_err(|why| format!("{why}; or off")) }
}

/// A host's name; its port does not matter, and so has no place here.
pub(crate) fn host(text: &str) -> Result<Host, String> {
    match Host::parse(text) {
        Ok(host) if host.port().is_none() => Ok(host),
        Ok(host) => Err(format!("say only the name, {}: the port does not matter", host.name())),
        Err(error) => Err(error.to_string()),
    }
}

/// An origin as browsers send it.
pub(crate) fn origin(text: &str) -> Result<Origin, String> {
    Origin::parse(text).map_err(|error| error.to_string())
}

/// `127.0.0.1:8080`, `[::1]:8080`; `:8080` and `localhost:8080` are both of these.
pub(crate) fn listen(text: &str) -> Result<Listen, String> {
    if let Some(port) = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')) {
        return port.parse().map(Listen::Loopback).map_err(|_| format!("{port:?} is no port: 0 to 65535"));
    }
    text.parse::<SocketAddr>().map(Listen::At).map_err(|_| {
        "an address to listen on is like 127.0.0.1:8080, [::1]:8080 or :8080 (this machine alone)".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("1", Some(1)),
            ("65536", Some(65536)),
            ("64KiB", Some(64 << 10)),
            ("64 kib", Some(64 << 10)),
            ("1MiB", Some(1 << 20)),
            ("2g", Some(2 << 30)),
            ("0", None),
            ("", None),
            ("KiB", None),
            ("1MB", None),
            ("-1", None),
            ("1.5MiB", None),
            ("99999999999999999999", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("500ms", Some(500)),
            ("10s", Some(10_000)),
            ("2m", Some(120_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("10", None),
            ("", None),
            ("-1s", None),
            ("soon", None),
        ] {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_millis), "{text:?}");
        }
        assert!(time("0").is_err());
        assert!(time_or_off("off").unwrap().0.is_none());
        assert_eq!(time_or_off("2s").unwrap().0, Some(Duration::from_secs(2)));
    }

    #[test]
    fn rates() {
        let per = |amount, seconds| Some(Rate { amount, per: Duration::from_secs(seconds) });
        for (text, expected) in [
            ("100/s", Ok(per(100, 1))),
            ("6000 / m", Ok(per(6000, 60))),
            ("1/h", Ok(per(1, 3600))),
            ("off", Ok(None)),
            ("0/s", Err(())),
            ("100", Err(())),
            ("1KiB/s", Err(())),
            ("1/d", Err(())),
            ("-1/s", Err(())),
        ] {
            assert_eq!(rate_or_off(text).map_err(drop), expected, "{text}");
        }
        assert_eq!(bytes_rate_or_off("1MiB/m"), Ok(per(1 << 20, 60)));
    }

    #[test]
    fn addresses() {
        assert_eq!(listen(":0"), Ok(Listen::Loopback(0)));
        assert_eq!(listen("localhost:81"), Ok(Listen::Loopback(81)));
        assert_eq!(listen("0.0.0.0:80"), Ok(Listen::At(([0, 0, 0, 0], 80).into())));
        assert!(matches!(listen("[::1]:80"), Ok(Listen::At(address)) if address.is_ipv6()));
        for wrong in ["", "8080", "127.0.0.1", ":65536", ":x", "::1:80", "example.com:80", "localhost"] {
            assert!(listen(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn hosts_have_no_port() {
        assert_eq!(host("Chat.lan").unwrap().name(), "chat.lan");
        assert!(host("chat.lan:8080").is_err());
        assert!(host("http://chat.lan").is_err());
        assert!(host("").is_err());
    }
}
