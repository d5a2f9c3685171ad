//! The service hello-world of `svc-specs`, running for real: a scheduler on a Mesos of its own with a ZooKeeper of its own.
//!
//! "Launched" always means: task ids by the word of the master and of all agents, completed ones included. A volume tells the same from the
//! inside: each start of a server appends a line to the file `starts` in it.
#![allow(clippy::unwrap_used, reason = "only tests use it, and a failure is theirs")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::mesos::{MesosCluster, Options};
use crate::scheduler::{self, SchedulerUnderTest};
use crate::zookeeper::ZooKeeper;

/// For all that is not a start of a scheduler, on a machine that does other things too.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// The tasks that the deploy plan launches, with the environment beside the specification.
pub const SERVERS: [&str; 3] = ["hello-0-server", "world-0-server", "world-1-server"];

/// A service with everything around it. The fields end in this order: the scheduler first.
#[derive(Debug)]
pub struct HelloWorld {
    /// The scheduler.
    pub scheduler: SchedulerUnderTest,
    /// The cluster.
    pub mesos: MesosCluster,
    /// Where the state is.
    pub zookeeper: ZooKeeper,
}

impl HelloWorld {
    /// Starts everything; the deploy begins.
    pub async fn start(mesos: Options, environment: &[(&str, &str)]) -> Self {
        let mesos = MesosCluster::start(mesos).await.unwrap();
        let zookeeper = ZooKeeper::start().await.unwrap();
        let options = Self::options(&mesos, &zookeeper, environment);
        let scheduler = SchedulerUnderTest::start(&options).await.unwrap();
        Self { scheduler, mesos, zookeeper }
    }

    /// How the scheduler is started: the environment beside the specification, and over it this one.
    pub fn options(mesos: &MesosCluster, zookeeper: &ZooKeeper, environment: &[(&str, &str)]) -> scheduler::Options {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../svc-specs/hello-world");
        let options = scheduler::Options::new(folder.join("svc.yml"), mesos, zookeeper);
        let options = options.env_file(&folder.join("env")).unwrap();
        environment.iter().fold(options, |options, (name, value)| options.env(name, *value))
    }

    /// Starts everything on three agents and waits for the end of the deploy.
    pub async fn deployed() -> Self {
        let this = Self::start(Options::agents(3), &[]).await;
        this.scheduler.wait_plan_complete("deploy", DEADLINE).await.unwrap();
        this
    }

    /// The agent that a task id was launched on, as its index in the cluster.
    pub async fn agent_of(&self, task_id: &str) -> usize {
        let tasks = self.mesos.tasks().await.unwrap();
        let task = tasks.iter().find(|task| task.id == task_id).unwrap_or_else(|| panic!("no task {task_id}"));
        self.mesos.agent_index(&task.agent_id).await.unwrap()
    }

    /// Asserts that nothing but `ids` was ever launched under the names of the servers.
    #[track_caller]
    fn assert_launched(launched: &BTreeMap<String, BTreeSet<String>>, ids: &BTreeMap<String, String>) {
        for server in SERVERS {
            let once = BTreeSet::from([ids[server].clone()]);
            assert_eq!(launched.get(server), Some(&once), "{server} was launched exactly once");
        }
    }

    /// Asserts that each server was launched exactly once, runs, and has written its only start into its volume.
    pub async fn assert_all_launched_once(&self) -> BTreeMap<String, String> {
        let ids = self.scheduler.task_ids().await.unwrap();
        Self::assert_launched(&self.mesos.launched().await.unwrap(), &ids);
        for server in SERVERS {
            self.mesos.wait_task(server, "TASK_RUNNING", DEADLINE).await.unwrap();
            assert_eq!(self.starts_of(server).len(), 1, "{server} has one volume");
            assert_eq!(self.starts_of(server)[0].1, 1, "{server} started once");
        }
        ids
    }

    /// The volumes that a server has ever started on and that still exist, each with the number of its starts there.
    pub fn starts_of(&self, server: &str) -> Vec<(PathBuf, usize)> {
        let mark = format!("started as {server} ");
        let starts = |file: PathBuf| {
            let text = fs::read_to_string(&file).ok()?;
            let count = text.lines().filter(|line| line.starts_with(&mark)).count();
            (count > 0).then_some((file, count))
        };
        self.volumes().into_iter().map(|volume| volume.join("starts")).filter_map(starts).collect()
    }

    /// The folders of all persistent volumes that exist on any agent.
    pub fn volumes(&self) -> Vec<PathBuf> {
        (0..self.mesos.agent_count()).flat_map(|agent| self.mesos.volumes(agent)).collect()
    }

    /// The process ids of each server.
    pub fn pids(&self) -> BTreeMap<&'static str, Vec<i32>> {
        // A server's shell starts a `sleep` now and then; the shell itself is the oldest.
        let oldest = |server| {
            let processes = self.mesos.task_processes(server);
            processes
                .into_iter()
                .min_by_key(|found| (found.started, found.pid))
                .map(|found| found.pid)
                .into_iter()
                .collect()
        };
        SERVERS.into_iter().map(|server| (server, oldest(server))).collect()
    }

    /// Restarts a pod, which only works when its executor can be reached, and waits until its server runs again.
    pub async fn prove_executor_is_connected(&self, pod: &str) {
        let server = format!("{pod}-server");
        let old = self.scheduler.task_ids().await.unwrap()[&server].clone();
        let agent = self.agent_of(&old).await;
        assert!(self.scheduler.pod_restart(pod).await.unwrap().contains(&server));
        let new = self.scheduler.wait_relaunched(&server, &old, DEADLINE).await.unwrap();
        assert_eq!(self.agent_of(&new).await, agent, "a restart stays in its place");
    }
}
