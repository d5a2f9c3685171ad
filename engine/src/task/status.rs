//! Task statuses: what Mesos says of a task.

pub mod parse;

use bytes::Bytes;
use mainstay_proto::v1::task_status::Reason;

use crate::ids::{AgentId, ExecutorId, TaskId};
use crate::units::Timestamp;

/// One status update, with the bytes Mesos sent.
///
/// Source: Mesos v1 `TaskStatus`.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Launch it speaks of.
    pub task_id: TaskId,
    /// State.
    pub state: State,
    /// Who says so.
    pub source: Option<Source>,
    /// Wire number of the reason.
    pub reason: Option<i32>,
    /// Text for people.
    pub message: Option<String>,
    /// Agent.
    pub agent_id: Option<AgentId>,
    /// Executor.
    pub executor_id: Option<ExecutorId>,
    /// Present exactly when an acknowledgement is owed.
    pub uuid: Option<Bytes>,
    /// Exit code of the last readiness check, when one has run.
    pub check_exit_code: Option<i32>,
    /// Whether a check status is present at all (a configured check that has not run yet has one without exit code).
    pub has_check_status: bool,
    /// Outcome of the last health check, when one has run.
    pub is_healthy: Option<bool>,
    /// Readiness label of the older executor.
    pub readiness_label: Option<bool>,
    /// Addresses of the container.
    pub addresses: Vec<String>,
    /// When it was made; the agent's clock, or the master's.
    pub timestamp: Option<Timestamp>,
    /// The message exactly as received; stored as such.
    pub bytes: Bytes,
}

/// State of a task.
///
/// Shape: the live ones in the order in which a launch goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names of Mesos v1 TaskState")]
pub enum State {
    Staging,
    Starting,
    Running,
    Killing,
    Finished,
    Failed,
    Killed,
    Error,
    Lost,
    Dropped,
    Unreachable,
    Gone,
    GoneByOperator,
    Unknown,
}

/// Who made a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The master.
    Master,
    /// The agent.
    Agent,
    /// The executor.
    Executor,
}

impl State {
    /// Every state with its wire number and name.
    pub const ALL: [(Self, i32, &'static str); 14] = [
        (Self::Staging, 6, "TASK_STAGING"),
        (Self::Starting, 0, "TASK_STARTING"),
        (Self::Running, 1, "TASK_RUNNING"),
        (Self::Killing, 8, "TASK_KILLING"),
        (Self::Finished, 2, "TASK_FINISHED"),
        (Self::Failed, 3, "TASK_FAILED"),
        (Self::Killed, 4, "TASK_KILLED"),
        (Self::Error, 7, "TASK_ERROR"),
        (Self::Lost, 5, "TASK_LOST"),
        (Self::Dropped, 9, "TASK_DROPPED"),
        (Self::Unreachable, 10, "TASK_UNREACHABLE"),
        (Self::Gone, 11, "TASK_GONE"),
        (Self::GoneByOperator, 12, "TASK_GONE_BY_OPERATOR"),
        (Self::Unknown, 13, "TASK_UNKNOWN"),
    ];

    /// The state of a wire number; `None` for numbers newer than this code.
    pub fn from_wire(number: i32) -> Option<Self> {
        Self::ALL.iter().find(|(_, wire, _)| *wire == number).map(|(state, _, _)| *state)
    }

    /// Wire number.
    pub fn to_wire(self) -> i32 {
        Self::ALL.iter().find(|(state, _, _)| *state == self).map_or(6, |(_, wire, _)| *wire)
    }

    /// Name as Mesos writes it, `TASK_RUNNING`.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _, _)| *state == self).map_or("TASK_UNKNOWN", |(_, _, name)| *name)
    }
}

impl State {
    /// Whether the launch is over for good.
    ///
    /// Source: Mesos; GONE_BY_OPERATOR is terminal here (the SDK forgot it).
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Finished
            | Self::Failed
            | Self::Killed
            | Self::Error
            | Self::Dropped
            | Self::Gone
            | Self::GoneByOperator => true,
            Self::Staging
            | Self::Starting
            | Self::Running
            | Self::Killing
            | Self::Lost
            | Self::Unreachable
            | Self::Unknown => false,
        }
    }

    /// Whether a process may be alive on an agent that the master can reach.
    pub const fn is_live(self) -> bool {
        match self {
            Self::Staging | Self::Starting | Self::Running | Self::Killing => true,
            Self::Finished
            | Self::Failed
            | Self::Killed
            | Self::Error
            | Self::Dropped
            | Self::Gone
            | Self::GoneByOperator
            | Self::Lost
            | Self::Unreachable
            | Self::Unknown => false,
        }
    }
}

impl Status {
    /// Whether it tells that the launch never reached its agent, given that nothing else was heard of it.
    ///
    /// Not so UNKNOWN, nor LOST because the agent was removed: the launch may have run there while nobody listened, and such an agent may come
    /// back with its volumes. GONE as an update is said by the agent, which had the task then; as an answer it means that the agent is there
    /// and never had it.
    ///
    /// Source: which state is said when, and the table of explicit reconciliation.
    pub fn refutes_launch(&self) -> bool {
        match self.state {
            State::Error | State::Dropped | State::GoneByOperator => true,
            State::Gone => self.uuid.is_none(),
            State::Lost => ![Reason::AgentRemoved, Reason::AgentDisconnected]
                .into_iter()
                .any(|reason| self.reason == Some(reason as i32)),
            State::Finished
            | State::Failed
            | State::Killed
            | State::Staging
            | State::Starting
            | State::Running
            | State::Killing
            | State::Unreachable
            | State::Unknown => false,
        }
    }

    /// Whether it tells that the launch reached its agent, so that its reservations exist.
    pub fn proves_launch(&self) -> bool {
        match self.state {
            State::Starting | State::Running | State::Killing | State::Finished | State::Failed | State::Killed => true,
            State::Gone => self.uuid.is_some(),
            State::Staging
            | State::Error
            | State::Dropped
            | State::GoneByOperator
            | State::Lost
            | State::Unreachable
            | State::Unknown => false,
        }
    }

    /// Outcome of the last readiness check, when this status has one.
    pub fn readiness(&self) -> Option<bool> {
        self.readiness_label.or(self.check_exit_code.map(|code| code == 0))
    }

    /// Whether this adds nothing to an earlier status: the same launch in the same state, with no other outcome of a check.
    pub fn repeats(&self, earlier: &Self) -> bool {
        let says = |new: Option<bool>, old: Option<bool>| new.is_none() || new == old;
        self.task_id == earlier.task_id
            && self.state == earlier.state
            && says(self.readiness(), earlier.readiness())
            && says(self.is_healthy, earlier.is_healthy)
    }

    /// What is stored with a launch: nothing was heard yet.
    ///
    /// Source: the SDK stores task id, STAGING and executor id.
    pub fn stub(task_id: &TaskId, agent_id: &AgentId, executor_id: Option<String>) -> Option<Self> {
        let wire = mainstay_proto::v1::TaskStatus {
            task_id: mainstay_proto::v1::TaskId { value: task_id.as_str().to_owned() },
            state: State::Staging.to_wire(),
            agent_id: Some(mainstay_proto::v1::AgentId { value: agent_id.as_str().to_owned() }),
            executor_id: executor_id.map(|value| mainstay_proto::v1::ExecutorId { value }),
            ..Default::default()
        };
        Self::parse(Bytes::from(prost::Message::encode_to_vec(&wire))).ok()
    }
}
