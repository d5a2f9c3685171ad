//! The whole service as the engine sees it: validated, defaults filled in, names resolved.
//!
//! Not the YAML (that is `raw.rs`) and not the stored JSON (that is `persisted.rs`). Next: `pod.rs`, `task.rs`, `plan.rs`.
//! Invariant: a `ServiceSpec` made by [`crate::lower`] has been checked; the engine trusts it.

use crate::{plan::PlanSpec, pod::PodSpec, replacement::ReplacementPolicy};

/// One service: what to run, as whom, and in which plans.
///
/// Source: `svc.yml` root and `scheduler` section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceSpec {
    /// Service name, slashes kept; becomes `FrameworkInfo.name`. Never contains `__`.
    pub name: String,
    /// Link shown by user interfaces.
    pub web_url: Option<String>,
    /// Principal of the framework, its reservations and volumes; default `<name>-principal`.
    pub principal: String,
    /// Unix user of every task; default `root`.
    pub user: String,
    /// `host:port[,host:port]` of the ensemble that holds state and names the master; default `master.mesos:2181`.
    pub zookeeper: String,
    /// Role named by the spec (older generation); the effective role is [`ServiceSpec::role`].
    pub declared_role: Option<String>,
    /// Region its pods stay in; from the environment (`SERVICE_REGION`), never from the specification.
    pub region: Option<String>,
    /// When lost pods are replaced without an operator; from the environment, never from the specification.
    pub replacement: Option<ReplacementPolicy>,
    /// Pods in declaration order, which is also the default deploy order.
    pub pods: Vec<PodSpec>,
    /// Plans of the author in declaration order. A plan called `deploy` replaces the generated one.
    pub plans: Vec<PlanSpec>,
}

impl ServiceSpec {
    /// The name with its leading slash dropped and other slashes as `__`: node names and roles.
    pub fn role_safe_name(&self) -> String {
        self.name.strip_prefix('/').unwrap_or(&self.name).replace('/', "__")
    }

    /// The name with outer slashes dropped and inner ones as dots: task and executor ids.
    pub fn id_safe_name(&self) -> String {
        self.name.trim_matches('/').replace('/', ".")
    }

    /// The name without any slash: DNS and VIP names.
    pub fn dns_safe_name(&self) -> String {
        self.name.replace('/', "")
    }

    /// The part of DNS names that stands for the service: no slashes, dots as dashes.
    pub fn dns_label(&self) -> String {
        self.dns_safe_name().replace('.', "-")
    }

    /// What the names of its tasks end with, for example `pathtosvc.autoip.dcos.thisdcos.directory`.
    pub fn framework_host(&self, service_tld: &str) -> String {
        format!("{}.{service_tld}", self.dns_label())
    }

    /// What the names of its virtual addresses end with; dots of the service's name stay.
    pub fn vip_host(&self, vip_tld: &str) -> String {
        format!("{}.{vip_tld}", self.dns_safe_name())
    }

    /// Under which name DC/OS knows its scheduler: the segments of its name reversed, as Marathon does.
    pub fn scheduler_host(&self, marathon_name: &str, service_tld: &str) -> String {
        let mut segments: Vec<&str> = self.name.split('/').filter(|segment| !segment.is_empty()).collect();
        segments.reverse();
        format!("{}.{marathon_name}.{service_tld}", segments.join("-").replace('.', "-"))
    }

    /// The reservation role when nothing in the environment overrides it.
    pub fn role(&self) -> String {
        self.declared_role.clone().unwrap_or_else(|| format!("{}-role", self.role_safe_name()))
    }

    /// The pod of this type.
    pub fn pod(&self, pod_type: &str) -> Option<&PodSpec> {
        self.pods.iter().find(|pod| pod.pod_type == pod_type)
    }
}

#[cfg(test)]
mod tests {
    use super::ServiceSpec;

    // contract: 4.2/role 4.2/framework-host 4.2/vip-host 4.2/scheduler-host
    #[test]
    fn names_are_derived_from_the_service_with_folders() {
        let derived = |name: &str| {
            let spec = ServiceSpec { name: name.into(), ..ServiceSpec::default() };
            [
                spec.role(),
                spec.id_safe_name(),
                spec.framework_host("tld"),
                spec.vip_host("vip"),
                spec.scheduler_host("marathon", "tld"),
            ]
        };
        assert_eq!(
            derived("/path/to/svc"),
            ["path__to__svc-role", "path.to.svc", "pathtosvc.tld", "pathtosvc.vip", "svc-to-path.marathon.tld"]
        );
        assert_eq!(derived("svc"), ["svc-role", "svc", "svc.tld", "svc.vip", "svc.marathon.tld"]);
        assert_eq!(
            derived("a/b.c/"),
            ["a__b.c__-role", "a.b.c", "ab-c.tld", "ab.c.vip", "b-c-a.marathon.tld"],
            "dots become dashes in host names, and stay in those of virtual addresses"
        );
    }
}
