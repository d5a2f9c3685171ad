//! A small HTTP client for tests: one connection per request, the whole answer in memory.
//!
//! It follows no redirect and retries nothing, since tests want to see exactly what was answered.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// An answer later than this is a failure of the test.
const DEADLINE: Duration = Duration::from_secs(20);

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status of the answer.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    /// The body as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, whatever the status.
    ///
    /// Errors: it is no JSON; the error shows status and text.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("no JSON in {}: {}", self.status, self.text()))
    }

    /// This answer when its status is a 2xx.
    ///
    /// Errors: any other status; the error shows status and text.
    pub fn success(self) -> Result<Self> {
        if self.status.is_success() { Ok(self) } else { bail!("answer {}: {}", self.status, self.text()) }
    }
}

/// Asks `url` with GET.
pub async fn get(url: &str) -> Result<Reply> {
    request(Method::GET, url, &[], Bytes::new()).await
}

/// Asks `url` with GET for JSON.
///
/// Errors: as [`get`], a status that is no 2xx, or a body that is no JSON.
pub async fn get_json(url: &str) -> Result<Value> {
    get(url).await?.success().and_then(|reply| reply.json()).with_context(|| format!("GET {url}"))
}

/// Sends a POST without a body and without a content type, as command lines of the SDK do.
pub async fn post(url: &str) -> Result<Reply> {
    request(Method::POST, url, &[], Bytes::new()).await
}

/// Sends a POST with a JSON body.
pub async fn post_json(url: &str, body: &Value) -> Result<Reply> {
    request(Method::POST, url, &[("content-type", "application/json")], body.to_string().into()).await
}

/// Sends any request.
///
/// Errors: no connection, or no complete answer within 20 seconds.
pub async fn request(method: Method, url: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Reply> {
    let what = format!("{method} {url}");
    let answer = async {
        let (status, headers, body) = open(method, url, headers, body).await?;
        Ok::<_, anyhow::Error>(Reply { status, headers, body: body.collect().await?.to_bytes() })
    };
    tokio::time::timeout(DEADLINE, answer)
        .await
        .with_context(|| format!("{what}: no complete answer within {DEADLINE:?}"))?
        .context(what)
}

/// Sends a request and returns as soon as the head of the answer is here; the body is a stream.
///
/// Errors: no connection or no head of an answer.
pub async fn open(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<(StatusCode, HeaderMap, Incoming)> {
    let uri: Uri = url.parse().with_context(|| format!("bad address {url}"))?;
    let authority = uri.authority().context("an address without a host")?.clone();
    let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80))).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the sender and the body, which both live in the caller.
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let mut request = Request::builder().method(method).uri(path).header("host", authority.as_str());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let reply = sender.send_request(request.body(Full::new(body))?).await?;
    let (head, body) = reply.into_parts();
    Ok((head.status, head.headers, body))
}
