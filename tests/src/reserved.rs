//! Reservations and volumes in Mesos's JSON: what they are, and what an operator does about them behind a framework's back.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::mesos::MesosCluster;
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

/// Destroys the volumes among these, unreserves all, and waits until they are gone.
///
/// Errors: the master refuses, for example since they are in use.
pub async fn take_away(mesos: &MesosCluster, agent: usize, resources: &[Value]) -> Result<()> {
    let volumes: Vec<Value> = resources.iter().filter(|one| is_volume(one)).cloned().collect();
    if !volumes.is_empty() {
        let status = operate(mesos, agent, Operate::Destroy, &volumes).await?;
        if status != 202 {
            bail!("DESTROY_VOLUMES: {status}");
        }
        let lost: BTreeSet<&str> = volumes.iter().filter_map(volume_id).collect();
        wait_until("the volumes are destroyed", DEADLINE, async || {
            let left = mesos.reserved_resources(agent).await?;
            Ok(left.iter().filter_map(volume_id).all(|id| !lost.contains(id)))
        })
        .await?;
    }
    let bare: Vec<Value> = resources.iter().map(without_volume).collect();
    let status = operate(mesos, agent, Operate::Unreserve, &bare).await?;
    if status != 202 {
        bail!("UNRESERVE_RESOURCES: {status}");
    }
    let gone = resource_ids(&bare);
    wait_until("it is unreserved", DEADLINE, async || {
        Ok(resource_ids(&mesos.reserved_resources(agent).await?).is_disjoint(&gone))
    })
    .await
}
