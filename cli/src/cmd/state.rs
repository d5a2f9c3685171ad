//! `mainstay state`, also `mainstay debug state`.

use clap::Subcommand;

use super::Context;
use crate::client::{Error, path};

/// Stored state.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The framework id
    #[command(name = "framework_id", visible_alias = "framework-id")]
    FrameworkId,
    /// Keys of all properties
    Properties,
    /// One property
    Property {
        /// Its key
        name: String,
    },
    /// Ask the scheduler to read its store again; ours never can, and says 409
    #[command(name = "refresh_cache", visible_alias = "refresh-cache", hide = true)]
    RefreshCache,
}

impl Command {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        match self {
            Self::FrameworkId => context.get_json("v1/state/frameworkId"),
            Self::Properties => context.get_json("v1/state/properties"),
            Self::Property { name } => context.get_json(&path(&["v1", "state", "properties", &name])),
            Self::RefreshCache => {
                let answer = context.client.put("v1/state/refresh")?.check()?;
                context.json(&answer)
            }
        }
    }
}
