//! `mainstay fit`: would a service fit a described cluster?

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::author::{self, OK, REFUSED, Sources, UNUSABLE};
use crate::fit::{self, report};
use crate::recorded::{self, Recorded, Wanted};
use crate::service::Service;

/// Says whether and where a service would fit a described cluster, without Mesos.
///
/// Exit code: 0 when everything fits, 1 when something does not, 2 when a file cannot be used.
#[derive(Debug, Args)]
pub(super) struct Fit {
    /// The service's specification (svc.yml); - is standard input
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    /// The agents: a list of your own in YAML or JSON, or what a master answers at /master/slaves; - is standard input
    #[arg(long, value_name = "FILE")]
    agents: PathBuf,
    /// Region of the master, where agents name regions; default: the one with most agents
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    #[command(flatten)]
    sources: Sources,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Fit {
    /// Answers; the exit code is the answer too.
    pub(super) fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
        self.answer(out, err).unwrap_or_else(|problem| {
            author::tell(err, "error", &[problem.trim_end().to_owned()]);
            UNUSABLE
        })
    }

    fn answer(&self, out: &mut dyn Write, err: &mut dyn Write) -> Result<u8, String> {
        recorded::at_most_one_stdin("SPEC", &self.spec, "--agents", &self.agents)?;
        let service = Service::load(&self.spec, &self.sources);
        let read = recorded::read(&self.agents, Wanted::Agents);
        let (service, read) = match (service, read) {
            (Ok(service), Ok(read)) => (service, read),
            (service, read) => {
                let problems = [service.err(), read.err()];
                return Err(problems.into_iter().flatten().collect::<Vec<_>>().join("\n"));
            }
        };
        let Recorded::Agents(agents) = read.what else {
            let file = self.agents.display();
            return Err(format!("{file}: these are offers, not agents; mainstay why --offers {file} explains them"));
        };
        let outcome = fit::fit(&service, &agents, self.region.as_deref())?;
        for warning in &service.warnings {
            writeln!(err, "{warning}").ok();
        }
        for notes in [&service.notes, &read.notes, &outcome.notes] {
            author::tell(err, "note", notes);
        }
        let text = if self.json { format!("{:#}", report::json(&outcome)) } else { report::text(&outcome) };
        author::print(out, &format!("{text}\n"))?;
        Ok(if outcome.fits() { OK } else { REFUSED })
    }
}
