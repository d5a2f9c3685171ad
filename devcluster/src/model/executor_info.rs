//! When two descriptions name the same executor.
//!
//! Invariant: labels, shutdown grace and MESOS container settings never count; everything else does.

use std::collections::BTreeSet;

use mainstay_proto::v1;
use prost::Message as _;

use super::resources;

/// Whether a live executor may be used through another description of it.
///
/// Source: the master's comparison of `ExecutorInfo` at launch.
pub(crate) fn are_equal(a: &v1::ExecutorInfo, b: &v1::ExecutorInfo) -> bool {
    a.r#type == b.r#type
        && a.executor_id == b.executor_id
        && a.data == b.data
        && resources::are_equal(&a.resources, &b.resources)
        && are_commands_equal(a.command.as_deref(), b.command.as_deref())
        && a.framework_id == b.framework_id
        && a.name == b.name
        && a.source == b.source
        && a.discovery == b.discovery
        && are_containers_equal(a.container.as_deref(), b.container.as_deref())
}

fn are_commands_equal(a: Option<&v1::CommandInfo>, b: Option<&v1::CommandInfo>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return a.is_none() && b.is_none() };
    let uris = |command: &v1::CommandInfo| -> BTreeSet<Vec<u8>> {
        let normal = |uri: &v1::command_info::Uri| {
            let (executable, extract) = (Some(uri.executable()), Some(uri.extract()));
            v1::command_info::Uri { cache: None, executable, extract, ..uri.clone() }.encode_to_vec()
        };
        command.uris.iter().map(normal).collect()
    };
    let environment = |command: &v1::CommandInfo| -> BTreeSet<Vec<u8>> {
        let variables = command.environment.iter().flat_map(|environment| &environment.variables);
        variables
            .map(|variable| {
                v1::environment::Variable { r#type: Some(variable.r#type() as i32), ..variable.clone() }.encode_to_vec()
            })
            .collect()
    };
    a.value == b.value
        && a.user == b.user
        && a.shell() == b.shell()
        && a.arguments == b.arguments
        && uris(a) == uris(b)
        && environment(a) == environment(b)
}

fn are_containers_equal(a: Option<&v1::ContainerInfo>, b: Option<&v1::ContainerInfo>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return a.is_none() && b.is_none() };
    let volumes = |container: &v1::ContainerInfo| -> BTreeSet<Vec<u8>> {
        container.volumes.iter().map(prost::Message::encode_to_vec).collect()
    };
    a.r#type == b.r#type && a.hostname == b.hostname && a.docker == b.docker && volumes(a) == volumes(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executor() -> v1::ExecutorInfo {
        let variable =
            |name: &str| v1::environment::Variable { name: name.into(), value: Some("1".into()), ..Default::default() };
        v1::ExecutorInfo {
            executor_id: v1::ExecutorId { value: "e".into() },
            resources: vec![resources::scalar("cpus", 0.1), resources::scalar("mem", 32.0)],
            command: Some(Box::new(v1::CommandInfo {
                value: Some("./executor".into()),
                uris: vec![v1::command_info::Uri { value: "http://a/executor".into(), ..Default::default() }],
                environment: Some(Box::new(v1::Environment { variables: vec![variable("A"), variable("B")] })),
                ..Default::default()
            })),
            ..Default::default()
        }
    }

    #[test]
    fn each_part_counts_or_does_not() {
        #[track_caller]
        fn check(equal: bool, change: impl Fn(&mut v1::ExecutorInfo)) {
            let mut other = executor();
            change(&mut other);
            assert_eq!(are_equal(&executor(), &other), equal);
        }
        let command = |e: &mut v1::ExecutorInfo| e.command.clone().unwrap_or_default();
        check(true, |_| ());
        check(true, |e| e.labels = Some(Box::default()));
        check(true, |e| e.shutdown_grace_period = Some(v1::DurationInfo { nanoseconds: 1 }));
        check(true, |e| e.resources.reverse());
        check(true, |e| {
            let mut changed = command(e);
            changed.uris[0].cache = Some(true);
            changed.shell = Some(true);
            changed.environment.get_or_insert_default().variables.reverse();
            e.command = Some(changed);
        });
        check(false, |e| e.resources[0] = resources::scalar("cpus", 0.2));
        check(false, |e| e.resources[0] = resources::allocate(e.resources[0].clone(), "other"));
        check(false, |e| e.name = Some("n".into()));
        check(false, |e| e.r#type = Some(v1::executor_info::Type::Custom as i32));
        check(false, |e| e.data = Some(vec![1].into()));
        check(false, |e| {
            let mut changed = command(e);
            changed.uris[0].value = "http://b/executor".into();
            e.command = Some(changed);
        });
        check(false, |e| {
            let mut changed = command(e);
            changed.arguments.push("x".into());
            e.command = Some(changed);
        });
        check(false, |e| e.container = Some(Box::default()));
    }
}
