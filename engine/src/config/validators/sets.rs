//! A volume belongs to the resource set it was made for, and which set that is its tasks say: the name may change.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_spec::PodSpec;

use super::pods::pairs;
use super::{Change, Problem};

/// A task of both specifications, with its resource sets.
#[derive(Debug, Clone, Copy)]
struct Move<'a> {
    task: &'a str,
    old: &'a str,
    new: &'a str,
}

/// Part of row 14. Tasks of several sets cannot come into one when one of these has a volume, nor can the tasks of a set with volumes get
/// several: of the volumes at one path a set has just one, so data would be left to nobody.
///
/// Excepted is what is excepted for the volumes themselves, and without volumes sets are joined and divided at will.
pub(super) fn volumes_stay_with_tasks(change: &Change<'_>, problems: &mut Vec<Problem>) {
    if change.is_deployed && change.old.is_some_and(|old| old.role != change.new.role) {
        return;
    }
    for (old, new) in pairs(change).filter(|(old, _)| change.placed.contains(old.pod_type.as_str())) {
        let pod = &old.pod_type;
        let field = format!("pods.{pod}.resource-sets");
        let has_volumes = |set: &str| old.resource_set(set).is_some_and(|set| !set.volumes.is_empty());
        let (mut by_old, mut by_new) = (BTreeMap::<&str, Vec<Move<'_>>>::new(), BTreeMap::<&str, Vec<Move<'_>>>::new());
        for task in &old.tasks {
            let Some(next) = new.task(&task.name) else { continue };
            let one = Move { task: &task.name, old: &task.resource_set, new: &next.resource_set };
            by_old.entry(one.old).or_default().push(one);
            by_new.entry(one.new).or_default().push(one);
        }
        for (set, moves) in by_new {
            let sets: BTreeSet<&str> = moves.iter().map(|one| one.old).collect();
            if sets.len() > 1 && sets.into_iter().any(has_volumes) {
                let tasks = names(&moves);
                let message = format!(
                    "tasks {tasks} of pod {pod} would share resource set {set}, and it could have the volumes of one of them only: data would \
                     be lost; keep a resource set for each, or let a task of a new name share the set"
                );
                problems.push(Problem::transition(&field, places(&moves, |one| one.old), in_set(&tasks, set), message));
            }
        }
        for (set, moves) in by_old.into_iter().filter(|(set, _)| has_volumes(set)) {
            let sets: BTreeSet<&str> = moves.iter().map(|one| one.new).collect();
            if sets.len() > 1 {
                let tasks = names(&moves);
                let message = format!(
                    "tasks {tasks} of pod {pod} share resource set {set}, and only one of them could keep its volumes: data would be lost; \
                     keep them in one resource set, or give a task of a new name the set of its own"
                );
                problems.push(Problem::transition(&field, in_set(&tasks, set), places(&moves, |one| one.new), message));
            }
        }
    }
}

/// Part of row 14. A resource set with volumes that keeps its name keeps one of its tasks: which volumes it has, its tasks say, and one that
/// is only renamed would begin with empty ones.
pub(super) fn keep_a_task(change: &Change<'_>, problems: &mut Vec<Problem>) {
    for (old, new) in pairs(change).filter(|(old, _)| change.placed.contains(old.pod_type.as_str())) {
        for set in old.resource_sets.iter().filter(|set| !set.volumes.is_empty()) {
            let of = |pod: &PodSpec| -> Vec<String> {
                let tasks = pod.tasks.iter().filter(|task| task.resource_set == set.id);
                tasks.map(|task| task.name.clone()).collect()
            };
            let (before, after) = (of(old), of(new));
            let is_kept = before.iter().any(|task| new.task(task).is_some());
            let brings_its_own = after.iter().any(|task| old.task(task).is_some());
            if before.is_empty() || after.is_empty() || is_kept || brings_its_own {
                continue;
            }
            let message = format!(
                "resource set {} of pod {} has volumes, and no task that it was made for is left: they would stay behind, and its new tasks \
                 begin with empty ones; keep the name of a task, or give the set another name if the data may stay behind",
                set.id, old.pod_type
            );
            let field = format!("pods.{}.resource-sets.{}", old.pod_type, set.id);
            problems.push(Problem::transition(field, before.join(", "), after.join(", "), message));
        }
    }
}

fn names(moves: &[Move<'_>]) -> String {
    moves.iter().map(|one| one.task).collect::<Vec<_>>().join(", ")
}

fn in_set(tasks: &str, set: &str) -> String {
    format!("{tasks} in {set}")
}

fn places<'a>(moves: &[Move<'a>], set: impl Fn(&Move<'a>) -> &'a str) -> String {
    moves.iter().map(|one| in_set(one.task, set(one))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    use mainstay_spec::ServiceSpec;

    use super::super::fixture::{changed, judged, judged_from, problems, texts};
    use crate::offer::fixture::{root_volume, task};

    /// Both tasks with a volume, in two sets or one.
    fn with_volumes(has_one: bool, change: impl FnOnce(&mut ServiceSpec)) -> ServiceSpec {
        changed(|spec| {
            let pod = &mut spec.pods[0];
            pod.resource_sets[1].volumes = vec![root_volume("data", 1000)];
            if has_one {
                pod.tasks[1].resource_set = "server-set".into();
            }
            change(spec);
        })
    }

    #[test]
    fn row_7_14_a_set_with_volumes_keeps_one_of_its_tasks() {
        let renamed = |set: Option<&str>| {
            problems(|spec| {
                let pod = &mut spec.pods[0];
                pod.tasks[0].name = "renamed".into();
                if let Some(set) = set {
                    pod.resource_sets[0].id = set.into();
                    pod.tasks[0].resource_set = set.into();
                }
            })
        };
        assert_eq!(
            renamed(None),
            [
                "Field: 'pods.hello.resource-sets.server-set'; Transition: 'server' => 'renamed'; Message: 'resource set server-set of pod \
              hello has volumes, and no task that it was made for is left: they would stay behind, and its new tasks begin with empty ones; \
              keep the name of a task, or give the set another name if the data may stay behind'; Fatal: false"
            ]
        );
        assert_eq!(renamed(Some("new")), Vec::<String>::new());
    }

    #[test]
    fn row_7_14_tasks_with_volumes_do_not_come_into_one_set() {
        let (old, new) = (with_volumes(false, |_| {}), with_volumes(true, |_| {}));
        assert_eq!(
            texts(&judged_from(&old, &new, |_| {})),
            [
                "Field: 'pods.hello.resource-sets'; Transition: 'server in server-set, agent in agent-set' => 'server, agent in \
              server-set'; Message: 'tasks server, agent of pod hello would share resource set server-set, and it could have the volumes \
              of one of them only: data would be lost; keep a resource set for each, or let a task of a new name share the set'; Fatal: \
              false"
            ]
        );
        // Also into a set of a new name, and when a task without a volume joins: its data would begin with that of another.
        let renamed = with_volumes(true, |spec| {
            spec.pods[0].resource_sets[0].id = "new".into();
            spec.pods[0].tasks.iter_mut().for_each(|task| task.resource_set = "new".into());
        });
        assert_eq!(judged_from(&old, &renamed, |_| {}).len(), 1);
        let fields: Vec<String> = judged_from(
            &changed(|_| {}),
            &changed(|spec| spec.pods[0].tasks[1].resource_set = "server-set".into()),
            |_| {},
        )
        .into_iter()
        .map(|problem| problem.field)
        .collect();
        assert_eq!(fields, ["pods.hello.tasks.agent.volumes", "pods.hello.resource-sets"]);
    }

    #[test]
    fn row_7_14_tasks_that_share_volumes_do_not_get_sets_of_their_own() {
        let (old, new) = (with_volumes(true, |_| {}), with_volumes(false, |_| {}));
        assert_eq!(
            texts(&judged_from(&old, &new, |_| {})),
            [
                "Field: 'pods.hello.resource-sets'; Transition: 'server, agent in server-set' => 'server in server-set, agent in \
              agent-set'; Message: 'tasks server, agent of pod hello share resource set server-set, and only one of them could keep its \
              volumes: data would be lost; keep them in one resource set, or give a task of a new name the set of its own'; Fatal: false"
            ]
        );
    }

    #[test]
    fn row_7_14_sets_are_known_by_their_tasks() {
        let old = with_volumes(false, |_| {});
        let allowed = |change: fn(&mut ServiceSpec)| texts(&judged_from(&old, &with_volumes(false, change), |_| {}));
        let none = Vec::<String>::new();
        // The sets change names with each other.
        let swapped = allowed(|spec| {
            let pod = &mut spec.pods[0];
            pod.tasks[0].resource_set = "agent-set".into();
            pod.tasks[1].resource_set = "server-set".into();
        });
        assert_eq!(swapped, none);
        // A task takes the place of one that goes; a new one joins.
        let replaced = allowed(|spec| {
            let pod = &mut spec.pods[0];
            pod.tasks.remove(0);
            pod.tasks[0].resource_set = "server-set".into();
            pod.tasks.push(task("new", "server-set"));
        });
        assert_eq!(replaced, none);
        // Without volumes.
        let bare = |is_one: bool| {
            changed(|spec| {
                let pod = &mut spec.pods[0];
                pod.resource_sets.iter_mut().for_each(|set| set.volumes.clear());
                if is_one {
                    pod.tasks[1].resource_set = "server-set".into();
                }
            })
        };
        assert_eq!(texts(&judged_from(&bare(false), &bare(true), |_| {})), none);
        assert_eq!(texts(&judged_from(&bare(true), &bare(false), |_| {})), none);
    }

    #[test]
    fn row_7_14_sets_of_a_pod_that_was_never_placed_may_change() {
        static ONLY: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| BTreeSet::from(["world"]));
        let (old, new) = (with_volumes(false, |_| {}), with_volumes(true, |_| {}));
        assert_eq!(judged_from(&old, &new, |change| change.placed = &ONLY), []);
        // The other exception: a role that is refused for itself.
        let other_role = judged_from(&old, &new, |change| change.new.role = "other");
        assert_eq!(other_role.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), ["role"]);
        assert_eq!(judged(&changed(|_| {}), |_| {}), []);
        assert_eq!(problems(|_| {}), Vec::<String>::new());
    }
}
