//! What pods must keep: their number, their network regime, the role below their reservations.

use std::collections::BTreeSet;

use mainstay_spec::{NetworkSpec, PodSpec};

use super::{Change, Problem};

/// Pods of both specifications, by type.
pub(super) fn pairs<'a>(change: &Change<'a>) -> impl Iterator<Item = (&'a PodSpec, &'a PodSpec)> + use<'a> {
    let new = change.new.spec;
    let old = change.old.into_iter().flat_map(|old| &old.spec.pods);
    old.filter_map(move |old| Some((old, new.pod(&old.pod_type)?)))
}

/// Row 2. A pod may go when the old specification permits it, get fewer instances when the new one does; what is permitted is still
/// refused as long as nothing here can give up an instance.
pub(super) fn cannot_shrink(change: &Change<'_>, problems: &mut Vec<Problem>) {
    let Some(version) = change.old else { return };
    for old in &version.spec.pods {
        let (pod, count) = (&old.pod_type, old.count);
        match change.new.spec.pod(pod) {
            None => {
                let message = if old.allow_decommission {
                    format!(
                        "pod {pod} may be removed, but decommission is not supported yet: keep it with count {count}"
                    )
                } else {
                    format!(
                        "the new configuration is missing pod {pod}, expected with a count of at least {count}: keep the pod"
                    )
                };
                problems.push(Problem::transition("pods", pod, "", message));
            }
            Some(new) if new.count < count => {
                let message = if new.allow_decommission {
                    format!(
                        "pod {pod} may have fewer instances, but decommission is not supported yet: keep count {count}"
                    )
                } else {
                    format!(
                        "pod {pod} has count {}, expected at least {count}: keep the count, or permit fewer with \
                         allow-decommission",
                        new.count
                    )
                };
                problems.push(Problem::transition(format!("pods.{pod}.count"), count, new.count, message));
            }
            Some(_) => {}
        }
    }
}

/// Whether its ports are ports of the agent: on the agent's own network, and where every network maps them.
fn uses_host_ports(pod: &PodSpec) -> bool {
    pod.networks.iter().all(NetworkSpec::maps_ports)
}

/// Row 5. Pod types cannot repeat in a file, only in a specification made in code.
pub(super) fn network_regime(change: &Change<'_>, problems: &mut Vec<Problem>) {
    let names = |pod: &PodSpec| {
        let names: Vec<_> = pod.networks.iter().map(|network| network.name.as_str()).collect();
        if names.is_empty() { "host".to_owned() } else { names.join(", ") }
    };
    let mut seen = BTreeSet::new();
    for pod in &change.new.spec.pods {
        let pod_type = &pod.pod_type;
        if !seen.insert(pod_type.as_str()) {
            problems.push(Problem::value("pods", pod_type, format!("there are several pods of type {pod_type}")));
        }
        for network in pod.networks.iter().filter(|one| !one.maps_ports() && !one.port_mappings.is_empty()) {
            let message = format!(
                "pod {pod_type} indicates port mapping for networks that do not support it: only mesos-bridge maps ports"
            );
            problems.push(Problem::value(format!("pods.{pod_type}.networks.{}", network.name), &network.name, message));
        }
    }
    for (old, new) in pairs(change) {
        let word = |pod| if uses_host_ports(pod) { "ports of the agent" } else { "no ports of the agent" };
        if uses_host_ports(old) != uses_host_ports(new) {
            let message = format!(
                "network transition not allowed: pod {} uses {} now, with the new networks {}; keep the networks",
                old.pod_type,
                word(old),
                word(new)
            );
            let field = format!("pods.{}.networks", old.pod_type);
            problems.push(Problem::transition(field, names(old), names(new), message));
        }
    }
}

/// Row 6.
pub(super) fn pre_reservation(change: &Change<'_>, problems: &mut Vec<Problem>) {
    for (old, new) in pairs(change) {
        let role = |pod: &PodSpec| pod.pre_reserved_role.clone().unwrap_or_else(|| "*".to_owned());
        let (before, after) = (role(old), role(new));
        if before != after {
            let pod = &old.pod_type;
            let message =
                format!("the pre-reserved role of pod {pod} must stay {before}: its reservations are made below it");
            problems.push(Problem::transition(format!("pods.{pod}.pre-reserved-role"), before, after, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use mainstay_spec::NetworkSpec;

    use super::super::fixture::{changed, judged_from, problems, problems_of_new, texts};

    #[test]
    fn row_7_2_pods_cannot_shrink() {
        assert_eq!(problems(|spec| spec.pods[0].count = 3), Vec::<String>::new());
        assert_eq!(problems_of_new(|spec| spec.pods[0].count = 0), Vec::<String>::new());
        assert_eq!(
            problems(|spec| spec.pods[0].count = 1),
            ["Field: 'pods.hello.count'; Transition: '2' => '1'; Message: 'pod hello has count 1, expected at least \
              2: keep the count, or permit fewer with allow-decommission'; Fatal: false"]
        );
        assert_eq!(
            problems(|spec| drop(spec.pods.pop())),
            [
                "Field: 'pods'; Transition: 'world' => ''; Message: 'the new configuration is missing pod world, expected \
              with a count of at least 2: keep the pod'; Fatal: false"
            ]
        );
    }

    // contract: 3.5/decommission
    #[test]
    fn row_7_2_what_may_shrink_says_that_decommission_is_not_supported_yet() {
        // The new specification's word counts for fewer instances.
        let found = problems(|spec| {
            spec.pods[0].count = 1;
            spec.pods[0].allow_decommission = true;
        });
        assert_eq!(
            found,
            ["Field: 'pods.hello.count'; Transition: '2' => '1'; Message: 'pod hello may have fewer instances, but \
              decommission is not supported yet: keep count 2'; Fatal: false"]
        );
        // The old one's for none at all.
        let old = changed(|spec| spec.pods[1].allow_decommission = true);
        let new = changed(|spec| drop(spec.pods.pop()));
        let found = judged_from(&old, &new, |_| {});
        assert_eq!(
            texts(&found),
            ["Field: 'pods'; Transition: 'world' => ''; Message: 'pod world may be removed, but decommission is not \
              supported yet: keep it with count 2'; Fatal: false"]
        );
    }

    fn network(name: &str) -> NetworkSpec {
        NetworkSpec { name: name.into(), ..NetworkSpec::default() }
    }

    // contract: 2.5/regime
    #[test]
    fn row_7_5_a_pod_stays_with_or_without_ports_of_the_agent() {
        assert_eq!(problems(|spec| spec.pods[0].networks = vec![network("mesos-bridge")]), Vec::<String>::new());
        assert_eq!(
            problems(|spec| spec.pods[0].networks = vec![network("mesos-bridge"), network("dcos")]),
            [
                "Field: 'pods.hello.networks'; Transition: 'host' => 'mesos-bridge, dcos'; Message: 'network transition not \
              allowed: pod hello uses ports of the agent now, with the new networks no ports of the agent; keep the \
              networks'; Fatal: false"
            ]
        );
        let old = changed(|spec| spec.pods[0].networks = vec![network("dcos")]);
        let to = |name: &str| {
            let new = changed(|spec| spec.pods[0].networks = vec![network(name)]);
            judged_from(&old, &new, |_| {}).len()
        };
        assert_eq!((to("other"), to("mesos-bridge")), (0, 1));
    }

    #[test]
    fn row_7_5_ports_are_mapped_only_where_that_is_possible_and_pod_types_are_unique() {
        let mapped = |name: &str| NetworkSpec { port_mappings: [(8080, 80)].into_iter().collect(), ..network(name) };
        assert_eq!(problems_of_new(|spec| spec.pods[0].networks = vec![mapped("mesos-bridge")]), Vec::<String>::new());
        assert_eq!(
            problems_of_new(|spec| spec.pods[0].networks = vec![mapped("dcos")]),
            [
                "Field: 'pods.hello.networks.dcos'; Value: 'dcos'; Message: 'pod hello indicates port mapping for networks \
              that do not support it: only mesos-bridge maps ports'; Fatal: false"
            ]
        );
        assert_eq!(
            problems_of_new(|spec| spec.pods[1].pod_type = "hello".into()),
            ["Field: 'pods'; Value: 'hello'; Message: 'there are several pods of type hello'; Fatal: false"]
        );
    }

    #[test]
    fn row_7_6_the_pre_reserved_role_stays() {
        assert_eq!(
            problems(|spec| spec.pods[0].pre_reserved_role = Some("public".into())),
            [
                "Field: 'pods.hello.pre-reserved-role'; Transition: '*' => 'public'; Message: 'the pre-reserved role of pod \
              hello must stay *: its reservations are made below it'; Fatal: false"
            ]
        );
        assert_eq!(problems_of_new(|spec| spec.pods[0].pre_reserved_role = Some("x".into())), Vec::<String>::new());
    }
}
