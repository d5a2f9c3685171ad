//! From the stored tree and the specification to an engine that knows what is left to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use mainstay_spec::{ReadOptions, ServiceSpec, persisted};

use super::waits::Waits;
use super::{DEPLOY, Engine};
use crate::config::Config;
use crate::config::validators::{self, Change, Left, Version, Weight};
use crate::effect::{Effects, Transaction};
use crate::event::Master;
use crate::ids::{ConfigId, Generator, PodInstance};
use crate::journal::Entry;
use crate::offer::demand::Demand;
use crate::plan::{Plan, Step, deploy, overrides, recovery};
use crate::state::{State, Task, paths, rewrite};
use crate::task::failure::Delays;
use crate::task::kill::Killer;
use crate::task::reconcile::Reconciler;
use crate::task::status::Status;
use crate::units::Timestamp;
use crate::view::{Outcomes, View};

/// Why the engine does not start. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The specification has problems only the engine can see, one text each.
    #[error("the service specification cannot be used:\n  {}", .0.join("\n  "))]
    Specification(Vec<String>),
    /// The target configuration in the store cannot be read, so nobody knows what the running tasks are.
    #[error(
        "the stored target configuration {id} cannot be read ({problem}); repair or restore Configurations/{id}, or delete ConfigTarget to \
         treat the specification as the first one"
    )]
    TargetUnreadable {
        /// Its id.
        id: String,
        /// What is wrong.
        problem: String,
    },
    /// Who we are cannot be read, and a new identity would give up everything the old one holds.
    #[error(
        "the stored {path} cannot be read ({problem}); restore it, or delete it to begin anew without what it stands for"
    )]
    Unreadable {
        /// Node.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The specification changes what must never change.
    #[error("the new specification cannot replace the stored one:\n  {}", .0.join("\n  "))]
    FatalChange(Vec<String>),
    /// The service is being uninstalled and the process was not told to go on with that.
    #[error(
        "the store says that service {0} is being uninstalled; that cannot be undone: start with SDK_UNINSTALL set to finish it"
    )]
    Uninstalling(String),
}

impl StartError {
    /// Exit code of the process. Source: the SDK's exit codes.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Specification(_) | Self::TargetUnreadable { .. } | Self::Unreadable { .. } | Self::FatalChange(_) => {
                1
            }
            Self::Uninstalling(_) => 11,
        }
    }
}

pub(super) fn start(
    config: Config,
    spec: ServiceSpec,
    stored: &BTreeMap<String, Bytes>,
    mut ids: Generator,
    now: Timestamp,
) -> Result<(Engine, Effects), StartError> {
    let mut effects = Effects::default();
    let options = ReadOptions { executor_uri: Some(&config.executor_uri), current: Some(&spec) };
    let mut state = State::load(stored, &options, &mut effects.journal);
    for entry in &effects.journal {
        if let Entry::StatePartlyUnreadable { path, problem } = entry
            && [paths::FRAMEWORK_ID, paths::CONFIG_TARGET].contains(&path.as_str())
        {
            return Err(StartError::Unreadable { path: path.clone(), problem: problem.clone() });
        }
    }
    if state.properties.get("uninstalling").is_some_and(|value| value.trim_ascii() == b"true") {
        return Err(StartError::Uninstalling(spec.name));
    }
    let is_partly_unreadable = !state.unreadable.is_empty();
    repair(&mut state, &mut effects);
    let (spec, errors) = choose_configuration(&config, spec, &mut state, &mut ids, &mut effects)?;
    relabel_and_prune(&spec, &mut state, &mut effects);

    let mut plans = deploy::plans(&spec, &state, was_deployed(&state), &mut ids);
    let of_step = |step: &Step| step.tasks.iter().map(|task| step.pod.task_name(task)).collect::<Vec<_>>();
    let mut planned_tasks: BTreeSet<_> =
        plans.iter().flat_map(Plan::steps).flat_map(|(_, _, step)| of_step(step)).collect();
    // Whichever of deploy and update is not served counts as well: what it launched is needed.
    for phase in spec.plans.iter().flat_map(|plan| &plan.phases) {
        planned_tasks.extend(phase.steps.iter().flat_map(|step| {
            let pod = PodInstance { pod_type: phase.pod_type.clone(), index: step.index };
            step.tasks.iter().map(move |task| pod.task_name(task))
        }));
    }
    if !errors.is_empty() {
        // The plans are those of the refused specification; the one in force goes on with whatever it had launched.
        planned_tasks.extend(state.tasks.keys().cloned());
    }
    plans.insert(super::RECOVERY, recovery::empty());
    if let Some(plan) = plans.get_mut(DEPLOY) {
        plan.errors = errors;
    }
    let target = state.target.as_ref().map(ToString::to_string).unwrap_or_default();
    for plan in &mut plans {
        if let Some(text) = state.properties.get(&overrides_key(&plan.name)) {
            overrides::apply(plan, &String::from_utf8_lossy(text), &target);
        }
    }
    let delays = match state.properties.get(paths::PROPERTY_DELAYS) {
        Some(text) => Delays::read(&String::from_utf8_lossy(text), now),
        None => Delays::default(),
    };
    for step in plans.iter_mut().flat_map(Plan::steps_mut).filter(|step| step.wants_launch()) {
        step.hold_back(&delays, now);
    }

    let spec = Arc::new(spec);
    let view = Arc::new(View {
        spec: Arc::clone(&spec),
        framework_id: None,
        is_subscribed: false,
        plans: Vec::new(),
        tasks: Arc::clone(&state.tasks),
        target: None,
        configurations: Arc::clone(&state.configurations),
        parsed_configurations: Arc::clone(&state.parsed_configurations),
        properties: Arc::clone(&state.properties),
        outcomes: Arc::new(Outcomes::default()),
        waiting: Arc::new(Vec::new()),
    });
    let mut engine = Engine {
        config,
        spec,
        state,
        plans,
        ids,
        is_subscribed: false,
        master: Master::default(),
        reconciler: Reconciler::default(),
        killer: Killer::default(),
        demand: Demand::new(now),
        refusals: crate::offer::refusal::Refusals::default(),
        malformed_told: BTreeSet::new(),
        delays,
        planned_tasks,
        told: super::Told::default(),
        looked: super::Looked::default(),
        down: BTreeMap::new(),
        moving: BTreeMap::new(),
        launchable: BTreeSet::new(),
        waits: Waits::default(),
        shut_down: BTreeSet::new(),
        releases: BTreeMap::new(),
        unseen: BTreeMap::new(),
        missing: BTreeMap::new(),
        is_partly_unreadable,
        seen: Arc::default(),
        outcomes: Arc::new(Outcomes::default()),
        published: Vec::new(),
        view,
    };
    engine.tell_beginning(&mut effects);
    engine.advance(now, &mut effects);
    Ok((engine, effects))
}

/// Key of the property that keeps what operators did to a plan.
pub(super) fn overrides_key(plan: &str) -> String {
    format!("{}{}", paths::PROPERTY_PLAN_PREFIX, paths::key_safe(plan))
}

/// Brings TaskInfo and TaskStatus of each task together where an older scheduler, which wrote them one after the other, was interrupted.
///
/// Source: the SDK's start-up repair. It calls such a task FAILED; we keep what is known and let reconciliation tell.
fn repair(state: &mut State, effects: &mut Effects) {
    for task in state.tasks.values().map(Arc::clone).collect::<Vec<_>>() {
        let (repaired, what) = match (&task.task_id, &task.status) {
            (Some(id), None) => {
                let executor = task.executor.as_ref().map(|executor| executor.id.to_string());
                let Some(stub) = Status::stub(id, &task.agent_id, executor) else { continue };
                (
                    Task { status: Some(stub), ..task.as_ref().clone() },
                    "status was missing, reads as STAGING until Mesos is asked",
                )
            }
            (Some(id), Some(status)) if *id != status.task_id => {
                match rewrite::with_task_id(&task, status.task_id.as_str()) {
                    Ok(task) => (task, "launch was never sent, the earlier launch counts"),
                    Err(problem) => {
                        effects.journal.push(Entry::StatePartlyUnreadable {
                            path: paths::task_info(&task.name),
                            problem: problem.to_string(),
                        });
                        continue;
                    }
                }
            }
            (None, Some(status)) if !status.state.is_terminal() => {
                match rewrite::with_task_id(&task, status.task_id.as_str()) {
                    Ok(task) => (task, "launch id was blanked while it lived"),
                    Err(_) => continue,
                }
            }
            (Some(_) | None, _) => continue,
        };
        effects.journal.push(Entry::Repaired { task: task.name.clone(), what });
        state.put_task(repaired, &mut effects.commit);
    }
}

/// The volumes of stored tasks that a specification does not have any more: they stay reserved as long as their pod.
fn left_volumes(spec: &ServiceSpec, state: &State) -> Left {
    let mut left = Left::new();
    for task in state.tasks.values() {
        let pod = spec.pod(&task.pod.pod_type);
        if pod.is_none_or(|pod| pod.task(task.short_name()).is_some()) {
            continue;
        }
        let volumes = task.resources.iter().filter_map(|resource| resource.disk.as_ref());
        let paths = volumes.filter(|disk| disk.persistence.is_some()).filter_map(|disk| disk.container_path.clone());
        left.entry((task.pod.pod_type.clone(), task.short_name().to_owned())).or_default().extend(paths);
    }
    left
}

/// Decides which specification is in force: the new one, or the stored one with the reasons against the change.
fn choose_configuration(
    config: &Config,
    spec: ServiceSpec,
    state: &mut State,
    ids: &mut Generator,
    effects: &mut Effects,
) -> Result<(ServiceSpec, Vec<String>), StartError> {
    let json = persisted::to_json(&spec, &config.role);
    let options = ReadOptions { executor_uri: Some(&config.executor_uri), current: Some(&spec) };
    let old = state.target.as_ref().map(|target| stored_target(target, state, &options)).transpose()?;
    let placed: BTreeSet<String> = state.tasks.values().map(|task| task.pod.pod_type.clone()).collect();
    let placed: BTreeSet<&str> = placed.iter().map(String::as_str).collect();
    let left = old.as_ref().map(|old| left_volumes(&old.spec, state)).unwrap_or_default();
    let change = Change {
        old: old.as_ref().map(|old| Version { spec: &old.spec, role: &old.role }),
        new: Version { spec: &spec, role: &config.role },
        is_deployed: was_deployed(state),
        placed: &placed,
        left: &left,
        has_service_account: config.has_service_account,
    };
    let problems = validators::run(&change, &config.validators);
    let texts_of = |weight: Weight| -> Vec<String> {
        problems.iter().filter(|problem| problem.weight == weight).map(ToString::to_string).collect()
    };
    let (fatal, errors, warnings) = (texts_of(Weight::Fatal), texts_of(Weight::Error), texts_of(Weight::Warning));
    if !fatal.is_empty() {
        return Err(StartError::FatalChange(fatal.into_iter().chain(errors).collect()));
    }
    if !warnings.is_empty() {
        effects.journal.push(Entry::ConfigurationWarned { problems: warnings });
    }
    match old {
        None if errors.is_empty() => store_configuration(&spec, json, true, state, ids, effects),
        None => return Err(StartError::Specification(errors)),
        Some(old) if !errors.is_empty() => {
            // What the SDK stored may ask for more than is honoured here, and then must not stay in force.
            let unsupported =
                old.spec.unsupported().into_iter().map(|text| format!("the stored one cannot stay: {text}"));
            let unsupported: Vec<String> = unsupported.collect();
            if !unsupported.is_empty() {
                return Err(StartError::FatalChange(errors.into_iter().chain(unsupported).collect()));
            }
            effects.journal.push(Entry::ConfigurationRefused { problems: errors.clone() });
            return Ok((ServiceSpec { plans: spec.plans, ..old.spec }, errors));
        }
        // Compared in the stored form: what is not stored (plans, where a template came from) is no change.
        Some(old) if persisted::to_json(&old.spec, &old.role) == json => {}
        Some(_) => store_configuration(&spec, json, false, state, ids, effects),
    }
    Ok((spec, Vec::new()))
}

fn stored_target(
    target: &ConfigId,
    state: &State,
    options: &ReadOptions<'_>,
) -> Result<persisted::StoredSpec, StartError> {
    let unreadable = |problem: String| StartError::TargetUnreadable { id: target.to_string(), problem };
    let stored = state.configurations.get(target).ok_or_else(|| unreadable("no such node".to_owned()))?;
    persisted::from_json_with(&String::from_utf8_lossy(stored), options)
        .map_err(|problem| unreadable(problem.to_string()))
}

/// Whether a deployment has ever completed.
fn was_deployed(state: &State) -> bool {
    state.properties.get(paths::PROPERTY_LAST_COMPLETED).is_some_and(|value| value != "NONE")
}

fn store_configuration(
    spec: &ServiceSpec,
    json: String,
    is_first: bool,
    state: &mut State,
    ids: &mut Generator,
    effects: &mut Effects,
) {
    let id = ids.config_id();
    let parsed = Arc::new(ServiceSpec { plans: Vec::new(), ..spec.clone() });
    effects.journal.push(Entry::ConfigurationStored { config_id: id.to_string(), is_first });
    state.put_configuration(&id, json, parsed, &mut effects.commit);
    state.set_target(id, &mut effects.commit);
}

/// Moves tasks that the change does not touch to the target, and drops configurations nothing stands on.
fn relabel_and_prune(spec: &ServiceSpec, state: &mut State, effects: &mut Effects) {
    let Some(target) = state.target.clone() else { return };
    for task in state.tasks.values().map(Arc::clone).collect::<Vec<_>>() {
        if task.config_id.as_ref() == Some(&target) || !needs_no_update(spec, state, &task) {
            continue;
        }
        match rewrite::relabelled(&task, &target) {
            Ok(task) => state.put_task(task, &mut effects.commit),
            Err(problem) => effects.journal.push(Entry::StatePartlyUnreadable {
                path: paths::task_info(&task.name),
                problem: problem.to_string(),
            }),
        }
    }
    // A task that cannot be read may have been made from any of them.
    if state.unreadable.is_empty() {
        prune(state, &target, &mut effects.commit);
    }
}

/// Source: the SDK: the pod means the same apart from count, placement and permission to decommission, or the task is given up anyway.
fn needs_no_update(spec: &ServiceSpec, state: &State, task: &Task) -> bool {
    if task.is_permanently_failed {
        return true;
    }
    let old = task.config_id.as_ref().and_then(|id| state.configuration(id));
    let old_pod = old.and_then(|old| old.pod(&task.pod.pod_type));
    match (old_pod, spec.pod(&task.pod.pod_type)) {
        (Some(old_pod), Some(new_pod)) => !persisted::pod_changed(old_pod, new_pod),
        (Some(_) | None, _) => false,
    }
}

/// Unreadable configurations are kept: somebody else may read them.
fn prune(state: &mut State, target: &ConfigId, commit: &mut Transaction) {
    let used: BTreeSet<&ConfigId> = state.tasks.values().filter_map(|task| task.config_id.as_ref()).collect();
    let unused: Vec<ConfigId> =
        state.parsed_configurations.keys().filter(|id| *id != target && !used.contains(id)).cloned().collect();
    for id in unused {
        state.delete_configuration(&id, commit);
    }
}
