//! What the shell hands to the engine at start; it never changes while the process lives.

pub mod region;
pub mod validators;

use crate::units::{Millis, Scalar};
use validators::Validator;

/// Settings of the engine, from the environment and from the code of the service.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Role of the framework and its reservations.
    pub role: String,
    /// Cpus of each executor.
    pub executor_cpus: Scalar,
    /// Memory of each executor, MB.
    pub executor_mem_mb: Scalar,
    /// Disk of each executor, MB.
    pub executor_disk_mb: Scalar,
    /// URI the agent fetches the executor from.
    pub executor_uri: String,
    /// Name under which tasks reach the scheduler.
    pub api_hostname: String,
    /// Port of the scheduler's HTTP API.
    pub api_port: u16,
    /// Suffix of task names (`SERVICE_TLD`).
    pub service_tld: String,
    /// Suffix of virtual addresses (`VIP_TLD`).
    pub vip_tld: String,
    /// Value of the executor label `DCOS_SPACE`.
    pub dcos_space: String,
    /// Launch backoff, when enabled.
    pub backoff: Option<Backoff>,
    /// Replacement of pods that stay down, when enabled.
    pub replacement: Option<Replacement>,
    /// Time between implicit reconciliations.
    pub implicit_reconciliation: Millis,
    /// Whether offers are never suppressed.
    pub is_suppress_disabled: bool,
    /// Whether the scheduler has a service account of DC/OS.
    pub has_service_account: bool,
    /// What the service demands of a change of its specification besides what all do.
    pub validators: Vec<Validator>,
}

impl Config {
    /// Every setting that is not named at its default; the executor comes from the scheduler itself.
    ///
    /// Source: the SDK's environment contract.
    pub fn new(role: impl Into<String>, api_hostname: impl Into<String>, api_port: u16) -> Self {
        let api_hostname = api_hostname.into();
        let is_ipv6 = api_hostname.contains(':');
        let host = if is_ipv6 { format!("[{api_hostname}]") } else { api_hostname.clone() };
        Self {
            role: role.into(),
            executor_cpus: Scalar::from_millis(100),
            executor_mem_mb: Scalar::from_units(32),
            executor_disk_mb: Scalar::from_units(256),
            executor_uri: format!("http://{host}:{api_port}/v1/artifacts/executor"),
            api_hostname,
            api_port,
            service_tld: "autoip.dcos.thisdcos.directory".to_owned(),
            vip_tld: "l4lb.thisdcos.directory".to_owned(),
            dcos_space: "/".to_owned(),
            backoff: None,
            replacement: None,
            implicit_reconciliation: Millis::from_secs(3600),
            is_suppress_disabled: false,
            has_service_account: false,
            validators: Vec::new(),
        }
    }
}

/// Growing delay between launches of a failing task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// First delay.
    pub initial: Millis,
    /// Growth, at least 1, in thousandths.
    pub factor_millis: u64,
    /// Longest delay.
    pub max: Millis,
}

/// When a pod that stays down is replaced without an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replacement {
    /// Time down after which it is replaced.
    pub permanent_failure_timeout: Millis,
    /// Least time between two such replacements.
    pub min_delay: Millis,
}
