//! `mainstay waiting`.

use clap::Args;

use super::{Context, parse};
use crate::client::Error;

/// What each unfinished step waits for.
#[derive(Debug, Args)]
pub(super) struct Waiting {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Waiting {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        let answer = context.client.get("v1/waiting")?.check()?;
        if self.json {
            return context.json(&answer);
        }
        let lines: Vec<String> = parse(&answer)?;
        context.line(if lines.is_empty() { "nothing waits".to_owned() } else { lines.join("\n") }.as_str())
    }
}
