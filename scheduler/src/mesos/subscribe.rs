//! The subscription: SUBSCRIBE on a connection of its own, redirects followed, its endless answer cut into frames.
//!
//! Not the supervision: `client.rs` decides when to subscribe again.
//! Invariant: silence of five heartbeats is an end of the subscription like any other.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use mainstay_engine::ids::FrameworkId;
use mainstay_proto::recordio;
use mainstay_proto::v1 as wire;
use mainstay_proto::v1::framework_info::{Capability, capability};
use mainstay_proto::v1::scheduler::{Call, call};
use prost::Message as _;

use super::auth::Auth;
use super::connection::{self, Connection, STREAM_ID};
use super::convert;
use super::leader::{self, Endpoint, redirect_target};

/// Redirects followed before the masters are believed to disagree.
const MAX_REDIRECTS: u32 = 5;
/// Heartbeats that may be missed.
const HEARTBEATS_MISSED: u32 = 5;
/// How long the head of the answer and then the first event may take each.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// Two weeks: how long the master keeps our tasks while we are away.
const FAILOVER_TIMEOUT_SECS: f64 = 1_209_600.0;
/// Bytes of an error text that are read and shown.
const ERROR_TEXT_BYTES: usize = 500;

/// Who we are to the master.
///
/// Source: `FrameworkInfo` as the SDK fills it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Service name, slashes kept.
    pub name: String,
    /// Unix user of tasks.
    pub user: String,
    /// Principal.
    pub principal: String,
    /// Roles of its reservations, each once; at least one.
    pub roles: Vec<String>,
    /// Link shown by user interfaces.
    pub webui_url: Option<String>,
    /// Whether offers of other regions are wanted.
    pub is_region_aware: bool,
    /// Whether offers of agents with GPUs are wanted.
    pub is_gpu_aware: bool,
}

impl Identity {
    /// The wire form.
    pub fn framework_info(&self, id: Option<&FrameworkId>) -> wire::FrameworkInfo {
        let mut capabilities = vec![
            capability::Type::MultiRole,
            capability::Type::PartitionAware,
            capability::Type::ReservationRefinement,
            // Without it a task that a drain or we ourselves end looks RUNNING until its end.
            capability::Type::TaskKillingState,
        ];
        if self.is_region_aware {
            capabilities.push(capability::Type::RegionAware);
        }
        if self.is_gpu_aware {
            capabilities.push(capability::Type::GpuResources);
        }
        // The empty minimum: agents of which only reserved disks are free are offered too.
        let filters = wire::OfferFilters { min_allocatable_resources: Some(Box::default()) };
        wire::FrameworkInfo {
            user: self.user.clone(),
            name: self.name.clone(),
            id: id.map(convert::framework_wire),
            failover_timeout: Some(FAILOVER_TIMEOUT_SECS),
            checkpoint: Some(true),
            principal: Some(self.principal.clone()),
            webui_url: self.webui_url.clone().filter(|url| !url.is_empty()),
            capabilities: capabilities.into_iter().map(|kind| Capability { r#type: Some(kind.into()) }).collect(),
            roles: self.roles.clone(),
            offer_filters: self.roles.iter().map(|role| (role.clone(), filters.clone())).collect(),
            ..Default::default()
        }
    }

    fn subscribe(&self, id: Option<&FrameworkId>) -> Bytes {
        let call = Call {
            framework_id: id.map(convert::framework_wire),
            r#type: Some(call::Type::Subscribe.into()),
            subscribe: Some(Box::new(call::Subscribe {
                framework_info: self.framework_info(id),
                suppressed_roles: Vec::new(),
                offer_constraints: None,
            })),
            ..Default::default()
        };
        call.encode_to_vec().into()
    }
}

/// Why there is no subscription.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] connection::Error),
    /// No answer came.
    #[error("{endpoint} did not answer SUBSCRIBE within {} s", ANSWER_DEADLINE.as_secs())]
    Deadline {
        /// Master.
        endpoint: Endpoint,
    },
    /// Another answer than a stream; see [`advice`].
    #[error("{endpoint} answered SUBSCRIBE with {status}: {text}{}", advice(*status))]
    Refused {
        /// Master.
        endpoint: Endpoint,
        /// HTTP status.
        status: StatusCode,
        /// Text of the answer.
        text: String,
    },
    /// A redirect to nowhere.
    #[error("{endpoint} redirects to an address that cannot be used")]
    Redirect {
        /// Master.
        endpoint: Endpoint,
        /// Why.
        source: leader::Error,
    },
    /// Redirects without end.
    #[error("more than {MAX_REDIRECTS} redirects, the last to {endpoint}: the masters do not agree who leads")]
    TooManyRedirects {
        /// Last target.
        endpoint: Endpoint,
    },
    /// An answer that is not Mesos's.
    #[error("{endpoint} accepted SUBSCRIBE without naming a stream: is it a Mesos master?")]
    NoStreamId {
        /// Master.
        endpoint: Endpoint,
    },
}

/// What an operator can do about a refusal, to be appended to its text.
pub fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => " (set MESOS_FRAMEWORK_SECRET to the secret of the service's principal)",
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::NOT_FOUND => " (no master leads yet, or it is starting)",
        _ => "",
    }
}

/// Why a subscription ended.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The master closed it.
    #[error("the master closed the stream")]
    Closed,
    /// The connection broke.
    #[error("the stream broke")]
    Broken(#[source] hyper::Error),
    /// The framing is wrong.
    #[error("the stream is not RecordIO")]
    Framing(#[source] recordio::Error),
    /// Nothing came for too long.
    #[error("the master was silent for {} s", .0.as_secs_f32())]
    Silent(Duration),
}

/// A subscription whose head has arrived.
#[derive(Debug)]
pub struct Subscription {
    /// The master that accepted it.
    pub endpoint: Endpoint,
    /// What every call must carry.
    pub stream_id: HeaderValue,
    body: Incoming,
    decoder: recordio::Decoder,
    silence: Duration,
    _connection: Connection,
}

impl Subscription {
    /// Subscribes at this master or at the one it points to.
    pub async fn open(
        first: &Endpoint,
        auth: &Auth,
        identity: &Identity,
        id: Option<&FrameworkId>,
    ) -> Result<Self, Error> {
        let call = identity.subscribe(id);
        let mut endpoint = first.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut connection = Connection::open(&endpoint).await?;
            let response = tokio::time::timeout(ANSWER_DEADLINE, connection.post(call.clone(), auth, None))
                .await
                .map_err(|_| Error::Deadline { endpoint: endpoint.clone() })??;
            let (head, body) = response.into_parts();
            if head.status == StatusCode::TEMPORARY_REDIRECT {
                let location = head.headers.get(http::header::LOCATION).and_then(|value| value.to_str().ok());
                endpoint = redirect_target(location.unwrap_or_default())
                    .map_err(|source| Error::Redirect { endpoint: endpoint.clone(), source })?;
                tracing::debug!(master = %endpoint, "redirected to the leading master");
                continue;
            }
            if head.status != StatusCode::OK {
                let text = error_text(body).await;
                return Err(Error::Refused { endpoint, status: head.status, text });
            }
            let Some(stream_id) = head.headers.get(STREAM_ID).cloned() else {
                return Err(Error::NoStreamId { endpoint });
            };
            return Ok(Self {
                endpoint,
                stream_id,
                body,
                decoder: recordio::Decoder::new(),
                silence: ANSWER_DEADLINE,
                _connection: connection,
            });
        }
        Err(Error::TooManyRedirects { endpoint })
    }

    /// From now on expects a sign of life this often.
    pub fn expect_heartbeats(&mut self, interval: Duration) {
        self.silence = interval * HEARTBEATS_MISSED;
    }

    /// The next frame. Cancel-safe: bytes that arrived stay in the decoder.
    ///
    /// Time not spent waiting here, because the loop is busy, does not count as silence.
    pub async fn next(&mut self) -> Result<Bytes, Ended> {
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(Ended::Framing)? {
                return Ok(frame);
            }
            let part = tokio::time::timeout(self.silence, self.body.frame())
                .await
                .map_err(|_| Ended::Silent(self.silence))?
                .ok_or(Ended::Closed)?
                .map_err(Ended::Broken)?;
            if let Some(data) = part.data_ref() {
                self.decoder.push(data);
            }
        }
    }
}

/// The beginning of the text of a refusal, on one line.
pub(super) async fn error_text(mut body: Incoming) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while bytes.len() < ERROR_TEXT_BYTES {
            let Some(Ok(part)) = body.frame().await else { break };
            if let Some(data) = part.data_ref() {
                bytes.extend_from_slice(data);
            }
        }
    };
    // A text that does not arrive is not worth waiting for.
    let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
    bytes.truncate(ERROR_TEXT_BYTES);
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() { "no text".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    // contract: 4.2/framework-name 4.4/fields
    #[test]
    fn the_framework_is_described_as_the_sdk_does_and_asks_for_lone_disks() {
        let mut identity = Identity {
            name: "/path/to/svc".into(),
            user: "nobody".into(),
            principal: "/path/to/svc-principal".into(),
            roles: vec!["path__to__svc-role".into(), "public/path__to__svc-role".into()],
            webui_url: Some(String::new()),
            is_region_aware: false,
            is_gpu_aware: false,
        };
        let kinds =
            |info: &wire::FrameworkInfo| info.capabilities.iter().filter_map(|kind| kind.r#type).collect::<Vec<_>>();
        let info = identity.framework_info(None);
        assert_eq!((info.name.as_str(), info.user.as_str()), ("/path/to/svc", "nobody"));
        assert_eq!(info.principal.as_deref(), Some("/path/to/svc-principal"));
        assert_eq!((info.failover_timeout, info.checkpoint), (Some(1_209_600.0), Some(true)));
        assert_eq!((info.id.as_ref(), info.role.as_ref(), info.webui_url.as_ref()), (None, None, None));
        assert_eq!(info.roles, identity.roles);
        assert_eq!(kinds(&info), [6, 5, 7, 2]);
        assert_eq!(info.offer_filters.len(), 2);
        for role in &identity.roles {
            let filters = &info.offer_filters[role];
            assert!(filters.min_allocatable_resources.as_ref().unwrap().quantities.is_empty());
        }

        identity.is_region_aware = true;
        identity.is_gpu_aware = true;
        identity.webui_url = Some("http://x".into());
        let id = FrameworkId::parse("a-0001").unwrap();
        let info = identity.framework_info(Some(&id));
        assert_eq!(kinds(&info), [6, 5, 7, 2, 8, 3]);
        assert_eq!(info.webui_url.as_deref(), Some("http://x"));
        let call = Call::decode(identity.subscribe(Some(&id))).unwrap();
        assert_eq!(call.framework_id, info.id);
        assert_eq!(call.subscribe.unwrap().framework_info, info);
    }
}
