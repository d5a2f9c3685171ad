//! A service on this machine: an embedded cluster, the scheduler and its API in this process.
//!
//! Journey: `cmd/dev.rs` checks what was typed and gives a [`Prepared`]; `session.rs` runs it; `happening.rs` carries what the
//! scheduler tells to `show.rs`, which prints it, line by line (`line.rs`) or as a picture that is drawn anew (`picture.rs`).
//! Not here: any decision about the service or the cluster; both are the real ones, in other crates.
//!
//! Invariant: when [`run`] returns, no process of the cluster is left.

pub(crate) mod folder;
mod happening;
pub(crate) mod isolation;
mod line;
mod picture;
mod session;
mod show;
pub(crate) mod user;

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use mainstay_scheduler::spec::ServiceSpec;
use mainstay_scheduler::{Vars, telemetry};

/// How long work of other threads may take at the end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Everything that was checked, taken and opened before the start.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The specification's file, as typed.
    pub(crate) spec_file: PathBuf,
    /// The specification.
    pub(crate) spec: ServiceSpec,
    /// Variables for the scheduler.
    pub(crate) vars: Vars,
    /// Where the API will be served.
    pub(crate) listener: std::net::TcpListener,
    /// Where everything is kept.
    pub(crate) folder: folder::Folder,
    /// Number of agents.
    pub(crate) agents: usize,
    /// What the user should know before the start.
    pub(crate) notes: Vec<String>,
    /// End once healthy, or after this long.
    pub(crate) until_complete: Option<Duration>,
}

/// An end that nobody asked for.
#[derive(Debug)]
pub(crate) struct End {
    /// For the process.
    pub(crate) code: u8,
    /// For people.
    pub(crate) text: String,
}

impl End {
    /// An error of `dev` itself.
    pub(crate) fn error(text: impl fmt::Display) -> Self {
        Self { code: 1, text: format!("mainstay: error: {text}") }
    }
}

/// Runs until the user or the service ends it; gives the exit code.
pub(crate) fn run(prepared: Prepared, out: &mut dyn Write) -> Result<u8, End> {
    log(&prepared.folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| End::error(format!("cannot start: {error}")))?;
    let ended = runtime.block_on(session::run(prepared, out));
    // What was cut off is dropped in here, processes included.
    runtime.shutdown_timeout(END_WITHIN);
    ended
}

/// Sends the log to its file; level and filter are those of the process's environment.
fn log(folder: &folder::Folder) -> Result<(), End> {
    let vars: Vars = ["RUST_LOG", "FRAMEWORK_LOG_LEVEL"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
        .collect();
    let filter = telemetry::filter(&vars).map_err(End::error)?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Mutex::new(folder.log()?))
        .with_ansi(false)
        .with_target(false)
        .try_init()
        .map_err(End::error)
}
