//! HTTP/1.1 over plain TCP: one connection, one request at a time.
//!
//! Not here: TLS, redirects, pools; the agent is on this machine and the scheduler serves plain http.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest wait for the head of an answer.
const ANSWER: Duration = Duration::from_secs(10);

/// An open connection; dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// Drives the connection; owned, so that it ends with us.
    _driver: JoinSet<()>,
    /// Our address on it.
    pub(crate) local: Option<SocketAddr>,
}

impl Connection {
    /// Connects to `host:port`.
    pub(crate) async fn open(authority: &str) -> Result<Self, String> {
        let stream = timeout(CONNECT, TcpStream::connect(authority))
            .await
            .map_err(|_| format!("connecting to {authority} took longer than {} s", CONNECT.as_secs()))?
            .map_err(|error| format!("cannot connect to {authority}: {error}"))?;
        // Small requests, each waiting for its answer.
        let _ = stream.set_nodelay(true);
        let local = stream.local_addr().ok();
        let (sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(64 * 1024)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("cannot speak to {authority}: {error}"))?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // Its error is also the error of the request or body under way.
            let _ = connection.await;
        });
        Ok(Self { sender, _driver: driver, local })
    }

    /// Sends a request, and waits for the head of its answer.
    pub(crate) async fn send(
        &mut self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<Incoming>, String> {
        timeout(ANSWER, async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        })
        .await
        .map_err(|_| format!("no answer within {} s", ANSWER.as_secs()))?
        .map_err(|error| error.to_string())
    }
}
