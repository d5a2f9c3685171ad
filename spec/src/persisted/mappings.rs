//! Port mappings of a network as they are stored: those of the author and those that every port gets anyway.
//!
//! Invariant: taking the automatic ones out of what was stored and putting them in again changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::{network::NetworkSpec, pod::PodSpec};

/// Port of the agent → port of the container.
///
/// Shape: a port chosen at placement is there as 0 → 0, as the SDK writes it.
pub(super) fn stored(pod: &PodSpec, network: &NetworkSpec) -> BTreeMap<u16, u16> {
    let mut mappings = network.port_mappings.clone();
    mappings.extend(pod.port_mappings(network));
    if network.maps_ports() && declared(pod).contains(&0) {
        mappings.entry(0).or_insert(0);
    }
    mappings
}

/// Takes out the automatic ones.
pub(super) fn keep_authors(pod: &mut PodSpec) {
    let declared = declared(pod);
    for network in pod.networks.iter_mut().filter(|network| network.maps_ports()) {
        network.port_mappings.retain(|host, container| host != container || !declared.contains(host));
    }
}

/// Numbers of the pod's ports, 0 for those chosen at placement.
fn declared(pod: &PodSpec) -> BTreeSet<u16> {
    pod.resource_sets.iter().flat_map(|set| &set.ports).map(|port| port.port.unwrap_or(0)).collect()
}
