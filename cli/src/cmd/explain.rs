//! `mainstay explain`: what a specification asks for.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use mainstay_scheduler::env::Settings;

use crate::author::explanation::Explanation;
use crate::author::{self, Colours, OK, REFUSED, Sources, SpecFile, UNUSABLE};
use crate::render;

/// Shows what a specification asks for: pods, resources, ports, volumes, plans and names.
///
/// Exit code: 0, or 1 when the specification has errors, or 2 when a file cannot be read.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The specification (svc.yml); - is standard input
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    #[command(flatten)]
    sources: Sources,
    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub(super) fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
        match self.explain(err).and_then(|text| author::print(out, &text).map_err(|problem| (UNUSABLE, vec![problem])))
        {
            Ok(()) => OK,
            Err((code, problems)) => {
                author::tell(err, "error", &problems);
                code
            }
        }
    }

    fn explain(&self, err: &mut dyn Write) -> Result<String, (u8, Vec<String>)> {
        let file = SpecFile::read(&self.spec).map_err(|problem| (UNUSABLE, vec![problem]))?;
        let variables = self.sources.read(&file.folder).map_err(|problems| (UNUSABLE, problems))?;
        let loaded = file.load(&variables).map_err(|report| {
            let colours = Colours::of_stderr();
            for diagnostic in &report.diagnostics {
                writeln!(err, "{}\n", colours.diagnostic(diagnostic)).ok();
            }
            (REFUSED, vec![format!("{} has errors, so there is nothing to explain", file.name)])
        })?;
        let mut notes = variables.notes.clone();
        let warnings = loaded.warnings.len();
        if warnings > 0 {
            let plural = if warnings == 1 { "" } else { "s" };
            notes.push(format!("{} has {warnings} warning{plural}; `mainstay check` shows them", file.name));
        }
        // Variables that the scheduler would refuse to start with; names and amounts are then those of its defaults.
        let settings = Settings::read(&variables.values, false).or_else(|problems| {
            notes.extend(problems.iter().map(|problem| format!("{}: {}", problem.variable, problem.message)));
            Settings::read(&mainstay_scheduler::Vars::new(), false)
        });
        let settings = settings.map_err(|problems| {
            (UNUSABLE, problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>())
        })?;
        let mut spec = loaded.spec;
        settings.confine(&mut spec);
        let scheduler = settings.dcos_hostname(&spec);
        let config = settings.engine(&spec, &scheduler, 0);
        if !self.json {
            author::tell(err, "note", &notes);
        }
        let explained = Explanation::new(&file.name, &spec, &config, scheduler, notes);
        if !self.json {
            return Ok(render::explanation::draw(&explained));
        }
        let text = serde_json::to_string_pretty(&explained)
            .map_err(|error| (UNUSABLE, vec![format!("cannot write the result: {error}")]))?;
        Ok(text + "\n")
    }
}
