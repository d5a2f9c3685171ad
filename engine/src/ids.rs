//! Identifiers, each its own type.
//!
//! Invariant: never empty, no control characters, at most 255 bytes; what is absent is `None`, never `""`.

use std::fmt;

/// A text that is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: {text:?}")]
pub struct Error {
    kind: &'static str,
    text: String,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Accepts 1 to 255 bytes without control characters.
            pub fn parse(text: impl Into<String>) -> Result<Self, Error> {
                let text = text.into();
                if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
                    return Err(Error { kind: $kind, text });
                }
                Ok(Self(text))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// Assigned by the master at the first subscription.
    FrameworkId, "framework id");
identifier!(
    /// One agent for as long as it keeps its work directory.
    AgentId, "agent id");
identifier!(
    /// One outstanding offer.
    OfferId, "offer id");
identifier!(
    /// One launch of a task: `<service>__<task name>__<uuid>`, older `<task name>__<uuid>`.
    TaskId, "task id");
identifier!(
    /// One executor run: `<service>__<pod type>__<uuid>`.
    ExecutorId, "executor id");
identifier!(
    /// Value of the `resource_id` label of a reservation.
    ResourceId, "resource id");
identifier!(
    /// Id of a persistent volume.
    PersistenceId, "persistence id");
identifier!(
    /// Id of a stored target configuration.
    ConfigId, "configuration id");
identifier!(
    /// Full task name `<pod type>-<index>-<task>`; the name of its node in the store. Contains no slash.
    TaskName, "task name");
identifier!(
    /// Id of an operation that asked for feedback.
    OperationId, "operation id");

impl TaskId {
    /// The task name inside: the second to last part between double underscores.
    pub fn task_name(&self) -> Option<TaskName> {
        let mut parts = self.0.rsplit("__");
        parts.next()?;
        TaskName::parse(parts.next()?).ok()
    }
}

/// One instance of a pod type: `<pod type>-<index>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodInstance {
    /// Pod type.
    pub pod_type: String,
    /// Index, from 0.
    pub index: u32,
}

impl PodInstance {
    /// What the full names of its tasks begin with; sorts before all of them.
    pub fn task_prefix(&self) -> TaskName {
        TaskName(format!("{}-{}-", self.pod_type, self.index))
    }

    /// Full name of a task of this instance.
    pub fn task_name(&self, task: &str) -> TaskName {
        TaskName(format!("{}-{}-{task}", self.pod_type, self.index))
    }
}

impl fmt::Display for PodInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.pod_type, self.index)
    }
}

/// Makes fresh random-looking identifiers from a seed, so that the same events give the same ids.
///
/// Invariant: the shell seeds it from the system's randomness; simulation seeds it with a number.
#[derive(Debug, Clone)]
pub struct Generator {
    state: [u64; 2],
}

impl Generator {
    /// A generator that repeats itself for the same seed.
    pub fn seeded(seed: u128) -> Self {
        let (low, high) = (seed as u64, (seed >> 64) as u64);
        // An all-zero state would stay zero for ever.
        Self { state: [low ^ 0x9e37_79b9_7f4a_7c15, high | 1] }
    }

    /// The next 64 bits (xoroshiro128+).
    pub fn next_u64(&mut self) -> u64 {
        let [s0, mut s1] = self.state;
        let result = s0.wrapping_add(s1);
        s1 ^= s0;
        self.state = [s0.rotate_left(24) ^ s1 ^ (s1 << 16), s1.rotate_left(37)];
        result
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> uuid::Uuid {
        let bits = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }

    /// Fresh id of a reservation.
    pub fn resource_id(&mut self) -> ResourceId {
        ResourceId(self.uuid().to_string())
    }

    /// Fresh id of a volume.
    pub fn persistence_id(&mut self) -> PersistenceId {
        PersistenceId(self.uuid().to_string())
    }

    /// Fresh id of a configuration.
    pub fn config_id(&mut self) -> ConfigId {
        ConfigId(self.uuid().to_string())
    }

    /// Fresh id of an operation.
    pub fn operation_id(&mut self) -> OperationId {
        OperationId(self.uuid().to_string())
    }

    /// Fresh id of a launch of this task.
    pub fn task_id(&mut self, id_safe_service: &str, task: &TaskName) -> TaskId {
        TaskId(format!("{id_safe_service}__{task}__{}", self.uuid()))
    }

    /// Fresh id of an executor of this pod type.
    pub fn executor_id(&mut self, id_safe_service: &str, pod_type: &str) -> ExecutorId {
        ExecutorId(format!("{id_safe_service}__{pod_type}__{}", self.uuid()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // contract: 4.1/pod-instance 4.1/task-name 4.1/task-id 4.1/executor-id
    #[test]
    fn ids_are_made_of_service_name_and_a_uuid() {
        let pod = PodInstance { pod_type: "hello".into(), index: 0 };
        let task = pod.task_name("server");
        assert_eq!((pod.to_string().as_str(), task.as_str()), ("hello-0", "hello-0-server"));
        let mut generator = Generator::seeded(1);
        let parts = |id: &str| id.split("__").map(str::to_owned).collect::<Vec<_>>();
        let id = generator.task_id("path.to.svc", &task);
        assert_eq!(parts(id.as_str())[..2], ["path.to.svc", "hello-0-server"]);
        assert!(uuid::Uuid::parse_str(&parts(id.as_str())[2]).is_ok(), "{id}");
        assert_eq!(id.task_name(), Some(task));
        let id = generator.executor_id("path.to.svc", "hello");
        assert_eq!(parts(id.as_str())[..2], ["path.to.svc", "hello"]);
        assert!(uuid::Uuid::parse_str(&parts(id.as_str())[2]).is_ok(), "{id}");
    }

    // contract: 4.1/from-the-right
    #[test]
    fn the_task_name_is_found_in_ids_of_both_generations() {
        let name = |id: &str| TaskId::parse(id).ok().and_then(|id| id.task_name()).map(|name| name.to_string());
        assert_eq!(name("a.b__hello-0-server__5f0b").as_deref(), Some("hello-0-server"));
        assert_eq!(name("hello-0-server__5f0b").as_deref(), Some("hello-0-server"));
        assert_eq!(name("hello-0-server"), None);
        assert_eq!(name("__x"), None);
    }

    // contract: 4.1/config-id 4.1/resource-id
    #[test]
    fn the_same_seed_gives_the_same_ids_and_no_two_alike() {
        let ids = |seed| {
            let mut generator = Generator::seeded(seed);
            (0..1000).map(|_| generator.uuid()).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(ids(0), ids(0));
        assert_eq!(ids(7).len(), 1000);
        assert!(ids(7).is_disjoint(&ids(8)));
    }
}
