//! Endpoints found in the stored tasks.

use serde::{Deserialize, Serialize};

/// `GET /v1/endpoints/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// `host:port`, in the order of the tasks' names.
    pub address: Vec<String>,
    /// `<task>.<service>.<tld>:<port>`, parallel to `address`.
    pub dns: Vec<String>,
    /// Virtual address; the key is absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vip: Option<String>,
}
