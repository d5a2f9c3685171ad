//! The JSON of `/state`, `/slaves`, `/frameworks` and `/tasks`, in the words of the older API.
//!
//! Invariant: made from the answers of the operator API alone, so that both never disagree.

use mainstay_proto::v1::{self, Resource, master};
use serde_json::{Map, Value, json};

use crate::wire::to_json;

/// `/state` of the master.
pub(crate) fn master(state: &master::Response, leader: &master::Response) -> Value {
    let leader =
        leader.get_master.as_ref().and_then(|answer| answer.master_info.as_deref().cloned()).unwrap_or_default();
    let state = state.get_state.as_deref().cloned().unwrap_or_default();
    let agents = state.get_agents.as_deref().cloned().unwrap_or_default().agents;
    let frameworks = state.get_frameworks.as_deref().cloned().unwrap_or_default().frameworks;
    let tasks = state.get_tasks.as_deref().cloned().unwrap_or_default();
    let executors = state.get_executors.as_deref().cloned().unwrap_or_default().executors;
    let pid = leader.pid().to_owned();
    json!({
        "version": leader.version(),
        "id": leader.id,
        "pid": pid,
        "hostname": leader.hostname(),
        "leader": pid,
        "leader_info": { "id": leader.id, "pid": pid, "port": leader.port, "hostname": leader.hostname() },
        "activated_slaves": agents.iter().filter(|agent| agent.active).count(),
        "deactivated_slaves": agents.iter().filter(|agent| !agent.active).count(),
        "slaves": agents.iter().map(slave).collect::<Vec<_>>(),
        "frameworks": frameworks.iter().map(|one| framework(one, &tasks, &executors)).collect::<Vec<_>>(),
        "completed_frameworks": [],
        "orphan_tasks": [],
        "unregistered_frameworks": [],
    })
}

/// The tasks of a `/state`, those that ended too, filtered by ids.
pub(crate) fn tasks(state: &Value, framework_id: Option<&String>, task_id: Option<&String>) -> Vec<Value> {
    let frameworks = state["frameworks"].as_array().into_iter().flatten();
    let lists = ["tasks", "unreachable_tasks", "completed_tasks"];
    frameworks
        .flat_map(|framework| lists.iter().flat_map(|list| framework[list].as_array().into_iter().flatten()))
        .filter(|task| framework_id.is_none_or(|id| task["framework_id"] == **id))
        .filter(|task| task_id.is_none_or(|id| task["id"] == **id))
        .cloned()
        .collect()
}

fn slave(agent: &master::response::get_agents::Agent) -> Value {
    let info = &agent.agent_info;
    let reserved: Vec<Resource> =
        agent.total_resources.iter().filter(|one| !one.reservations.is_empty()).cloned().collect();
    let free: Vec<Resource> = agent.total_resources.iter().filter(|one| one.reservations.is_empty()).cloned().collect();
    let mut by_role: Map<String, Value> = Map::new();
    let mut by_role_full: Map<String, Value> = Map::new();
    for resource in &reserved {
        let role = resource.reservations.last().map_or("*", v1::resource::ReservationInfo::role).to_owned();
        by_role_full
            .entry(role)
            .or_insert_with(|| json!([]))
            .as_array_mut()
            .expect("only arrays are inserted")
            .push(full(resource));
    }
    for role in by_role_full.keys() {
        let of_role: Vec<Resource> = reserved
            .iter()
            .filter(|one| one.reservations.last().is_some_and(|last| last.role() == role))
            .cloned()
            .collect();
        by_role.insert(role.clone(), sums(&of_role));
    }
    json!({
        "id": info.id.as_ref().map(|id| id.value.as_str()),
        "hostname": info.hostname,
        "port": info.port(),
        "pid": agent.pid,
        "active": agent.active,
        "version": agent.version,
        "attributes": attributes(&info.attributes),
        "resources": sums(&agent.total_resources),
        "used_resources": sums(&agent.allocated_resources),
        "offered_resources": sums(&agent.offered_resources),
        "unreserved_resources": sums(&free),
        "reserved_resources": by_role,
        "reserved_resources_full": by_role_full,
        "domain": info.domain.as_ref().map(|domain| to_json("mesos.v1.DomainInfo", &**domain)),
        "capabilities": agent.capabilities.iter().map(|one| one.r#type().as_str_name()).collect::<Vec<_>>(),
    })
}

fn framework(
    framework: &master::response::get_frameworks::Framework,
    tasks: &master::response::GetTasks,
    executors: &[master::response::get_executors::Executor],
) -> Value {
    let info = &framework.framework_info;
    let own = |list: &[v1::Task]| -> Vec<Value> {
        list.iter().filter(|one| Some(&one.framework_id) == info.id.as_ref()).map(task).collect()
    };
    let own_executors = executors.iter().filter(|one| one.executor_info.framework_id == info.id).map(|one| {
        json!({
            "executor_id": one.executor_info.executor_id.value,
            "slave_id": one.agent_id.value,
            "resources": sums(&one.executor_info.resources),
        })
    });
    let mut answer = json!({
        "id": info.id.as_ref().map(|id| id.value.as_str()),
        "name": info.name,
        "user": info.user,
        "failover_timeout": info.failover_timeout(),
        "checkpoint": info.checkpoint(),
        "principal": info.principal,
        "hostname": info.hostname(),
        "webui_url": info.webui_url(),
        "active": framework.active,
        "connected": framework.connected,
        "recovered": framework.recovered,
        "registered_time": framework.registered_time.as_ref().map(|time| time.nanoseconds as f64 / 1e9),
        "capabilities": info.capabilities.iter().map(|one| one.r#type().as_str_name()).collect::<Vec<_>>(),
        "tasks": own(&tasks.tasks),
        "unreachable_tasks": own(&tasks.unreachable_tasks),
        "completed_tasks": own(&tasks.completed_tasks),
        "offers": framework.offers.iter().map(offer).collect::<Vec<_>>(),
        "executors": own_executors.collect::<Vec<_>>(),
        "used_resources": sums(&framework.allocated_resources),
        "offered_resources": sums(&framework.offered_resources),
    });
    if info.roles.is_empty() {
        answer["role"] = json!(info.role());
    } else {
        answer["roles"] = json!(info.roles);
    }
    answer
}

fn offer(offer: &v1::Offer) -> Value {
    json!({
        "id": offer.id.value,
        "framework_id": offer.framework_id.value,
        "slave_id": offer.agent_id.value,
        "resources": sums(&offer.resources),
    })
}

fn task(task: &v1::Task) -> Value {
    let statuses = task.statuses.iter().map(|status| {
        let mut one = json!({ "state": status.state().as_str_name(), "timestamp": status.timestamp });
        if let Some(healthy) = status.healthy {
            one["healthy"] = json!(healthy);
        }
        if let Some(container) = &status.container_status {
            one["container_status"] = to_json("mesos.v1.ContainerStatus", &**container);
        }
        one
    });
    json!({
        "id": task.task_id.value,
        "name": task.name,
        "framework_id": task.framework_id.value,
        "executor_id": task.executor_id.as_ref().map_or("", |id| id.value.as_str()),
        "slave_id": task.agent_id.value,
        "state": task.state().as_str_name(),
        "resources": sums(&task.resources),
        "statuses": statuses.collect::<Vec<_>>(),
        "labels": task.labels.iter().flat_map(|labels| &labels.labels).map(|label| json!({ "key": label.key, "value": label.value })).collect::<Vec<_>>(),
        "discovery": task.discovery.as_ref().map(|discovery| to_json("mesos.v1.DiscoveryInfo", &**discovery)),
    })
}

/// Scalars summed by name, ranges as text.
fn sums(list: &[Resource]) -> Value {
    let mut all: Map<String, Value> =
        ["cpus", "gpus", "mem", "disk"].into_iter().map(|name| (name.to_owned(), json!(0.0))).collect();
    let mut ranges: std::collections::BTreeMap<&str, Vec<(u64, u64)>> = std::collections::BTreeMap::new();
    for resource in list {
        match resource.r#type() {
            v1::value::Type::Scalar => {
                let before = all.get(&resource.name).and_then(Value::as_f64).unwrap_or(0.0);
                let more = resource.scalar.as_ref().map_or(0.0, |scalar| scalar.value);
                all.insert(resource.name.clone(), json!(((before + more) * 1000.0).round() / 1000.0));
            }
            v1::value::Type::Ranges => {
                ranges.entry(&resource.name).or_default().extend(crate::model::resources::range_list(resource));
            }
            v1::value::Type::Set | v1::value::Type::Text => {}
        }
    }
    for (name, mut list) in ranges {
        list.sort_unstable();
        let text: Vec<String> = list.iter().map(|(begin, end)| format!("{begin}-{end}")).collect();
        all.insert(name.to_owned(), json!(format!("[{}]", text.join(", "))));
    }
    Value::Object(all)
}

/// A resource in both reservation formats at once, as the JSON endpoints show it.
fn full(resource: &Resource) -> Value {
    let mut value = to_json("mesos.v1.Resource", resource);
    if let Some(old) = crate::model::resources::downgrade(resource) {
        value["role"] = json!(old.role());
        if let Some(reservation) = &old.reservation {
            value["reservation"] = to_json("mesos.v1.Resource.ReservationInfo", &**reservation);
        }
    }
    value
}

fn attributes(list: &[v1::Attribute]) -> Value {
    let one = |attribute: &v1::Attribute| {
        let value = match attribute.r#type() {
            v1::value::Type::Scalar => json!(attribute.scalar.as_ref().map(|scalar| scalar.value)),
            v1::value::Type::Text => json!(attribute.text.as_ref().map(|text| text.value.clone())),
            v1::value::Type::Ranges => {
                let list = attribute.ranges.iter().flat_map(|ranges| &ranges.range);
                json!(format!(
                    "[{}]",
                    list.map(|one| format!("{}-{}", one.begin, one.end)).collect::<Vec<_>>().join(", ")
                ))
            }
            v1::value::Type::Set => json!(null),
        };
        (attribute.name.clone(), value)
    };
    Value::Object(list.iter().map(one).collect())
}
