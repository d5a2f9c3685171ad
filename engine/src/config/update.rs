//! May the new specification replace the old one?
//!
//! Each rule names the field, the transition and the remedy in the SDK's shape. Errors leave the old specification in force and are shown on
//! the deploy plan; fatal ones stop the process before anything is written.

use mainstay_spec::{PodSpec, ServiceSpec, VolumeSpec};

/// One reason against the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `Field: '…'; Transition: '…' => '…'; Message: '…'; Fatal: …`.
    pub text: String,
    /// Whether the process must not go on at all.
    pub is_fatal: bool,
}

fn problem(field: &str, old: &str, new: &str, message: &str, is_fatal: bool) -> Problem {
    let text = format!("Field: '{field}'; Transition: '{old}' => '{new}'; Message: '{message}'; Fatal: {is_fatal}");
    Problem { text, is_fatal }
}

/// Every reason against replacing `old` by `new`.
pub fn validate(old: &ServiceSpec, old_role: &str, new: &ServiceSpec, new_role: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if old.user != new.user {
        problems.push(problem("user", &old.user, &new.user, "the user cannot change: volumes belong to it", true));
    }
    if old.principal != new.principal {
        let message = "the principal cannot change: Mesos refuses a framework that comes back with another one";
        problems.push(problem("principal", &old.principal, &new.principal, message, true));
    }
    if old_role != new_role {
        problems.push(problem("role", old_role, new_role, "the role cannot change: it holds the reservations", true));
    }
    for pod in &old.pods {
        match new.pod(&pod.pod_type) {
            None => {
                let message = "pods cannot be removed: decommission is not supported yet";
                problems.push(problem("pods", &pod.pod_type, "", message, false));
            }
            Some(next) => pod_problems(pod, next, &mut problems),
        }
    }
    problems
}

fn pod_problems(old: &PodSpec, new: &PodSpec, problems: &mut Vec<Problem>) {
    let field = |name: &str| format!("pods.{}.{name}", old.pod_type);
    if new.count < old.count {
        let message = "the count cannot shrink: decommission is not supported yet";
        problems.push(problem(&field("count"), &old.count.to_string(), &new.count.to_string(), message, false));
    }
    let volumes = |found: &[VolumeSpec]| {
        let mut texts: Vec<String> =
            found.iter().map(|volume| format!("{} {:?} {}", volume.path, volume.kind, volume.size_mb)).collect();
        texts.sort();
        texts.join(", ")
    };
    if volumes(&old.volumes) != volumes(&new.volumes) {
        let message = "volumes of a pod cannot change: replace the service or keep them";
        problems.push(problem(&field("volumes"), &volumes(&old.volumes), &volumes(&new.volumes), message, false));
    }
    for task in &old.tasks {
        let Some(next) = new.task(&task.name) else { continue };
        let of = |pod: &PodSpec, set: &str| pod.resource_set(set).map(|set| volumes(&set.volumes)).unwrap_or_default();
        let (before, after) = (of(old, &task.resource_set), of(new, &next.resource_set));
        if before != after {
            let message = "volumes of a task cannot change: data would be lost";
            problems.push(problem(&field(&format!("tasks.{}.volumes", task.name)), &before, &after, message, false));
        }
    }
}
