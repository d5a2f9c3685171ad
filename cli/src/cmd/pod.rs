//! `mainstay pod`, and `mainstay pods` as it was in 2017.

use clap::Subcommand;

use super::{Context, parse};
use crate::client::{Error, path};
use crate::render;

/// Which vocabulary was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// `pods`: status is the flat JSON.
    First,
    /// `pod`: status is a tree.
    Second,
}

/// Pods.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Names of all pod instances
    List,
    /// Tasks of all instances, or of one, with their states
    Status {
        /// Pod instance, such as hello-0
        pod: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Stored Mesos messages of an instance's tasks
    Info {
        /// Pod instance, such as hello-0
        pod: String,
    },
    /// Kill the tasks of an instance; they come back in the same place
    Restart {
        /// Pod instance, such as hello-0
        pod: String,
    },
    /// Give up an instance with its volumes; it comes back anywhere, with empty ones
    Replace {
        /// Pod instance, such as hello-0
        pod: String,
    },
}

impl Command {
    pub(super) fn run(self, context: &mut Context<'_>, generation: Generation) -> Result<(), Error> {
        let root = if generation == Generation::First { "pods" } else { "pod" };
        match self {
            Self::List => context.get_json(&format!("v1/{root}")),
            Self::Status { pod, json } => {
                let path = pod
                    .as_deref()
                    .map_or_else(|| path(&["v1", root, "status"]), |pod| path(&["v1", root, pod, "status"]));
                if json || generation == Generation::First {
                    return context.get_json(&path);
                }
                let answer = context.client.get(&path)?.check()?;
                let tree = match pod {
                    Some(_) => render::pod::instance(&parse(&answer)?),
                    None => render::pod::service(&parse(&answer)?),
                };
                context.line(&tree)
            }
            Self::Info { pod } => context.get_json(&path(&["v1", root, &pod, "info"])),
            Self::Restart { pod } => post(context, &path(&["v1", root, &pod, "restart"])),
            Self::Replace { pod } => post(context, &path(&["v1", root, &pod, "replace"])),
        }
    }
}

fn post(context: &mut Context<'_>, path: &str) -> Result<(), Error> {
    let answer = context.client.post(path, None)?.check()?;
    context.json(&answer)
}
