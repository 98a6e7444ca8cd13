//! `/`: a page that connects, sends, watches, and shows the code that does the same; and its three files.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

/// A file that is part of the program.
#[derive(Debug)]
pub(crate) struct Asset {
    path: &'static str,
    content_type: &'static str,
    body: &'static str,
}

static ASSETS: [Asset; 4] = [
    Asset { path: "/", content_type: "text/html; charset=utf-8", body: include_str!("../page/index.html") },
    Asset { path: "/page/style.css", content_type: "text/css; charset=utf-8", body: include_str!("../page/style.css") },
    Asset {
        path: "/page/page.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_str!("../page/page.js"),
    },
    Asset {
        path: "/page/channel.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_str!("../page/channel.js"),
    },
];

/// Only what came with the page may run or be loaded, and nobody may frame it. It may open a WebSocket anywhere: that is
/// what it is for.
const CONTENT_SECURITY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl Asset {
    pub(crate) fn at(path: &str) -> Option<&'static Self> {
        ASSETS.iter().find(|asset| asset.path == path)
    }

    /// The file, or 304 to whoever has it already. (RFC 9110 §13.1.2)
    pub(crate) fn respond(&self, request: &HeaderMap) -> Response<Bytes> {
        let tag = self.entity_tag();
        let is_known = request.get_all(IF_NONE_MATCH).iter().any(|tags| lists(tags, &tag));
        let mut response = Response::new(Bytes::from_static(if is_known { b"" } else { self.body.as_bytes() }));
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(ETAG, tag);
        }
        // "no-cache" means "ask": another version of the program is another page.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }

    /// Differs when the file does. No secret and no signature: a plain hash will do.
    fn entity_tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.body.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }
}

/// RFC 9110 §13.1.2: `*` or a list of tags, compared weakly.
fn lists(tags: &HeaderValue, tag: &str) -> bool {
    let tags = tags.to_str().unwrap_or_default();
    tags == "*" || tags.split(',').any(|known| known.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_is_not_sent_it_again() {
        let page = Asset::at("/").unwrap();
        let first = page.respond(&HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.body(), page.body);
        let tag = first.headers()[ETAG].to_str().unwrap();
        for (known, status) in [
            (tag.to_owned(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            (String::new(), 200),
        ] {
            let request = HeaderMap::from_iter([(IF_NONE_MATCH, known.parse().unwrap())]);
            let again = page.respond(&request);
            assert_eq!(again.status().as_u16(), status, "{known}");
            assert_eq!(again.body().is_empty(), status == 304);
            assert_eq!(again.headers()[ETAG], tag);
        }
    }
}
