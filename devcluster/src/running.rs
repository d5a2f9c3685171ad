//! Starting and stopping an embedded cluster.
//!
//! Invariant: one process at a time works in a folder.
//! Invariant: after [`Running::shutdown`] no process of the cluster is left.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_proto::v1;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::model::resources::{ranges, scalar};
use crate::model::{AgentConfig, Cluster, Config};
use crate::node::{Command, Node};
use crate::process::{Place, end_leftovers};

/// The most agents of one cluster.
pub const MAX_AGENTS: usize = 100;

/// What cluster to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it keeps its state; a second start in the same folder resumes.
    pub folder: PathBuf,
    /// The agents; see [`Options::new`] for what they have by default.
    pub agents: Vec<AgentOptions>,
    /// Port of the master; `None`: any free one.
    pub master_port: Option<u16>,
    /// Time between two allocations.
    pub allocation_interval: Duration,
    /// Fault domain of the master; agents with a domain need one.
    pub master_domain: Option<v1::DomainInfo>,
}

/// One agent.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// Name that offers carry; the agent's folder has it too, so it keeps its identity by it.
    pub hostname: String,
    /// What it has.
    pub resources: Vec<v1::Resource>,
    /// Attributes that offers carry.
    pub attributes: Vec<v1::Attribute>,
    /// Fault domain.
    pub domain: Option<v1::DomainInfo>,
    /// Whether it takes tasks with resource limits, as an agent with the isolators for it does.
    pub has_cgroups: bool,
}

impl Options {
    /// A cluster of `agents` equal agents: `agent-1.localhost` and so on, 4 cpus, 8 GB of memory and 40 GB of disk each.
    ///
    /// All agents share the machine's ports. Each has low ones for itself, from which dynamic ports are taken first, and
    /// all offer 2000 to 32000, so that a service may ask for a port by number (on one agent at a time).
    pub fn new(folder: impl Into<PathBuf>, agents: usize) -> Self {
        let agents = agents.clamp(1, MAX_AGENTS);
        let width = (900 / agents) as u64;
        let one = |index: usize| {
            let first = 1025 + index as u64 * width;
            AgentOptions {
                hostname: format!("agent-{}.localhost", index + 1),
                resources: vec![
                    scalar("cpus", 4.0),
                    scalar("mem", 8192.0),
                    scalar("disk", 40960.0),
                    ranges("ports", &[(first, first + width - 1), (2000, 32000)]),
                ],
                attributes: Vec::new(),
                domain: None,
                has_cgroups: true,
            }
        };
        Self {
            folder: folder.into(),
            agents: (0..agents).map(one).collect(),
            master_port: None,
            allocation_interval: Duration::from_millis(200),
            master_domain: None,
        }
    }
}

/// Why a cluster does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be used.
    #[error("cannot use the folder '{path}'")]
    Folder {
        /// What was touched.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Another process works in the folder.
    #[error("another cluster runs in '{0}'")]
    InUse(PathBuf),
    /// The port is taken, or no port can be had.
    #[error("cannot listen on port {port}")]
    Listen {
        /// The port asked for; 0: any.
        port: u16,
        /// What went wrong.
        source: io::Error,
    },
    /// The saved state is from something else.
    #[error("cannot read the state in '{path}'")]
    State {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: crate::model::RestoreError,
    },
    /// Two agents have one name, or there is none or too many.
    #[error("a cluster needs 1 to {MAX_AGENTS} agents with different host names")]
    Agents,
}

/// A running cluster. Dropping it kills its executors without grace; [`Running::shutdown`] is the better way.
#[derive(Debug)]
pub struct Running {
    master_port: u16,
    agent_ports: Vec<u16>,
    commands: mpsc::Sender<Command>,
    servers: JoinSet<()>,
    node: JoinSet<()>,
    _lock: File,
}

impl Running {
    /// Where the master is, `http://127.0.0.1:<port>`.
    pub fn master_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.master_port)
    }

    /// Where an agent is.
    pub fn agent_url(&self, agent: usize) -> Option<String> {
        self.agent_ports.get(agent).map(|port| format!("http://127.0.0.1:{port}"))
    }

    /// Ends executors (SIGTERM, after some seconds SIGKILL) and servers; the state stays in the folder.
    pub async fn shutdown(mut self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Stop { reply }).await.is_ok() {
            let _ = done.await;
        }
        self.servers.shutdown().await;
        self.node.shutdown().await;
    }
}

/// Starts a cluster, or resumes the one in the folder.
///
/// Errors: the folder is in use or unusable, a port is taken, the saved state cannot be read.
pub async fn start(options: Options) -> Result<Running, Error> {
    let names: std::collections::BTreeSet<&String> = options.agents.iter().map(|agent| &agent.hostname).collect();
    if options.agents.is_empty() || options.agents.len() > MAX_AGENTS || names.len() != options.agents.len() {
        return Err(Error::Agents);
    }
    let in_folder = |source| Error::Folder { path: options.folder.clone(), source };
    std::fs::create_dir_all(&options.folder).map_err(in_folder)?;
    let folder = options.folder.canonicalize().map_err(in_folder)?;
    let lock = lock(&folder)?;
    let state_file = folder.join("state.bin");

    let master = listen(options.master_port.unwrap_or(0)).await?;
    let master_port = port_of(&master)?;
    let mut agents = Vec::new();
    let mut listeners = Vec::new();
    let mut places = Vec::new();
    for (index, agent) in options.agents.into_iter().enumerate() {
        let listener = listen(0).await?;
        let port = port_of(&listener)?;
        let path = folder.join(&agent.hostname);
        std::fs::create_dir_all(&path).map_err(|source| Error::Folder { path: path.clone(), source })?;
        end_leftovers(&path);
        places.push(Place {
            agent: index,
            folder: path,
            endpoint: format!("127.0.0.1:{port}"),
            ip: "127.0.0.1".into(),
        });
        let AgentOptions { hostname, resources, attributes, domain, has_cgroups } = agent;
        agents.push(AgentConfig { hostname, ip: "127.0.0.1".into(), port, resources, attributes, domain, has_cgroups });
        listeners.push(listener);
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let config = Config {
        master_hostname: "localhost".into(),
        master_ip: Ipv4Addr::LOCALHOST,
        master_port,
        master_domain: options.master_domain,
        allocation_interval: options.allocation_interval,
        agent_reregister_delay: Duration::from_millis(20),
        epoch: now,
        ..Config::new(agents, uuid::Uuid::from_bytes(random_bytes()).as_u64_pair().0)
    };
    let cluster = match std::fs::read(&state_file) {
        Ok(saved) => {
            Cluster::restore(config, &saved).map_err(|source| Error::State { path: state_file.clone(), source })?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Cluster::new(config),
        Err(source) => return Err(Error::Folder { path: state_file, source }),
    };
    let (running, commands) = Node::new(cluster, places, state_file);
    let mut node = JoinSet::new();
    node.spawn(running.run());
    let mut servers = JoinSet::new();
    let mut agent_ports = Vec::new();
    serve(&mut servers, master, crate::http::master_router(commands.clone()));
    for (agent, listener) in listeners.into_iter().enumerate() {
        agent_ports.push(port_of(&listener)?);
        serve(&mut servers, listener, crate::http::agent_router(commands.clone(), agent));
    }
    Ok(Running { master_port, agent_ports, commands, servers, node, _lock: lock })
}

fn serve(servers: &mut JoinSet<()>, listener: TcpListener, router: axum::Router) {
    servers.spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "a server of the cluster ended");
        }
    });
}

async fn listen(port: u16) -> Result<TcpListener, Error> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|source| Error::Listen { port, source })
}

fn port_of(listener: &TcpListener) -> Result<u16, Error> {
    listener.local_addr().map(|address| address.port()).map_err(|source| Error::Listen { port: 0, source })
}

/// Takes the folder for this process; the kernel gives it back when the process ends.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| Error::Folder { path, source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Error::InUse(folder.to_owned())),
    }
}

fn random_bytes() -> [u8; 16] {
    use std::hash::{BuildHasher as _, Hasher as _};
    // Seeded by the system for each process; identifiers need to be fresh, not secret.
    let one = || std::collections::hash_map::RandomState::new().build_hasher().finish().to_be_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&one());
    bytes[8..].copy_from_slice(&one());
    bytes
}
