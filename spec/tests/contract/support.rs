//! Small specifications and what becomes of them.
//!
//! The text handed to [`root`], [`pod`] and [`task`] goes into a service with one pod `p` and one task `t`; keys it does not
//! hold itself are filled in, and a line `-key` leaves one out.

use std::{collections::BTreeMap, fmt::Write as _};

use mainstay_spec::{Code, Diagnostic, Loaded, PodSpec, Report, ServiceSpec, Severity, Source, TaskSpec, load};

/// A specification with the variables it is rendered with.
pub(crate) struct Input {
    text: String,
    variables: BTreeMap<String, String>,
}

impl Input {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl From<String> for Input {
    fn from(text: String) -> Self {
        Self { text, variables: BTreeMap::new() }
    }
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// A mapping of `lines` and the defaults they do not speak of.
fn merged(lines: &str, defaults: &[(&str, &str)], indent: usize) -> String {
    let mut text = String::new();
    for (name, value) in defaults {
        let speaks_of = |line: &str| line == format!("-{name}") || line.starts_with(&format!("{name}:"));
        if !lines.lines().any(speaks_of) {
            writeln!(text, "{:indent$}{name}: {value}", "").unwrap();
        }
    }
    for line in lines.lines().filter(|line| !line.starts_with('-') || line.starts_with("- ") || *line == "-") {
        writeln!(text, "{:indent$}{line}", "").unwrap();
    }
    text
}

const TASK: &str = "{goal: RUNNING, cmd: x, cpus: 1}";

/// A service with these lines at the root.
pub(crate) fn root(lines: &str) -> Input {
    let pods = format!("{{p: {{count: 1, tasks: {{t: {TASK}}}}}}}");
    merged(lines, &[("name", "n"), ("pods", &pods)], 0).into()
}

/// A service with these lines in its pod.
pub(crate) fn pod(lines: &str) -> Input {
    let tasks = format!("{{t: {TASK}}}");
    let text = merged(lines, &[("count", "1"), ("tasks", &tasks)], 4);
    format!("name: n\npods:\n  p:\n{text}").into()
}

/// A service with these lines in its task.
pub(crate) fn task(lines: &str) -> Input {
    let text = merged(lines, &[("goal", "RUNNING"), ("cmd", "x"), ("cpus", "1")], 8);
    format!("name: n\npods:\n  p:\n    count: 1\n    tasks:\n      t:\n{text}").into()
}

/// A service whose pod `p` has `count` instances and the tasks `a` and `b`, with these lines as the phase of its plan.
pub(crate) fn phase(count: u32, lines: &str) -> Input {
    let text = merged(lines, &[("pod", "p")], 8);
    format!(
        "name: n\npods: {{p: {{count: {count}, tasks: {{a: {TASK}, b: {TASK}}}}}}}\nplans:\n  deploy:\n    phases:\n      \
         first:\n{text}"
    )
    .into()
}

pub(crate) fn loaded(input: impl Into<Input>) -> Result<Loaded, Report> {
    let Input { text, variables } = input.into();
    let read_file = |path: &str| match path {
        "empty" => Ok(String::new()),
        "missing" => Err("file not found".to_owned()),
        _ => Ok("verbatim {{TAG}}".to_owned()),
    };
    load(Source { file_name: "svc.yml", text: &text }, &variables, &read_file)
}

/// Warnings about what is read and kept but not honoured yet say nothing about the language.
fn relevant(diagnostics: Vec<Diagnostic>) -> Vec<(Code, String)> {
    let relevant = diagnostics.into_iter().filter(|diagnostic| diagnostic.code != Code::NotSupportedYet);
    relevant.map(|diagnostic| (diagnostic.code, diagnostic.path)).collect()
}

/// Runs a check of these rows.
pub(crate) fn row(rows: &str, check: impl FnOnce()) {
    // Shown when the check fails.
    println!("row {rows}");
    check();
}

/// Loads without a word.
#[track_caller]
pub(crate) fn fine(rows: &str, input: impl Into<Input>) -> ServiceSpec {
    match loaded(input) {
        Ok(loaded) => {
            let warnings = relevant(loaded.warnings);
            assert!(warnings.is_empty(), "{rows}: {warnings:?}");
            loaded.spec
        }
        Err(report) => panic!("{rows}:\n{report}"),
    }
}

/// Loads with exactly one warning.
#[track_caller]
pub(crate) fn warned(rows: &str, input: impl Into<Input>, code: Code, path: &str) -> ServiceSpec {
    match loaded(input) {
        Ok(loaded) => {
            assert_eq!(relevant(loaded.warnings), [(code, path.to_owned())], "{rows}");
            loaded.spec
        }
        Err(report) => panic!("{rows}:\n{report}"),
    }
}

/// Is refused for exactly one error. Answers its message with its help.
#[track_caller]
pub(crate) fn refused(rows: &str, input: impl Into<Input>, code: Code, path: &str) -> String {
    match loaded(input) {
        Ok(loaded) => panic!("{rows}: accepted: {:#?}", loaded.spec),
        Err(report) => {
            let errors: Vec<_> =
                report.diagnostics.into_iter().filter(|diagnostic| diagnostic.severity == Severity::Error).collect();
            let message = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            assert_eq!(relevant(errors), [(code, path.to_owned())], "{rows}:\n{message}");
            message
        }
    }
}

/// The text after rendering.
#[track_caller]
pub(crate) fn rendered(input: impl Into<Input>) -> String {
    loaded(input).unwrap_or_else(|report| panic!("{report}")).rendered
}

pub(crate) fn the_pod(spec: &ServiceSpec) -> &PodSpec {
    spec.pod("p").unwrap()
}

pub(crate) fn the_task(spec: &ServiceSpec) -> &TaskSpec {
    the_pod(spec).task("t").unwrap()
}
