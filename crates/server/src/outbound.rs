//! Requests of our own: to backends, and for the keys of tokens.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

/// Connections that wait for the next request, to each host.
const IDLE_PER_HOST: usize = 32;

/// A set of keys is fetched within this time.
const GET_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that keeps connections, follows no redirect and reads no more than it is told to.
#[derive(Debug)]
pub(crate) struct Outbound {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Outbound {
    pub(crate) fn new() -> Result<Arc<Self>, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(ConfigBuilderExt::try_with_platform_verifier)
            .map_err(|error| error.to_string())?
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Arc::new(Self { client }))
    }

    /// Sends a request and reads the whole answer, of `max_bytes` at most, within `deadline`.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        max_bytes: usize,
        deadline: Duration,
    ) -> Result<Response<Bytes>, String> {
        let agent = HeaderValue::from_static(concat!("openline/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry(USER_AGENT).or_insert(agent);
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| chain(&error))?;
            let (head, body) = response.into_parts();
            match Limited::new(body, max_bytes).collect().await {
                Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
                Err(error) if error.is::<LengthLimitError>() => {
                    Err(format!("the answer has more than {max_bytes} bytes"))
                }
                Err(error) => Err(format!("the answer broke off: {error}")),
            }
        };
        timeout(deadline, exchange).await.unwrap_or_else(|_| Err(format!("no answer within {deadline:?}")))
    }

    /// What is there, if it is 200.
    pub(crate) async fn get(&self, uri: &Uri, max_bytes: usize) -> Result<Bytes, String> {
        let request = Request::get(uri).header(ACCEPT, "application/json").body(Full::default());
        let response = self.send(request.map_err(|error| error.to_string())?, max_bytes, GET_TIMEOUT).await?;
        match response.status() {
            StatusCode::OK => Ok(response.into_body()),
            status => Err(format!("the answer is {status}")),
        }
    }
}

/// An error with its causes: the outermost says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
