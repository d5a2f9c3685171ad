//! Node names of the stored tree, one function per node.
//!
//! Source: the layout of the SDK (schema 1), kept byte for byte. Paths are relative to `/dcos-service-<name>`. The nodes `servicename`, `SchemaVersion`
//! and `lock` belong to the store itself.

use crate::ids::{ConfigId, TaskName};

/// The framework id, as protobuf bytes.
pub const FRAMEWORK_ID: &str = "FrameworkID";
/// Id of the target configuration, as text.
pub const CONFIG_TARGET: &str = "ConfigTarget";
/// Parent of the configurations.
pub const CONFIGURATIONS: &str = "Configurations";
/// Parent of the tasks.
pub const TASKS: &str = "Tasks";
/// Parent of the properties.
pub const PROPERTIES: &str = "Properties";

/// Property that says which kind of deployment last completed; `DEPLOY` is what the SDK writes.
pub const PROPERTY_LAST_COMPLETED: &str = "last-completed-update-type";
/// Prefix of the properties that hold what operators did to a plan (interrupted, forced, started); ours.
pub const PROPERTY_PLAN_PREFIX: &str = "mainstay-plan-";
/// Prefix of the properties that list the reservations of a pod instance which Mesos has not confirmed yet, each with the
/// launches of its accept; ours.
pub const PROPERTY_PLANNED_PREFIX: &str = "mainstay-planned-";
/// Property that keeps the launch delays of failing tasks, one `<task> <delay ms> <until ms> <why>` a line; ours.
pub const PROPERTY_DELAYS: &str = "mainstay-delays";
/// Property that lists reservations given up and not yet released, one `<resource id> <agent id>` a line; ours.
pub const PROPERTY_RELEASING: &str = "mainstay-releasing";

/// One configuration's JSON.
pub fn configuration(id: &ConfigId) -> String {
    format!("{CONFIGURATIONS}/{id}")
}

/// Everything about one task.
pub fn task(name: &TaskName) -> String {
    format!("{TASKS}/{name}")
}

/// A task's stored TaskInfo.
pub fn task_info(name: &TaskName) -> String {
    format!("{TASKS}/{name}/TaskInfo")
}

/// A task's last accepted TaskStatus.
pub fn task_status(name: &TaskName) -> String {
    format!("{TASKS}/{name}/TaskStatus")
}

/// One property. Keys never contain a slash.
pub fn property(key: &str) -> String {
    format!("{PROPERTIES}/{key}")
}

/// Key of the property that keeps the last status of a task which carried an address.
pub fn last_address_key(name: &TaskName) -> String {
    format!("{name}:task-status")
}

/// A property key out of free text: a slash would make another node.
pub fn key_safe(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}
