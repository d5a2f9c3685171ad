//! Networks a pod joins.

use std::collections::BTreeMap;

/// A network of a pod.
///
/// Source: `svc.yml` `networks`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkSpec {
    /// Its name, key of the `networks` map.
    pub name: String,
    /// Port of the agent → port of the container, as the author listed them.
    pub port_mappings: BTreeMap<u16, u16>,
    /// Labels of the author, in declaration order.
    pub labels: Vec<(String, String)>,
}

/// The one network that maps ports of the agent to ports of the container.
pub const BRIDGE: &str = "mesos-bridge";

/// The overlay network of DC/OS.
pub const OVERLAY: &str = "dcos";

impl NetworkSpec {
    /// Whether ports of the agent lead into this network.
    pub fn maps_ports(&self) -> bool {
        self.name == BRIDGE
    }
}
