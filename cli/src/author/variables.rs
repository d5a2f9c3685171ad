//! The variables of a specification, and where each came from.
//!
//! Later ones win: the file `env` beside the specification; the process's own environment, when asked for; each `--env-file`; each
//! `--env`. A package (`--universe`) stands in the place of the file `env`: what the package forgets to set must not be hidden by values
//! for a try-out.
//!
//! Invariant: nothing of the process's environment is seen unless asked for, so that the same command does the same in every shell.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{package, text_file};

/// The file beside a specification that renders it.
const ENV_FILE: &str = "env";

/// Where variables come from, as typed.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Sources {
    /// Sets a variable; wins over everything else; may be repeated
    #[arg(long = "env", value_name = "KEY=VALUE")]
    variables: Vec<String>,
    /// Reads variables from a file of KEY=VALUE lines; wins over the file "env" beside the specification; may be repeated
    #[arg(long = "env-file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Takes the variables of this process too, which are otherwise not looked at
    #[arg(long)]
    inherit_env: bool,
    /// Takes the variables that a Universe package sets, instead of the file "env" beside the specification
    #[arg(long, value_name = "DIR")]
    universe: Option<PathBuf>,
    /// What an operator would give to the package: a JSON file
    #[arg(long, value_name = "FILE", requires = "universe")]
    options: Option<PathBuf>,
}

/// Where a value was taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A line of a file.
    File {
        /// As typed, or beside the specification.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// `--env`.
    Argument,
    /// The environment of this process.
    Process,
    /// A package: its template, and the options that made up the value.
    Package(package::Trace),
}

/// Prints where to look for the value.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Argument => f.write_str("--env"),
            Self::Process => f.write_str("the process's environment"),
            Self::Package(trace) => trace.fmt(f),
        }
    }
}

/// Variables by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables {
    /// The values.
    pub(crate) values: BTreeMap<String, String>,
    origins: BTreeMap<String, Origin>,
    /// What is worth knowing about where they came from.
    pub(crate) notes: Vec<String>,
}

impl Sources {
    /// Reads everything for a specification in this folder.
    ///
    /// Errors: every problem found, each a sentence with its file and place.
    pub(crate) fn read(&self, folder: &Path) -> Result<Variables, Vec<String>> {
        let mut variables = Variables::default();
        let mut problems = Vec::new();
        let package = self.universe.as_ref().map(|folder| package::read(folder, self.options.as_deref()));
        match package {
            Some(Ok(package)) => {
                variables.notes.extend(package.notes);
                for (name, value, trace) in package.variables {
                    variables.set(name, value, Origin::Package(trace));
                }
            }
            Some(Err(mut found)) => problems.append(&mut found),
            None => {
                let beside = folder.join(ENV_FILE);
                // A folder of that name is somebody's virtual environment, not ours.
                if beside.is_file() {
                    variables.file(&beside, &mut problems);
                }
            }
        }
        if self.inherit_env {
            for (name, value) in std::env::vars_os() {
                match (name.into_string(), value.into_string()) {
                    (Ok(name), Ok(value)) => variables.set(name, value, Origin::Process),
                    (name, _) => {
                        let name = name.unwrap_or_else(|name| name.to_string_lossy().into_owned());
                        variables
                            .notes
                            .push(format!("the variable {name} of the process is not UTF-8 and was left out"));
                    }
                }
            }
        }
        for file in &self.files {
            variables.file(file, &mut problems);
        }
        for variable in &self.variables {
            match variable.split_once('=') {
                Some((name, value)) if !name.trim().is_empty() => {
                    variables.set(name.trim().to_owned(), value.to_owned(), Origin::Argument);
                }
                _ => problems.push(format!("--env {variable:?} is not of the form KEY=VALUE")),
            }
        }
        if problems.is_empty() { Ok(variables) } else { Err(problems) }
    }
}

impl Variables {
    /// Where the value of this variable was taken from.
    pub(crate) fn origin(&self, name: &str) -> Option<&Origin> {
        self.origins.get(name)
    }

    fn set(&mut self, name: String, value: String, origin: Origin) {
        self.origins.insert(name.clone(), origin);
        self.values.insert(name, value);
    }

    fn file(&mut self, path: &Path, problems: &mut Vec<String>) {
        let read = text_file::read(path).map_err(|problem| problems.push(problem));
        let Ok(text) = read else { return };
        match mainstay_spec::parse_env(&text) {
            Ok(values) => {
                let lines = lines(&text);
                for (name, value) in values {
                    let line = lines.get(name.as_str()).copied().unwrap_or(1);
                    self.set(name, value, Origin::File { path: path.to_owned(), line });
                }
            }
            Err(found) => problems.extend(found.lines().map(|line| format!("{}: {line}", path.display()))),
        }
    }
}

/// The line of each name in a file that was understood.
fn lines(text: &str) -> BTreeMap<&str, usize> {
    let numbered = text.lines().zip(1..).filter(|(line, _)| !line.trim_start().starts_with('#'));
    numbered.filter_map(|(line, number)| Some((line.split_once('=')?.0.trim(), number))).collect()
}
