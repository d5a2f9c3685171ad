//! What a specification asks for, for people.

use std::fmt::Write as _;

use super::tree::Node;
use crate::author::explanation::{Explanation, Names, Plan, Pod, Port, Resources, Set, Task, Volume};

/// The whole text.
pub(crate) fn draw(explained: &Explanation) -> String {
    let pods = explained.pods.len();
    let mut text = format!(
        "{}: {}, {}, {}\n",
        explained.service,
        counted(pods, "pod"),
        counted(explained.instances as usize, "instance"),
        counted(explained.tasks, "task"),
    );
    let _ = writeln!(text, "in total: {}", amounts(&explained.total));
    if !explained.unsupported.is_empty() {
        text.push_str("\nnot supported by this version yet\n");
        for feature in &explained.unsupported {
            let _ = writeln!(text, "  {feature}");
        }
    }
    text.push_str("\nnames\n");
    for (name, value) in names(&explained.names) {
        let _ = writeln!(text, "  {name:<20}{value}");
    }
    text.push_str("\npods\n");
    for pod in &explained.pods {
        let _ = writeln!(text, "{}", self::pod(pod).draw());
    }
    text.push_str("\nplans\n");
    for plan in &explained.plans {
        let _ = writeln!(text, "{}", self::plan(plan).draw());
    }
    text
}

fn names(names: &Names) -> Vec<(&'static str, String)> {
    let mut shown = vec![
        ("role", names.role.clone()),
        ("principal", names.principal.clone()),
        ("user", names.user.clone()),
        ("state", format!("{} in ZooKeeper {}", names.znode, names.zookeeper)),
        ("scheduler on DC/OS", names.scheduler.clone()),
        ("tasks", format!("<task>.{}", names.framework_host)),
        ("virtual addresses", format!("<name>.{}", names.framework_vip_host)),
    ];
    shown.extend(names.web_url.iter().map(|url| ("web page", url.clone())));
    shown
}

fn pod(pod: &Pod) -> Node {
    let mut agent = vec![Node::leaf(format!("{} for the executor, included", amounts(&pod.executor)))];
    if !pod.fixed_ports.is_empty() {
        let ports: Vec<String> = pod.fixed_ports.iter().map(ToString::to_string).collect();
        agent.push(Node::leaf(format!("free there: port {}", ports.join(", "))));
    }
    if let Some(role) = &pod.pre_reserved_role {
        agent.push(Node::leaf(format!("out of what is reserved for the role {role}")));
    }
    agent.push(Node::leaf(format!("where: {}", pod.placement.as_deref().unwrap_or("anywhere"))));
    let mut children = vec![Node::new(format!("each needs of one agent: {}", amounts(&pod.needs)), agent)];
    if pod.count != 1 {
        children.push(Node::leaf(format!("all together: {}", amounts(&pod.total))));
    }
    children.extend(pod.image.iter().map(|image| Node::leaf(format!("image {image}"))));
    children
        .extend(pod.volumes.iter().map(|volume| Node::leaf(format!("{}, shared by its tasks", self::volume(volume)))));
    for (word, entries) in [
        ("network", &pod.networks),
        ("host volume", &pod.host_volumes),
        ("external volume", &pod.external_volumes),
        ("secret", &pod.secrets),
        ("limit", &pod.rlimits),
        ("fetches", &pod.uris),
    ] {
        children.extend(entries.iter().map(|entry| Node::leaf(format!("{word} {entry}"))));
    }
    children.extend(pod.tasks.iter().map(|task| self::task(task, pod)));
    let unused = pod.resource_sets.iter().filter(|set| set.tasks.is_empty());
    children.extend(unused.map(|set| Node::leaf(format!("resource set {}, which no task uses", set.id))));
    let decommission = if pod.allow_decommission { ", may shrink" } else { "" };
    Node::new(format!("{} × {}{decommission}", pod.name, pod.count), children)
}

fn task(task: &Task, pod: &Pod) -> Node {
    let mut children = Vec::new();
    if let Some(set) = pod.resource_sets.iter().find(|set| set.id == task.resource_set) {
        children.extend(self::set(set, task));
    }
    for (template, dest) in &task.configs {
        children.push(Node::leaf(format!("configuration file {dest} from {template}")));
    }
    if !task.env.is_empty() {
        children.push(Node::leaf(format!("variables {}", task.env.join(", "))));
    }
    children.extend(task.transport_encryption.iter().map(|encryption| Node::leaf(format!("certificate {encryption}"))));
    children.extend(task.uris.iter().map(|uri| Node::leaf(format!("fetches {uri}"))));
    children.extend(task.readiness_check.iter().map(|check| Node::leaf(format!("ready? {check}"))));
    children.extend(task.health_check.iter().map(|check| Node::leaf(format!("healthy? {check}"))));
    children.push(Node::leaf(format!("known as {}", task.dns)));
    children.push(Node::leaf(match task.plans.as_slice() {
        [] => "launched by no plan".to_owned(),
        plans => format!("launched by {}", plans.join(", ")),
    }));
    let essential = if task.essential { "" } else { ", not essential" };
    Node::new(format!("task {} ({}{essential})", task.name, task.goal), children)
}

/// The resources of a task: those of its set, with the name of a set that was declared apart.
fn set(set: &Set, task: &Task) -> Vec<Node> {
    let own = format!("{}-resource-set", task.name);
    let others: Vec<&str> = set.tasks.iter().map(String::as_str).filter(|name| *name != task.name).collect();
    let mut first = amounts(&set.needs);
    if set.id != own {
        let _ = write!(first, " (resource set {}", set.id);
        if !others.is_empty() {
            let _ = write!(first, ", shared with {}", others.join(", "));
        }
        first.push(')');
    }
    let mut nodes = vec![Node::leaf(first)];
    nodes.extend(set.limits.iter().map(|limit| Node::leaf(format!("may use {limit}"))));
    nodes.extend(set.ports.iter().map(|port| Node::leaf(self::port(port))));
    nodes.extend(set.volumes.iter().map(|volume| Node::leaf(self::volume(volume))));
    nodes
}

fn port(port: &Port) -> String {
    let number = match port.number {
        Some(number) => number.to_string(),
        None if port.ranges.is_empty() => "chosen at placement".to_owned(),
        None => format!("chosen at placement from {}", port.ranges.join(", ")),
    };
    let mut text = format!("port {}: {number}, in ${}", port.name, port.variable);
    if port.is_listed {
        text.push_str(", listed as an endpoint");
    }
    if let Some(vip) = &port.vip {
        let _ = write!(text, ", virtual address {vip}");
    }
    text
}

fn volume(volume: &Volume) -> String {
    let Volume { path, size_mb, .. } = volume;
    match (volume.kind, volume.profiles.as_slice()) {
        ("MOUNT", []) => format!("volume {path}: a whole disk of at least {size_mb} MB"),
        ("MOUNT", profiles) => {
            format!("volume {path}: a whole disk of at least {size_mb} MB with the profile {}", profiles.join(" or "))
        }
        _ => format!("volume {path}: {size_mb} MB of the shared disk"),
    }
}

fn plan(plan: &Plan) -> Node {
    let phases = plan.phases.iter().map(|phase| {
        let steps = phase.steps.iter().map(|step| {
            let gate = if step.is_gated { ", waits for `mainstay plan resume`" } else { "" };
            let errors = step.errors.iter().map(|error| Node::leaf(format!("error: {error}"))).collect();
            Node::new(format!("{}{gate}", step.name), errors)
        });
        Node::new(format!("{} ({})", phase.name, phase.strategy), steps.collect())
    });
    let how = match (plan.note, plan.is_automatic) {
        (Some(note), _) => format!(", {note}"),
        (None, true) => String::new(),
        (None, false) => format!(", started by `mainstay plan start {}`", plan.name),
    };
    Node::new(format!("{} ({}{how})", plan.name, plan.strategy), phases.collect())
}

/// Amounts that are not zero; nothing at all is said in a word.
fn amounts(resources: &Resources) -> String {
    let mut parts = vec![format!("{} cpus", resources.cpus), format!("{} MB memory", resources.memory_mb)];
    if !resources.gpus.is_zero() {
        parts.push(format!("{} gpus", resources.gpus));
    }
    if !resources.disk_mb.is_zero() {
        parts.push(format!("{} MB disk", resources.disk_mb));
    }
    if resources.mount_disks > 0 {
        parts.push(counted(resources.mount_disks, "whole disk"));
    }
    if resources.ports > 0 {
        parts.push(counted(resources.ports, "port"));
    }
    parts.join(", ")
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
