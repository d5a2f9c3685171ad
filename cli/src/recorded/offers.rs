//! Offers in the JSON of the v1 scheduler API: an OFFERS event, or the bare list.
//!
//! Read as the scheduler reads them, so that what it would refuse is refused here, with the same words.

use mainstay_devcluster::model::resources::{self, allocate};
use mainstay_devcluster::{AgentConfig, from_json};
use mainstay_proto::v1::scheduler::{Event, event};
use mainstay_proto::v1::{self as wire};
use mainstay_scheduler::engine::offer::Offer;
use mainstay_scheduler::mesos::convert::{self, Incoming};
use prost::Message as _;
use serde_json::Value;

use super::{Master, Problems, Read, Recorded};

/// Most offers of one file.
const MAX_OFFERS: usize = 50_000;

/// Whether somebody meant this to be offers.
pub(super) fn is_like(value: &Value) -> bool {
    let is_offer = |value: &Value| value.get("agent_id").is_some() || value.get("agentId").is_some();
    value.get("offers").is_some()
        || value.get("type").is_some()
        || value.as_array().is_some_and(|list| list.iter().any(is_offer))
}

/// The offers; those that cannot be read are left out with a note.
///
/// Errors: another event, no list, not one offer that can be read.
pub(super) fn read(name: &str, value: &Value) -> Result<Read, String> {
    let kind = value.get("type").and_then(Value::as_str);
    if let Some(kind) = kind.filter(|kind| *kind != "OFFERS") {
        return Err(format!("{name}: an event of type {kind:?} holds no offers; expected one of type \"OFFERS\""));
    }
    let mut at = value;
    while let Some(inner) = at.get("offers") {
        at = inner;
    }
    let Some(list) = at.as_array() else {
        return Err(format!("{name}: the offers are no list; expected {{\"offers\": {{\"offers\": [...]}}}}"));
    };
    if list.len() > MAX_OFFERS {
        return Err(format!("{name}: {} offers; at most {MAX_OFFERS} are read", list.len()));
    }
    let mut problems = Problems::new(name);
    let mut offers = Vec::new();
    for (index, value) in list.iter().enumerate() {
        match from_json::<wire::Offer>("mesos.v1.Offer", value).and_then(one) {
            Ok(offer) => offers.push(offer),
            Err(problem) => problems.push(&format!(": offers[{index}]"), &problem),
        }
    }
    if offers.is_empty() {
        let all = problems.text();
        return Err(all.unwrap_or_else(|| format!("{name}: the list has no offers")));
    }
    let notes = problems.text().into_iter().flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    let notes = notes.map(|note| format!("{note}; left out")).collect();
    let region = |master: &Value| Some(master.pointer("/domain/fault_domain/region/name")?.as_str()?.to_owned());
    let master = value.get("master_info").map(|master| Master { region: region(master) });
    Ok(Read { what: Recorded::Offers(offers), notes, master })
}

/// What an agent would offer to a role if nothing ran there.
///
/// Errors: what the scheduler would say of such an offer.
pub(crate) fn of_agent(index: usize, agent: &AgentConfig, role: &str) -> Result<Offer, String> {
    let resources = agent.resources.iter().filter(|resource| resources::is_allocatable_to(resource, role));
    one(wire::Offer {
        id: wire::OfferId { value: format!("offer-{index}") },
        framework_id: wire::FrameworkId { value: "framework".to_owned() },
        agent_id: wire::AgentId { value: format!("agent-{index:05}") },
        hostname: agent.hostname.clone(),
        attributes: agent.attributes.clone(),
        domain: agent.domain.clone().map(Box::new),
        resources: resources.map(|resource| allocate(resource.clone(), role)).collect(),
        allocation_info: Some(wire::resource::AllocationInfo { role: Some(role.to_owned()) }),
        ..wire::Offer::default()
    })
}

/// Through the scheduler's own conversion.
fn one(offer: wire::Offer) -> Result<Offer, String> {
    let event = Event {
        r#type: Some(event::Type::Offers.into()),
        offers: Some(Box::new(event::Offers { offers: vec![offer] })),
        ..Event::default()
    };
    let text = |error: convert::Error| error.to_string();
    match convert::incoming(event.encode_to_vec().into()).map_err(text)? {
        Incoming::Offers { mut offers, mut malformed } => match (offers.pop(), malformed.pop()) {
            (_, Some(malformed)) => Err(malformed.error),
            (Some(offer), None) => Ok(offer),
            (None, None) => Err("it is empty".to_owned()),
        },
        Incoming::Subscribed { .. }
        | Incoming::Event(_)
        | Incoming::Heartbeat
        | Incoming::Error(_)
        | Incoming::Ignored(_) => Err("it is no offer".to_owned()),
    }
}
