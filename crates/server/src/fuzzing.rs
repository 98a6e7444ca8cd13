//! What fuzzing promises of what only the server has: each function takes any bytes, and panics if a promise is
//! broken. For `fuzz/checks`, and nobody else.

mod script;
mod session;

use http::{HeaderMap, HeaderValue, Uri};

use crate::config::load;
use crate::doors::Target;

pub use self::session::session;

/// Any bytes as a request for channels: the first line is the URL, the second one the `Last-Event-ID`.
///
/// # Panics
/// When a promise is broken.
pub fn channels(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (url, last_event_id) = text.split_once('\n').unwrap_or((&text, ""));
    let Ok(uri) = url.parse::<Uri>() else { return };
    let Some(read) = Target::of(uri.path(), &uri) else {
        return assert!(uri.path() != "/c" && !uri.path().starts_with("/c/"), "channels are at /c");
    };
    let target = match read {
        Ok(target) => target,
        Err(error) => {
            let answer = error.answer();
            assert!(answer.status() == 400 && answer.body().len() > 10, "what is wrong is said");
            return;
        }
    };
    let names = target.names();
    assert!((1..=100).contains(&names.len()));
    for (index, name) in names.iter().enumerate() {
        assert!(!names[..index].contains(name), "each channel once");
        assert_eq!(&name.as_str().parse(), &Ok(name.clone()), "a name reads as it is written");
    }
    let mut headers = HeaderMap::new();
    if let Ok(id) = HeaderValue::from_str(last_event_id) {
        headers.insert("last-event-id", id);
    }
    if let Ok(positions) = target.after(&headers) {
        assert_eq!(positions.len(), names.len(), "a position for each channel");
        let written: Vec<_> =
            positions.iter().map(|position| position.map_or("-".to_owned(), |position| position.to_string())).collect();
        headers.insert("last-event-id", HeaderValue::try_from(written.join(",")).expect("positions are ASCII"));
        assert_eq!(target.after(&headers), Ok(positions), "positions read as they are written");
    }
}

/// Any bytes as a configuration file.
///
/// # Panics
/// When a promise is broken.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let load = || load::load_text(Some("openline.toml".into()), Some(text), &Vec::new(), &[]);
    match load() {
        Ok(loaded) => assert!(loaded.config.max_connections > 0),
        Err(wrong) => {
            let said = wrong.to_string();
            assert!(said.starts_with("openline.toml:"), "every error has its place: {said}");
            assert_eq!(load().map(drop).map_err(|wrong| wrong.to_string()), Err(said));
        }
    }
}
