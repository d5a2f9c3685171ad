//! Requests to a running scheduler, and which answers count as errors.
//!
//! Not here: what an answer looks like (`cmd/`, `render/`). One request per connection; no retries, because a repeated command
//! is another command.
//!
//! Invariant: every request has a deadline; every error says what was asked of whom and what to do.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Port of the API when neither an address nor `PORT_API` is given; `dev` serves there.
pub(crate) const DEFAULT_PORT: u16 = 8080;
/// Time for one request: above the time a scheduler gives a command.
const WITHIN: Duration = Duration::from_secs(60);
/// Bytes of an answer; the offers of a large cluster are some megabytes.
const ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// A request that failed, for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The address is of no use.
    #[error("the address {url:?} is not of the form http://host:port[/prefix]{hint}")]
    Address {
        /// As given.
        url: String,
        /// What may be meant.
        hint: &'static str,
    },
    /// Nobody answers.
    #[error(
        "no answer from {url}: {reason}\nIs the scheduler running there? Name another one with --url or MAINSTAY_URL, or try again later."
    )]
    NoAnswer {
        /// Asked for.
        url: String,
        /// Cause.
        reason: String,
    },
    /// An answer that means failure.
    #[error("{0}")]
    Refused(String),
}

/// Where the scheduler is.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    authority: String,
    host: String,
    port: u16,
    prefix: String,
    is_verbose: bool,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status.
    pub(crate) status: StatusCode,
    /// Body.
    pub(crate) body: Bytes,
    method: Method,
    url: String,
}

impl Client {
    /// A client of one scheduler. A path in the address stays in front of every request, for routers that forward by prefix.
    pub(crate) fn new(url: &str, is_verbose: bool) -> Result<Self, Error> {
        let bad = |hint| Error::Address { url: url.to_owned(), hint };
        let uri: Uri = url.parse().map_err(|_| bad(""))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(bad("; TLS is not supported yet")),
            _ => return Err(bad("")),
        }
        let authority = uri.authority().ok_or_else(|| bad(""))?;
        Ok(Self {
            authority: authority.to_string(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            is_verbose,
        })
    }

    /// Reads.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, Error> {
        self.send(Method::GET, path, None)
    }

    /// Commands, with a JSON body or with none at all.
    pub(crate) fn post(&self, path: &str, json: Option<String>) -> Result<Answer, Error> {
        self.send(Method::POST, path, json)
    }

    /// Commands without a body.
    pub(crate) fn put(&self, path: &str) -> Result<Answer, Error> {
        self.send(Method::PUT, path, None)
    }

    fn send(&self, method: Method, path: &str, json: Option<String>) -> Result<Answer, Error> {
        let url = format!("http://{}{}/{path}", self.authority, self.prefix);
        let failed = |reason: String| Error::NoAnswer { url: url.clone(), reason };
        if self.is_verbose {
            eprintln!("HTTP Query: {method} {url}");
            if let Some(json) = &json {
                eprintln!("{json}");
            }
        }
        let body = json.clone().unwrap_or_default();
        let mut request = Request::builder()
            .method(&method)
            .uri(format!("{}/{path}", self.prefix))
            .header(HOST, &self.authority)
            .header(CONTENT_LENGTH, body.len());
        if json.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| failed(error.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let answered = runtime.block_on(async { tokio::time::timeout(WITHIN, self.exchange(request)).await });
        let (status, body) = match answered {
            Ok(answered) => answered.map_err(|error| failed(chain(error.as_ref())))?,
            Err(_) => return Err(failed(format!("nothing within {} seconds", WITHIN.as_secs()))),
        };
        if self.is_verbose {
            eprintln!("Response ({} byte payload): {status}", body.len());
            eprintln!("{}", String::from_utf8_lossy(&body));
        }
        Ok(Answer { status, body, method, url })
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await?.to_bytes();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((status, body))
        };
        // The connection must be driven while the exchange goes on; when it ends first, the exchange ends with its error.
        tokio::pin!(exchange);
        tokio::select! {
            answered = &mut exchange => answered,
            ended = connection => {
                ended?;
                exchange.await
            }
        }
    }
}

/// What an error says, and what it says it comes from.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl Answer {
    /// The answer of a plan command: repeated commands are errors of their own kind.
    pub(crate) fn check_plan(self) -> Result<Self, Error> {
        let refused = |text: &str| Err(Error::Refused(text.to_owned()));
        match self.status {
            StatusCode::NOT_FOUND if self.body == mainstay_api::text::ELEMENT_NOT_FOUND => {
                refused("the plan, phase and/or step does not exist")
            }
            StatusCode::ALREADY_REPORTED => {
                refused("the command has already been issued, or the plan has completed: nothing was changed")
            }
            StatusCode::EXPECTATION_FAILED => {
                refused("the plan reports errors; see them with: mainstay plan status PLAN")
            }
            _ => self.check(),
        }
    }

    /// The answer of a plan read: a plan in error is a plan.
    pub(crate) fn check_plan_read(self) -> Result<Self, Error> {
        if self.status == StatusCode::EXPECTATION_FAILED { Ok(self) } else { self.check_plan() }
    }

    /// Any other answer: 2xx, or an error.
    pub(crate) fn check(self) -> Result<Self, Error> {
        let advice = match self.status {
            status if status.is_success() => return Ok(self),
            StatusCode::UNAUTHORIZED => "not authorized there; log in again".to_owned(),
            StatusCode::NOT_FOUND => {
                format!("{} does not exist; is the name right, and is the service the one at this address?", self.url)
            }
            StatusCode::INTERNAL_SERVER_ERROR | StatusCode::BAD_GATEWAY => {
                format!("{} cannot be served; the scheduler may still be starting, its log says more", self.url)
            }
            status => format!("HTTP {} Query for {} failed: {status}", self.method, self.url),
        };
        let body = String::from_utf8_lossy(&self.body);
        let body = body.trim_end();
        Err(Error::Refused(if body.is_empty() { advice } else { format!("{advice}\n{body}") }))
    }
}

/// A path of segments, each escaped.
pub(crate) fn path(segments: &[&str]) -> String {
    segments.iter().map(|segment| escape(segment, false)).collect::<Vec<_>>().join("/")
}

/// A path with a query of the parameters that are there, in this order.
pub(crate) fn with_query(path: String, parameters: &[(&str, Option<&str>)]) -> String {
    let mut out = path;
    let mut separator = '?';
    for (name, value) in parameters {
        if let Some(value) = value {
            out.push(separator);
            out.push_str(name);
            out.push('=');
            out.push_str(&escape(value, true));
            separator = '&';
        }
    }
    out
}

fn escape(text: &str, is_form: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' if is_form => out.push('+'),
            // Writing to a String cannot fail.
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Refused(format!("cannot write the output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<(&str, u16, &str)>) {
        let client = Client::new(url, false);
        let found = client.as_ref().ok().map(|c| (c.host.as_str(), c.port, c.prefix.as_str()));
        assert_eq!(found, expected, "{client:?}");
    }

    #[test]
    fn addresses_have_a_host_and_perhaps_a_prefix() {
        check("http://127.0.0.1:8080", Some(("127.0.0.1", 8080, "")));
        check("http://[::1]:80/", Some(("::1", 80, "")));
        check("http://cluster/service/team/hello/", Some(("cluster", 80, "/service/team/hello")));
        check("https://cluster", None);
        check("cluster:8080", None);
        check("/v1", None);
        check("", None);
    }

    #[test]
    fn names_are_escaped_as_the_older_command_lines_do() {
        assert_eq!(path(&["v1", "plans", "my plan/é"]), "v1/plans/my%20plan%2F%C3%A9");
        let query = [("phase", Some("a b")), ("x", None), ("step", Some("hello-0:[server]"))];
        assert_eq!(with_query("p".into(), &query), "p?phase=a+b&step=hello-0%3A%5Bserver%5D");
    }
}
