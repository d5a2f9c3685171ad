//! What a task may use at most is not below what it reserves.

use mainstay_spec::{Limit, Scalar};

use super::{Change, Problem};

/// Row 13.
pub(super) fn above_requests(change: &Change<'_>, problems: &mut Vec<Problem>) {
    for pod in &change.new.spec.pods {
        for task in &pod.tasks {
            let Some(set) = pod.resource_set(&task.resource_set) else { continue };
            for (what, limit, request) in
                [("cpus", set.limits.cpus, set.cpus), ("memory", set.limits.memory_mb, set.memory_mb)]
            {
                let (Some(Limit::Amount(limit)), request) = (limit, request.unwrap_or(Scalar::ZERO)) else { continue };
                if limit < request {
                    let field = format!("pods.{}.tasks.{}.resource-limits.{what}", pod.pod_type, task.name);
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
}
