//! A status update: what the supervisor says of a task, and its form on the wire.
//!
//! Not here: when an update is due (`supervise.rs`), how it travels (`connect.rs`).

use bytes::Bytes;
use mainstay_proto::v1;
use mainstay_proto::v1::task_status::{Reason, Source};

use crate::health::CheckResult;
use crate::task::TaskId;

/// The identifier of an update: 16 random bytes.
pub(crate) type Uuid = [u8; 16];

/// Makes identifiers of updates: the seed of the process with a counter mixed into its last bytes.
///
/// Shape: version and variant bits of the seed (a random v4 UUID) are kept, so each result is one too.
#[derive(Debug)]
pub(crate) struct Uuids {
    seed: Uuid,
    next: u64,
}

impl Uuids {
    /// A source for this process.
    pub(crate) fn new(seed: Uuid) -> Self {
        Self { seed, next: 0 }
    }

    /// The next identifier.
    pub(crate) fn generate(&mut self) -> Uuid {
        let mut uuid = self.seed;
        // The lower six bytes; a process that counts to 2^48 is not feared.
        for (byte, counter) in uuid[10..].iter_mut().zip(&self.next.to_be_bytes()[2..]) {
            *byte ^= counter;
        }
        self.next += 1;
        uuid
    }
}

/// One status update.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Update {
    /// The task.
    pub(crate) task: TaskId,
    /// The identifier the agent acknowledges.
    pub(crate) uuid: Uuid,
    /// The state reported.
    pub(crate) state: v1::TaskState,
    /// For humans.
    pub(crate) message: Option<String>,
    /// Why, for programs.
    pub(crate) reason: Option<Reason>,
    /// The health check's opinion; `None` without one.
    pub(crate) healthy: Option<bool>,
    /// The readiness check's latest result; `None` without a check.
    pub(crate) check: Option<CheckResult>,
    /// Seconds since the epoch.
    pub(crate) timestamp: f64,
}

impl Update {
    /// The message for the agent.
    ///
    /// Source: Mesos v1 `TaskStatus`: an executor's update has a uuid, its own id and SOURCE_EXECUTOR.
    pub(crate) fn to_wire(&self, executor_id: &str) -> v1::TaskStatus {
        v1::TaskStatus {
            task_id: v1::TaskId { value: self.task.as_str().to_owned() },
            state: self.state as i32,
            message: self.message.clone(),
            timestamp: Some(self.timestamp),
            executor_id: Some(v1::ExecutorId { value: executor_id.to_owned() }),
            healthy: self.healthy,
            source: Some(Source::Executor as i32),
            reason: self.reason.map(|reason| reason as i32),
            uuid: Some(Bytes::copy_from_slice(&self.uuid)),
            check_status: self.check.map(|result| {
                let exit_code = result.exit_code();
                Box::new(v1::CheckStatusInfo {
                    r#type: Some(v1::check_info::Type::Command as i32),
                    command: Some(v1::check_status_info::Command { exit_code }),
                    ..Default::default()
                })
            }),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_differ_and_stay_version_4() {
        let mut uuids = Uuids::new(*uuid::Uuid::new_v4().as_bytes());
        let made: std::collections::BTreeSet<Uuid> = (0..1000).map(|_| uuids.generate()).collect();
        assert_eq!(made.len(), 1000);
        for uuid in made {
            let uuid = uuid::Uuid::from_bytes(uuid);
            assert_eq!((uuid.get_version_num(), uuid.get_variant()), (4, uuid::Variant::RFC4122));
        }
    }
}
