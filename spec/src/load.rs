//! The whole journey from template text to a validated service.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use mainstay_template::{Dialect, Lines, SyntaxError, SyntaxErrorKind, Template};

use crate::{
    code::{Code, Severity},
    diagnostic::{Diagnostic, Report},
    lower,
    problem::{self, Places, Problems},
    raw,
    service::ServiceSpec,
    yaml,
};

/// A specification as it lies in its file.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    /// Name of the file as diagnostics print it.
    pub file_name: &'s str,
    /// Its text, a template.
    pub text: &'s str,
}

/// A specification that was accepted.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says.
    pub spec: ServiceSpec,
    /// What its author should look at.
    pub warnings: Vec<Diagnostic>,
    /// The text after rendering.
    pub rendered: String,
}

impl Loaded {
    /// What the specification uses that this version does not honour yet, as errors; `None` when it honours everything.
    ///
    /// Whoever is about to run the service asks this first; whoever only checks or shows it need not.
    pub fn unsupported(&self) -> Option<Report> {
        let used = self.warnings.iter().filter(|warning| warning.code == Code::NotSupportedYet);
        let diagnostics: Vec<_> = used.map(|used| Diagnostic { severity: Severity::Error, ..used.clone() }).collect();
        (!diagnostics.is_empty()).then_some(Report { diagnostics })
    }
}

/// Renders, reads and checks a specification.
///
/// `variables` is the environment of the scheduler; `read_file` reads the file that a configuration template names and
/// says why it cannot. Shape of a path: as the author wrote it, relative to the folder of the specification.
///
/// Errors: every problem found, in one report.
/// Source: the order of steps of the SDK's start, `svc.yml` reference section 1.
pub fn load(
    source: Source<'_>,
    variables: &BTreeMap<String, String>,
    read_file: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Loaded, Report> {
    let template = Template::parse(source.text).map_err(|errors| template_report(source, errors))?;
    let rendered = template.render(variables, Dialect::Scheduler).map_err(|error| Report {
        diagnostics: vec![Diagnostic {
            code: Code::TemplateLimit,
            severity: Code::TemplateLimit.severity(),
            file: source.file_name.to_owned(),
            position: template.position(0),
            rendered: None,
            path: String::new(),
            message: error.to_string(),
            help: None,
            excerpt: String::new(),
            marked: 1,
            rendered_excerpt: None,
            known: Vec::new(),
        }],
    })?;
    let mut problems = Problems::new(Places::new(&template, &rendered));
    let mut inputs = lower::Inputs { variables, read_file, elsewhere: Vec::new(), patterns: 0 };
    let tree = yaml::parse(&rendered.text, &mut problems);
    let raw = tree.and_then(|tree| raw::service(&tree, &mut problems));
    let spec = raw.and_then(|raw| lower::service(raw, &mut inputs, &mut problems));
    problems.note_rendering();
    let mut diagnostics = problems.into_diagnostics(source.file_name);
    problem::sort(&mut inputs.elsewhere);
    diagnostics.append(&mut inputs.elsewhere);
    match spec {
        Some(spec) if diagnostics.iter().all(|diagnostic| diagnostic.severity == Severity::Warning) => {
            Ok(Loaded { spec, warnings: diagnostics, rendered: rendered.text })
        }
        _ => Err(Report { diagnostics }),
    }
}

/// A template that cannot be parsed is not rendered, so its errors are all there is to report.
fn template_report(source: Source<'_>, errors: Vec<SyntaxError>) -> Report {
    let lines = Lines::new(source.text);
    let diagnostic = |error: SyntaxError| {
        let (code, help) = match &error.kind {
            SyntaxErrorKind::UnclosedTag { .. } => (Code::TemplateTag, Some("close it with }} on the same line")),
            SyntaxErrorKind::EmptyTag => (Code::TemplateTag, Some("name a variable between the braces")),
            SyntaxErrorKind::BadDelimiters { .. } => (Code::TemplateTag, None),
            SyntaxErrorKind::UnclosedSection { .. }
            | SyntaxErrorKind::MismatchedClose { .. }
            | SyntaxErrorKind::CloseWithoutOpen { .. } => {
                (Code::TemplateSection, Some("sections are closed in the reverse order of their opening"))
            }
            SyntaxErrorKind::Partial { .. } => (Code::TemplatePartial, Some("write the text into this file")),
            SyntaxErrorKind::TooLong { .. } | SyntaxErrorKind::TooDeep { .. } => (Code::TemplateLimit, None),
        };
        Diagnostic {
            code,
            severity: code.severity(),
            file: source.file_name.to_owned(),
            position: error.position,
            rendered: None,
            path: String::new(),
            message: error.kind.to_string(),
            help: help.map(str::to_owned),
            excerpt: lines.line(source.text, error.position.line).to_owned(),
            marked: error.length.max(1),
            rendered_excerpt: None,
            known: Vec::new(),
        }
    };
    let mut diagnostics: Vec<_> = errors.into_iter().map(diagnostic).collect();
    problem::sort(&mut diagnostics);
    Report { diagnostics }
}

/// Reads `KEY=VALUE` lines, as they stand beside a specification to render it.
///
/// Shape: one variable a line; blank lines and lines that begin with `#` are skipped; a value may stand in single or
/// double quotes, which are dropped, and may be empty. A byte order mark before all is no part of the first name.
/// Errors: every line that is none of these, joined with line ends.
pub fn parse_env(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut variables = BTreeMap::new();
    let mut errors = String::new();
    let mut seen = BTreeSet::new();
    for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = line.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        let Some((name, value)) = pair.filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace))
        else {
            let _ = writeln!(errors, "line {}: {line:?} is not KEY=VALUE", index + 1);
            continue;
        };
        if !seen.insert(name) {
            let _ = writeln!(errors, "line {}: {name} is given twice", index + 1);
        }
        let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        variables.insert(name.to_owned(), unquoted.unwrap_or(value).to_owned());
    }
    if errors.is_empty() { Ok(variables) } else { Err(errors.trim_end().to_owned()) }
}
