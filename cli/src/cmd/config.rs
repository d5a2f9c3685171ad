//! `mainstay config`, also `mainstay debug config`.

use clap::Subcommand;

use super::Context;
use crate::client::{Error, path};

/// Stored configurations.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Ids of all stored configurations
    List,
    /// One configuration
    Show {
        /// Its id
        id: String,
    },
    /// The target configuration
    Target,
    /// Id of the target configuration
    #[command(name = "target_id", visible_alias = "target-id")]
    TargetId,
}

impl Command {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        match self {
            Self::List => context.get_json("v1/configurations"),
            Self::Show { id } => context.get_json(&path(&["v1", "configurations", &id])),
            Self::Target => context.get_json("v1/configurations/target"),
            Self::TargetId => context.get_json("v1/configurations/targetId"),
        }
    }
}
