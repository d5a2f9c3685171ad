//! The variables that a Universe package sets for its scheduler.
//!
//! Journey: defaults of `config.json` ← options of the operator → checked against `config.json` → with `resource.json` as the context of
//! `marathon.json.mustache` → rendered, parsed → its `env`.
//! Not the package itself: what a repository demands of its other files is not looked at.
//!
//! Source: Cosmos, the package service of DC/OS.

mod schema;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use mainstay_template::{Dialect, Lines, Rendered, Template, Value as Context};
use serde_json::{Map, Value};

use super::json_text::{self, Document, LineNumbers};
use super::text_file;

/// Deepest nesting of options followed.
const MAX_DEPTH: usize = 64;

/// Most notes and most problems told: whoever has more sees the same mistake many times, and each place has to be searched for.
const MAX_TOLD: usize = 100;

/// Adds a sentence while there is room.
fn tell(list: &mut Vec<String>, sentence: impl FnOnce() -> String) {
    match list.len() {
        ..MAX_TOLD => list.push(sentence()),
        MAX_TOLD => list.push(format!("there are more than {MAX_TOLD} of these; the others are not shown")),
        _ => {}
    }
}

/// Where a package takes a variable from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    /// `file:line` in the template.
    template: String,
    /// The options in the value, each with the place it is set at.
    options: Vec<String>,
}

/// Prints the line of the template, then the options behind it.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.template)?;
        for option in &self.options {
            write!(f, ", {option}")?;
        }
        Ok(())
    }
}

/// What a package sets.
#[derive(Debug, Default)]
pub(crate) struct Package {
    /// Name, value and origin of each variable.
    pub(crate) variables: Vec<(String, String, Trace)>,
    /// What is worth knowing.
    pub(crate) notes: Vec<String>,
}

/// The files of a package and the options for it.
struct Files {
    config: Option<Document>,
    resource: Option<Document>,
    options: Option<Document>,
    template_name: String,
    template: String,
    lines: LineNumbers,
}

/// Renders the package in this folder with these options.
///
/// Errors: every problem, each a sentence with file and place.
pub(crate) fn read(folder: &Path, options: Option<&Path>) -> Result<Package, Vec<String>> {
    let files = files(folder, options)?;
    let mut package = Package::default();
    let context = context(&files, &mut package.notes)?;
    let template = Template::parse(&files.template)
        .map_err(|errors| errors.iter().map(|error| format!("{}:{error}", files.template_name)).collect::<Vec<_>>())?;
    let rendered = template
        .render_value(&context, Dialect::Package)
        .map_err(|error| vec![format!("{}: {error}", files.template_name)])?;
    for missing in &rendered.missing {
        tell(&mut package.notes, || {
            let place = format!("{}:{}", files.template_name, missing.position);
            format!("{place}: there is no option {}; nothing is put in its place", missing.name)
        });
    }
    let app: Value = serde_json::from_str(&rendered.text).map_err(|error| vec![no_json(&files, &rendered, &error)])?;
    variables(&files, &rendered, &app, &mut package)?;
    Ok(package)
}

fn files(folder: &Path, options: Option<&Path>) -> Result<Files, Vec<String>> {
    if !folder.is_dir() {
        return Err(vec![format!("--universe {}: there is no such folder", folder.display())]);
    }
    let mut problems = Vec::new();
    let mut document = |path: &Path, is_required: bool| -> Option<Document> {
        if !is_required && !path.exists() {
            return None;
        }
        let parsed = text_file::read(path).and_then(|text| Document::parse(path.display().to_string(), text));
        let document = parsed.map_err(|problem| problems.push(problem)).ok()?;
        if !document.value.is_object() {
            let example = r#"an object such as {"service": {"name": "x"}} is needed"#;
            problems.push(format!("{}: this is {}; {example}", document.place(&[]), kind(&document.value)));
            return None;
        }
        Some(document)
    };
    let config = document(&folder.join("config.json"), false);
    let resource = document(&folder.join("resource.json"), false);
    // Its facts reach no variable; a package without it, or with a broken one, cannot be installed.
    document(&folder.join("package.json"), true);
    let has_config = folder.join("config.json").exists();
    let given = options.and_then(|path| document(path, true));
    if let Some(options) = options
        && !has_config
    {
        let name = options.display();
        problems.push(format!("{name}: options are given, but the package has no config.json that would know them"));
    }
    let path = folder.join("marathon.json.mustache");
    let template_name = path.display().to_string();
    match text_file::read(&path) {
        Ok(template) if problems.is_empty() => {
            let lines = LineNumbers::new(&template);
            Ok(Files { config, resource, options: given, template_name, template, lines })
        }
        Ok(_) => Err(problems),
        Err(problem) => {
            problems.push(problem);
            Err(problems)
        }
    }
}

/// What the template sees: options over defaults, and the resources.
fn context(files: &Files, notes: &mut Vec<String>) -> Result<Context, Vec<String>> {
    let empty = || Value::Object(Map::new());
    let schema = files.config.as_ref().map(|config| &config.value);
    let mut merged = schema.and_then(schema::defaults).unwrap_or_else(empty);
    if let Some(options) = &files.options {
        merged = schema::merge(merged, &options.value);
    }
    let mut problems = Vec::new();
    for finding in schema.map(|schema| schema::check(schema, &merged)).unwrap_or_default() {
        tell(if finding.is_error { &mut problems } else { &mut *notes }, || {
            let path: Vec<&str> = finding.path.iter().map(String::as_str).collect();
            let place = place(files, &path);
            let name = if path.is_empty() { String::new() } else { format!("{}: ", path.join(".")) };
            format!("{place}: {name}{}", finding.message)
        });
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    if let (Value::Object(merged), Some(resource)) = (&mut merged, &files.resource) {
        merged.insert("resource".to_owned(), resource.value.clone());
    }
    Ok(to_context(&merged, 0))
}

/// Where a wrong option is to be corrected: in the options when they say it, else at its default.
fn place(files: &Files, path: &[&str]) -> String {
    match (&files.options, &files.config) {
        (Some(options), _) if files.config.is_none() || pointed(&options.value, path).is_some() => options.place(path),
        (_, Some(config)) => config.place(&in_schema(path)),
        _ => files.template_name.clone(),
    }
}

/// The value under these names; a number is a place in a list.
fn pointed<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Object(members) => members.get(*name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Where a schema speaks of an option: `properties` between all names.
fn in_schema<'p>(path: &[&'p str]) -> Vec<&'p str> {
    path.iter().flat_map(|name| ["properties", *name]).collect()
}

fn to_context(value: &Value, depth: usize) -> Context {
    match value {
        Value::Null => Context::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => number.into(),
            (_, Some(number), _) => number.into(),
            (_, _, number) => number.unwrap_or_default().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(_) | Value::Object(_) if depth > MAX_DEPTH => Context::Null,
        Value::Array(items) => items.iter().map(|item| to_context(item, depth + 1)).collect::<Vec<_>>().into(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.as_str(), to_context(value, depth + 1))).collect()
        }
    }
}

/// Why the rendered template is no JSON: the place in the template and the rendered line.
fn no_json(files: &Files, rendered: &Rendered, error: &serde_json::Error) -> String {
    let lines = Lines::new(&rendered.text);
    let offset = json_text::error_offset(&rendered.text, error);
    let line = lines.position(&rendered.text, offset).line;
    let shown = lines.line(&rendered.text, line);
    let place = template_position(files, rendered, offset);
    let why = json_text::why(error);
    format!("{place}: the rendered text is not JSON: {why}; its line {line} is: {}", shown.trim())
}

fn template_position(files: &Files, rendered: &Rendered, offset: usize) -> String {
    let source = rendered.source_offset(offset).min(files.template.len());
    format!("{}:{}", files.template_name, Lines::new(&files.template).position(&files.template, source))
}

/// Takes `env` out of the app.
fn variables(files: &Files, rendered: &Rendered, app: &Value, package: &mut Package) -> Result<(), Vec<String>> {
    let name = &files.template_name;
    let Some(app) = app.as_object() else {
        return Err(vec![format!("{name}: the rendered text is {}; an object is needed", kind(app))]);
    };
    let env = match app.get("env") {
        Some(Value::Object(env)) => env,
        Some(other) => return Err(vec![format!("{name}: env is {}; an object is needed", kind(other))]),
        None => {
            package.notes.push(format!("{name}: the app has no env, so the package sets no variables"));
            return Ok(());
        }
    };
    let text = &rendered.text;
    let start = text.find('{').unwrap_or_default();
    let of_env = json_text::members(text, start).into_iter().rev().find(|(name, _)| name == "env");
    // Of two members with one name the last one counts.
    let places: BTreeMap<String, Range<usize>> =
        of_env.map(|(_, range)| json_text::members(text, range.start).into_iter().collect()).unwrap_or_default();
    let mut problems = Vec::new();
    for (variable, value) in env {
        let range = places.get(variable).cloned().unwrap_or_default();
        let place = || template_position(files, rendered, range.start);
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => {
                let note = || format!("{}: Marathon wants the value of {variable} in quotes", place());
                tell(&mut package.notes, note);
                value.to_string()
            }
            Value::Object(object) if object.contains_key("secret") => {
                tell(&mut package.notes, || format!("{}: {variable} is a secret; it has no value here", place()));
                continue;
            }
            other => {
                let problem = || format!("{}: {variable} is {}; Marathon takes text only", place(), kind(other));
                tell(&mut problems, problem);
                continue;
            }
        };
        package.variables.push((variable.clone(), text, trace(files, rendered, range)));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The template's line of a value, and the options that were printed into it.
fn trace(files: &Files, rendered: &Rendered, range: Range<usize>) -> Trace {
    let source = rendered.source_offset(range.start).min(files.template.len());
    let line = files.lines.line(source);
    let mut options: Vec<String> = Vec::new();
    let first = rendered.uses.partition_point(|used| used.rendered.end <= range.start);
    for used in rendered.uses.iter().skip(first).take_while(|used| used.rendered.start < range.end) {
        let option = option(files, &used.name);
        if used.kind.is_printed() && !options.contains(&option) {
            options.push(option);
        }
    }
    Trace { template: format!("{}:{line}", files.template_name), options }
}

/// An option and the place that gives it its value.
fn option(files: &Files, name: &str) -> String {
    let path: Vec<&str> = name.split('.').collect();
    let has = |document: &Option<Document>, path: &[&str]| {
        document.as_ref().filter(|document| pointed(&document.value, path).is_some()).map(|found| found.line(path))
    };
    if let Some(rest) = path.strip_prefix(&["resource"])
        && let Some(line) = has(&files.resource, rest)
    {
        return format!("{name} of {line}");
    }
    if let Some(line) = has(&files.options, &path) {
        return format!("{name} of {line}");
    }
    match has(&files.config, &in_schema(&path)) {
        Some(line) => format!("{name} by default of {line}"),
        None => format!("{name}, which is no option"),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
