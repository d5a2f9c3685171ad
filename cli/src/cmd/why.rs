//! `mainstay why`.

use clap::Args;
use mainstay_api::placement::Step;

use super::{Context, parse};
use crate::client::{Error, path};

/// Why unfinished steps are not placed now, and the smallest change that would let them pass.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// Pod instance (`hello-0`) or pod type (`hello`); every unfinished step when absent
    pod: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Why {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        let route = match &self.pod {
            Some(pod) => path(&["v1", "placement", pod]),
            None => "v1/placement".to_owned(),
        };
        let answer = context.client.get(&route)?.check()?;
        if self.json {
            return context.json(&answer);
        }
        let steps: Vec<Step> = parse(&answer)?;
        let texts: Vec<&str> = steps.iter().map(|step| step.text.as_str()).collect();
        context.line(if texts.is_empty() { "nothing waits".to_owned() } else { texts.join("\n") }.as_str())
    }
}
