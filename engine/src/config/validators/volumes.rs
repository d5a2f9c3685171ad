//! Volumes hold data: they stay as they are.

use std::collections::BTreeSet;

use mainstay_spec::{PodSpec, VolumeKind, VolumeSpec};

use super::pods::pairs;
use super::{Change, Problem};

/// Row 14, and the same for the volumes of pods, where the SDK lets the change through and then cannot honour it.
///
/// Of a task that is removed the volumes may go, and where no instance of the pod was ever placed there is no data: a volume that no agent
/// has room for can be made smaller. With another role after a complete deployment nothing is compared: everything would be placed anew.
pub(super) fn cannot_change(change: &Change<'_>, problems: &mut Vec<Problem>) {
    for pod in &change.new.spec.pods {
        let mut seen = BTreeSet::new();
        for task in pod.tasks.iter().filter(|task| !seen.insert(task.name.as_str())) {
            let message = format!("there are several tasks {} in pod {}", task.name, pod.pod_type);
            problems.push(Problem::value(format!("pods.{}.tasks", pod.pod_type), &task.name, message));
        }
    }
    if change.is_deployed && change.old.is_some_and(|old| old.role != change.new.role) {
        return;
    }
    for (old, new) in pairs(change).filter(|(old, _)| change.placed.contains(old.pod_type.as_str())) {
        let field = format!("pods.{}", old.pod_type);
        let (before, after) = (text(&old.volumes), text(&new.volumes));
        if before != after {
            let message = "volumes of a pod must be equal: data would be lost; keep them as they are";
            problems.push(Problem::transition(format!("{field}.volumes"), before, after, message));
        }
        for task in &old.tasks {
            let Some(next) = new.task(&task.name) else { continue };
            let of = |pod: &PodSpec, set: &str| pod.resource_set(set).map(|set| text(&set.volumes)).unwrap_or_default();
            let (before, after) = (of(old, &task.resource_set), of(new, &next.resource_set));
            if before != after {
                let message =
                    format!("volumes of task {} must be equal: data would be lost; keep them as they are", task.name);
                problems.push(Problem::transition(
                    format!("{field}.tasks.{}.volumes", task.name),
                    before,
                    after,
                    message,
                ));
            }
        }
    }
}

/// A task that comes back wants the volumes it had when it was removed: they are still there.
///
/// Beyond the SDK, which compares tasks of both specifications only, and would destroy what is not wanted.
pub(super) fn come_back(change: &Change<'_>, problems: &mut Vec<Problem>) {
    for pod in &change.new.spec.pods {
        for task in &pod.tasks {
            let Some(left) = change.left.get(&(pod.pod_type.clone(), task.name.clone())) else { continue };
            let wanted: BTreeSet<&str> = pod
                .resource_set(&task.resource_set)
                .map(|set| set.volumes.iter().map(|volume| volume.path.as_str()).collect())
                .unwrap_or_default();
            let lost: Vec<&str> = left.iter().map(String::as_str).filter(|path| !wanted.contains(path)).collect();
            if !lost.is_empty() {
                let message = format!(
                    "task {} comes back without a volume that it had when it was removed: data would be lost; add it with that volume, or by \
                     another name",
                    task.name
                );
                problems.push(Problem::transition(
                    format!("pods.{}.tasks.{}.volumes", pod.pod_type, task.name),
                    lost.join(", "),
                    wanted.into_iter().collect::<Vec<_>>().join(", "),
                    message,
                ));
            }
        }
    }
}

/// All that matters of some volumes; their order does not.
fn text(volumes: &[VolumeSpec]) -> String {
    let mut texts: Vec<String> = volumes
        .iter()
        .map(|VolumeSpec { path, kind, size_mb }| match kind {
            VolumeKind::Root => format!("{path} ROOT {size_mb}"),
            VolumeKind::Mount { profiles } if profiles.is_empty() => format!("{path} MOUNT {size_mb}"),
            VolumeKind::Mount { profiles } => {
                let mut profiles: Vec<&str> = profiles.iter().map(String::as_str).collect();
                profiles.sort_unstable();
                format!("{path} MOUNT {size_mb} of {}", profiles.join(" or "))
            }
        })
        .collect();
    texts.sort();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    use mainstay_spec::VolumeKind;

    use super::super::Left;
    use super::super::fixture::{changed, judged, problems, texts};
    use crate::offer::fixture::{root_volume, units};

    #[test]
    fn row_7_14_volumes_of_a_task_stay() {
        let text = |new: &str| {
            format!(
                "Field: 'pods.hello.tasks.server.volumes'; Transition: 'data ROOT 1000' => '{new}'; Message: 'volumes of \
                 task server must be equal: data would be lost; keep them as they are'; Fatal: false"
            )
        };
        let volume = |change: fn(&mut mainstay_spec::VolumeSpec)| {
            problems(|spec| change(&mut spec.pods[0].resource_sets[0].volumes[0]))
        };
        assert_eq!(volume(|volume| volume.size_mb = units(2000)), [text("data ROOT 2000")]);
        assert_eq!(volume(|volume| volume.path = "other".into()), [text("other ROOT 1000")]);
        let mount =
            |profiles: &[&str]| VolumeKind::Mount { profiles: profiles.iter().map(|&one| one.into()).collect() };
        assert_eq!(
            problems(|spec| spec.pods[0].resource_sets[0].volumes[0].kind = mount(&["b", "a"])),
            [text("data MOUNT 1000 of a or b")]
        );
        assert_eq!(
            problems(|spec| spec.pods[0].resource_sets[0].volumes.insert(0, root_volume("a", 1))),
            [text("a ROOT 1, data ROOT 1000")]
        );
        assert_eq!(problems(|spec| spec.pods[0].resource_sets[0].volumes.clear()), [text("")]);
        // Another set of the same contents, and a task that goes.
        let renamed = problems(|spec| {
            spec.pods[0].resource_sets[0].id = "new".into();
            spec.pods[0].tasks[0].resource_set = "new".into();
        });
        assert_eq!(renamed, Vec::<String>::new());
        assert_eq!(problems(|spec| drop(spec.pods[0].tasks.remove(0))), Vec::<String>::new());
    }

    #[test]
    fn a_task_that_comes_back_keeps_the_volumes_it_had() {
        static ALL: LazyLock<Left> = LazyLock::new(|| left(&["data"]));
        static MORE: LazyLock<Left> = LazyLock::new(|| left(&["data", "log"]));
        fn left(paths: &[&str]) -> Left {
            Left::from([(("hello".into(), "server".into()), paths.iter().map(|path| (*path).to_owned()).collect())])
        }
        let of = |left: &'static Left| texts(&judged(&changed(|_| {}), |change| change.left = left));
        assert_eq!(of(&ALL), Vec::<String>::new());
        assert_eq!(
            of(&MORE),
            [
                "Field: 'pods.hello.tasks.server.volumes'; Transition: 'log' => 'data'; Message: 'task server comes back without a volume that \
              it had when it was removed: data would be lost; add it with that volume, or by another name'; Fatal: false"
            ]
        );
    }

    #[test]
    fn row_7_14_task_names_are_unique() {
        assert_eq!(
            problems(|spec| spec.pods[0].tasks[1].name = "server".into()),
            [
                "Field: 'pods.hello.tasks'; Value: 'server'; Message: 'there are several tasks server in pod hello'; Fatal: \
              false"
            ]
        );
    }

    // contract: 7/pod-volumes
    #[test]
    fn row_7_14_volumes_of_a_pod_stay_too() {
        assert_eq!(
            problems(|spec| spec.pods[0].volumes[0].size_mb = units(51)),
            [
                "Field: 'pods.hello.volumes'; Transition: 'shared ROOT 50' => 'shared ROOT 51'; Message: 'volumes of a pod \
              must be equal: data would be lost; keep them as they are'; Fatal: false"
            ]
        );
    }

    #[test]
    fn row_7_14_volumes_of_a_pod_that_was_never_placed_may_change() {
        static ONLY: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| BTreeSet::from(["world"]));
        let new = changed(|spec| {
            for pod in &mut spec.pods {
                pod.volumes.clear();
                pod.resource_sets[0].volumes[0].size_mb = units(10);
            }
        });
        let found = judged(&new, |change| change.placed = &ONLY);
        let fields: Vec<&str> = found.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["pods.world.volumes", "pods.world.tasks.server.volumes"]);
    }

    #[test]
    fn row_7_14_is_skipped_when_the_role_changes_after_a_complete_deployment() {
        let new = changed(|spec| spec.pods[0].volumes.clear());
        let fields = |is_deployed| {
            let found = judged(&new, |change| {
                change.is_deployed = is_deployed;
                change.new.role = "other";
            });
            found.into_iter().map(|problem| problem.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(true), ["role"]);
        assert_eq!(fields(false), ["pods.hello.volumes", "role"]);
        let same_role = texts(&judged(&new, |change| change.is_deployed = false));
        assert_eq!(same_role.len(), 1);
    }
}
