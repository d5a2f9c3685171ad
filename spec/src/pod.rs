//! A pod type and what its instances share.

use crate::{
    isolation::IpcMode,
    mounted_volume::{ExternalVolumeSpec, HostVolumeSpec},
    network::NetworkSpec,
    placement::Rule,
    resource_set::ResourceSet,
    rlimit::RlimitSpec,
    secret::SecretSpec,
    task::TaskSpec,
    volume::VolumeSpec,
};

/// A pod type: `count` equal instances, each on one agent under one executor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodSpec {
    /// The type, key of the `pods` map. Never contains `__`.
    pub pod_type: String,
    /// Number of instances.
    pub count: u32,
    /// Whether a lower count or the removal of the pod is permitted later.
    pub allow_decommission: bool,
    /// Where its instances may run.
    pub placement: Option<Rule>,
    /// Container image of its tasks; `None` for the agent's own file system.
    pub image: Option<String>,
    /// Networks in declaration order; none for the network of the agent.
    pub networks: Vec<NetworkSpec>,
    /// Kernel limits in declaration order.
    pub rlimits: Vec<RlimitSpec>,
    /// Files fetched for every task of the pod.
    pub uris: Vec<String>,
    /// Volumes of the pod itself, shared by its tasks.
    pub volumes: Vec<VolumeSpec>,
    /// Folders of the agent seen by every task.
    pub host_volumes: Vec<HostVolumeSpec>,
    /// Volumes of a driver seen by every task.
    pub external_volumes: Vec<ExternalVolumeSpec>,
    /// Secrets every task gets.
    pub secrets: Vec<SecretSpec>,
    /// Role whose reserved resources its reservations refine; `None` for unreserved ones (`*`).
    pub pre_reserved_role: Option<String>,
    /// Whether its tasks see each other's processes.
    pub share_pid_namespace: bool,
    /// Whether its tasks run without system call filter.
    pub seccomp_unconfined: bool,
    /// System call filter of its tasks.
    pub seccomp_profile_name: Option<String>,
    /// Whose shared memory the pod sees; never the parent's.
    pub ipc_mode: Option<IpcMode>,
    /// Size of the pod's `/dev/shm`, MB.
    pub shm_size_mb: Option<u32>,
    /// Every resource set, the implicit ones (`<task>-resource-set`) included, in declaration order.
    pub resource_sets: Vec<ResourceSet>,
    /// Tasks in declaration order, at least one.
    pub tasks: Vec<TaskSpec>,
}

impl PodSpec {
    /// The task of this name.
    pub fn task(&self, name: &str) -> Option<&TaskSpec> {
        self.tasks.iter().find(|task| task.name == name)
    }

    /// Whether some task of the pod asks for this very port number.
    pub fn declares_port(&self, number: u16) -> bool {
        self.resource_sets.iter().flat_map(|set| &set.ports).any(|port| port.port == Some(number))
    }

    /// The resource set of this id.
    pub fn resource_set(&self, id: &str) -> Option<&ResourceSet> {
        self.resource_sets.iter().find(|set| set.id == id)
    }

    /// Whether its ports are ports of the agent, which are reserved; on a network without mapping they are not.
    pub fn uses_host_ports(&self) -> bool {
        self.networks.iter().all(NetworkSpec::maps_ports)
    }

    /// Ports of the agent and of the container they lead to, on this network: what the author listed, then every other
    /// declared port under its own number.
    ///
    /// Ports chosen at placement (`port: 0`) have no number yet; whoever chooses it maps it to itself.
    pub fn port_mappings(&self, network: &NetworkSpec) -> Vec<(u16, u16)> {
        if !network.maps_ports() {
            return Vec::new();
        }
        let mut mappings: Vec<(u16, u16)> =
            network.port_mappings.iter().map(|(host, container)| (*host, *container)).collect();
        for port in self.resource_sets.iter().flat_map(|set| &set.ports).filter_map(|port| port.port) {
            if !mappings.iter().any(|(host, _)| *host == port) {
                mappings.push((port, port));
            }
        }
        mappings
    }
}

impl PodSpec {
    /// Why these tasks cannot be launched by one step, or `None` when they can.
    ///
    /// Source: two tasks of a step must share neither a resource set nor a discovery prefix; the SDK shows such a step
    /// in error.
    pub fn step_conflict(&self, tasks: &[String]) -> Option<String> {
        let specs: Vec<&TaskSpec> = tasks.iter().filter_map(|name| self.task(name)).collect();
        let prefix = |task: &TaskSpec| task.discovery.as_ref().and_then(|discovery| discovery.prefix.clone());
        for (index, task) in specs.iter().enumerate() {
            for other in &specs[index + 1..] {
                if task.resource_set == other.resource_set {
                    let set = &task.resource_set;
                    return Some(format!("tasks {} and {} share the resource set {set}", task.name, other.name));
                }
                if let Some(shared) = prefix(task).filter(|shared| prefix(other).as_ref() == Some(shared)) {
                    return Some(format!("tasks {} and {} share the discovery prefix {shared}", task.name, other.name));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{network::BRIDGE, port::PortSpec};

    fn pod(networks: Vec<NetworkSpec>, ports: &[&[u16]]) -> PodSpec {
        let port = |number: &u16| PortSpec { port: Some(*number).filter(|port| *port != 0), ..PortSpec::default() };
        let set =
            |numbers: &&[u16]| ResourceSet { ports: numbers.iter().map(port).collect(), ..ResourceSet::default() };
        PodSpec { networks, resource_sets: ports.iter().map(set).collect(), ..PodSpec::default() }
    }

    fn network(name: &str, mappings: &[(u16, u16)]) -> NetworkSpec {
        NetworkSpec { name: name.into(), port_mappings: mappings.iter().copied().collect(), ..NetworkSpec::default() }
    }

    // contract: 2.5/automatic 8.1/valid-automatic-cni-port-forwarding
    #[test]
    fn declared_ports_are_mapped_where_the_network_maps() {
        let mapped = |name: &str, listed: &[(u16, u16)], ports: &[&[u16]]| {
            let pod = pod(vec![network(name, listed)], ports);
            pod.port_mappings(&pod.networks[0])
        };
        assert_eq!(mapped(BRIDGE, &[], &[&[8080]]), [(8080, 8080)]);
        assert_eq!(mapped(BRIDGE, &[], &[&[8080, 8081], &[8080, 0]]), [(8080, 8080), (8081, 8081)]);
        assert_eq!(
            mapped(BRIDGE, &[(4040, 8080), (4041, 8081)], &[&[4040, 4041]]),
            [(4040, 8080), (4041, 8081)],
            "listed pairs stay as they are"
        );
        assert_eq!(mapped(BRIDGE, &[(4040, 8080)], &[&[8080]]), [(4040, 8080), (8080, 8080)]);
        assert_eq!(mapped("dcos", &[], &[&[8080]]), []);
    }

    #[test]
    fn ports_are_the_agents_unless_a_network_does_not_map() {
        let uses = |names: &[&str]| pod(names.iter().map(|name| network(name, &[])).collect(), &[]).uses_host_ports();
        assert!(uses(&[]) && uses(&[BRIDGE]));
        assert!(!uses(&["dcos"]) && !uses(&["mine"]) && !uses(&[BRIDGE, "dcos"]));
    }
}
