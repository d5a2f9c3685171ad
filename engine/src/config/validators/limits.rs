//! What a task may use at most is not below what it reserves, and what it reserves is there to be had.

use mainstay_spec::Limit;

use super::{Change, Problem};

/// Row 13.
pub(super) fn above_requests(change: &Change<'_>, problems: &mut Vec<Problem>) {
    for pod in &change.new.spec.pods {
        for task in &pod.tasks {
            let Some(set) = pod.resource_set(&task.resource_set) else { continue };
            for (what, limit, request) in
                [("cpus", set.limits.cpus, set.cpus), ("memory", set.limits.memory_mb, set.memory_mb)]
            {
                let Some(limit) = limit else { continue };
                let field = format!("pods.{}.tasks.{}.resource-limits.{what}", pod.pod_type, task.name);
                let Some(request) = request.filter(|request| !request.is_zero()) else {
                    let message = format!(
                        "the {what} of task {} is limited and none is requested, which Mesos refuses: request some",
                        task.name
                    );
                    problems.push(Problem::value(field, text(limit), message));
                    continue;
                };
                let Limit::Amount(limit) = limit else { continue };
                if limit < request {
                    let message = format!(
                        "the {what} limit of task {}, {limit}, is below the requested {request}: raise the limit",
                        task.name
                    );
                    problems.push(Problem::value(field, limit, message));
                }
            }
        }
    }
}

fn text(limit: Limit) -> String {
    match limit {
        Limit::Unlimited => "unlimited".to_owned(),
        Limit::Amount(amount) => amount.to_string(),
    }
}

/// Ours: Mesos refuses a launch with a part of a GPU, at every offer anew.
pub(super) fn whole_gpus(change: &Change<'_>, problems: &mut Vec<Problem>) {
    for pod in &change.new.spec.pods {
        for set in &pod.resource_sets {
            let Some(gpus) = set.gpus.filter(|gpus| gpus.millis() % 1000 != 0) else { continue };
            let field = format!("pods.{}.resource-sets.{}.gpus", pod.pod_type, set.id);
            problems.push(Problem::value(field, gpus, "Mesos gives whole GPUs only: ask for a whole number"));
        }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_spec::{Limit, Scalar};

    use super::super::fixture::problems_of_new;

    #[test]
    fn row_7_13_a_limit_is_not_below_the_request() {
        let with = |cpus: Limit, memory: Limit| {
            problems_of_new(|spec| {
                let set = &mut spec.pods[0].resource_sets[0];
                set.limits.cpus = Some(cpus);
                set.limits.memory_mb = Some(memory);
            })
        };
        let half = Limit::Amount(Scalar::from_millis(500));
        assert_eq!(with(half, Limit::Unlimited), Vec::<String>::new());
        assert_eq!(
            with(Limit::Amount(Scalar::from_millis(499)), Limit::Amount(Scalar::from_units(127))),
            [
                "Field: 'pods.hello.tasks.server.resource-limits.cpus'; Value: '0.499'; Message: 'the cpus limit of task \
                 server, 0.499, is below the requested 0.5: raise the limit'; Fatal: false",
                "Field: 'pods.hello.tasks.server.resource-limits.memory'; Value: '127'; Message: 'the memory limit of \
                 task server, 127, is below the requested 128: raise the limit'; Fatal: false",
            ]
        );
    }

    // Mesos: "When a CPU limit is specified, a CPU request must also be specified", at every launch.
    #[test]
    fn what_is_limited_is_requested() {
        let problems = problems_of_new(|spec| {
            let set = &mut spec.pods[0].resource_sets[0];
            set.cpus = None;
            set.limits.cpus = Some(Limit::Unlimited);
        });
        assert_eq!(
            problems,
            [
                "Field: 'pods.hello.tasks.server.resource-limits.cpus'; Value: 'unlimited'; Message: 'the cpus of task server \
                 is limited and none is requested, which Mesos refuses: request some'; Fatal: false"
            ]
        );
    }

    #[test]
    fn gpus_are_whole() {
        let with =
            |millis| problems_of_new(|spec| spec.pods[0].resource_sets[0].gpus = Some(Scalar::from_millis(millis)));
        assert_eq!(with(2000), Vec::<String>::new());
        assert_eq!(
            with(1500),
            [
                "Field: 'pods.hello.resource-sets.server-set.gpus'; Value: '1.5'; Message: 'Mesos gives whole GPUs only: ask \
              for a whole number'; Fatal: false"
            ]
        );
    }
}
