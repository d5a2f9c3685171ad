//! `networks.<name>` of a pod.

use std::collections::BTreeMap;

use super::labels;
use crate::{
    code::Code,
    network::{BRIDGE, NetworkSpec},
    problem::Problems,
    suggest::Section,
    yaml::reader::Field,
};

/// Reads one network; nothing behind its name is a network without mapping and labels.
pub(super) fn network(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<NetworkSpec> {
    let mut fields = field.map(problems)?;
    let host = fields.optional("host-ports");
    let container = fields.optional("container-ports");
    let labels = fields.optional("labels").map(|field| labels::of_text_or_map(&field, problems)).unwrap_or_default();
    fields.finish(Section::Network, problems);
    let mut network = NetworkSpec { name: field.key.value.clone(), labels, ..NetworkSpec::default() };
    network.port_mappings = match (&host, &container) {
        (Some(host), Some(container)) => mappings(&network, host, container, problems),
        (Some(lone), None) | (None, Some(lone)) => {
            let message = "has no effect alone; host-ports and container-ports belong together";
            problems.push(Code::KeyWithoutEffect, &lone.path, &lone.key.span, message);
            // What stands in it is looked at all the same.
            ports(lone, problems);
            BTreeMap::new()
        }
        (None, None) => BTreeMap::new(),
    };
    Some(network)
}

fn mappings(
    network: &NetworkSpec,
    host: &Field<'_>,
    container: &Field<'_>,
    problems: &mut Problems<'_>,
) -> BTreeMap<u16, u16> {
    let (host_ports, container_ports) = (ports(host, problems), ports(container, problems));
    let (Some(host_ports), Some(container_ports)) = (host_ports, container_ports) else { return BTreeMap::new() };
    if !network.maps_ports() && !host_ports.is_empty() {
        let message = format!(
            "network {} does not map ports of the agent to ports of the container; {BRIDGE} does",
            network.name
        );
        problems.push(Code::InvalidMapping, &host.path, &host.key.span, message);
        return BTreeMap::new();
    }
    if host_ports.len() != container_ports.len() {
        let (host_count, container_count) = (host_ports.len(), container_ports.len());
        let message = format!("{host_count} host-ports and {container_count} container-ports cannot be paired");
        problems.push(Code::InvalidMapping, &host.path, &host.key.span, message);
        return BTreeMap::new();
    }
    let mut mappings = BTreeMap::new();
    for (from, to) in host_ports.into_iter().zip(container_ports) {
        if mappings.insert(from, to).is_some() {
            let message =
                format!("the port {from} is listed twice; one port of the agent leads to one of the container");
            problems.push(Code::InvalidMapping, &host.path, &host.key.span, message);
        }
    }
    mappings
}

/// The ports of a list; `None` when one of them could not be read, because pairs would shift.
fn ports(field: &Field<'_>, problems: &mut Problems<'_>) -> Option<Vec<u16>> {
    let items = field.list(problems)?;
    let mut ports = Vec::with_capacity(items.len());
    let mut is_complete = true;
    for item in &items {
        if item.is_blank() {
            problems.absent_value(&item.path, item.span(), "a port number");
            is_complete = false;
            continue;
        }
        match item.int(1..=65535, problems).and_then(|port| u16::try_from(port.value).ok()) {
            Some(port) => ports.push(port),
            None => is_complete = false,
        }
    }
    is_complete.then_some(ports)
}
