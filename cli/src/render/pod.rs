//! Pods as trees.

use mainstay_api::pod::{Instance, Pod, Service, Task};

use super::tree::Node;
use super::{UNKNOWN, or_unknown};

/// All pods of a service.
pub(crate) fn service(service: &Service) -> String {
    let pod = |pod: &Pod| Node::new(pod.name.clone(), pod.instances.iter().map(node).collect());
    Node::new(service.service.clone(), service.pods.iter().map(pod).collect()).draw()
}

/// One instance.
pub(crate) fn instance(instance: &Instance) -> String {
    node(instance).draw()
}

fn node(instance: &Instance) -> Node {
    let task = |task: &Task| {
        let status = task.status.as_deref().filter(|status| !status.is_empty()).unwrap_or(UNKNOWN);
        Node::new(format!("{} ({status})", or_unknown(&task.name)), Vec::new())
    };
    Node::new(instance.name.clone(), instance.tasks.iter().map(task).collect())
}
