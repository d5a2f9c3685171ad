//! Reservations that an accept is to create and that nothing has confirmed.
//!
//! Each names the launches of its accept: only what is heard of those tells whether it exists. Another accept of the same pod instance may be
//! open at the same time, and the other tasks of the pod have reservations of their own.
//! Invariant: a planned reservation belongs to a stored task of its pod instance.

use std::collections::{BTreeMap, BTreeSet};

use super::{State, lines, paths};
use crate::effect::Transaction;
use crate::ids::{PodInstance, ResourceId, TaskId};
use crate::state::Task;

/// Planned reservations of one pod instance, with the launches of their accept.
///
/// Shape: stored as one `<resource id>{TAB<launch id>}` a line. Earlier versions stored the resource id alone; then every launch of the pod
/// counts as one of that accept.
pub type Planned = BTreeMap<ResourceId, BTreeSet<TaskId>>;

impl State {
    pub(super) fn read_planned(&mut self) {
        for task in self.tasks.values() {
            if self.planned.contains_key(&task.pod) {
                continue;
            }
            if let Some(data) = self.properties.get(&key(&task.pod)) {
                self.planned.insert(task.pod.clone(), read(&String::from_utf8_lossy(data)));
            }
        }
    }

    /// Records reservations that an accept with these launches is about to create.
    pub fn plan_reservations(
        &mut self,
        pod: &PodInstance,
        ids: impl IntoIterator<Item = ResourceId>,
        launches: &BTreeSet<TaskId>,
        commit: &mut Transaction,
    ) {
        let planned = self.planned.entry(pod.clone()).or_default();
        planned.extend(ids.into_iter().map(|id| (id, launches.clone())));
        self.write_planned(pod, commit);
    }

    /// What the accept planned that made this launch, and all its launches (none when they are not known).
    pub fn planned_with(&self, pod: &PodInstance, launch: &TaskId) -> (BTreeSet<ResourceId>, BTreeSet<TaskId>) {
        let planned = self.planned.get(pod).into_iter().flatten();
        let with = planned.filter(|(_, launches)| launches.is_empty() || launches.contains(launch));
        let (mut ids, mut all) = (BTreeSet::new(), BTreeSet::new());
        for (id, launches) in with {
            ids.insert(id.clone());
            all.extend(launches.iter().cloned());
        }
        (ids, all)
    }

    /// Takes note that what the accept planned that made this launch exists.
    pub fn confirm_launch(&mut self, pod: &PodInstance, launch: &TaskId, commit: &mut Transaction) {
        self.retain_planned(pod, |_, launches| !launches.is_empty() && !launches.contains(launch), commit);
    }

    /// Takes note that these are planned no longer: they exist, or were given up.
    pub fn confirm_reservations(&mut self, pod: &PodInstance, ids: &BTreeSet<ResourceId>, commit: &mut Transaction) {
        self.retain_planned(pod, |id, _| !ids.contains(id), commit);
    }

    /// Drops what is planned of a pod and belongs to none of its stored tasks any more.
    pub fn forget_unheld_plans(&mut self, pod: &PodInstance, commit: &mut Transaction) {
        if !self.planned.contains_key(pod) {
            return;
        }
        let held: BTreeSet<ResourceId> = self.pod_tasks(pod).into_iter().flat_map(Task::resource_ids).collect();
        self.retain_planned(pod, |id, _| held.contains(id), commit);
    }

    fn retain_planned(
        &mut self,
        pod: &PodInstance,
        keep: impl Fn(&ResourceId, &BTreeSet<TaskId>) -> bool,
        commit: &mut Transaction,
    ) {
        let Some(planned) = self.planned.get_mut(pod) else { return };
        planned.retain(|id, launches| keep(id, launches));
        self.write_planned(pod, commit);
    }

    fn write_planned(&mut self, pod: &PodInstance, commit: &mut Transaction) {
        match self.planned.get(pod) {
            Some(left) if !left.is_empty() => {
                let text = write(left);
                self.put_property(&key(pod), text, commit);
            }
            _ => {
                self.planned.remove(pod);
                self.delete_property(&key(pod), commit);
            }
        }
    }
}

fn key(pod: &PodInstance) -> String {
    format!("{}{}", paths::PROPERTY_PLANNED_PREFIX, paths::key_safe(&pod.to_string()))
}

fn write(planned: &Planned) -> String {
    lines(planned.iter().map(|(id, launches)| {
        let mut line = id.to_string();
        for launch in launches {
            line.push('\t');
            line.push_str(launch.as_str());
        }
        line
    }))
}

fn read(text: &str) -> Planned {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split('\t');
            let id = ResourceId::parse(words.next()?).ok()?;
            Some((id, words.filter_map(|word| TaskId::parse(word).ok()).collect()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_is_stored_reads_back_and_older_lines_too() {
        let launch = |text: &str| TaskId::parse(text).unwrap();
        // (text, launches)
        for (text, launches) in [
            ("r\n", Vec::new()),
            ("r\ts__a b__1\n", vec![launch("s__a b__1")]),
            ("r\t1\t2\n", vec![launch("1"), launch("2")]),
        ] {
            let planned = read(text);
            assert_eq!(planned, Planned::from([(ResourceId::parse("r").unwrap(), launches.into_iter().collect())]));
            assert_eq!(write(&planned), text);
        }
        assert_eq!(read("\n"), Planned::new());
    }

    #[test]
    fn a_launch_speaks_of_what_was_planned_with_it_and_of_what_names_no_launch() {
        let pod = PodInstance { pod_type: "p".to_owned(), index: 0 };
        let (mut state, mut commit) = (State::default(), Transaction::default());
        let planned = read("a\t1\t2\nb\t2\nc\t3\nd\n");
        state.planned.insert(pod.clone(), planned);
        let launch = |text: &str| TaskId::parse(text).unwrap();
        let ids = |ids: &[&str]| ids.iter().map(|id| ResourceId::parse(*id).unwrap()).collect::<BTreeSet<_>>();
        assert_eq!(state.planned_with(&pod, &launch("1")), (ids(&["a", "d"]), [launch("1"), launch("2")].into()));
        assert_eq!(state.planned_with(&pod, &launch("9")), (ids(&["d"]), BTreeSet::new()));
        state.confirm_launch(&pod, &launch("2"), &mut commit);
        assert_eq!(state.planned[&pod].keys().cloned().collect::<BTreeSet<_>>(), ids(&["c"]));
        state.confirm_reservations(&pod, &ids(&["c"]), &mut commit);
        assert!(state.planned.is_empty());
    }
}
