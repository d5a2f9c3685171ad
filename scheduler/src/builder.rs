//! The facade for authors of services, and for `mainstay dev`: everything in one process, nothing global.
//!
//! ```no_run
//! # async fn example() {
//! use mainstay_scheduler::Scheduler;
//!
//! let exit = Scheduler::builder("svc.yml").env(std::env::vars()).run().await;
//! eprintln!("{}", exit.reason);
//! # }
//! ```
//!
//! Invariant: never ends the process and never sets anything of it; logs go to whatever subscriber the caller has installed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_engine::config::validators::Validator;
use mainstay_engine::view::View;
use mainstay_spec::{PlanSpec, ServiceSpec};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Vars;
use crate::control::CommandHandle;
use crate::run::{Exit, Hook};
use crate::startup::{self, Input, Source, Started};
use crate::{shutdown, store};

/// Entry to the library.
#[derive(Debug)]
pub struct Scheduler;

impl Scheduler {
    /// Begins with a specification: the path of a file, or a [`ServiceSpec`] made in code.
    pub fn builder(source: impl Into<Source>) -> Builder {
        Builder {
            input: Input {
                source: source.into(),
                vars: Vars::new(),
                plans: Vec::new(),
                validators: Vec::new(),
                hooks: Vec::new(),
                listener: None,
                executor: None,
                store_settings: store::Settings::default(),
            },
            stop: CancellationToken::new(),
        }
    }
}

impl From<ServiceSpec> for Source {
    fn from(spec: ServiceSpec) -> Self {
        Self::Service(Box::new(spec))
    }
}

impl From<&str> for Source {
    fn from(path: &str) -> Self {
        Self::File(path.into())
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self::File(path.into())
    }
}

/// A scheduler in the making.
pub struct Builder {
    input: Input,
    stop: CancellationToken,
}

impl Builder {
    /// Adds environment variables; nothing is read from the process itself. Later ones win.
    pub fn env<K: Into<String>, V: Into<String>>(mut self, vars: impl IntoIterator<Item = (K, V)>) -> Self {
        self.input.vars.extend(vars.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Adds a plan of the author's own to those of the specification.
    pub fn plan(mut self, plan: PlanSpec) -> Self {
        self.input.plans.push(plan);
        self
    }

    /// Adds a rule of the service's own against changes of its specification, for example
    /// [`zone_kept`](mainstay_engine::config::validators::zone_kept).
    pub fn validator(mut self, validator: Validator) -> Self {
        self.input.validators.push(validator);
        self
    }

    /// Adds somebody to be told what happened.
    pub fn hook(mut self, hook: impl Hook + 'static) -> Self {
        self.input.hooks.push(Box::new(hook));
        self
    }

    /// Serves the API here instead of on `PORT_API`, which is then not needed.
    pub fn listener(mut self, listener: TcpListener) -> Self {
        self.input.listener = Some(listener);
        self
    }

    /// Serves this executor program instead of the one beside the running program.
    pub fn executor(mut self, path: impl Into<PathBuf>) -> Self {
        self.input.executor = Some(path.into());
        self
    }

    /// How long the store is waited for, and for its lock.
    pub fn store_settings(mut self, settings: store::Settings) -> Self {
        self.input.store_settings = settings;
        self
    }

    /// Ends the scheduler when this fires; tasks of the service run on.
    pub fn stop(mut self, stop: CancellationToken) -> Self {
        self.stop = stop;
        self
    }

    /// Starts: when this returns the API is served and registration is under way.
    ///
    /// Errors: the start failed or was stopped; [`Exit::code`] as the SDK gives it, [`Exit::reason`] for people.
    pub async fn start(self) -> Result<Running, Exit> {
        let started = tokio::select! {
            biased;
            () = self.stop.cancelled() => return Err(Exit::stopped()),
            started = startup::start(self.input) => started?,
        };
        Ok(Running { started, stop: self.stop })
    }

    /// Starts and runs to the end.
    pub async fn run(self) -> Exit {
        match self.start().await {
            Ok(running) => running.run().await,
            Err(exit) => exit,
        }
    }
}

/// A scheduler that has started and waits to be driven by [`Running::run`].
pub struct Running {
    started: Started,
    stop: CancellationToken,
}

impl Running {
    /// The published view: what the API shows.
    pub fn view(&self) -> watch::Receiver<Arc<View>> {
        self.started.view.clone()
    }

    /// The way of commands: what the API's POST requests use.
    pub fn commands(&self) -> CommandHandle {
        self.started.commands.clone()
    }

    /// Where the API is served.
    pub fn address(&self) -> SocketAddr {
        self.started.address
    }

    /// Runs to the end, then releases the lock.
    pub async fn run(self) -> Exit {
        let Started { main, mut tasks, tasks_stop, .. } = self.started;
        let (exit, store) = main.run(&mut tasks, &self.stop).await;
        shutdown::end(tasks, &tasks_stop, store).await;
        exit
    }
}

#[cfg(test)]
mod tests;
