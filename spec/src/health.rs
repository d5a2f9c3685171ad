//! Health and readiness checks.

/// Kills the task after consecutive failures.
///
/// Units: seconds. Source: `svc.yml` `health-check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheckSpec {
    /// Shell command; exit status 0 is healthy.
    pub cmd: String,
    /// Time between two checks.
    pub interval_secs: u32,
    /// Time after launch during which failures do not count.
    pub grace_period_secs: u32,
    /// Failures in a row after which the task is killed, at least 1.
    pub max_consecutive_failures: u32,
    /// Time before the first check.
    pub delay_secs: u32,
    /// Time one check may take.
    pub timeout_secs: u32,
}

/// Holds the plan step until its command succeeds.
///
/// Units: seconds. Source: `svc.yml` `readiness-check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadinessCheckSpec {
    /// Shell command; exit status 0 is ready.
    pub cmd: String,
    /// Time between two checks.
    pub interval_secs: u32,
    /// Time before the first check.
    pub delay_secs: u32,
    /// Time one check may take.
    pub timeout_secs: u32,
}
