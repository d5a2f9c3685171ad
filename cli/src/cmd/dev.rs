//! `mainstay dev`: what can be typed, checked before anything starts.
//!
//! Not what then runs (`crate::dev`).

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use mainstay_scheduler::{Vars, startup};

use crate::author::{self, Sources};
use crate::client::DEFAULT_PORT;
use crate::dev::{self, folder, isolation, user};

/// Agents of a new cluster.
const AGENTS: usize = 3;
/// Ports tried after the default one.
const PORTS: u16 = 100;

/// Runs a service on this machine until Ctrl-C: a Mesos cluster, the scheduler and its HTTP API in one process.
///
/// The cluster's agents run the tasks as ordinary processes of the current user, in folders below the state folder. A second start
/// with the same folder goes on where the first one ended: same framework, same volumes.
#[derive(Debug, Args)]
pub(super) struct Dev {
    /// The service's specification (svc.yml)
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// Agents of the cluster, each with 4 cpus, 8 GB of memory and 40 GB of disk; default 3, or as many as there are in the folder
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=mainstay_devcluster::MAX_AGENTS as i64))]
    agents: Option<u16>,
    #[command(flatten)]
    sources: Sources,
    /// Where everything is kept; default .mainstay/<name of the service>
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Port of the HTTP API, on 127.0.0.1; default 8080, or the next free one
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Ends once the service is deployed and healthy: exit code 0; on errors and after the timeout exit code 1 with the reasons
    #[arg(long)]
    until_complete: bool,
    /// Seconds that --until-complete waits
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "until_complete")]
    timeout: u64,
}

impl Dev {
    /// Runs to the end; the exit code is 0 if somebody asked for it.
    pub(super) fn run(self, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
        let prepared = self.prepare(err);
        let code = prepared.and_then(|prepared| dev::run(prepared, out)).unwrap_or_else(|end| {
            writeln!(err, "{}", end.text.trim_end()).ok();
            end.code
        });
        ExitCode::from(code)
    }

    /// Everything that can be checked without touching anything, then the port and the folder.
    fn prepare(&self, err: &mut dyn Write) -> Result<dev::Prepared, dev::End> {
        let vars = self.vars(err)?;
        let loaded = startup::load_to_run(&self.spec, &vars).map_err(|report| dev::End { code: 1, text: report })?;
        for warning in &loaded.warnings {
            writeln!(err, "{warning}").ok();
        }
        let mut spec = loaded.spec;
        let missing = isolation::missing(&spec);
        if !missing.is_empty() {
            return Err(dev::End::error(missing.join("\nmainstay: error: ")));
        }
        let mut notes = isolation::notes(&spec);
        if let Some(own) = user::instead_of(&spec.user) {
            notes.push(format!("not root: tasks run as {own} instead of {}", spec.user));
            spec.user = own;
        }
        let listener = self.listen(&mut notes)?;
        let folder = folder::Folder::open(self.folder(&spec.name))?;
        let agents = self.agents(&folder)?;
        Ok(dev::Prepared {
            spec_file: self.spec.clone(),
            spec,
            vars,
            listener,
            folder,
            agents,
            notes,
            until_complete: self.until_complete.then_some(Duration::from_secs(self.timeout)),
        })
    }

    /// What the specification and the scheduler see, as `check` takes it.
    fn vars(&self, err: &mut dyn Write) -> Result<Vars, dev::End> {
        let folder = self.spec.parent().unwrap_or(Path::new(""));
        let variables = self.sources.read(folder).map_err(|problems| dev::End::error(problems.join("\n")))?;
        author::tell(err, "note", &variables.notes);
        Ok(variables.values)
    }

    fn folder(&self, service: &str) -> PathBuf {
        let name = service.trim_start_matches('/').replace('/', "__");
        self.state.clone().unwrap_or_else(|| Path::new(folder::ROOT).join(name))
    }

    /// The API has no password, so it is served to this machine only.
    fn listen(&self, notes: &mut Vec<String>) -> Result<std::net::TcpListener, dev::End> {
        let bind = |port: u16| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let taken = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
        if let Some(port) = self.port {
            return bind(port).map_err(|error| {
                let help =
                    if taken(&error) { "; choose another --port, or leave it out to get a free one" } else { "" };
                dev::End::error(format!("cannot serve the API on port {port}: {error}{help}"))
            });
        }
        for port in DEFAULT_PORT..DEFAULT_PORT + PORTS {
            match bind(port) {
                Ok(listener) => {
                    if port != DEFAULT_PORT {
                        notes.push(format!("port {DEFAULT_PORT} is taken by another program, so the API is on {port}"));
                    }
                    return Ok(listener);
                }
                Err(error) if taken(&error) => {}
                Err(error) => return Err(dev::End::error(format!("cannot serve the API on port {port}: {error}"))),
            }
        }
        let last = DEFAULT_PORT + PORTS - 1;
        Err(dev::End::error(format!("all ports from {DEFAULT_PORT} to {last} are taken; choose one with --port")))
    }

    /// Leaving an agent out would forget what is stored on it.
    fn agents(&self, folder: &folder::Folder) -> Result<usize, dev::End> {
        let known = folder.agents();
        match self.agents.map(usize::from) {
            Some(wanted) if wanted < known => Err(dev::End::error(format!(
                "{} has {known} agents, which may hold volumes: --agents {wanted} would lose them; \
                 use --agents {known} or more, another --state, or remove the folder",
                folder.shown()
            ))),
            Some(wanted) => Ok(wanted),
            None if known > 0 => Ok(known),
            None => Ok(AGENTS),
        }
    }
}
