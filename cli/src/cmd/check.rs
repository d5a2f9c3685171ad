//! `mainstay check`: is this specification right?
//!
//! Everything that is said about the files is the result and goes to standard output; what keeps the command from looking at them goes to
//! standard error.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use mainstay_spec::{Diagnostic, Loaded, Report, Severity};
use serde::Serialize;

use crate::author::{self, Colours, OK, REFUSED, Sources, SpecFile, UNUSABLE};

/// Checks specifications: renders, reads and validates them, and shows every problem.
///
/// Exit code: 0 when all are right (warnings are allowed), 1 when one has errors, 2 when one cannot be read.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Specifications (svc.yml); - is standard input
    #[arg(value_name = "SPEC", required = true)]
    specs: Vec<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// Takes warnings, unset variables among them, for errors
    #[arg(long)]
    strict: bool,
    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

/// Everything found, for machines. Shape: stable; keys are added, never changed.
#[derive(Debug, Serialize)]
struct Document {
    ok: bool,
    files: Vec<Checked>,
}

#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    ok: bool,
    /// Why the file, or what renders it, cannot be read.
    unreadable: Vec<String>,
    service: Option<Service>,
    errors: usize,
    warnings: usize,
    diagnostics: Vec<Entry>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Service {
    name: String,
    pods: usize,
    instances: u32,
    /// Of all instances.
    tasks: usize,
    plans: usize,
}

#[derive(Debug, Serialize)]
struct Entry {
    code: String,
    severity: String,
    file: String,
    line: usize,
    column: usize,
    rendered: Option<Place>,
    path: String,
    message: String,
    help: Option<String>,
    /// For an unknown key, the known ones.
    known: Vec<&'static str>,
    page: String,
}

#[derive(Debug, Serialize)]
struct Place {
    line: usize,
    column: usize,
}

impl Entry {
    fn new(diagnostic: &Diagnostic) -> Self {
        Self {
            code: diagnostic.code.to_string(),
            severity: diagnostic.severity.to_string(),
            file: diagnostic.file.clone(),
            line: diagnostic.position.line,
            column: diagnostic.position.column,
            rendered: diagnostic.rendered.map(|place| Place { line: place.line, column: place.column }),
            path: diagnostic.path.clone(),
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone(),
            known: diagnostic.known.clone(),
            page: format!("docs/errors/{}.md", diagnostic.code),
        }
    }
}

impl Service {
    fn new(loaded: &Loaded) -> Self {
        let spec = &loaded.spec;
        Self {
            name: spec.name.clone(),
            pods: spec.pods.len(),
            instances: spec.pods.iter().map(|pod| pod.count).sum(),
            tasks: spec.pods.iter().map(|pod| pod.tasks.len() * pod.count as usize).sum(),
            plans: spec.plans.len(),
        }
    }

    /// `service hello, 2 pods, 3 instances, …`.
    fn summary(&self) -> String {
        let mut text = format!("service {}", self.name);
        for (count, noun) in
            [(self.pods, "pod"), (self.instances as usize, "instance"), (self.tasks, "task"), (self.plans, "plan")]
        {
            if count > 0 || noun != "plan" {
                text.push_str(", ");
                text.push_str(&counted(count, noun));
            }
        }
        text
    }
}

/// One file with what was found.
struct Outcome {
    checked: Checked,
    found: Vec<Diagnostic>,
}

impl Check {
    pub(super) fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
        let outcomes: Vec<Outcome> = self.specs.iter().map(|spec| self.check(spec)).collect();
        let worst = outcomes.iter().map(Outcome::code).max().unwrap_or(OK);
        let text = if self.json {
            let files = outcomes.into_iter().map(|outcome| outcome.checked).collect();
            let document = Document { ok: worst == OK, files };
            match serde_json::to_string_pretty(&document) {
                Ok(text) => format!("{text}\n"),
                Err(error) => {
                    author::tell(err, "error", &[format!("cannot write the result: {error}")]);
                    return UNUSABLE;
                }
            }
        } else {
            author::tell(err, "error", &once(outcomes.iter().flat_map(|outcome| &outcome.checked.unreadable)));
            author::tell(err, "note", &once(outcomes.iter().flat_map(|outcome| &outcome.checked.notes)));
            let colours = Colours::of_stdout();
            outcomes.iter().map(|outcome| outcome.text(colours)).collect()
        };
        match author::print(out, &text) {
            Ok(()) => worst,
            Err(problem) => {
                author::tell(err, "error", &[problem]);
                UNUSABLE
            }
        }
    }

    fn check(&self, path: &std::path::Path) -> Outcome {
        let mut checked = Checked {
            file: path.display().to_string(),
            ok: false,
            unreadable: Vec::new(),
            service: None,
            errors: 0,
            warnings: 0,
            diagnostics: Vec::new(),
            notes: Vec::new(),
        };
        let read = SpecFile::read(path).map_err(|problem| vec![problem]);
        let found = match read.and_then(|file| Ok((self.sources.read(&file.folder)?, file))) {
            Err(problems) => {
                checked.unreadable = problems;
                Vec::new()
            }
            Ok((variables, file)) => {
                checked.file.clone_from(&file.name);
                checked.notes.clone_from(&variables.notes);
                match file.load(&variables) {
                    Ok(loaded) => {
                        checked.service = Some(Service::new(&loaded));
                        loaded.warnings
                    }
                    Err(Report { diagnostics }) => diagnostics,
                }
            }
        };
        checked.errors = found.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        checked.warnings = found.len() - checked.errors;
        checked.ok = checked.service.is_some() && !(self.strict && checked.warnings > 0);
        checked.diagnostics = found.iter().map(Entry::new).collect();
        Outcome { checked, found }
    }
}

impl Outcome {
    /// The diagnostics and a last line that says how it went.
    fn text(&self, colours: Colours) -> String {
        let Checked { file, unreadable, service, errors, warnings, ok, .. } = &self.checked;
        if !unreadable.is_empty() {
            return String::new();
        }
        let mut text = String::new();
        for diagnostic in &self.found {
            text.push_str(&colours.diagnostic(diagnostic));
            text.push_str("\n\n");
        }
        let counts: Vec<String> = [(*errors, "error"), (*warnings, "warning")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, noun)| counted(count, noun))
            .collect();
        let verdict = match (service, ok) {
            (Some(service), true) => {
                let mut parts = vec![service.summary()];
                parts.extend(counts);
                format!("{}: {}", colours.verdict("ok", true), parts.join(", "))
            }
            (Some(_), false) => {
                format!("{}: {}, which --strict does not allow", colours.verdict("refused", false), counts.join(", "))
            }
            (None, _) => format!("{}: {}", colours.verdict("refused", false), counts.join(", ")),
        };
        let _ = writeln!(text, "{file}: {verdict}");
        text
    }

    fn code(&self) -> u8 {
        match (self.checked.unreadable.is_empty(), self.checked.ok) {
            (false, _) => UNUSABLE,
            (true, false) => REFUSED,
            (true, true) => OK,
        }
    }
}

/// What several files have in common is said once.
fn once<'a>(lines: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lines.filter(|line| seen.insert(line.as_str())).cloned().collect()
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
