//! Rewrites of stored TaskInfos that keep every byte that is not ours to change.

use bytes::Bytes;
use mainstay_proto::{splice, v1 as wire};
use prost::Message;

use crate::ids::{ConfigId, ResourceId};
use crate::state::Task;
use crate::state::parse;

/// A stored TaskInfo that could not be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its bytes are not a TaskInfo.
    #[error("decode the stored TaskInfo")]
    Decode(#[from] prost::DecodeError),
    /// Its fields could not be walked.
    #[error("walk the fields of the stored TaskInfo")]
    Splice(#[from] splice::Error),
    /// The result could not be read back.
    #[error("read the rewritten TaskInfo back")]
    Parse(#[from] parse::ParseError),
}

/// Label that marks every task of a pod instance that is to be replaced.
pub const LABEL_PERMANENTLY_FAILED: &str = "permanently-failed";
/// Label that names the configuration a task was made from.
pub const LABEL_TARGET_CONFIGURATION: &str = "target_configuration";

const FIELD_TASK_ID: u32 = 2;
const FIELD_RESOURCES: u32 = 4;
const FIELD_EXECUTOR: u32 = 5;
const FIELD_LABELS: u32 = 10;

/// The task with one label set.
pub fn with_label(task: &Task, key: &str, value: &str) -> Result<Task, Error> {
    let info = wire::TaskInfo::decode(task.info.as_ref())?;
    let mut labels = info.labels.map(|labels| *labels).unwrap_or_default();
    labels.labels.retain(|label| label.key != key);
    labels.labels.push(wire::Label { key: key.to_owned(), value: Some(value.to_owned()) });
    labels.labels.sort_by(|one, two| one.key.cmp(&two.key));
    spliced(task, &[(FIELD_LABELS, splice::message_field(FIELD_LABELS, &labels))])
}

/// The task marked as given up.
pub fn permanently_failed(task: &Task) -> Result<Task, Error> {
    with_label(task, LABEL_PERMANENTLY_FAILED, "true")
}

/// The task under another configuration that means the same for it.
pub fn relabelled(task: &Task, config_id: &ConfigId) -> Result<Task, Error> {
    with_label(task, LABEL_TARGET_CONFIGURATION, config_id.as_str())
}

/// The task without the reservations that `is_gone` names, its own and its executor's.
pub fn without_resources(task: &Task, is_gone: impl Fn(&ResourceId) -> bool) -> Result<Task, Error> {
    let info = wire::TaskInfo::decode(task.info.as_ref())?;
    let keep = |resource: &wire::Resource| {
        let parsed = crate::resource::Resource::from_wire(resource).ok();
        !parsed.and_then(|resource| resource.resource_id()).is_some_and(|id| is_gone(&id))
    };
    let mut resources = Vec::new();
    for resource in info.resources.iter().filter(|resource| keep(resource)) {
        resources.extend(splice::message_field(FIELD_RESOURCES, resource));
    }
    let mut replace = vec![(FIELD_RESOURCES, resources)];
    if let Some(mut executor) = info.executor {
        executor.resources.retain(keep);
        replace.push((FIELD_EXECUTOR, splice::message_field(FIELD_EXECUTOR, executor.as_ref())));
    }
    spliced(task, &replace)
}

/// The task with another launch id; `""` makes it a footprint.
pub fn with_task_id(task: &Task, id: &str) -> Result<Task, Error> {
    let id = wire::TaskId { value: id.to_owned() };
    spliced(task, &[(FIELD_TASK_ID, splice::message_field(FIELD_TASK_ID, &id))])
}

fn spliced(task: &Task, replace: &[(u32, Vec<u8>)]) -> Result<Task, Error> {
    let info = Bytes::from(splice::splice(&task.info, replace)?);
    let status = task.status.as_ref().map(|status| status.bytes.clone());
    Ok(Task::parse(task.name.clone(), info, status)?)
}
