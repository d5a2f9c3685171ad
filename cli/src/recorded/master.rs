//! Agents as a master lists them at `/master/slaves`: what is free there now.
//!
//! What others reserved or use is not free; neither is what the asked service itself holds, if it runs there already.
//! Source: seen on Mesos 1.11; `*_full` lists hold whole resources, the others only sums.

use std::collections::BTreeMap;

use mainstay_devcluster::model::resources::{self, Resources};
use mainstay_devcluster::{AgentConfig, from_json};
use mainstay_proto::v1::{DomainInfo, Resource};
use mainstay_scheduler::engine::resource;
use serde_json::Value;

use super::agents::attribute;
use super::{MAX_AGENTS, MAX_RANGES, Problems, Read, Recorded};

/// Lists with everything an agent has.
const UNRESERVED: &str = "unreserved_resources_full";

/// Reads the answer. Agents that are gone or being drained are left out with a note.
///
/// Errors: every problem, a line each.
pub(super) fn read(name: &str, value: &Value) -> Result<Read, String> {
    let Some(list) = value.get("slaves").and_then(Value::as_array) else {
        return Err(format!("{name}: \"slaves\" is no list"));
    };
    if list.is_empty() {
        return Err(format!("{name}: the master has no agents"));
    }
    if list.len() > MAX_AGENTS {
        return Err(format!("{name}: {} agents; at most {MAX_AGENTS} are read", list.len()));
    }
    if list.iter().all(|agent| agent.get(UNRESERVED).is_none()) {
        return Err(format!(
            "{name}: the agents have no {UNRESERVED:?}; download them from /master/slaves, not from /master/state"
        ));
    }
    let mut problems = Problems::new(name);
    let mut notes = Vec::new();
    let mut agents: Vec<AgentConfig> = Vec::new();
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for (index, value) in list.iter().enumerate() {
        let place = format!(": slaves[{index}]");
        let flag = |key: &str| value.get(key).and_then(Value::as_bool);
        let agent = match one(value) {
            Ok(agent) => agent,
            Err(problem) => {
                problems.push(&place, &problem);
                continue;
            }
        };
        if flag("active") == Some(false) || flag("deactivated") == Some(true) {
            notes.push(format!("{name}{place}: {} is not active; left out", agent.hostname));
            continue;
        }
        if let Some(first) = names.insert(agent.hostname.clone(), index) {
            problems.push(&place, &format!("hostname {:?} is given twice, first in slaves[{first}]", agent.hostname));
            continue;
        }
        agents.push(agent);
    }
    if let Some(text) = problems.text() {
        return Err(text);
    }
    if agents.is_empty() {
        return Err(format!("{name}: no agent is active"));
    }
    agents.sort_by(|a, b| a.hostname.cmp(&b.hostname));
    Ok(Read { what: Recorded::Agents(agents), notes, master: None })
}

fn one(value: &Value) -> Result<AgentConfig, String> {
    let hostname = value.get("hostname").and_then(Value::as_str).unwrap_or_default();
    if hostname.is_empty() {
        return Err("an agent has no hostname".to_owned());
    }
    let within = |problem: String| format!("{hostname}: {problem}");
    let mut free = Resources::default();
    free.add_all(whole(value, UNRESERVED).map_err(within)?);
    for (role, list) in value.get("reserved_resources_full").and_then(Value::as_object).into_iter().flatten() {
        let key = format!("reserved_resources_full.{role}");
        free.add_all(list_of(list, &key).map_err(within)?);
    }
    let used = whole(value, "used_resources_full").map_err(within)?;
    free.subtract_present(&used);
    let port = value.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok()).unwrap_or(5051);
    let mut agent = AgentConfig::new(hostname, port, free.to_vec());
    for (name, value) in value.get("attributes").and_then(Value::as_object).into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        agent.attributes.push(attribute(name, &text));
    }
    if let Some(domain) = value.get("domain").filter(|domain| !domain.is_null()) {
        let domain = from_json::<DomainInfo>("mesos.v1.DomainInfo", domain);
        agent.domain = Some(domain.map_err(|problem| within(format!("domain: {problem}")))?);
    }
    Ok(agent)
}

/// The resources of a list, in the form of the model; none when the list is absent.
fn whole(value: &Value, key: &str) -> Result<Vec<Resource>, String> {
    value.get(key).map_or_else(|| Ok(Vec::new()), |list| list_of(list, key))
}

fn list_of(list: &Value, key: &str) -> Result<Vec<Resource>, String> {
    let list = list.as_array().ok_or_else(|| format!("{key} is no list"))?;
    let read = |(index, value): (usize, &Value)| {
        let mut resource: Resource = from_json("mesos.v1.Resource", value)?;
        if let Some(ranges) = resource.ranges.as_ref().filter(|ranges| ranges.range.len() > MAX_RANGES) {
            return Err(format!("{} ranges; at most {MAX_RANGES} are read", ranges.range.len()));
        }
        resources::upgrade(&mut resource);
        resource::Resource::from_wire(&resource).map_err(|error| error.to_string())?;
        Ok((index, resource))
    };
    let resources = list.iter().enumerate().map(|item| {
        let index = item.0;
        read(item).map(|(_, resource)| resource).map_err(|problem: String| format!("{key}[{index}]: {problem}"))
    });
    resources.collect()
}
