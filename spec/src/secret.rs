//! Secrets handed to the tasks of a pod.

/// A secret of the cluster's store.
///
/// Invariant: at least one of `env_key` and `file` is set.
/// Source: `svc.yml` `secrets`. The label that names it in the specification carries no meaning and is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSpec {
    /// Path in the secret store.
    pub secret: String,
    /// Environment variable that holds it.
    pub env_key: Option<String>,
    /// File below the sandbox that holds it.
    pub file: Option<String>,
}
