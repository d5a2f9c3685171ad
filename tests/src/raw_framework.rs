//! The smallest framework there is: JSON on the master's scheduler endpoint, no state, no decisions.
//!
//! Tests use it to prove the harness, to take resources away, and to see what a real master says. It is not the
//! product's client.

use std::collections::VecDeque;
use std::time::Duration;

use ::http::Method;
use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::http;

const JSON: &str = "application/json";

/// A subscribed framework; the subscription ends with this value.
#[derive(Debug)]
pub struct RawFramework {
    endpoint: String,
    stream_id: String,
    framework_id: String,
    body: Incoming,
    buffer: Vec<u8>,
    events: VecDeque<Value>,
}

/// A FrameworkInfo with what every framework here needs: multi-role, refined reservations, checkpoints.
///
/// Shape: `failover_timeout` is a minute; pass an `id` to subscribe again.
pub fn framework_info(name: &str, id: Option<&str>) -> Value {
    let capabilities: Vec<Value> = ["MULTI_ROLE", "RESERVATION_REFINEMENT", "PARTITION_AWARE"]
        .iter()
        .map(|capability| json!({"type": capability}))
        .collect();
    // A master may run as somebody else: tasks run as whoever runs the agents.
    let user = if rustix::process::geteuid().is_root() { "root" } else { "nobody" };
    let mut info = json!({
        "user": user, "name": name, "roles": [format!("{name}-role")], "principal": name, "checkpoint": true,
        "failover_timeout": 60.0, "capabilities": capabilities,
    });
    if let Some(id) = id {
        info["id"] = json!({"value": id});
    }
    info
}

impl RawFramework {
    /// Subscribes at a master, `http://host:port`, and waits for SUBSCRIBED.
    ///
    /// Errors: the master refuses; the error shows its answer.
    pub async fn subscribe(master: &str, info: &Value) -> Result<Self> {
        let endpoint = format!("{master}/api/v1/scheduler");
        let mut call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}});
        if let Some(id) = info.get("id") {
            call["framework_id"] = id.clone();
        }
        let headers = [("content-type", JSON), ("accept", JSON)];
        let (status, head, body) = http::open(Method::POST, &endpoint, &headers, call.to_string().into()).await?;
        if !status.is_success() {
            let text = body.collect().await?.to_bytes();
            bail!("subscribe: {status}: {}", String::from_utf8_lossy(&text));
        }
        let stream_id = head.get("mesos-stream-id").context("no Mesos-Stream-Id")?.to_str()?.to_owned();
        let mut framework = Self {
            endpoint,
            stream_id,
            framework_id: String::new(),
            body,
            buffer: Vec::new(),
            events: VecDeque::new(),
        };
        let subscribed = framework.wait_event("SUBSCRIBED", Duration::from_secs(10)).await?;
        let id = &subscribed["subscribed"]["framework_id"]["value"];
        id.as_str().context("SUBSCRIBED without an id")?.clone_into(&mut framework.framework_id);
        Ok(framework)
    }

    /// The id the master gave.
    pub fn framework_id(&self) -> &str {
        &self.framework_id
    }

    /// The next event, whatever it is.
    ///
    /// Errors: the master ended the stream.
    pub async fn next_event(&mut self) -> Result<Value> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let frame = self.body.frame().await.context("the master ended the stream")??;
            if let Some(data) = frame.data_ref() {
                self.buffer.extend_from_slice(data);
            }
            while let Some((event, rest)) = split_record(&self.buffer)? {
                self.events.push_back(event);
                self.buffer.drain(..rest);
            }
        }
    }

    /// The next event of one type; others are thrown away.
    ///
    /// Errors: none within `deadline`, or the stream ended.
    pub async fn wait_event(&mut self, kind: &str, deadline: Duration) -> Result<Value> {
        let found = async {
            loop {
                let event = self.next_event().await?;
                if event["type"] == *kind {
                    return Ok(event);
                }
            }
        };
        tokio::time::timeout(deadline, found).await.with_context(|| format!("no {kind} within {deadline:?}"))?
    }

    /// Waits until offers of `count` agents have come, and returns one offer per agent.
    pub async fn wait_offers(&mut self, count: usize, deadline: Duration) -> Result<Vec<Value>> {
        let mut offers: Vec<Value> = Vec::new();
        let start = std::time::Instant::now();
        while offers.len() < count {
            let left = deadline.saturating_sub(start.elapsed());
            let mut event = self
                .wait_event("OFFERS", left)
                .await
                .with_context(|| format!("offers of {} agents of {count}", offers.len()))?;
            for offer in event["offers"]["offers"].as_array_mut().map(std::mem::take).unwrap_or_default() {
                offers.retain(|known| known["agent_id"] != offer["agent_id"]);
                offers.push(offer);
            }
        }
        Ok(offers)
    }

    /// Sends a call; the framework's id is added.
    ///
    /// Errors: the master does not answer 202.
    pub async fn call(&self, mut call: Value) -> Result<()> {
        call["framework_id"] = json!({"value": self.framework_id});
        let headers = [("content-type", JSON), ("accept", JSON), ("mesos-stream-id", self.stream_id.as_str())];
        let body = Bytes::from(call.to_string());
        http::request(Method::POST, &self.endpoint, &headers, body).await?.success()?;
        Ok(())
    }
}

/// Takes one record off the front of a RecordIO stream: its JSON and how many bytes it took.
fn split_record(buffer: &[u8]) -> Result<Option<(Value, usize)>> {
    let Some(end) = buffer.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let length: usize = std::str::from_utf8(&buffer[..end])?.parse().context("a record without a length")?;
    let Some(record) = buffer.get(end + 1..end + 1 + length) else { return Ok(None) };
    Ok(Some((serde_json::from_slice(record)?, end + 1 + length)))
}
