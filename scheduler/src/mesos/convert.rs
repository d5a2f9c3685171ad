//! Wire messages to engine types and back: from here on types are valid.
//!
//! Not the resources and statuses themselves: `mainstay_engine::resource::wire` and `mainstay_engine::task::status` convert those.
//! Invariant: no bytes a peer can send make this panic.
//! Invariant: a status keeps exactly the bytes Mesos sent, in memory of its own, so that it never pins the buffer of a stream.

use std::time::Duration;

use bytes::Bytes;
use mainstay_engine::effect::Call;
use mainstay_engine::event::{Event, MalformedOffer, Master, OperationStatus};
use mainstay_engine::ids::{self, AgentId, ExecutorId, FrameworkId, OfferId, OperationId};
use mainstay_engine::offer::Offer;
use mainstay_engine::resource::Resource;
use mainstay_engine::task::status::Status;
use mainstay_engine::units::Millis;
use mainstay_proto::envelope;
use mainstay_proto::v1 as wire;
use mainstay_proto::v1::scheduler::{self, call, event};
use prost::{Message as _, encoding};

use crate::telemetry::chain;

/// Heartbeats of a master that does not say how often it sends them.
pub const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(15);

/// Why a message was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not decode.
    #[error("cannot decode the {what}")]
    Decode {
        /// Kind of message.
        what: &'static str,
        /// Why.
        source: prost::DecodeError,
    },
    /// A part without which it means nothing is missing.
    #[error("the {what} lacks its {part}")]
    Missing {
        /// Kind of message.
        what: &'static str,
        /// The part.
        part: &'static str,
    },
    /// An identifier is not one.
    #[error("the {what} has a bad identifier")]
    Identifier {
        /// Kind of message.
        what: &'static str,
        /// Why.
        source: ids::Error,
    },
    /// A part is malformed.
    #[error("the {what} is malformed: {why}")]
    Malformed {
        /// Kind of message.
        what: &'static str,
        /// Kind of problem.
        kind: &'static str,
        /// Why.
        why: String,
    },
}

impl Error {
    /// Kind of problem, one of a few: what is counted.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Decode { .. } => "does not decode",
            Self::Missing { .. } => "lacks a part",
            Self::Identifier { .. } => "bad identifier",
            Self::Malformed { kind, .. } => kind,
        }
    }
}

/// One event of the stream.
#[derive(Debug)]
pub enum Incoming {
    /// The subscription was accepted.
    Subscribed {
        /// Id the master knows us by.
        framework_id: FrameworkId,
        /// What it says of itself.
        master: Master,
        /// How often it sends heartbeats.
        heartbeat: Duration,
    },
    /// Offers, and those among them that could not be read.
    Offers {
        /// Well-formed ones, in order.
        offers: Vec<Offer>,
        /// The others.
        malformed: Vec<MalformedOffer>,
    },
    /// Something for the engine.
    Event(Event),
    /// The master is there.
    Heartbeat,
    /// The subscription is over; the master's words.
    Error(String),
    /// Nothing we act on; its wire number.
    Ignored(i32),
}

/// Reads one event of the stream.
///
/// Errors: the frame as a whole makes no sense; the stream itself is still good.
pub fn incoming(frame: Bytes) -> Result<Incoming, Error> {
    let decoded = envelope::Event::decode(frame).map_err(|source| Error::Decode { what: "event", source })?;
    let number = decoded.r#type.unwrap_or_default();
    let missing = |part| Error::Missing { what: "event", part };
    match event::Type::try_from(number).unwrap_or(event::Type::Unknown) {
        event::Type::Subscribed => subscribed(*decoded.subscribed.ok_or_else(|| missing("subscribed"))?),
        event::Type::Offers => Ok(offers(decoded.offers.ok_or_else(|| missing("offers"))?.offers)),
        event::Type::Rescind => {
            let rescind = decoded.rescind.ok_or_else(|| missing("rescind"))?;
            Ok(Incoming::Event(Event::Rescinded(id("rescind", OfferId::parse(rescind.offer_id.value))?)))
        }
        event::Type::Update => {
            let update = decoded.update.ok_or_else(|| missing("update"))?;
            Ok(Incoming::Event(Event::Status(status(&update.status)?)))
        }
        event::Type::UpdateOperationStatus => {
            let update = decoded.update_operation_status.ok_or_else(|| missing("update_operation_status"))?;
            Ok(Incoming::Event(Event::OperationStatus(operation_status(update.status)?)))
        }
        event::Type::Failure => failure(*decoded.failure.ok_or_else(|| missing("failure"))?),
        event::Type::Error => Ok(Incoming::Error(decoded.error.ok_or_else(|| missing("error"))?.message)),
        event::Type::Heartbeat => Ok(Incoming::Heartbeat),
        event::Type::Unknown | event::Type::InverseOffers | event::Type::RescindInverseOffer | event::Type::Message => {
            Ok(Incoming::Ignored(number))
        }
    }
}

fn id<T>(what: &'static str, parsed: Result<T, ids::Error>) -> Result<T, Error> {
    parsed.map_err(|source| Error::Identifier { what, source })
}

fn subscribed(message: event::Subscribed) -> Result<Incoming, Error> {
    let info = message.master_info.map(|info| *info).unwrap_or_default();
    let (region, zone) = place(info.domain.as_deref());
    let heartbeat = message
        .heartbeat_interval_seconds
        .filter(|seconds| seconds.is_finite() && (0.001..=86_400.0).contains(seconds))
        .map_or(DEFAULT_HEARTBEAT, Duration::from_secs_f64);
    Ok(Incoming::Subscribed {
        framework_id: id("subscribed event", FrameworkId::parse(message.framework_id.value))?,
        master: Master { hostname: info.hostname.unwrap_or_default(), version: info.version, region, zone },
        heartbeat,
    })
}

fn place(domain: Option<&wire::DomainInfo>) -> (Option<String>, Option<String>) {
    let Some(fault) = domain.and_then(|domain| domain.fault_domain.as_ref()) else { return (None, None) };
    (Some(fault.region.name.clone()), Some(fault.zone.name.clone()))
}

fn offers(encoded: Vec<Bytes>) -> Incoming {
    let mut offers = Vec::with_capacity(encoded.len());
    let mut malformed = Vec::new();
    for bytes in encoded {
        // One at a time: decoded all at once, 10,000 offers take 240 MB.
        match offer(&bytes) {
            Ok(offer) => offers.push(offer),
            Err(error) => malformed.push(MalformedOffer {
                id: field(&bytes, 1).and_then(|id| OfferId::parse(wire::OfferId::decode(id).ok()?.value).ok()),
                agent_id: field(&bytes, 3).and_then(|id| AgentId::parse(wire::AgentId::decode(id).ok()?.value).ok()),
                reason: error.kind(),
                error: chain(&error),
            }),
        }
    }
    Incoming::Offers { offers, malformed }
}

/// The bytes of a message in an offer of which nothing behind it need be readable.
fn field(bytes: &[u8], wanted: u32) -> Option<&[u8]> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (number, wire_type) = encoding::decode_key(&mut rest).ok()?;
        if number == wanted && wire_type == encoding::WireType::LengthDelimited {
            let length = usize::try_from(encoding::decode_varint(&mut rest).ok()?).ok()?;
            return rest.get(..length);
        }
        encoding::skip_field(wire_type, number, &mut rest, encoding::DecodeContext::default()).ok()?;
    }
    None
}

fn offer(bytes: &[u8]) -> Result<Offer, Error> {
    const WHAT: &str = "offer";
    let message = wire::Offer::decode(bytes).map_err(|source| Error::Decode { what: WHAT, source })?;
    if message.hostname.is_empty() {
        let why = "it names no agent's hostname".to_owned();
        return Err(Error::Malformed { what: WHAT, kind: "offer without a hostname", why });
    }
    let (region, zone) = place(message.domain.as_deref());
    let mut attributes = Vec::with_capacity(message.attributes.len());
    for attribute in &message.attributes {
        attributes.push((attribute.name.clone(), attribute_text(attribute)?));
    }
    let mut resources = Vec::with_capacity(message.resources.len());
    for resource in &message.resources {
        let resource = Resource::from_wire(resource).map_err(|error| Error::Malformed {
            what: WHAT,
            kind: error.kind(),
            why: error.to_string(),
        })?;
        resources.push(resource);
    }
    let executor_ids = message
        .executor_ids
        .into_iter()
        .map(|executor| id(WHAT, ExecutorId::parse(executor.value)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Offer {
        id: id(WHAT, OfferId::parse(message.id.value))?,
        agent_id: id(WHAT, AgentId::parse(message.agent_id.value))?,
        hostname: message.hostname,
        region,
        zone,
        attributes,
        resources,
        executor_ids,
        allocation_role: message.allocation_info.and_then(|info| info.role),
    })
}

/// Text form of an attribute's value.
///
/// Shape: scalars with three decimals, `[1-3,5-9]`, `{a,b}`, text as it is.
/// Source: the SDK writes it to the label `offer_attributes`, placement rules match against it.
fn attribute_text(attribute: &wire::Attribute) -> Result<String, Error> {
    let absent = || Error::Malformed {
        what: "offer",
        kind: "attribute without a value",
        why: format!("attribute {:?} has no value", attribute.name),
    };
    match wire::value::Type::try_from(attribute.r#type) {
        Ok(wire::value::Type::Scalar) => {
            let scalar = attribute.scalar.as_ref().ok_or_else(absent)?;
            Ok(format!("{:.3}", scalar.value))
        }
        Ok(wire::value::Type::Ranges) => {
            let ranges = &attribute.ranges.as_ref().ok_or_else(absent)?.range;
            let parts: Vec<String> = ranges.iter().map(|range| format!("{}-{}", range.begin, range.end)).collect();
            Ok(format!("[{}]", parts.join(",")))
        }
        Ok(wire::value::Type::Set) => {
            let items = &attribute.set.as_ref().ok_or_else(absent)?.item;
            Ok(format!("{{{}}}", items.join(",")))
        }
        Ok(wire::value::Type::Text) => Ok(attribute.text.as_ref().ok_or_else(absent)?.value.clone()),
        Err(_) => Err(absent()),
    }
}

fn status(bytes: &Bytes) -> Result<Status, Error> {
    // The engine keeps these bytes for as long as the task lives: they must not hold the stream's buffer.
    Status::parse(Bytes::copy_from_slice(bytes)).map_err(|error| Error::Malformed {
        what: "task status",
        kind: "malformed",
        why: error.to_string(),
    })
}

fn operation_status(message: wire::OperationStatus) -> Result<OperationStatus, Error> {
    const WHAT: &str = "operation status";
    let operation = message.operation_id.ok_or(Error::Missing { what: WHAT, part: "operation id" })?;
    Ok(OperationStatus {
        operation_id: id(WHAT, OperationId::parse(operation.value))?,
        state: message.state,
        message: message.message,
        uuid: message.uuid.map(|uuid| Bytes::copy_from_slice(&uuid.value)),
        agent_id: message.agent_id.map(|agent| id(WHAT, AgentId::parse(agent.value))).transpose()?,
        provider_id: message.resource_provider_id.map(|provider| provider.value),
    })
}

fn failure(message: event::Failure) -> Result<Incoming, Error> {
    const WHAT: &str = "failure event";
    let agent = message.agent_id.ok_or(Error::Missing { what: WHAT, part: "agent id" })?;
    let agent_id = id(WHAT, AgentId::parse(agent.value))?;
    Ok(Incoming::Event(match message.executor_id {
        None => Event::AgentLost(agent_id),
        Some(executor) => Event::ExecutorLost {
            agent_id,
            executor_id: id(WHAT, ExecutorId::parse(executor.value))?,
            status: message.status,
        },
    }))
}

/// The wire form of a call.
pub fn call(call: Call, framework_id: &FrameworkId) -> scheduler::Call {
    let mut message = scheduler::Call { framework_id: Some(framework_wire(framework_id)), ..Default::default() };
    let r#type = match call {
        Call::Accept { offers, operations, refuse } => {
            message.accept = Some(Box::new(call::Accept {
                offer_ids: offer_ids(offers),
                operations,
                filters: Some(filters(refuse)),
            }));
            call::Type::Accept
        }
        Call::Decline { offers, refuse } => {
            message.decline =
                Some(Box::new(call::Decline { offer_ids: offer_ids(offers), filters: Some(filters(refuse)) }));
            call::Type::Decline
        }
        Call::Revive => {
            message.revive = Some(Box::default());
            call::Type::Revive
        }
        Call::Suppress => {
            message.suppress = Some(Box::default());
            call::Type::Suppress
        }
        Call::Kill { task_id, agent_id } => {
            message.kill = Some(Box::new(call::Kill {
                task_id: wire::TaskId { value: task_id.as_str().to_owned() },
                agent_id: agent_id.as_ref().map(agent_wire),
                kill_policy: None,
            }));
            call::Type::Kill
        }
        Call::Shutdown { executor_id, agent_id } => {
            message.shutdown = Some(Box::new(call::Shutdown {
                executor_id: wire::ExecutorId { value: executor_id.as_str().to_owned() },
                agent_id: agent_wire(&agent_id),
            }));
            call::Type::Shutdown
        }
        Call::Acknowledge { agent_id, task_id, uuid } => {
            message.acknowledge = Some(Box::new(call::Acknowledge {
                agent_id: agent_wire(&agent_id),
                task_id: wire::TaskId { value: task_id.as_str().to_owned() },
                uuid,
            }));
            call::Type::Acknowledge
        }
        Call::AcknowledgeOperation { agent_id, operation_id, uuid, provider_id } => {
            message.acknowledge_operation_status = Some(Box::new(call::AcknowledgeOperationStatus {
                agent_id: Some(agent_wire(&agent_id)),
                resource_provider_id: provider_id.map(|value| wire::ResourceProviderId { value }),
                uuid,
                operation_id: wire::OperationId { value: operation_id.as_str().to_owned() },
            }));
            call::Type::AcknowledgeOperationStatus
        }
        Call::Reconcile { tasks } => {
            let tasks = tasks
                .iter()
                .map(|(task_id, agent_id)| call::reconcile::Task {
                    task_id: wire::TaskId { value: task_id.as_str().to_owned() },
                    agent_id: agent_id.as_ref().map(agent_wire),
                })
                .collect();
            message.reconcile = Some(Box::new(call::Reconcile { tasks }));
            call::Type::Reconcile
        }
        Call::Teardown => call::Type::Teardown,
    };
    message.r#type = Some(r#type.into());
    message
}

/// The wire form of a framework id.
pub fn framework_wire(id: &FrameworkId) -> wire::FrameworkId {
    wire::FrameworkId { value: id.as_str().to_owned() }
}

fn agent_wire(id: &AgentId) -> wire::AgentId {
    wire::AgentId { value: id.as_str().to_owned() }
}

fn offer_ids(ids: Vec<OfferId>) -> Vec<wire::OfferId> {
    ids.iter().map(|id| wire::OfferId { value: id.as_str().to_owned() }).collect()
}

fn filters(refuse: Millis) -> wire::Filters {
    wire::Filters { refuse_seconds: Some(refuse.0 as f64 / 1000.0) }
}

#[cfg(test)]
mod tests;
