//! In-memory truth, mirrored by the store.
//!
//! Every change of what is stored goes through [`State`], which changes the memory and plans the write in one call, so that the two cannot
//! drift. Not here: plans and their steps (they are the difference between this and the specification).
//! Invariant: after the transaction is committed the store holds exactly what a fresh [`State::load`] would read into the same value.

pub mod given_up;
pub mod parse;
pub mod paths;
pub mod planned;
pub mod rewrite;
pub mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use mainstay_proto::v1 as wire;
use mainstay_spec::{ReadOptions, ServiceSpec};
use prost::Message;

use crate::effect::Transaction;
use crate::ids::{ConfigId, FrameworkId, PodInstance, ResourceId, TaskId, TaskName};
use crate::journal::Entry;
use crate::resource::Resource;
use crate::task::status::Status;
pub use given_up::GivenUp;
pub use planned::Planned;
pub use tasks::{Executor, Task};

/// The whole stored state of one service.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Id at the master, once registered.
    pub framework_id: Option<FrameworkId>,
    /// Id of the target configuration.
    pub target: Option<ConfigId>,
    /// Configurations as stored.
    pub configurations: Arc<BTreeMap<ConfigId, Bytes>>,
    /// The same, parsed, where readable.
    pub parsed_configurations: Arc<BTreeMap<ConfigId, Arc<ServiceSpec>>>,
    /// Tasks by full name.
    pub tasks: Arc<BTreeMap<TaskName, Arc<Task>>>,
    /// Names of the stored tasks that cannot be read: nobody knows what they hold, so their pods are left alone.
    pub unreadable: BTreeSet<TaskName>,
    /// Properties.
    pub properties: Arc<BTreeMap<String, Bytes>>,
    /// Reservations that our accepts create and Mesos has not confirmed, by pod instance.
    pub planned: BTreeMap<PodInstance, Planned>,
    /// Reservations given up.
    pub releasing: BTreeMap<ResourceId, GivenUp>,
    /// Pod instances whose tasks have changed since the engine looked at them last.
    touched: BTreeSet<PodInstance>,
}

impl State {
    /// Reads the stored tree. Parts that cannot be read are left alone in the store and told in the journal.
    ///
    /// `options` say what configurations of the older generation do not say by themselves.
    pub fn load(stored: &BTreeMap<String, Bytes>, options: &ReadOptions<'_>, journal: &mut Vec<Entry>) -> Self {
        let mut state = Self::default();
        let mut infos: BTreeMap<TaskName, (Option<Bytes>, Option<Bytes>)> = BTreeMap::new();
        let mut unreadable = |path: &str, problem: String| {
            journal.push(Entry::StatePartlyUnreadable { path: path.to_owned(), problem });
        };
        for (path, data) in stored {
            let parts: Vec<&str> = path.split('/').collect();
            match parts.as_slice() {
                [paths::FRAMEWORK_ID] => {
                    match wire::FrameworkId::decode(data.as_ref()).map(|id| FrameworkId::parse(id.value)) {
                        Ok(Ok(id)) => state.framework_id = Some(id),
                        Ok(Err(problem)) => unreadable(path, problem.to_string()),
                        Err(problem) => unreadable(path, problem.to_string()),
                    }
                }
                [paths::CONFIG_TARGET] => match ConfigId::parse(String::from_utf8_lossy(data).trim()) {
                    Ok(id) => state.target = Some(id),
                    Err(problem) => unreadable(path, problem.to_string()),
                },
                [paths::CONFIGURATIONS, id] => match ConfigId::parse(*id) {
                    Ok(id) => {
                        match mainstay_spec::persisted::from_json_with(&String::from_utf8_lossy(data), options) {
                            Ok(parsed) => {
                                Arc::make_mut(&mut state.parsed_configurations)
                                    .insert(id.clone(), Arc::new(parsed.spec));
                            }
                            Err(problem) => unreadable(path, problem.to_string()),
                        }
                        Arc::make_mut(&mut state.configurations).insert(id, data.clone());
                    }
                    Err(problem) => unreadable(path, problem.to_string()),
                },
                [paths::TASKS, name, "TaskInfo"] => {
                    if let Ok(name) = TaskName::parse(*name) {
                        infos.entry(name).or_default().0 = Some(data.clone());
                    }
                }
                [paths::TASKS, name, "TaskStatus"] => {
                    if let Ok(name) = TaskName::parse(*name) {
                        infos.entry(name).or_default().1 = Some(data.clone());
                    }
                }
                [paths::PROPERTIES, key] => {
                    Arc::make_mut(&mut state.properties).insert((*key).to_owned(), data.clone());
                }
                _ => {}
            }
        }
        let mut last_executor: Option<Arc<Executor>> = None;
        for (name, (info, status)) in infos {
            let Some(info) = info else {
                unreadable(&paths::task_info(&name), "a status is stored without a TaskInfo".to_owned());
                state.unreadable.insert(name);
                continue;
            };
            match Task::parse(name.clone(), info, status) {
                // The tasks of a pod are found by their names.
                Ok(task) if !name.as_str().starts_with(task.pod.task_prefix().as_str()) => {
                    unreadable(&paths::task_info(&name), format!("its labels say that it is of {}", task.pod));
                    state.unreadable.insert(name);
                }
                Ok(mut task) => {
                    state.touched.insert(task.pod.clone());
                    // The tasks of a pod come one after the other, and most have the same executor.
                    if task.executor.is_some() && task.executor == last_executor {
                        task.executor.clone_from(&last_executor);
                    } else {
                        last_executor.clone_from(&task.executor);
                    }
                    Arc::make_mut(&mut state.tasks).insert(name, Arc::new(task));
                }
                Err(problem) => {
                    unreadable(&paths::task_info(&name), problem.to_string());
                    state.unreadable.insert(name);
                }
            }
        }
        state.read_own_properties();
        state
    }

    fn read_own_properties(&mut self) {
        self.read_planned();
        if let Some(data) = self.properties.get(paths::PROPERTY_RELEASING) {
            self.releasing = String::from_utf8_lossy(data)
                .lines()
                .filter_map(|line| {
                    let (resource, given_up) = line.split_once(' ')?;
                    Some((ResourceId::parse(resource).ok()?, GivenUp::read(given_up)?))
                })
                .collect();
        }
    }

    /// Stored tasks of one pod instance, by name.
    pub fn pod_tasks(&self, pod: &PodInstance) -> Vec<&Task> {
        tasks::of_pod(&self.tasks, pod)
    }

    /// Pod instances of which something was stored or removed since this was asked last.
    pub fn take_touched(&mut self) -> BTreeSet<PodInstance> {
        std::mem::take(&mut self.touched)
    }

    /// A stored task of this pod instance that cannot be read.
    ///
    /// Shape: told by the name alone, so `a-1-0-x` also counts for instance `a-1`: too careful rather than too bold.
    pub fn unreadable_of(&self, pod: &PodInstance) -> Option<&TaskName> {
        let prefix = format!("{pod}-");
        self.unreadable.iter().find(|name| name.as_str().starts_with(&prefix))
    }

    /// The task whose current launch has this id.
    pub fn task_by_id(&self, id: &TaskId) -> Option<&Task> {
        // The name is in the id; labels decide, so ids of unknown form fall back to a scan.
        if let Some(task) = id.task_name().and_then(|name| self.tasks.get(&name))
            && task.task_id.as_ref() == Some(id)
        {
            return Some(task);
        }
        self.tasks.values().map(Arc::as_ref).find(|task| task.task_id.as_ref() == Some(id))
    }

    /// The specification stored under this id.
    pub fn configuration(&self, id: &ConfigId) -> Option<&Arc<ServiceSpec>> {
        self.parsed_configurations.get(id)
    }

    /// Records the id the master gave us.
    pub fn set_framework_id(&mut self, id: FrameworkId, commit: &mut Transaction) {
        commit.put(paths::FRAMEWORK_ID, wire::FrameworkId { value: id.as_str().to_owned() }.encode_to_vec());
        self.framework_id = Some(id);
    }

    /// Stores a configuration.
    pub fn put_configuration(
        &mut self,
        id: &ConfigId,
        json: String,
        parsed: Arc<ServiceSpec>,
        commit: &mut Transaction,
    ) {
        let data = Bytes::from(json);
        commit.put(paths::configuration(id), data.clone());
        Arc::make_mut(&mut self.configurations).insert(id.clone(), data);
        Arc::make_mut(&mut self.parsed_configurations).insert(id.clone(), parsed);
    }

    /// Forgets a configuration that nothing uses.
    pub fn delete_configuration(&mut self, id: &ConfigId, commit: &mut Transaction) {
        commit.delete(paths::configuration(id));
        Arc::make_mut(&mut self.configurations).remove(id);
        Arc::make_mut(&mut self.parsed_configurations).remove(id);
    }

    /// Points the service at a stored configuration.
    pub fn set_target(&mut self, id: ConfigId, commit: &mut Transaction) {
        commit.put(paths::CONFIG_TARGET, id.as_str().to_owned());
        self.target = Some(id);
    }

    /// Stores a task's description and, with it, the status it has from now on.
    pub fn put_task(&mut self, task: Task, commit: &mut Transaction) {
        commit.put(paths::task_info(&task.name), task.info.clone());
        match &task.status {
            Some(status) => commit.put(paths::task_status(&task.name), status.bytes.clone()),
            None if self.tasks.get(&task.name).is_some_and(|old| old.status.is_some()) => {
                commit.delete(paths::task_status(&task.name));
            }
            None => {}
        }
        self.touched.insert(task.pod.clone());
        Arc::make_mut(&mut self.tasks).insert(task.name.clone(), Arc::new(task));
    }

    /// Stores the last status of a task; identical bytes are not written again.
    pub fn put_status(&mut self, name: &TaskName, status: Status, commit: &mut Transaction) {
        let Some(task) = Arc::make_mut(&mut self.tasks).get_mut(name) else { return };
        if task.status.as_ref().is_some_and(|old| old.bytes == status.bytes) {
            return;
        }
        self.touched.insert(task.pod.clone());
        commit.put(paths::task_status(name), status.bytes.clone());
        if !status.addresses.is_empty() {
            let key = paths::last_address_key(name);
            commit.put(paths::property(&key), status.bytes.clone());
            Arc::make_mut(&mut self.properties).insert(key, status.bytes.clone());
        }
        Arc::make_mut(task).status = Some(status);
    }

    /// Removes everything stored of a task.
    pub fn delete_task(&mut self, name: &TaskName, commit: &mut Transaction) {
        commit.delete(paths::task(name));
        if let Some(task) = Arc::make_mut(&mut self.tasks).remove(name) {
            self.touched.insert(task.pod.clone());
        }
        let key = paths::last_address_key(name);
        if self.properties.contains_key(&key) {
            self.delete_property(&key, commit);
        }
    }

    /// Stores a property.
    pub fn put_property(&mut self, key: &str, value: impl Into<Bytes>, commit: &mut Transaction) {
        let value = value.into();
        if self.properties.get(key) == Some(&value) {
            return;
        }
        commit.put(paths::property(key), value.clone());
        Arc::make_mut(&mut self.properties).insert(key.to_owned(), value);
    }

    /// Removes a property.
    pub fn delete_property(&mut self, key: &str, commit: &mut Transaction) {
        if self.properties.contains_key(key) {
            commit.delete(paths::property(key));
            Arc::make_mut(&mut self.properties).remove(key);
        }
    }

    /// Records reservations as given up: they are released when an offer shows them.
    pub fn give_up(&mut self, resources: impl IntoIterator<Item = (ResourceId, GivenUp)>, commit: &mut Transaction) {
        let before = self.releasing.len();
        self.releasing.extend(resources);
        if self.releasing.len() != before {
            self.write_releasing(commit);
        }
    }

    /// Takes note that a reservation is gone.
    pub fn released(&mut self, id: &ResourceId, commit: &mut Transaction) {
        if self.releasing.remove(id).is_some() {
            self.write_releasing(commit);
        }
    }

    fn write_releasing(&mut self, commit: &mut Transaction) {
        if self.releasing.is_empty() {
            self.delete_property(paths::PROPERTY_RELEASING, commit);
        } else {
            let text = lines(self.releasing.iter().map(|(resource, given_up)| format!("{resource} {given_up}")));
            self.put_property(paths::PROPERTY_RELEASING, text, commit);
        }
    }

    /// Role of every reservation that is known, with repetitions: of tasks, and of what was given up.
    pub fn reserved_roles(&self) -> impl Iterator<Item = &str> {
        let held = self.tasks.values().flat_map(|task| task.reserved());
        let of_tasks = held.filter(|resource| resource.is_dynamically_reserved()).map(Resource::role);
        of_tasks.chain(self.releasing.values().filter_map(|given_up| given_up.role.as_deref()))
    }

    /// Ids of every reservation that stored tasks stand on; permanently failed ones have given theirs up.
    pub fn kept_resource_ids(&self) -> BTreeSet<ResourceId> {
        let mut kept = BTreeSet::new();
        for task in self.tasks.values().filter(|task| !task.is_permanently_failed) {
            kept.extend(task.resource_ids());
        }
        for planned in self.planned.values() {
            kept.extend(planned.keys().cloned());
        }
        kept
    }
}

fn lines(items: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for item in items {
        text.push_str(&item);
        text.push('\n');
    }
    text
}
