//! svc.yml: from the author's text to a validated [`ServiceSpec`].
//!
//! Pure: files and environment are handed in. Not the engine: nothing here knows Mesos.
//! Journey: template text + variables → `template` renders → `yaml.rs` reads a spanned tree → `raw.rs` → `lower.rs` →
//! [`ServiceSpec`]; every problem on the way is a diagnostic with its place, collected and reported together.
//! Start at [`load`]; [`persisted`] keeps the result in the store.

pub mod code;
pub mod diagnostic;
pub mod health;
pub mod isolation;
pub mod load;
mod lower;
pub mod mounted_volume;
pub mod network;
pub mod persisted;
pub mod placement;
pub mod plan;
pub mod pod;
pub mod port;
mod problem;
mod raw;
pub mod replacement;
pub mod resource_set;
pub mod rlimit;
pub mod scalar;
pub mod schema;
pub mod secret;
pub mod service;
mod shape;
mod suggest;
pub mod task;
pub mod transport_encryption;
mod unsupported;
pub mod volume;
mod yaml;

pub use code::{Code, Severity};
pub use diagnostic::{Diagnostic, Report};
pub use health::{HealthCheckSpec, ReadinessCheckSpec};
pub use isolation::IpcMode;
pub use load::{Loaded, Source, load, parse_env};
pub use mounted_volume::{ExternalVolumeSpec, HostVolumeSpec, VolumeMode};
pub use network::NetworkSpec;
pub use persisted::{ReadOptions, StoredSpec, from_json, from_json_with, pod_changed, to_json};
pub use plan::{PhaseSpec, PlanSpec, StepSpec, Strategy};
pub use pod::PodSpec;
pub use port::{PortRange, PortSpec, VipSpec};
pub use replacement::ReplacementPolicy;
pub use resource_set::{Limit, ResourceLimits, ResourceSet};
pub use rlimit::{RlimitKind, RlimitSpec};
pub use scalar::Scalar;
pub use secret::SecretSpec;
pub use service::ServiceSpec;
pub use task::{ConfigSpec, DiscoverySpec, Goal, TaskSpec, Visibility};
pub use transport_encryption::{TransportEncryptionKind, TransportEncryptionSpec};
pub use volume::{VolumeKind, VolumeSpec};
