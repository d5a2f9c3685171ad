//! The scheduler under test, as its users meet it: a process, an environment, an HTTP API.
//!
//! Not the scheduler's library: nothing here looks inside. Shapes of answers are those of the SDK's HTTP API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::http::{self, Reply};
use crate::mesos::MesosCluster;
use crate::port::free_port;
use crate::process::{Process, Program, binary, tail};
use crate::wait::{wait_for, wait_until};
use crate::zookeeper::ZooKeeper;

/// Time to take the lock and to serve. A predecessor that was killed holds the lock for its session of 10 s.
pub const START_DEADLINE: Duration = Duration::from_secs(60);

/// How a scheduler is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `svc.yml`.
    pub spec: PathBuf,
    /// `MESOS_MASTER`.
    pub mesos_master: String,
    /// `STATE_STORE`.
    pub state_store: String,
    /// What the template is rendered with, and any other variable.
    pub environment: BTreeMap<String, String>,
}

impl Options {
    /// A scheduler of this specification on a cluster, with its state in a ZooKeeper.
    pub fn new(spec: impl Into<PathBuf>, mesos: &MesosCluster, zookeeper: &ZooKeeper) -> Self {
        Self {
            spec: spec.into(),
            mesos_master: mesos.master_url(),
            state_store: format!("zk://{}", zookeeper.connect_string()),
            environment: BTreeMap::new(),
        }
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Sets the variables of an environment file: `NAME=value` lines, blank lines and `#` comments.
    ///
    /// Errors: the file cannot be read, or has a line of another form.
    pub fn env_file(mut self, file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, value) = line.split_once('=').with_context(|| format!("no NAME=value: {line}"))?;
            self = self.env(name, value);
        }
        Ok(self)
    }
}

/// A scheduler process and its API.
#[derive(Debug)]
pub struct SchedulerUnderTest {
    process: Option<Process>,
    program: Program,
    port: u16,
    folder: Option<TempDir>,
}

impl SchedulerUnderTest {
    /// Starts a scheduler and waits until its API answers.
    ///
    /// Errors: the binary has not been built, or the process ends or does not serve in time.
    pub async fn start(options: &Options) -> Result<Self> {
        let mut scheduler = Self::launch(options)?;
        scheduler.wait_api().await?;
        Ok(scheduler)
    }

    /// Starts a scheduler and waits for nothing, to test how it fails.
    ///
    /// Errors: the binary has not been built.
    pub fn launch(options: &Options) -> Result<Self> {
        let port = free_port()?;
        let folder = tempfile::Builder::new().prefix("mainstay-scheduler-").tempdir()?;
        binary("mainstay-executor")?; // The scheduler serves the one beside itself.
        let program =
            Program::new("mainstay-scheduler", binary("mainstay-scheduler")?, folder.path().join("scheduler.log"))
                .arg(&options.spec)
                .env("PORT_API", port.to_string())
                .env("MESOS_MASTER", &options.mesos_master)
                .env("STATE_STORE", &options.state_store)
                .env("SCHEDULER_API_HOSTNAME", "127.0.0.1")
                .envs(options.environment.clone());
        let process = Some(program.spawn()?);
        Ok(Self { process, program, port, folder: Some(folder) })
    }

    /// The process, to signal it or to await its end.
    ///
    /// Errors: it has been killed and not restarted.
    pub fn process(&mut self) -> Result<&mut Process> {
        self.process.as_mut().context("the scheduler does not run")
    }

    /// The file with the log lines of all starts.
    pub fn log_path(&self) -> &Path {
        &self.program.log
    }

    /// The port of its API.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A URL of its API; `path` begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Ends it at once (SIGKILL).
    pub fn kill9(&mut self) {
        self.process = None;
    }

    /// Asks it to end (SIGTERM) and waits until it has: unlike one that is killed it gives its lock back.
    pub async fn stop(&mut self) -> Result<()> {
        self.process()?.terminate()?;
        self.process()?.wait_exit(START_DEADLINE).await?;
        self.process = None;
        Ok(())
    }

    /// Starts it again with the same environment, killed before or not, and waits until its API answers.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = None;
        self.process = Some(self.program.spawn()?);
        self.wait_api().await
    }

    /// Starts it again with other settings, for example another specification or other variables; port and log stay.
    pub async fn restart_with(&mut self, options: &Options) -> Result<()> {
        self.process = None;
        self.program.arguments = vec![options.spec.clone().into()];
        self.program.environment.extend(options.environment.clone());
        self.restart().await
    }

    async fn wait_api(&mut self) -> Result<()> {
        let url = self.url("/v1/plans");
        self.process()?
            .wait_serving(START_DEADLINE, async || {
                let plans = http::get_json(&url).await?;
                Ok(plans.as_array().is_some_and(|plans| plans.iter().any(|plan| plan == "deploy")))
            })
            .await
    }

    // ---- reading

    /// A page of its API, whatever the status.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        http::get(&self.url(path)).await
    }

    /// A JSON page of its API.
    ///
    /// Errors: a status that is no 2xx.
    pub async fn get_json(&self, path: &str) -> Result<Value> {
        http::get_json(&self.url(path)).await
    }

    /// A command without a body.
    pub async fn post(&self, path: &str) -> Result<Reply> {
        http::post(&self.url(path)).await
    }

    /// A plan with its phases and steps; also one in error, which is answered with 417.
    pub async fn plan(&self, plan: &str) -> Result<Value> {
        let reply = self.get(&format!("/v1/plans/{plan}")).await?;
        if !matches!(reply.status.as_u16(), 200 | 202 | 417) {
            bail!("plan {plan}: answer {}: {}", reply.status, reply.text());
        }
        reply.json()
    }

    /// The status of one step of a plan, `None` when there is no such step now.
    pub async fn step_status(&self, plan: &str, step: &str) -> Result<Option<String>> {
        let plan = self.plan(plan).await?;
        let steps = array(&plan["phases"]).iter().flat_map(|phase| array(&phase["steps"]));
        Ok(steps.into_iter().find(|known| known["name"] == *step).map(|known| text(&known["status"])))
    }

    /// Waits until a plan has a status, and returns the plan; a failure shows the plan and the end of the log.
    pub async fn wait_plan(&self, plan: &str, status: &str, deadline: Duration) -> Result<Value> {
        let what = format!("plan {plan} is {status}");
        let mut last = Value::Null;
        let waited = wait_for(&what, deadline, async || {
            last = self.plan(plan).await?;
            Ok((last["status"] == *status).then(|| last.clone()))
        })
        .await;
        waited.with_context(|| format!("{last:#}\n{}", tail(self.log_path(), 40)))
    }

    /// Waits until a plan is COMPLETE, and returns it.
    pub async fn wait_plan_complete(&self, plan: &str, deadline: Duration) -> Result<Value> {
        self.wait_plan(plan, "COMPLETE", deadline).await
    }

    /// The id of every task that has been launched, by task name.
    ///
    /// Shape: names as in the cluster, for example `hello-0-server`; tasks without an id are left out.
    pub async fn task_ids(&self) -> Result<BTreeMap<String, String>> {
        let tasks = self.tasks().await?.into_iter();
        Ok(tasks.map(|(name, (id, _))| (name, id)).filter(|(_, id)| !id.is_empty()).collect())
    }

    /// The status of every task, by task name; empty when none is stored for its current id.
    pub async fn task_statuses(&self) -> Result<BTreeMap<String, String>> {
        Ok(self.tasks().await?.into_iter().map(|(name, (_, status))| (name, status)).collect())
    }

    async fn tasks(&self) -> Result<BTreeMap<String, (String, String)>> {
        let page = self.get_json("/v1/pod/status").await?;
        let instances = array(&page["pods"]).iter().flat_map(|pod| array(&pod["instances"]));
        let tasks = instances.flat_map(|instance| array(&instance["tasks"]));
        Ok(tasks.map(|task| (text(&task["name"]), (text(&task["id"]), text(&task["status"])))).collect())
    }

    /// Waits until a task runs under another id than `old`, and returns the new id.
    pub async fn wait_relaunched(&self, task: &str, old: &str, deadline: Duration) -> Result<String> {
        let what = format!("task {task} is RUNNING under another id than {old}");
        let waited = wait_for(&what, deadline, async || {
            let tasks = self.tasks().await?;
            let (id, status) = tasks.get(task).with_context(|| format!("no task {task}"))?;
            Ok((id != old && status == "RUNNING").then(|| id.clone()))
        })
        .await;
        waited.with_context(|| tail(self.log_path(), 40))
    }

    /// Waits until every one of `tasks` is RUNNING by the scheduler's word.
    pub async fn wait_running(&self, tasks: &[&str], deadline: Duration) -> Result<()> {
        let what = format!("tasks {tasks:?} are RUNNING");
        let waited = wait_until(&what, deadline, async || {
            let statuses = self.task_statuses().await?;
            Ok(tasks.iter().all(|task| statuses.get(*task).is_some_and(|status| status == "RUNNING")))
        })
        .await;
        waited.with_context(|| tail(self.log_path(), 40))
    }

    /// The id of the framework.
    ///
    /// Errors: it has not subscribed yet.
    pub async fn framework_id(&self) -> Result<String> {
        let page = self.get_json("/v1/state/frameworkId").await?;
        page[0].as_str().map(str::to_owned).with_context(|| format!("no framework id in {page}"))
    }

    /// The recent evaluations, oldest first: `pod-instance-name`, `outcome`, `explanation`, and others.
    pub async fn evaluations(&self) -> Result<Vec<Value>> {
        Ok(array(&self.get_json("/v2/debug/offers").await?["offers"]).to_vec())
    }

    // ---- commands

    /// Restarts a pod instance in its place, and returns the names of the tasks that are being killed.
    pub async fn pod_restart(&self, pod: &str) -> Result<Vec<String>> {
        self.pod_command(pod, "restart").await
    }

    /// Replaces a pod instance: it may move, and its volumes are given up.
    pub async fn pod_replace(&self, pod: &str) -> Result<Vec<String>> {
        self.pod_command(pod, "replace").await
    }

    async fn pod_command(&self, pod: &str, verb: &str) -> Result<Vec<String>> {
        let answer = self.post(&format!("/v1/pod/{pod}/{verb}")).await?.success()?.json()?;
        if answer["pod"] != *pod {
            bail!("{verb} of {pod} answered {answer}");
        }
        Ok(array(&answer["tasks"]).iter().map(text).collect())
    }

    /// A command on a plan: `start`, `stop`, `continue`, `interrupt`, `forceComplete` or `restart`.
    ///
    /// Shape: `query` is empty or like `phase=hello&step=hello-0:[server]`.
    pub async fn plan_command(&self, plan: &str, verb: &str, query: &str) -> Result<Reply> {
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.replace(' ', "+")) };
        let url = self.url(&format!("/v1/plans/{plan}/{verb}{query}")).replace('[', "%5B").replace(']', "%5D");
        if verb == "start" { http::post_json(&url, &serde_json::json!({})).await } else { http::post(&url).await }
    }
}

impl Drop for SchedulerUnderTest {
    fn drop(&mut self) {
        self.process = None;
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            eprintln!("{}\nscheduler: log kept in {}", tail(self.log_path(), 40), folder.keep().display());
        }
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
