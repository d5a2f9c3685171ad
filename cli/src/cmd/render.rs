//! `mainstay render`: what a specification becomes with these variables.
//!
//! Not a check: a text that renders may still be refused by `check`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use mainstay_spec::Code;
use mainstay_template::{Dialect, Position, Rendered, Template};
use serde::Serialize;

use crate::author::{self, Colours, OK, REFUSED, Sources, SpecFile, UNUSABLE, Variables};

/// Parts of the names of variables whose values are not shown by `--explain`.
const SECRET_WORDS: [&str; 9] =
    ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE_KEY", "ACCESS_KEY", "API_KEY"];
/// Shown in the place of such a value.
const MASK: &str = "********";

/// Prints a specification as it is after rendering; unset variables are told on standard error.
///
/// Exit code: 0 when it could be rendered, 1 when the template has errors, 2 when a file cannot be read.
#[derive(Debug, Args)]
pub(super) struct Render {
    /// The specification (svc.yml); - is standard input
    #[arg(value_name = "SPEC")]
    spec: PathBuf,
    #[command(flatten)]
    sources: Sources,
    /// Shows instead of the text each variable, its value, where that came from and where it is used
    #[arg(long)]
    explain: bool,
    /// Shows the values of passwords and the like too
    #[arg(long, requires = "explain")]
    show_secrets: bool,
    /// Takes unset variables for errors
    #[arg(long)]
    strict: bool,
    /// Prints one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    file: &'a str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    missing: Vec<Missing<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<Vec<Variable<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unused: Option<Vec<Unused<'a>>>,
    notes: &'a [String],
}

#[derive(Debug, Serialize)]
struct Missing<'a> {
    name: &'a str,
    line: usize,
    column: usize,
}

/// A variable of the template.
#[derive(Debug, Serialize)]
struct Variable<'a> {
    name: &'a str,
    /// Absent when it is not set, and for secrets.
    value: Option<&'a str>,
    is_set: bool,
    is_masked: bool,
    origin: Option<String>,
    uses: Vec<Used>,
}

#[derive(Debug, Serialize)]
struct Used {
    line: usize,
    column: usize,
    kind: &'static str,
    /// Whether the tag was reached: the sections around it are shown.
    is_reached: bool,
}

/// A variable that is set and not in the template.
#[derive(Debug, Serialize)]
struct Unused<'a> {
    name: &'a str,
    origin: Option<String>,
}

impl Render {
    pub(super) fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
        self.render(out, err).unwrap_or_else(|(code, problems)| {
            author::tell(err, "error", &problems);
            code
        })
    }

    fn render(&self, out: &mut dyn Write, err: &mut dyn Write) -> Result<u8, (u8, Vec<String>)> {
        let file = SpecFile::read(&self.spec).map_err(|problem| (UNUSABLE, vec![problem]))?;
        let variables = self.sources.read(&file.folder).map_err(|problems| (UNUSABLE, problems))?;
        author::tell(err, "note", if self.json { &[] } else { &variables.notes });
        let Ok(template) = Template::parse(&file.text) else {
            // Its errors are all that the whole journey can report, too.
            if let Err(report) = file.load(&variables) {
                let colours = Colours::of_stderr();
                for diagnostic in &report.diagnostics {
                    writeln!(err, "{}\n", colours.diagnostic(diagnostic)).ok();
                }
            }
            return Err((REFUSED, vec![format!("{} cannot be rendered", file.name)]));
        };
        let rendered = template
            .render(&variables.values, Dialect::Scheduler)
            .map_err(|error| (REFUSED, vec![format!("{} cannot be rendered: {error}", file.name)]))?;
        if !self.json {
            write!(err, "{}", missing(&file, &rendered)).ok();
        }
        let is_refused = self.strict && !rendered.missing.is_empty();
        let text = match (self.json, self.explain) {
            (true, _) => self.json(&file, &variables, &template, &rendered, !is_refused)?,
            (false, true) => self.explained(&variables, &template, &rendered),
            // A result that is refused is none.
            (false, false) if is_refused => String::new(),
            (false, false) => rendered.text.clone(),
        };
        author::print(out, &text).map_err(|problem| (UNUSABLE, vec![problem]))?;
        if is_refused {
            let names: BTreeSet<&str> = rendered.missing.iter().map(|missing| &*missing.name).collect();
            let names: Vec<&str> = names.into_iter().collect();
            return Err((REFUSED, vec![format!("not set, which --strict does not allow: {}", names.join(", "))]));
        }
        Ok(OK)
    }

    fn json(
        &self,
        file: &SpecFile,
        variables: &Variables,
        template: &Template,
        rendered: &Rendered,
        ok: bool,
    ) -> Result<String, (u8, Vec<String>)> {
        let missing = rendered.missing.iter().map(|missing| Missing {
            name: &missing.name,
            line: missing.position.line,
            column: missing.position.column,
        });
        let document = Document {
            file: &file.name,
            ok,
            text: (!self.explain).then_some(&rendered.text),
            missing: missing.collect(),
            variables: self.explain.then(|| self.variables(variables, template, rendered)),
            unused: self.explain.then(|| unused(variables, template)),
            notes: &variables.notes,
        };
        let text = serde_json::to_string_pretty(&document)
            .map_err(|error| (UNUSABLE, vec![format!("cannot write the result: {error}")]))?;
        Ok(text + "\n")
    }

    /// Variables in the order of the template.
    fn variables<'a>(
        &self,
        variables: &'a Variables,
        template: &'a Template,
        rendered: &Rendered,
    ) -> Vec<Variable<'a>> {
        let reached: BTreeSet<usize> = rendered.uses.iter().map(|used| used.tag.start).collect();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        let mut all: Vec<Variable<'a>> = Vec::new();
        // `{{.}}` names no variable.
        for reference in template.references(Dialect::Scheduler).filter(|reference| reference.name != ".") {
            let used = Used {
                line: reference.position.line,
                column: reference.position.column,
                kind: reference.kind.as_str(),
                is_reached: reached.contains(&reference.offset),
            };
            let place = *places.entry(reference.name).or_insert_with(|| {
                all.push(self.variable(reference.name, variables));
                all.len() - 1
            });
            if let Some(variable) = all.get_mut(place) {
                variable.uses.push(used);
            }
        }
        all
    }

    fn variable<'a>(&self, name: &'a str, variables: &'a Variables) -> Variable<'a> {
        let value = variables.values.get(name).map(String::as_str);
        let upper = name.to_ascii_uppercase();
        let is_secret = SECRET_WORDS.iter().any(|word| upper.contains(word));
        let is_masked = is_secret && !self.show_secrets && value.is_some_and(|value| !value.is_empty());
        Variable {
            name,
            value: value.filter(|_| !is_masked),
            is_set: value.is_some(),
            is_masked,
            origin: variables.origin(name).map(ToString::to_string),
            uses: Vec::new(),
        }
    }

    /// A variable a paragraph, in the order of the template.
    fn explained(&self, variables: &Variables, template: &Template, rendered: &Rendered) -> String {
        let mut text = String::new();
        for variable in self.variables(variables, template, rendered) {
            let value = match (variable.value, variable.is_masked) {
                (_, true) => format!(" = {MASK} (--show-secrets shows it)"),
                (Some(value), _) => format!(" = {value:?}"),
                (None, _) => " is not set".to_owned(),
            };
            let blank = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{blank}{}{value}", variable.name);
            if let Some(origin) = variable.origin {
                let _ = writeln!(text, "  from {origin}");
            }
            let uses: Vec<String> = variable
                .uses
                .iter()
                .map(|used| {
                    let reached = if used.is_reached { "" } else { ", not reached" };
                    format!("line {} ({}{reached})", used.line, used.kind)
                })
                .collect();
            let _ = writeln!(text, "  used in {}", uses.join(", "));
        }
        let unused = unused(variables, template);
        if !unused.is_empty() {
            text.push_str(if text.is_empty() { "" } else { "\n" });
            text.push_str("set, and not used by the template:\n");
            for variable in unused {
                let origin = variable.origin.map(|origin| format!(" from {origin}")).unwrap_or_default();
                let _ = writeln!(text, "  {}{origin}", variable.name);
            }
        }
        text
    }
}

/// Variables that the template does not name; the process's own are not anybody's mistake.
fn unused<'a>(variables: &'a Variables, template: &Template) -> Vec<Unused<'a>> {
    let used: BTreeSet<&str> = template.references(Dialect::Scheduler).map(|reference| reference.name).collect();
    let is_process = |name: &str| matches!(variables.origin(name), Some(author::Origin::Process));
    let names = variables.values.keys().filter(|name| !used.contains(name.as_str()) && !is_process(name));
    names.map(|name| Unused { name, origin: variables.origin(name).map(ToString::to_string) }).collect()
}

/// A warning for each variable that was printed while unset, at its first tag.
fn missing(file: &SpecFile, rendered: &Rendered) -> String {
    let mut places: BTreeMap<&str, (Position, Vec<usize>)> = BTreeMap::new();
    for missing in &rendered.missing {
        let (_, lines) = places.entry(&missing.name).or_insert((missing.position, Vec::new()));
        if lines.last() != Some(&missing.position.line) {
            lines.push(missing.position.line);
        }
    }
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_by_key(|(_, (position, _))| *position);
    let code = Code::VariableUnset;
    let mut text = String::new();
    for (name, (position, lines)) in places {
        // As many as `check` shows.
        let shown: Vec<_> = lines.iter().take(20).map(usize::to_string).collect();
        let all = if lines.len() > 1 { format!(" (lines {})", shown.join(", ")) } else { String::new() };
        let message = format!("the variable {name} is not set; nothing is put in its place{all}");
        let _ = writeln!(text, "{}:{position}: {}[{code}]: {message}", file.name, code.severity());
    }
    text
}
