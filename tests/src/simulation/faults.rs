//! What goes wrong in a simulation, and how often.

/// Where exactly the scheduler's process dies, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// Before its n-th transaction is durable.
    BeforeCommit(u64),
    /// After its n-th transaction is durable and before anything is sent.
    AfterCommit(u64),
    /// Before its n-th call is sent.
    BeforeCall(u64),
    /// After its n-th call is sent.
    AfterCall(u64),
}

/// Mean number of each fault in a run; faults end at [`Faults::until_ms`], then the run must come to rest.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// Connections to the master that break; what is on its way may be lost.
    pub broken_connections: u32,
    /// Statuses that come again, later.
    pub repeated_statuses: u32,
    /// Messages from the master to an agent that are lost.
    pub lost_messages: u32,
    /// Crashes of the scheduler at a random moment.
    pub crashes: u32,
    /// Commits that fail; half of them are durable all the same.
    pub failed_commits: u32,
    /// Restarts of an agent's process.
    pub agent_restarts: u32,
    /// Agents that are cut off for a while.
    pub partitions: u32,
    /// Agents that an operator marks gone.
    pub gone_agents: u32,
    /// Failovers of the master.
    pub master_restarts: u32,
    /// Tasks that fail by themselves.
    pub failed_tasks: u32,
    /// Executors that die.
    pub dead_executors: u32,
    /// Pods that are restarted by an operator.
    pub pod_restarts: u32,
    /// Pods that are replaced by an operator.
    pub pod_replaces: u32,
    /// Plan commands of an operator.
    pub plan_commands: u32,
    /// Until when, in virtual time.
    pub until_ms: u64,
}

impl Faults {
    /// Nothing goes wrong.
    pub const fn none() -> Self {
        Self {
            broken_connections: 0,
            repeated_statuses: 0,
            lost_messages: 0,
            crashes: 0,
            failed_commits: 0,
            agent_restarts: 0,
            partitions: 0,
            gone_agents: 0,
            master_restarts: 0,
            failed_tasks: 0,
            dead_executors: 0,
            pod_restarts: 0,
            pod_replaces: 0,
            plan_commands: 0,
            until_ms: 60_000,
        }
    }

    /// The network and the master fail.
    pub const fn network() -> Self {
        Self { broken_connections: 4, repeated_statuses: 6, lost_messages: 4, master_restarts: 1, ..Self::none() }
    }

    /// The scheduler and its store fail.
    pub const fn crashes() -> Self {
        Self { crashes: 4, failed_commits: 2, failed_tasks: 2, ..Self::none() }
    }

    /// Agents and executors fail.
    pub const fn agents() -> Self {
        Self {
            agent_restarts: 3,
            partitions: 2,
            gone_agents: 1,
            failed_tasks: 3,
            dead_executors: 2,
            until_ms: 300_000,
            ..Self::none()
        }
    }

    /// Operators are busy.
    pub const fn operators() -> Self {
        Self { pod_restarts: 3, pod_replaces: 3, plan_commands: 6, failed_tasks: 1, ..Self::none() }
    }

    /// All of it.
    pub const fn everything() -> Self {
        Self {
            broken_connections: 2,
            repeated_statuses: 3,
            lost_messages: 2,
            crashes: 2,
            failed_commits: 1,
            agent_restarts: 2,
            partitions: 1,
            gone_agents: 1,
            master_restarts: 1,
            failed_tasks: 2,
            dead_executors: 1,
            pod_restarts: 1,
            pod_replaces: 1,
            plan_commands: 2,
            until_ms: 300_000,
        }
    }
}
