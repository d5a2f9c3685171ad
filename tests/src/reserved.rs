//! Reservations and volumes in Mesos's JSON: what they are, and what an operator does about them behind a framework's back.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::mesos::MesosCluster;
use crate::proc_scan::Found;
use crate::wait::wait_until;

const DEADLINE: Duration = Duration::from_secs(60);

/// Whether it is a persistent volume.
pub fn is_volume(resource: &Value) -> bool {
    resource["disk"]["persistence"].is_object()
}

/// The name of its volume.
pub fn volume_id(resource: &Value) -> Option<&str> {
    resource["disk"]["persistence"]["id"].as_str()
}

/// The folder of its MOUNT disk.
pub fn mount_root(resource: &Value) -> Option<&str> {
    resource["disk"]["source"]["mount"]["root"].as_str()
}

/// A label of its outermost reservation.
pub fn label<'r>(resource: &'r Value, key: &str) -> Option<&'r str> {
    let labels = resource["reservations"].as_array()?.last()?["labels"]["labels"].as_array()?;
    labels.iter().find(|label| label["key"] == key)?["value"].as_str()
}

/// The id that a scheduler gave to it.
pub fn resource_id(resource: &Value) -> Option<&str> {
    label(resource, "resource_id")
}

/// The ids of several, those without one left out.
pub fn resource_ids(resources: &[Value]) -> BTreeSet<String> {
    resources.iter().filter_map(resource_id).map(str::to_owned).collect()
}

/// Every resource id that is mentioned anywhere in a value, for example in `/v1/pod/<pod>/info`.
pub fn mentioned_ids(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(all) => all.iter().flat_map(mentioned_ids).collect(),
        Value::Object(label) if label.get("key").is_some_and(|key| key == "resource_id") => {
            label["value"].as_str().map(str::to_owned).into_iter().collect()
        }
        Value::Object(fields) => fields.values().flat_map(mentioned_ids).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => BTreeSet::new(),
    }
}

/// A file at the top of a volume on a MOUNT disk: seen through a task, since agents mount their disks for themselves.
///
/// Source: such a volume is the disk itself, without folders for role and id.
pub fn read_on_mount(mesos: &MesosCluster, agent: usize, volume: &Value, file: &str) -> Option<String> {
    let root = mount_root(volume)?.trim_start_matches('/');
    let folder = format!("/agent-{agent}/");
    let is_there = |process: &Found| process.variable("MESOS_SANDBOX").is_some_and(|path| path.contains(&folder));
    let processes = mesos.sandbox_processes();
    let mut inside = processes.iter().filter(|process| is_there(process));
    inside.find_map(|process| {
        std::fs::read_to_string(Path::new(&format!("/proc/{}/root", process.pid)).join(root).join(file)).ok()
    })
}

/// The same reservation without its volume.
pub fn without_volume(resource: &Value) -> Value {
    let mut bare = resource.clone();
    if is_volume(resource) {
        let source = resource["disk"]["source"].clone();
        if source.is_null() {
            bare.as_object_mut().map(|fields| fields.remove("disk"));
        } else {
            bare["disk"] = json!({"source": source});
        }
    }
    bare
}

/// What an operator asks of the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operate {
    /// `DESTROY_VOLUMES`.
    Destroy,
    /// `UNRESERVE_RESOURCES`.
    Unreserve,
}

/// Sends an operator's call about resources of an agent, and answers the status: 202 when the master takes it.
pub async fn operate(mesos: &MesosCluster, agent: usize, what: Operate, resources: &[Value]) -> Result<u16> {
    let (kind, list) = match what {
        Operate::Destroy => ("destroy_volumes", "volumes"),
        Operate::Unreserve => ("unreserve_resources", "resources"),
    };
    let agent = mesos.agent_id(agent).await?;
    let call = json!({"type": kind.to_uppercase(), kind: {"agent_id": {"value": agent}, list: resources}});
    Ok(mesos.operator(&call).await?.status.as_u16())
}

/// Sends the call until the master takes it: it may not know yet that what used the resources has ended.
async fn taken(mesos: &MesosCluster, agent: usize, what: Operate, resources: &[Value]) -> Result<()> {
    let is_taken = async || Ok(operate(mesos, agent, what, resources).await? == 202);
    wait_until(&format!("the master takes {what:?}"), DEADLINE, is_taken).await
}

/// Destroys the volumes among these, unreserves all, and waits until they are gone.
///
/// Errors: the master refuses, also after it had time to notice that nothing uses them any more.
pub async fn take_away(mesos: &MesosCluster, agent: usize, resources: &[Value]) -> Result<()> {
    let volumes: Vec<Value> = resources.iter().filter(|one| is_volume(one)).cloned().collect();
    if !volumes.is_empty() {
        taken(mesos, agent, Operate::Destroy, &volumes).await?;
        let lost: BTreeSet<&str> = volumes.iter().filter_map(volume_id).collect();
        wait_until("the volumes are destroyed", DEADLINE, async || {
            let left = mesos.reserved_resources(agent).await?;
            Ok(left.iter().filter_map(volume_id).all(|id| !lost.contains(id)))
        })
        .await?;
    }
    let bare: Vec<Value> = resources.iter().map(without_volume).collect();
    taken(mesos, agent, Operate::Unreserve, &bare).await?;
    let gone = resource_ids(&bare);
    wait_until("it is unreserved", DEADLINE, async || {
        Ok(resource_ids(&mesos.reserved_resources(agent).await?).is_disjoint(&gone))
    })
    .await
}
