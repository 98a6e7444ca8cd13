//! `static`: the files of a folder.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use tower_http::services::ServeDir;
use tower_http::services::fs::DefaultServeDirFallback;

use super::body::{Body, boxed, full};
use super::place::Found;
use super::template;
use super::within::Within;
use crate::edge::answer::{self, text};
use crate::edge::path;

/// The files of a folder, with their media types, entity tags, ranges, and `index.html` for the folder itself.
///
/// Beside `app.js` may lie `app.js.zst`, `app.js.br` and `app.js.gz`, for clients that take it compressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The folder.
    pub folder: PathBuf,
    /// A file of the folder to answer with where there is none, with 200: `index.html` of an application whose pages are
    /// made in the browser. Default: 404.
    pub fallback: Option<String>,
    /// Whether files are shown whose names begin with a dot. Default: no, except `.well-known`.
    pub hidden: bool,
}

impl Files {
    /// Of this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), fallback: None, hidden: false }
    }
}

/// A folder that is being served.
#[derive(Debug)]
pub(super) struct Folder {
    serve: ServeDir<DefaultServeDirFallback, Within>,
    /// What of a request's path is not the file's.
    prefix: Box<str>,
    fallback: Option<Box<str>>,
}

impl Folder {
    pub(super) fn open(files: &Files, template: &str) -> Result<Self, String> {
        let shown = files.folder.display();
        let root = files.folder.canonicalize().map_err(|error| format!("cannot read the folder {shown}: {error}"))?;
        if !root.is_dir() {
            return Err(format!("{shown} is no folder: name the folder that the files are in"));
        }
        let prefix = template::literal(template);
        let serve = ServeDir::with_backend(&root, Within::new(&root, files.hidden))
            .redirect_path_prefix(prefix)
            .precompressed_gzip()
            .precompressed_br()
            .precompressed_zstd();
        if let Some(fallback) = &files.fallback
            && !root.join(fallback).is_file()
        {
            return Err(format!("there is no file {fallback:?} in {shown} to answer with"));
        }
        Ok(Self {
            serve,
            prefix: prefix.into(),
            fallback: files.fallback.as_ref().map(|name| format!("/{}", name.trim_start_matches('/')).into()),
        })
    }

    pub(super) async fn respond(
        &self,
        method: &Method,
        headers: &HeaderMap,
        uri: &Uri,
        found: &Found,
    ) -> Response<Body> {
        let path = &*path::normalise(uri.path());
        if !matches!(*method, Method::GET | Method::HEAD) {
            return full(answer::method_not_allowed("GET, HEAD"));
        }
        let below = path.strip_prefix(&*self.prefix).unwrap_or(path);
        if below.is_empty() {
            // What the index page refers to is below it.
            return full(to_folder(path, uri.query()));
        }
        let mut response = self.find(method, headers, below).await;
        if response.status() == StatusCode::NOT_FOUND {
            match &self.fallback {
                Some(fallback) => response = self.find(method, headers, fallback).await,
                None => return full(text(StatusCode::NOT_FOUND, format!("There is no file at {path:?}."))),
            }
        }
        tracing::debug!(route = %found.place.shown, path, status = response.status().as_u16(), "a file");
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(with_charset) = headers.get(CONTENT_TYPE).and_then(with_charset) {
            headers.insert(CONTENT_TYPE, with_charset);
        }
        // With the entity tag asking costs one round trip, and nobody works with yesterday's script.
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
        response
    }

    async fn find(&self, method: &Method, headers: &HeaderMap, path: &str) -> Response<Body> {
        let mut request = Request::new(http_body_util::Empty::<Bytes>::new());
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers.clone();
        match path.parse() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(_) => return full(text(StatusCode::BAD_REQUEST, "The path has characters that no address has.")),
        }
        match self.serve.clone().try_call(request).await {
            Ok(response) => response.map(boxed),
            Err(error) if is_not_there(error.kind()) => full(text(StatusCode::NOT_FOUND, "There is no such file.")),
            Err(error) => {
                tracing::warn!(%error, path, "cannot read a file");
                full(text(StatusCode::INTERNAL_SERVER_ERROR, "The file cannot be read."))
            }
        }
    }
}

/// Text is UTF-8, unless it says otherwise itself.
fn with_charset(content_type: &HeaderValue) -> Option<HeaderValue> {
    let text = content_type.to_str().ok().filter(|text| text.starts_with("text/") && !text.contains(';'))?;
    HeaderValue::try_from(format!("{text}; charset=utf-8")).ok()
}

/// Names that no file has, or nobody may know whether one has.
fn is_not_there(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{InvalidFilename, InvalidInput, NotADirectory, NotFound, PermissionDenied};
    matches!(kind, NotFound | NotADirectory | PermissionDenied | InvalidFilename | InvalidInput)
}

fn to_folder(path: &str, query: Option<&str>) -> Response<Bytes> {
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let mut response = text(StatusCode::PERMANENT_REDIRECT, format!("It is at {path}/"));
    if let Ok(location) = HeaderValue::try_from(format!("{path}/{query}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}
