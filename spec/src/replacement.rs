//! When a failed pod is replaced without an operator.

/// Automatic replacement of pods that stay lost.
///
/// Units: seconds. Source: the environment of the scheduler (`ENABLE_AUTOMATIC_POD_REPLACEMENT`) and the stored form's
/// `replacement-failure-policy`; there is no key of `svc.yml` for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplacementPolicy {
    /// How long a task must have failed before its pod counts as lost; unset in documents that lack it.
    pub permanent_failure_timeout_secs: Option<u32>,
    /// Least time between two replacements.
    pub min_replace_delay_secs: Option<u32>,
}
