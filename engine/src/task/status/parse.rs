//! From the bytes of a `TaskStatus` to a [`Status`]; for received and for stored ones alike.
//!
//! Invariant: the bytes are kept as they are; unknown fields inside them survive in the store.

use bytes::Bytes;
use mainstay_proto::v1;
use prost::Message as _;

use super::{Source, State, Status};
use crate::ids::{self, AgentId, ExecutorId, TaskId};
use crate::units::Timestamp;

/// Label with which the older executor says that the readiness check has passed.
pub const LABEL_READINESS_PASSED: &str = "readiness_check_passed";

/// Why bytes are not a usable status.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Not a message.
    #[error("cannot decode the task status")]
    Decode(#[from] prost::DecodeError),
    /// No task id, or one that cannot be used.
    #[error("the task status has no usable task id")]
    TaskId(#[source] ids::Error),
    /// An agent or executor id that cannot be used.
    #[error("the status of task {task_id} has an unusable id")]
    OtherId {
        /// Task it speaks of.
        task_id: TaskId,
        /// What is wrong.
        source: ids::Error,
    },
    /// A state this code does not know.
    #[error("the status of task {task_id} has the unknown state {number}")]
    State {
        /// Task it speaks of.
        task_id: TaskId,
        /// Wire number of the state.
        number: i32,
    },
}

impl Status {
    /// Reads a status and keeps its bytes.
    ///
    /// Errors: not a message, an unusable id, a state newer than this code.
    pub fn parse(bytes: Bytes) -> Result<Self, Error> {
        let wire = v1::TaskStatus::decode(bytes.clone())?;
        let task_id = TaskId::parse(wire.task_id.value).map_err(Error::TaskId)?;
        let other = |source| Error::OtherId { task_id: task_id.clone(), source };
        let agent_id = wire.agent_id.map(|id| AgentId::parse(id.value)).transpose().map_err(other)?;
        let executor_id = wire.executor_id.map(|id| ExecutorId::parse(id.value)).transpose().map_err(other)?;
        let Some(state) = State::from_wire(wire.state) else {
            return Err(Error::State { task_id, number: wire.state });
        };
        let readiness_label = wire
            .labels
            .as_ref()
            .and_then(|labels| labels.labels.iter().find(|label| label.key == LABEL_READINESS_PASSED))
            .map(|label| label.value.as_deref() == Some("true"));
        let addresses = wire.container_status.iter().flat_map(|container| &container.network_infos);
        Ok(Self {
            task_id,
            state,
            source: wire.source.and_then(|number| match v1::task_status::Source::try_from(number) {
                Ok(v1::task_status::Source::Master) => Some(Source::Master),
                Ok(v1::task_status::Source::Agent) => Some(Source::Agent),
                Ok(v1::task_status::Source::Executor) => Some(Source::Executor),
                Err(_) => None,
            }),
            reason: wire.reason,
            message: wire.message,
            agent_id,
            executor_id,
            uuid: wire.uuid.filter(|uuid| !uuid.is_empty()),
            check_exit_code: wire.check_status.as_ref().and_then(|check| check.command.as_ref()?.exit_code),
            has_check_status: wire.check_status.is_some(),
            is_healthy: wire.healthy,
            readiness_label,
            addresses: addresses
                .flat_map(|network| &network.ip_addresses)
                .filter_map(|address| address.ip_address.clone())
                .collect(),
            timestamp: wire
                .timestamp
                .filter(|seconds| *seconds >= 0.0)
                .map(|seconds| Timestamp((seconds * 1000.0) as u64)),
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn wire(id: &str, state: i32) -> v1::TaskStatus {
        v1::TaskStatus { task_id: v1::TaskId { value: id.into() }, state, ..Default::default() }
    }

    #[test]
    fn a_status_that_adds_nothing_repeats_the_earlier_one() {
        let status = |healthy, check: Option<i32>| {
            let command = Some(v1::check_status_info::Command { exit_code: check });
            let check = check.map(|_| Box::new(v1::CheckStatusInfo { command, ..Default::default() }));
            let wire = v1::TaskStatus { healthy, check_status: check, ..wire("t", 1) };
            Status::parse(Bytes::from(wire.encode_to_vec())).unwrap()
        };
        let ready = status(Some(true), Some(0));
        assert!(status(None, None).repeats(&ready), "what reconciliation answers");
        assert!(status(Some(true), Some(0)).repeats(&ready));
        assert!(!status(Some(true), Some(1)).repeats(&ready));
        assert!(!status(Some(false), None).repeats(&ready));
        assert!(!ready.repeats(&status(None, None)), "the first outcome of a check is news");
        let ended = Status::parse(Bytes::from(wire("t", 2).encode_to_vec())).unwrap();
        let other = Status::parse(Bytes::from(wire("u", 1).encode_to_vec())).unwrap();
        assert!(!ended.repeats(&ready) && !other.repeats(&ready));
    }

    #[test]
    fn everything_an_if_looks_at_is_read_and_the_bytes_are_kept() {
        let network = v1::NetworkInfo {
            ip_addresses: vec![v1::network_info::IpAddress {
                ip_address: Some("10.0.0.1".into()),
                ..Default::default()
            }],
            ..Default::default()
        };
        let full = v1::TaskStatus {
            source: Some(2),
            reason: Some(17),
            message: Some("oom".into()),
            agent_id: Some(v1::AgentId { value: "a".into() }),
            executor_id: Some(v1::ExecutorId { value: "e".into() }),
            uuid: Some(Bytes::from_static(b"1234567890123456")),
            timestamp: Some(12.9),
            check_status: Some(Box::new(v1::CheckStatusInfo {
                command: Some(v1::check_status_info::Command { exit_code: Some(3) }),
                ..Default::default()
            })),
            labels: Some(Box::new(v1::Labels {
                labels: vec![v1::Label { key: LABEL_READINESS_PASSED.into(), value: Some("true".into()) }],
            })),
            container_status: Some(Box::new(v1::ContainerStatus {
                network_infos: vec![network],
                ..Default::default()
            })),
            ..wire("t", 3)
        };
        let bytes = Bytes::from(full.encode_to_vec());
        let status = Status::parse(bytes.clone()).unwrap();
        assert_eq!(status.bytes, bytes);
        assert_eq!(
            (status.task_id.as_str(), status.state, status.source),
            ("t", State::Failed, Some(Source::Executor))
        );
        assert_eq!((status.reason, status.message.as_deref()), (Some(17), Some("oom")));
        assert_eq!(status.agent_id.unwrap().as_str(), "a");
        assert_eq!(status.executor_id.unwrap().as_str(), "e");
        assert_eq!(status.uuid.unwrap().len(), 16);
        assert_eq!((status.check_exit_code, status.has_check_status), (Some(3), true));
        assert_eq!((status.readiness_label, status.timestamp), (Some(true), Some(Timestamp(12_900))));
        assert_eq!(status.addresses, ["10.0.0.1"]);
    }

    #[test]
    fn a_check_that_has_not_run_yet_has_a_status_without_exit_code() {
        let pending = v1::TaskStatus { check_status: Some(Box::default()), ..wire("t", 1) };
        let status = Status::parse(pending.encode_to_vec().into()).unwrap();
        assert_eq!((status.check_exit_code, status.has_check_status), (None, true));
    }

    #[test]
    fn a_status_without_usable_ids_or_state_is_an_error() {
        let error = |wire: v1::TaskStatus| Status::parse(wire.encode_to_vec().into()).unwrap_err().to_string();
        assert_eq!(error(wire("", 1)), "the task status has no usable task id");
        assert_eq!(error(wire("t", 99)), "the status of task t has the unknown state 99");
        let agent = v1::TaskStatus { agent_id: Some(v1::AgentId::default()), ..wire("t", 1) };
        assert_eq!(error(agent), "the status of task t has an unusable id");
        assert_eq!(
            Status::parse(Bytes::from_static(b"\xff")).unwrap_err().to_string(),
            "cannot decode the task status"
        );
    }
}
