//! A service as the scheduler would start it, for the commands that only think about it.
//!
//! Not `dev`, which runs it. Nothing is written, nothing is asked of a network.

use std::path::Path;

use mainstay_scheduler::env::Settings;
use mainstay_scheduler::spec::ServiceSpec;

use crate::author::{Sources, SpecFile};

/// What the scheduler would start with.
#[derive(Debug)]
pub(crate) struct Service {
    /// The specification.
    pub(crate) spec: ServiceSpec,
    /// What the variables say to the scheduler itself.
    pub(crate) settings: Settings,
    /// What the author should look at.
    pub(crate) warnings: Vec<String>,
    /// What is worth knowing about the variables.
    pub(crate) notes: Vec<String>,
}

impl Service {
    /// Loads a specification as the scheduler does; `-` is standard input.
    ///
    /// Errors: every problem, for people; what this version does not honour yet is one.
    pub(crate) fn load(spec: &Path, sources: &Sources) -> Result<Self, String> {
        let file = SpecFile::read(spec)?;
        let variables = sources.read(&file.folder).map_err(|problems| problems.join("\n"))?;
        let settings = Settings::read(&variables.values, false)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        let loaded = file.load(&variables).map_err(|report| report.to_string());
        let loaded = loaded.and_then(|loaded| match loaded.unsupported() {
            Some(report) => Err(report.to_string()),
            None => Ok(loaded),
        });
        match (loaded, settings) {
            (Ok(loaded), Ok(settings)) => {
                let mut spec = loaded.spec;
                settings.confine(&mut spec);
                let warnings = loaded.warnings.iter().map(ToString::to_string).collect();
                Ok(Self { spec, settings, warnings, notes: variables.notes })
            }
            (loaded, settings) => {
                let problems = [loaded.err(), settings.err()];
                Err(problems.into_iter().flatten().collect::<Vec<_>>().join("\n"))
            }
        }
    }
}
