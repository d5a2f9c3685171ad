//! `mainstay endpoints`.

use clap::Args;

use super::Context;
use crate::client::{Error, path};

/// Where the service can be reached.
#[derive(Debug, Args)]
pub(super) struct Endpoints {
    /// One endpoint; without it the names of all
    name: Option<String>,
}

impl Endpoints {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        let Some(name) = self.name else { return context.get_json("v1/endpoints") };
        // Passed on byte for byte: it may be any text.
        let answer = context.client.get(&path(&["v1", "endpoints", &name]))?.check()?;
        context.line(&String::from_utf8_lossy(&answer.body))
    }
}
