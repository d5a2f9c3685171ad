//! Every folder below `svc-specs` is complete: its specifications load without a warning, its commands are valid shell, and
//! its configuration templates, variables and commands fit together.
//!
//! A folder holds one or more `*.yml`, the file `env` that renders them, and files `NAME.env` that are tried on top of it, one
//! at a time. A new folder or file is covered without a change here. Golden: `<name>.snap` beside each specification is its
//! rendered text.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use mainstay_spec::{
    Code, ConfigSpec, Loaded, PodSpec, Report, Source, TaskSpec, from_json, load, parse_env, pod_changed, to_json,
};
use mainstay_template::{Dialect, Template, UseKind};

type Variables = BTreeMap<String, String>;

/// What the scheduler, the agent and the executor set for every task, or the shell itself.
const BUILT_IN: &[&str] = &[
    "FRAMEWORK_HOST",
    "FRAMEWORK_NAME",
    "FRAMEWORK_VIP_HOST",
    "HOME",
    "MESOS_CONTAINER_IP",
    "MESOS_DIRECTORY",
    "MESOS_SANDBOX",
    "MESOS_TASK_ID",
    "PATH",
    "PLACEMENT_REFERENCED_REGION",
    "PLACEMENT_REFERENCED_ZONE",
    "POD_INSTANCE_INDEX",
    "PWD",
    "SCHEDULER_API_HOSTNAME",
    "SCHEDULER_API_PORT",
    "TASK_NAME",
];

/// One specification with one set of variables.
struct Case {
    folder: PathBuf,
    /// `zookeeper/svc.yml`, or `zookeeper/svc.yml with observers.env`.
    name: String,
    yml: PathBuf,
    template: String,
    /// Whether only the file `env` was used.
    is_plain: bool,
    variables: Variables,
    loaded: Loaded,
}

impl Case {
    fn tasks(&self) -> impl Iterator<Item = (&PodSpec, &TaskSpec)> {
        self.loaded.spec.pods.iter().flat_map(|pod| pod.tasks.iter().map(move |task| (pod, task)))
    }

    /// Commands of a task with what they are.
    fn commands(task: &TaskSpec) -> Vec<(&'static str, &str)> {
        let mut commands = vec![("cmd", task.cmd.as_str())];
        commands.extend(task.readiness_check.iter().map(|check| ("readiness-check", check.cmd.as_str())));
        commands.extend(task.health_check.iter().map(|check| ("health-check", check.cmd.as_str())));
        commands
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../svc-specs")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn with_extension(folder: &Path, extension: &str) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn folders() -> Vec<PathBuf> {
    entries(&root()).into_iter().filter(|path| path.is_dir()).collect()
}

fn variables(path: &Path) -> Variables {
    parse_env(&fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn load_from(folder: &Path, yml: &Path, template: &str, variables: &Variables) -> Result<Loaded, Report> {
    let read_file = |path: &str| fs::read_to_string(folder.join(path)).map_err(|error| error.to_string());
    load(Source { file_name: file_name(yml), text: template }, variables, &read_file)
}

/// Variables that decide about a section which these values reach.
fn flags(template: &str, variables: &Variables) -> BTreeSet<String> {
    let rendered = Template::parse(template).unwrap().render(variables, Dialect::Scheduler).unwrap();
    let decides = |kind: UseKind| matches!(kind, UseKind::Section | UseKind::Inverted);
    rendered.uses.iter().filter(|used| decides(used.kind)).map(|used| used.name.to_string()).collect()
}

/// Every specification of every folder, plain and with each file of further variables.
fn cases() -> Vec<Case> {
    let (mut cases, mut reports) = (Vec::new(), String::new());
    for folder in folders() {
        let plain = variables(&folder.join("env"));
        let mut sets = vec![(String::new(), plain.clone())];
        for path in with_extension(&folder, "env") {
            let mut set = plain.clone();
            set.extend(variables(&path));
            sets.push((format!(" with {}", file_name(&path)), set));
        }
        for yml in with_extension(&folder, "yml") {
            for (suffix, variables) in &sets {
                let template = fs::read_to_string(&yml).unwrap();
                let name = format!("{}/{}{suffix}", file_name(&folder), file_name(&yml));
                match load_from(&folder, &yml, &template, variables) {
                    Ok(loaded) => cases.push(Case {
                        folder: folder.clone(),
                        name,
                        yml: yml.clone(),
                        template,
                        is_plain: suffix.is_empty(),
                        variables: variables.clone(),
                        loaded,
                    }),
                    Err(report) => writeln!(reports, "{name}:\n{report}").unwrap(),
                }
            }
        }
    }
    assert!(reports.is_empty(), "{reports}");
    cases
}

/// Fails with every finding at once.
#[track_caller]
fn none(findings: &[String]) {
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// What a task finds in its environment.
fn environment(pod: &PodSpec, task: &TaskSpec) -> Variables {
    let mut env = task.env.clone();
    env.extend(pod.secrets.iter().filter_map(|secret| secret.env_key.clone()).map(|key| (key, "secret".to_owned())));
    env.extend(BUILT_IN.iter().map(|name| ((*name).to_owned(), "1".to_owned())));
    let ports = pod.resource_set(&task.resource_set).map(|set| set.ports.as_slice()).unwrap_or_default();
    for port in ports {
        let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let number = port.port.unwrap_or(1025).to_string();
        env.insert(format!("PORT_{}", port.name.chars().map(upper).collect::<String>()), number.clone());
        env.extend(port.env_key.iter().map(|key| (key.clone(), number.clone())));
    }
    env
}

/// Names in the tags of a template, also in sections that are not shown.
fn tag_names(template: &str) -> BTreeSet<String> {
    let inside = |part: &str| part.split_once("}}").map(|(tag, _)| tag.to_owned());
    let tags = template.split("{{").skip(1).filter_map(inside);
    tags.map(|tag| tag.trim_matches(|c: char| "{}#^/& ".contains(c)).to_owned()).collect()
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a text contains a name that is not part of a longer one.
fn mentions(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(start, _)| {
        !text[..start].chars().next_back().is_some_and(is_name)
            && !text[start + name.len()..].chars().next().is_some_and(is_name)
    })
}

/// Variables in capitals that a shell text expands and does not give a default itself.
fn expanded(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (start, _) in text.match_indices('$') {
        let is_escaped = text[..start].ends_with('\\');
        let rest = &text[start + 1..];
        let (rest, is_braced) = rest.strip_prefix('{').map_or((rest, false), |rest| (rest, true));
        let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
        let has_default = is_braced && rest[name.len()..].starts_with([':', '-', '+', '?']);
        if !is_escaped
            && !has_default
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name == name.to_uppercase()
        {
            names.insert(name);
        }
    }
    names
}

fn assigns(text: &str, name: &str) -> bool {
    let is_loop = mentions(text, &format!("for {name}")) || mentions(text, &format!("read -r {name}"));
    is_loop
        || text
            .match_indices(&format!("{name}="))
            .any(|(start, _)| !text[..start].chars().next_back().is_some_and(is_name))
}

/// Shell scripts that are rendered beside a task.
fn scripts_of(task: &TaskSpec) -> impl Iterator<Item = &ConfigSpec> {
    task.configs.iter().filter(|config| Path::new(&config.dest).extension().is_some_and(|found| found == "sh"))
}

/// What a shell says against a script that it only reads.
fn refusal(shell: &str, script: &str) -> Option<String> {
    let mut child = Command::new(shell)
        .arg("-n")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shell}: {error}"));
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    (!output.status.success() || !stderr.is_empty()).then(|| format!("{shell}: {stderr}"))
}

#[test]
fn folders_are_complete() {
    let mut findings = Vec::new();
    for folder in folders() {
        let name = file_name(&folder);
        for wanted in ["env", "README.md"] {
            if !folder.join(wanted).is_file() {
                findings.push(format!("{name}: there is no file {wanted}"));
            }
        }
        if with_extension(&folder, "yml").is_empty() {
            findings.push(format!("{name}: there is no specification"));
        }
    }
    none(&findings);
}

// contract: 1.6/strict-mode 8.3/richest
#[test]
fn specifications_load_without_a_warning() {
    let cases = cases();
    assert!(!cases.is_empty());
    let mut findings = Vec::new();
    for case in &cases {
        let warnings = &case.loaded.warnings;
        if file_name(&case.yml) == "older-spellings.yml" {
            // The subject of this file is what the reader advises against.
            assert!(warnings.iter().any(|warning| warning.code == Code::Deprecated), "{}", case.name);
            continue;
        }
        // What everybody tries first can be started today; the rest shows what the language has.
        let is_first = case.is_plain && file_name(&case.yml) == "svc.yml";
        let counts = |code: Code| is_first || code != Code::NotSupportedYet;
        let warnings = warnings.iter().filter(|warning| counts(warning.code));
        findings.extend(warnings.map(|warning| format!("{}: {warning:?}", case.name)));
    }
    none(&findings);
}

#[test]
fn every_section_may_be_turned() {
    let mut findings = Vec::new();
    for case in cases().iter().filter(|case| case.is_plain) {
        for flag in flags(&case.template, &case.variables) {
            let is_on = case.variables.get(&flag).is_some_and(|value| !matches!(value.as_str(), "" | "false"));
            let mut variables = case.variables.clone();
            variables.insert(flag.clone(), if is_on { "" } else { "true" }.to_owned());
            match load_from(&case.folder, &case.yml, &case.template, &variables) {
                Ok(loaded) => {
                    let unset = loaded.warnings.iter().filter(|warning| warning.code == Code::VariableUnset);
                    findings.extend(unset.map(|warning| format!("{} with {flag}: {warning}", case.name)));
                }
                Err(report) => findings.push(format!("{} with {flag} turned:\n{report}", case.name)),
            }
        }
    }
    none(&findings);
}

#[test]
fn the_readme_names_every_specification_and_plan() {
    let mut findings = Vec::new();
    for case in &cases() {
        let readme = fs::read_to_string(case.folder.join("README.md")).unwrap();
        let plans = case.loaded.spec.plans.iter().map(|plan| plan.name.as_str());
        for name in plans.filter(|name| *name != "deploy").chain([file_name(&case.yml)]) {
            if !mentions(&readme, name) {
                findings.push(format!("{}: README.md does not name {name}", case.name));
            }
        }
    }
    none(&findings);
}

#[test]
fn rendered_texts_are_as_recorded() {
    for case in cases().iter().filter(|case| case.is_plain) {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(&case.folder);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let name = case.yml.file_stem().unwrap().to_str().unwrap();
        settings.bind(|| insta::assert_snapshot!(name, case.loaded.rendered));
    }
}

#[test]
fn specifications_survive_storing() {
    for case in cases() {
        let spec = &case.loaded.spec;
        let json = to_json(spec, &spec.role());
        let stored = from_json(&json).unwrap();
        assert_eq!(to_json(&stored.spec, &stored.role), json, "{}", case.name);
        for (old, new) in stored.spec.pods.iter().zip(&spec.pods) {
            assert!(!pod_changed(old, new), "{} restarts {}", case.name, new.pod_type);
        }
    }
}

#[test]
fn commands_are_valid_shell() {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for case in &cases() {
        for (pod, task) in case.tasks() {
            let env = environment(pod, task);
            let mut scripts: Vec<_> =
                Case::commands(task).into_iter().map(|(what, cmd)| (what.to_owned(), cmd.to_owned())).collect();
            for config in scripts_of(task) {
                let text = mainstay_template::render_config(&config.content, &env).unwrap();
                scripts.push((config.dest.clone(), text));
            }
            for (what, script) in scripts.iter().filter(|(_, script)| seen.insert(script.clone())) {
                for refusal in ["sh", "bash"].iter().filter_map(|shell| refusal(shell, script)) {
                    findings.push(format!("{}: {}.{} {what}: {refusal}", case.name, pod.pod_type, task.name));
                }
            }
        }
    }
    none(&findings);
}

#[test]
fn variables_of_commands_are_set() {
    let mut findings = Vec::new();
    for case in &cases() {
        for (pod, task) in case.tasks() {
            let env = environment(pod, task);
            // A script that is rendered beside the task may set variables for the command that reads it.
            let scripts: Vec<_> = scripts_of(task).collect();
            for (what, cmd) in Case::commands(task) {
                let is_set = |name: &str| {
                    env.contains_key(name)
                        || assigns(cmd, name)
                        || scripts.iter().any(|script| assigns(&script.content, name))
                };
                for name in expanded(cmd).iter().filter(|name| !is_set(name)) {
                    findings.push(format!("{}: {}.{} {what}: ${name}", case.name, pod.pod_type, task.name));
                }
            }
        }
    }
    none(&findings);
}

#[test]
fn configuration_templates_miss_no_variable() {
    let mut findings = Vec::new();
    for case in &cases() {
        for (pod, task) in case.tasks() {
            let env = environment(pod, task);
            for config in &task.configs {
                let rendered = Template::parse(&config.content).unwrap().render(&env, Dialect::Config).unwrap();
                for missing in rendered.missing {
                    let place =
                        format!("{}.{} {}:{}", pod.pod_type, task.name, config.template_path, missing.position.line);
                    findings.push(format!("{}: {place}: {}", case.name, missing.name));
                }
            }
        }
    }
    none(&findings);
}

#[test]
fn every_variable_is_used() {
    let cases = cases();
    let mut findings = Vec::new();
    for folder in folders() {
        let of_folder: Vec<_> = cases.iter().filter(|case| case.folder == folder).collect();
        let tags: BTreeSet<_> = of_folder.iter().flat_map(|case| tag_names(&case.template)).collect();
        let names: BTreeSet<_> = of_folder.iter().flat_map(|case| case.variables.keys()).collect();
        // Variables routed to tasks are used by configuration templates and commands.
        let mut texts: Vec<_> = of_folder.iter().map(|case| case.template.clone()).collect();
        texts.extend(with_extension(&folder, "mustache").iter().map(|path| fs::read_to_string(path).unwrap()));
        for name in names {
            let is_used = match name.strip_prefix("TASKCFG_").and_then(|rest| rest.split_once('_')) {
                Some((_, key)) => texts.iter().any(|text| mentions(text, key)),
                None => tags.contains(name),
            };
            if !is_used {
                findings.push(format!("{}: {name}", file_name(&folder)));
            }
        }
    }
    none(&findings);
}

#[test]
fn every_configuration_template_is_used() {
    let cases = cases();
    let mut findings = Vec::new();
    for folder in folders() {
        let of_folder = cases.iter().filter(|case| case.folder == folder);
        let used: BTreeSet<_> = of_folder
            .flat_map(|case| {
                case.tasks().flat_map(|(_, task)| &task.configs).map(|config| config.template_path.clone())
            })
            .collect();
        for path in with_extension(&folder, "mustache").iter().filter(|path| !used.contains(file_name(path))) {
            findings.push(format!("{}: {}", file_name(&folder), file_name(path)));
        }
    }
    none(&findings);
}
