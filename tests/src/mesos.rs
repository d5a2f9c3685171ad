//! A real Apache Mesos on loopback: one master and some agents, each a process of its own, in one temporary folder.
//!
//! The programs come from `tests/mesos/setup.sh`; what they can and cannot do stands in `tests/mesos/README.md`.
//! No election of masters: a test that wants a leader in ZooKeeper writes the `json.info_` node itself.
//!
//! Invariant: nothing that a cluster started outlives it; executors, which are nobody's children, are found by the
//! cluster's folder.
//! Invariant: at most [`AT_ONCE`] clusters of one test process run at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::http::{self, Reply};
use crate::port::{BLOCK, free_block, free_port};
use crate::proc_scan::{Found, processes_of_folder};
use crate::process::{Process, Program, build_folder};
use crate::wait::{wait_for, wait_until};

/// Clusters that run at the same time in one test process: more only slow each other down.
pub const AT_ONCE: usize = 2;
/// A master or an agent starts in well under a second on an idle machine.
pub const START_DEADLINE: Duration = Duration::from_secs(60);
/// How long leftover processes may take to vanish after SIGKILL.
const SWEEP_DEADLINE: Duration = Duration::from_secs(5);

static SLOTS: Semaphore = Semaphore::const_new(AT_ONCE);

/// How an agent is set up.
#[derive(Debug, Clone, Default)]
pub struct AgentOptions {
    /// Its host name; default `agent-<n>`, counted from 0.
    pub hostname: Option<String>,
    /// Its resources, as Mesos writes them; default 4 cpus, 4096 MB of memory, 10000 MB of disk and 100 ports of its own.
    pub resources: Option<String>,
    /// Its attributes, for example `rack:r1;ssd:true`.
    pub attributes: Option<String>,
    /// Its region and zone.
    pub domain: Option<(String, String)>,
    /// Sizes of its MOUNT disks in MB, beside the default resources: each a tmpfs that only the agent and its executors see. It
    /// needs root, ends with them, and is empty again when the agent is started anew.
    pub mount_disks: Vec<u32>,
    /// The address it listens on; default loopback, which containers with a network of their own cannot reach.
    pub address: Option<Ipv4Addr>,
    /// Any other flag, as `MESOS_<FLAG>`.
    pub environment: BTreeMap<String, String>,
}

/// How a cluster is set up.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// One entry per agent.
    pub agents: Vec<AgentOptions>,
    /// Region and zone of the master; default that of the first agent that has one, since a master without a domain
    /// refuses agents that have one.
    pub master_domain: Option<(String, String)>,
    /// Flags of the master, as `MESOS_<FLAG>`.
    pub master_environment: BTreeMap<String, String>,
}

impl Options {
    /// A cluster of `count` agents with default resources.
    pub fn agents(count: usize) -> Self {
        Self { agents: vec![AgentOptions::default(); count], ..Self::default() }
    }
}

/// A task as the master and the agents know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Task id.
    pub id: String,
    /// Task name.
    pub name: String,
    /// The framework it belongs to.
    pub framework_id: String,
    /// The agent it runs or ran on.
    pub agent_id: String,
    /// Its last state, for example `TASK_RUNNING`.
    pub state: String,
}

#[derive(Debug)]
struct Server {
    program: Program,
    address: Ipv4Addr,
    port: u16,
    process: Option<Process>,
}

impl Server {
    fn kill(&mut self) {
        self.process = None;
    }

    fn spawn(&mut self) -> Result<()> {
        self.process = None;
        self.process = Some(self.program.spawn()?);
        Ok(())
    }

    fn running(&mut self) -> Result<&mut Process> {
        self.process.as_mut().with_context(|| format!("{} does not run", self.program.name))
    }
}

/// A running cluster; everything it started ends with this value.
#[derive(Debug)]
pub struct MesosCluster {
    master: Server,
    agents: Vec<Server>,
    hostnames: Vec<String>,
    folder: Option<TempDir>,
    path: PathBuf,
    _slot: SemaphorePermit<'static>,
}

/// The folder with the Mesos programs: `$MAINSTAY_MESOS`, else `mesos-1.11.0` in cargo's target folder.
///
/// Errors: nothing has been built there; `cargo xtask setup` does.
pub fn programs() -> Result<PathBuf> {
    let folder = match std::env::var_os("MAINSTAY_MESOS") {
        Some(folder) => PathBuf::from(folder),
        None => build_folder()?.parent().context("a build folder without a parent")?.join("mesos-1.11.0"),
    };
    if !folder.join(".ready").exists() {
        bail!("no Mesos in {}: run `cargo xtask setup`, or set MAINSTAY_MESOS", folder.display());
    }
    Ok(folder)
}

impl MesosCluster {
    /// Starts a master and its agents, and waits until every agent is registered.
    ///
    /// Errors: Mesos has not been built (see [`programs`]), or a process does not start.
    pub async fn start(options: Options) -> Result<Self> {
        let slot = SLOTS.acquire().await?;
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("mainstay-mesos-").tempdir()?;
        let path = folder.path().to_owned();
        let program = |name: &str| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("mesos/mesos-cluster");
            Program::new(name, script, path.join(format!("{name}.log"))).env("PROGRAMS", programs.to_string_lossy())
        };

        let master_port = free_port()?;
        let mut master = program("master").arg("master").arg(master_port.to_string()).arg(path.join("master"));
        let first_domain = options.agents.iter().find_map(|agent| agent.domain.clone());
        if let Some(domain) = options.master_domain.or(first_domain) {
            master = master.env("MESOS_DOMAIN", domain_json(&domain));
        }
        master = master.envs(options.master_environment);

        let mut agents = Vec::new();
        let mut hostnames = Vec::new();
        for (index, agent) in options.agents.into_iter().enumerate() {
            let name = format!("agent-{index}");
            let port = free_port()?;
            let hostname = agent.hostname.unwrap_or_else(|| name.clone());
            let disks: Vec<(PathBuf, u32)> =
                agent.mount_disks.iter().enumerate().map(|(n, size)| (mount_root(&path, index, n), *size)).collect();
            let resources = match agent.resources {
                Some(_) if !disks.is_empty() => bail!("{name}: MOUNT disks stand beside the default resources only"),
                Some(resources) => resources,
                None if disks.is_empty() => {
                    let first = free_block()?;
                    format!("cpus:4;mem:4096;disk:10000;ports:[{first}-{}]", first + BLOCK - 1)
                }
                None => resources_json(&disks)?,
            };
            let mut program = program(&name)
                .arg("agent")
                .arg(port.to_string())
                .arg(path.join(&name))
                .arg(master_port.to_string())
                .env("MESOS_HOSTNAME", &hostname)
                .env("MESOS_RESOURCES", resources)
                // An executor that no test has cleaned up ends by itself some time after its agent.
                .env("MESOS_RECOVERY_TIMEOUT", "2mins");
            if !rustix::process::geteuid().is_root() {
                program = program.env("MESOS_SWITCH_USER", "false");
            }
            if !disks.is_empty() {
                let disks: Vec<String> =
                    disks.iter().map(|(root, size)| format!("{size}m:{}", root.display())).collect();
                program = program.env("CLUSTER_TMPFS", disks.join(" "));
            }
            if let Some(attributes) = agent.attributes {
                program = program.env("MESOS_ATTRIBUTES", attributes);
            }
            if let Some(domain) = agent.domain {
                program = program.env("MESOS_DOMAIN", domain_json(&domain));
            }
            let address = agent.address.unwrap_or(Ipv4Addr::LOCALHOST);
            program = program.env("CLUSTER_IP", address.to_string()).envs(agent.environment);
            agents.push(Server { program, address, port, process: None });
            hostnames.push(hostname);
        }

        let master = Server { program: master, address: Ipv4Addr::LOCALHOST, port: master_port, process: None };
        let mut cluster = Self { master, agents, hostnames, folder: Some(folder), path, _slot: slot };
        cluster.master.spawn()?;
        for agent in &mut cluster.agents {
            agent.spawn()?;
        }
        cluster.wait_master().await?;
        for index in 0..cluster.agents.len() {
            cluster.wait_agent(index).await?;
        }
        Ok(cluster)
    }

    /// The master's address, `127.0.0.1:<port>`.
    pub fn master_addr(&self) -> String {
        format!("127.0.0.1:{}", self.master.port)
    }

    /// The master's port, to put a [`Proxy`](crate::proxy::Proxy) before it.
    pub fn master_port(&self) -> u16 {
        self.master.port
    }

    /// The master's address as a URL without a path.
    pub fn master_url(&self) -> String {
        format!("http://{}", self.master_addr())
    }

    /// An agent's address as a URL without a path.
    pub fn agent_url(&self, agent: usize) -> String {
        format!("http://{}:{}", self.agents[agent].address, self.agents[agent].port)
    }

    /// An agent's host name.
    pub fn hostname(&self, agent: usize) -> &str {
        &self.hostnames[agent]
    }

    /// How many agents the cluster was started with.
    pub fn agent_count(&self) -> usize {
        self.agents.len()
    }

    /// The folder in which everything of this cluster lives.
    pub fn folder(&self) -> &Path {
        &self.path
    }

    /// Where an agent mounts a disk of its [`AgentOptions::mount_disks`]; seen from the outside an empty folder.
    pub fn mount_root(&self, agent: usize, disk: usize) -> PathBuf {
        mount_root(&self.path, agent, disk)
    }

    // ---- faults

    /// Gives the master another flag, as `MESOS_<FLAG>`, from its next start on.
    pub fn set_master_flag(&mut self, name: &str, value: &str) {
        self.master.program.environment.insert(name.to_owned(), value.to_owned());
    }

    /// Ends the master at once (SIGKILL); its registry stays.
    pub fn kill_master(&mut self) {
        self.master.kill();
    }

    /// Starts the master again at the same address with its registry, and waits until it leads and every running agent
    /// has come back.
    pub async fn restart_master(&mut self) -> Result<()> {
        self.master.spawn()?;
        self.wait_master().await?;
        for agent in 0..self.agents.len() {
            if self.agents[agent].process.is_some() {
                self.wait_agent(agent).await?;
            }
        }
        Ok(())
    }

    /// Freezes the master (SIGSTOP): connections stay open and nothing is answered.
    pub fn stop_master(&mut self) -> Result<()> {
        self.master.running()?.freeze()
    }

    /// Lets the master go on.
    pub fn continue_master(&mut self) -> Result<()> {
        self.master.running()?.thaw()
    }

    /// Ends an agent at once (SIGKILL); its executors live on.
    pub fn kill_agent(&mut self, agent: usize) {
        self.agents[agent].kill();
    }

    /// Starts an agent again in its old folder, hence with its old id, and waits until it is registered and active.
    ///
    /// That takes about two seconds when it has executors: it waits for them to subscribe again.
    pub async fn restart_agent(&mut self, agent: usize) -> Result<()> {
        self.agents[agent].spawn()?;
        self.wait_agent(agent).await
    }

    /// Freezes an agent (SIGSTOP).
    pub fn stop_agent(&mut self, agent: usize) -> Result<()> {
        self.agents[agent].running()?.freeze()
    }

    /// Lets an agent go on.
    pub fn continue_agent(&mut self, agent: usize) -> Result<()> {
        self.agents[agent].running()?.thaw()
    }

    async fn wait_master(&mut self) -> Result<()> {
        let url = format!("{}/state", self.master_url());
        // Before it leads it answers with a redirect to nowhere.
        self.master
            .running()?
            .wait_serving(START_DEADLINE, async || Ok(http::get_json(&url).await?["elected_time"].is_number()))
            .await
    }

    /// Waits until an agent is registered by its own word and active by the master's.
    pub async fn wait_agent(&mut self, agent: usize) -> Result<()> {
        // A figure whose part of the agent begins only now is never told: without a limit such a question is not answered at all.
        let own = format!("{}/metrics/snapshot?timeout=1secs", self.agent_url(agent));
        let master = format!("{}/slaves", self.master_url());
        let hostname = self.hostnames[agent].clone();
        self.agents[agent]
            .running()?
            .wait_serving(START_DEADLINE, async || {
                if http::get_json(&own).await?["slave/registered"].as_f64() != Some(1.0) {
                    return Ok(false);
                }
                let known = http::get_json(&master).await?;
                Ok(array(&known["slaves"])
                    .iter()
                    .any(|known| known["hostname"] == *hostname && known["active"] == true))
            })
            .await
    }

    // ---- questions

    /// A JSON page of the master, for example `/slaves`, `/tasks` or `/frameworks`.
    pub async fn get_json(&self, path: &str) -> Result<Value> {
        http::get_json(&format!("{}{path}", self.master_url())).await
    }

    /// A JSON page of an agent, for example `/state`.
    pub async fn agent_json(&self, agent: usize, path: &str) -> Result<Value> {
        http::get_json(&format!("{}{path}", self.agent_url(agent))).await
    }

    /// What the master says of an agent: resources, `reserved_resources_full`, attributes.
    ///
    /// Errors: the master does not answer, or does not know an agent of that host name.
    pub async fn agent_entry(&self, agent: usize) -> Result<Value> {
        let mut page = self.get_json("/slaves").await?;
        let entries = page["slaves"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let hostname = &self.hostnames[agent];
        entries
            .into_iter()
            .find(|entry| entry["hostname"] == **hostname)
            .with_context(|| format!("the master does not know {hostname}"))
    }

    /// The id that the master gave to an agent.
    pub async fn agent_id(&self, agent: usize) -> Result<String> {
        Ok(text(&self.agent_entry(agent).await?["id"]))
    }

    /// Which agent has this id.
    ///
    /// Errors: none has.
    pub async fn agent_index(&self, agent_id: &str) -> Result<usize> {
        for agent in 0..self.agents.len() {
            if self.agent_id(agent).await? == agent_id {
                return Ok(agent);
            }
        }
        bail!("no agent has the id {agent_id}")
    }

    /// Every reserved resource of an agent, all roles in one list, as Mesos's JSON.
    pub async fn reserved_resources(&self, agent: usize) -> Result<Vec<Value>> {
        let entry = self.agent_entry(agent).await?;
        let roles = entry["reserved_resources_full"].as_object().cloned().unwrap_or_default();
        Ok(roles.values().flat_map(array).cloned().collect())
    }

    /// The folders of the persistent volumes that exist on an agent's disk, in no order.
    ///
    /// Source: `<work_dir>/volumes/roles/<role>/<persistence id>`, for volumes without a disk source of their own.
    pub fn volumes(&self, agent: usize) -> Vec<PathBuf> {
        let entries = |folder: &Path| -> Vec<PathBuf> {
            std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
        };
        let roles = self.path.join(format!("agent-{agent}/agents/0/work/volumes/roles"));
        entries(&roles).iter().flat_map(|role| entries(role)).collect()
    }

    /// Every task the master knows of, running, unreachable and completed.
    ///
    /// A master that has been restarted knows nothing of what completed before; see [`Self::launched`].
    pub async fn tasks(&self) -> Result<Vec<Task>> {
        let page = self.get_json("/tasks?limit=100000").await?;
        Ok(array(&page["tasks"]).iter().map(task).collect())
    }

    /// The task ids that were ever launched under each task name, by the word of the master and of every running agent.
    pub async fn launched(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let mut tasks = self.tasks().await?;
        for agent in 0..self.agents.len() {
            if self.agents[agent].process.is_none() {
                continue;
            }
            let state = self.agent_json(agent, "/state").await?;
            for framework in ["frameworks", "completed_frameworks"].iter().flat_map(|key| array(&state[*key])) {
                for executor in ["executors", "completed_executors"].iter().flat_map(|key| array(&framework[*key])) {
                    for key in ["tasks", "queued_tasks", "completed_tasks"] {
                        tasks.extend(array(&executor[key]).iter().map(task));
                    }
                }
            }
        }
        let mut launched: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for task in tasks {
            launched.entry(task.name).or_default().insert(task.id);
        }
        Ok(launched)
    }

    /// The frameworks the master has registered, as its JSON.
    pub async fn frameworks(&self) -> Result<Vec<Value>> {
        Ok(array(&self.get_json("/frameworks").await?["frameworks"]).to_vec())
    }

    /// The processes that live in the sandboxes of this cluster: executors and tasks, but neither master nor agents.
    pub fn sandbox_processes(&self) -> Vec<Found> {
        let sandboxes = format!("{}/agent-", self.path.display());
        processes_of_folder(&self.path)
            .into_iter()
            .filter(|found| found.variable("MESOS_SANDBOX").is_some_and(|sandbox| sandbox.starts_with(&sandboxes)))
            .filter(|found| !found.command.contains("mesos-containerizer"))
            .collect()
    }

    /// The processes of one task, found by the variable `TASK_NAME` that each task has in its environment.
    pub fn task_processes(&self, task_name: &str) -> Vec<Found> {
        self.sandbox_processes().into_iter().filter(|found| found.variable("TASK_NAME") == Some(task_name)).collect()
    }

    // ---- what an operator does

    /// A call of the master's operator API.
    pub async fn operator(&self, call: &Value) -> Result<Reply> {
        http::post_json(&format!("{}/api/v1", self.master_url()), call).await
    }

    /// Removes a framework with all that runs for it.
    ///
    /// Errors: the master does not know it.
    pub async fn teardown(&self, framework_id: &str) -> Result<()> {
        let call = json!({"type": "TEARDOWN", "teardown": {"framework_id": {"value": framework_id}}});
        self.operator(&call).await?.success().context("teardown")?;
        Ok(())
    }

    /// Declares that an agent will never return.
    ///
    /// Errors: the master does not know it.
    pub async fn mark_agent_gone(&self, agent: usize) -> Result<()> {
        let agent_id = self.agent_id(agent).await?;
        let call = json!({"type": "MARK_AGENT_GONE", "mark_agent_gone": {"agent_id": {"value": agent_id}}});
        self.operator(&call).await?.success().context("mark agent gone")?;
        Ok(())
    }

    /// Waits until `condition` holds for this cluster; see [`wait_until`].
    pub async fn wait_until(
        &self,
        what: &str,
        deadline: Duration,
        mut condition: impl AsyncFnMut(&Self) -> Result<bool>,
    ) -> Result<()> {
        wait_until(what, deadline, async || condition(self).await).await
    }

    /// Waits until a task of this name is in `state`, and returns it; of several the master lists the newest first.
    pub async fn wait_task(&self, name: &str, state: &str, deadline: Duration) -> Result<Task> {
        let what = format!("task {name} is {state}");
        wait_for(&what, deadline, async || {
            Ok(self.tasks().await?.into_iter().find(|task| task.name == name && task.state == state))
        })
        .await
    }

    /// Keeps the folder for a look after the test, and returns it.
    pub fn keep(&mut self) -> PathBuf {
        if let Some(folder) = self.folder.take() {
            let _ = folder.keep();
        }
        self.path.clone()
    }
}

impl Drop for MesosCluster {
    fn drop(&mut self) {
        for agent in &mut self.agents {
            agent.kill();
        }
        self.master.kill();
        // An executor may be starting a task right now, so look again until nobody is left.
        let start = Instant::now();
        loop {
            let left = processes_of_folder(&self.path);
            if left.is_empty() || start.elapsed() > SWEEP_DEADLINE {
                break;
            }
            left.iter().for_each(Found::kill);
            std::thread::sleep(Duration::from_millis(5));
        }
        if std::thread::panicking() {
            let folder = self.keep();
            eprintln!("mesos: logs and sandboxes kept in {0}: look at {0}/*.log", folder.display());
        }
    }
}

fn mount_root(cluster: &Path, agent: usize, disk: usize) -> PathBuf {
    cluster.join(format!("agent-{agent}-disk-{disk}"))
}

/// The default resources and MOUNT disks, which need the long form.
fn resources_json(disks: &[(PathBuf, u32)]) -> Result<String> {
    let first = free_block()?;
    let scalar = |name: &str, value: u32| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}});
    let ports = json!([{"begin": first, "end": first + BLOCK - 1}]);
    let mut all = vec![scalar("cpus", 4), scalar("mem", 4096), scalar("disk", 10000)];
    all.push(json!({"name": "ports", "type": "RANGES", "ranges": {"range": ports}}));
    all.extend(disks.iter().map(|(root, size)| {
        let mut disk = scalar("disk", *size);
        disk["disk"] = json!({"source": {"type": "MOUNT", "mount": {"root": root}}});
        disk
    }));
    Ok(Value::from(all).to_string())
}

fn domain_json((region, zone): &(String, String)) -> String {
    json!({"fault_domain": {"region": {"name": region}, "zone": {"name": zone}}}).to_string()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn task(value: &Value) -> Task {
    Task {
        id: text(&value["id"]),
        name: text(&value["name"]),
        framework_id: text(&value["framework_id"]),
        agent_id: text(&value["slave_id"]),
        state: text(&value["state"]),
    }
}
