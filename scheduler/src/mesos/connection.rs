//! One HTTP/1.1 connection to a master; not a pool, since the order of calls is the order on one connection.
//!
//! Invariant: dropping it closes the socket: its driver is aborted with it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::auth::Auth;
use super::leader::Endpoint;

/// Path of the scheduler API; the answer to it is the same on every master.
const PATH: &str = "/api/v1/scheduler";
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
/// Name of the header that ties a call to a subscription.
pub const STREAM_ID: &str = "mesos-stream-id";
/// How long connecting may take.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Why a connection cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name does not resolve or nobody listens.
    #[error("cannot connect to {endpoint}")]
    Connect {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        source: std::io::Error,
    },
    /// Connecting took too long.
    #[error("cannot connect to {endpoint} within {} s", CONNECT_DEADLINE.as_secs())]
    ConnectDeadline {
        /// Where.
        endpoint: Endpoint,
    },
    /// The connection broke.
    #[error("the connection to {endpoint} broke")]
    Broken {
        /// Where.
        endpoint: Endpoint,
        /// Why.
        source: hyper::Error,
    },
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    endpoint: Endpoint,
    host: HeaderValue,
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Connection {
    /// Connects.
    pub async fn open(endpoint: &Endpoint) -> Result<Self, Error> {
        let connect = TcpStream::connect((endpoint.host.as_str(), endpoint.port));
        let stream = tokio::time::timeout(CONNECT_DEADLINE, connect)
            .await
            .map_err(|_| Error::ConnectDeadline { endpoint: endpoint.clone() })?
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|source| Error::Connect { endpoint: endpoint.clone(), source })?;
        let (sender, driver) = handshake(TokioIo::new(stream))
            .await
            .map_err(|source| Error::Broken { endpoint: endpoint.clone(), source })?;
        let mut tasks = JoinSet::new();
        // What ends the driver is seen by the request or the body that was under way.
        tasks.spawn(async move { drop(driver.await) });
        let host = HeaderValue::from_str(&endpoint.to_string()).expect("an endpoint has only header characters");
        Ok(Self { endpoint: endpoint.clone(), host, sender, _driver: tasks })
    }

    /// Whether a request could be written now, as far as is known: false once the peer has closed.
    pub async fn is_usable(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Posts one encoded call and waits for the head of the answer.
    pub async fn post(
        &mut self,
        call: Bytes,
        auth: &Auth,
        stream_id: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, Error> {
        let mut request = Request::post(PATH)
            .header(HOST, &self.host)
            .header(ACCEPT, PROTOBUF)
            .header(CONTENT_TYPE, PROTOBUF)
            .body(Full::new(call))
            .expect("a constant path and valid headers");
        if let Some(header) = auth.header() {
            request.headers_mut().insert(AUTHORIZATION, header.clone());
        }
        if let Some(id) = stream_id {
            request.headers_mut().insert(STREAM_ID, id.clone());
        }
        let broken = |source| Error::Broken { endpoint: self.endpoint.clone(), source };
        self.sender.ready().await.map_err(broken)?;
        self.sender
            .send_request(request)
            .await
            .map_err(|source| Error::Broken { endpoint: self.endpoint.clone(), source })
    }
}
