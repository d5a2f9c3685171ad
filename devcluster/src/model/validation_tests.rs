//! Tables of what a master refuses.
#![allow(clippy::unwrap_used)]

use super::super::resources::{Resources, allocate, ranges, scalar};
use super::*;

#[test]
fn ids_follow_the_rule() {
    for good in ["a", "a b", "a:b", "a.b", &"x".repeat(255)] {
        assert_eq!(id(good), Ok(()), "{good}");
    }
    for bad in ["", ".", "..", "a/b", "a\\b", "a\nb", "\x7f", &"x".repeat(256)] {
        assert!(id(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn roles_follow_the_rule() {
    for good in ["*", "a", "a/b", "slave_public/x-role", "a.b", "..a"] {
        assert_eq!(role(good), Ok(()), "{good}");
    }
    for bad in ["", "/a", "a/", "a//b", ".", "a/..", "*/a", "-a", "a b", "a\tb", "a/-b"] {
        assert!(role(bad).is_err(), "{bad:?}");
    }
}

fn reservation(kind: ReservationType, role: &str) -> v1::resource::ReservationInfo {
    v1::resource::ReservationInfo { r#type: Some(kind as i32), role: Some(role.into()), ..Default::default() }
}

#[test]
fn resources_are_well_formed_or_refused() {
    #[track_caller]
    fn check(expected: Result<(), &str>, change: impl Fn(&mut Resource)) {
        let mut one = scalar("cpus", 1.0);
        change(&mut one);
        match (resource(&one), expected) {
            (Ok(()), Ok(())) => {}
            (Err(problem), Err(part)) => assert!(problem.contains(part), "{problem}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }
    use ReservationType::{Dynamic, Static, Unknown};
    check(Ok(()), |_| ());
    check(Ok(()), |one| one.scalar = Some(v1::value::Scalar { value: 0.0 }));
    check(Ok(()), |one| one.role = Some("r".into()));
    check(Ok(()), |one| one.reservations = vec![reservation(Static, "a"), reservation(Dynamic, "a/b")]);
    check(Ok(()), |one| *one = ranges("ports", &[(1, 2), (3, 3)]));
    check(Err("Empty"), |one| one.name.clear());
    check(Err("exactly"), |one| one.scalar = None);
    check(Err("exactly"), |one| one.set = Some(Box::default()));
    check(Err("< 0"), |one| one.scalar = Some(v1::value::Scalar { value: -1.0 }));
    check(Err("too small"), |one| one.scalar = Some(v1::value::Scalar { value: 0.0004 }));
    check(Err("< 0"), |one| one.scalar = Some(v1::value::Scalar { value: f64::NAN }));
    check(Err("reversed"), |one| *one = ranges("ports", &[(2, 1)]));
    check(Err("overlaps"), |one| *one = ranges("ports", &[(1, 5), (5, 6)]));
    check(Err("unsupported"), |one| one.r#type = ValueType::Text as i32);
    check(Err("non-disk"), |one| one.disk = Some(Box::default()));
    check(Err("role '*'"), |one| one.reservation = Some(Box::default()));
    check(Err("must not have"), |one| {
        one.role = Some("r".into());
        one.reservation = Some(Box::new(reservation(Dynamic, "r")));
    });
    check(Err("both"), |one| {
        one.role = Some("r".into());
        one.reservations = vec![reservation(Dynamic, "r")];
    });
    check(Err("needs a role"), |one| one.reservations = vec![reservation(Dynamic, "*")]);
    check(Err("needs a type"), |one| one.reservations = vec![reservation(Unknown, "r")]);
    check(Err("must be DYNAMIC"), |one| one.reservations = vec![reservation(Static, "a"), reservation(Static, "a/b")]);
    check(Err("must be below"), |one| one.reservations = vec![reservation(Static, "a"), reservation(Dynamic, "b")]);
    check(Err("must be below"), |one| one.reservations = vec![reservation(Dynamic, "a"), reservation(Dynamic, "a")]);
}

fn good_framework() -> v1::FrameworkInfo {
    v1::FrameworkInfo {
        user: "root".into(),
        name: "f".into(),
        roles: vec!["a".into(), "b".into()],
        capabilities: vec![v1::framework_info::Capability { r#type: Some(Capability::MultiRole as i32) }],
        ..Default::default()
    }
}

#[test]
fn frameworks_are_checked() {
    #[track_caller]
    fn check(expected: Option<&str>, suppressed: &[&str], change: impl Fn(&mut v1::FrameworkInfo)) {
        let mut info = good_framework();
        change(&mut info);
        let suppressed: Vec<String> = suppressed.iter().map(|role| (*role).to_owned()).collect();
        match (framework(&info, &suppressed), expected) {
            (Ok(()), None) => {}
            (Err(problem), Some(part)) => assert!(problem.contains(part), "{problem}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }
    check(None, &["a"], |_| ());
    check(None, &[], |info| info.roles.clear());
    check(Some("'FrameworkInfo.role' must not"), &[], |info| info.role = Some("a".into()));
    check(Some("'FrameworkInfo.roles' must not"), &[], |info| info.capabilities.clear());
    check(Some("duplicate"), &[], |info| info.roles.push("a".into()));
    check(Some("is invalid"), &[], |info| info.roles.push("-a".into()));
    check(Some("ID is invalid"), &[], |info| info.id = Some(v1::FrameworkId { value: "a/b".into() }));
    check(Some("failover_timeout"), &[], |info| info.failover_timeout = Some(-1.0));
    check(Some("failover_timeout"), &[], |info| info.failover_timeout = Some(1e30));
    check(Some("Suppressed role 'c'"), &["c"], |_| ());
    check(Some("offer_filters"), &[], |info| {
        let minimum = v1::offer_filters::MinAllocatableResources {
            quantities: vec![v1::offer_filters::ResourceQuantities::default()],
        };
        let filters = v1::OfferFilters { min_allocatable_resources: Some(Box::new(minimum)) };
        info.offer_filters.insert("a".into(), filters);
    });
}

fn good_executor() -> v1::ExecutorInfo {
    v1::ExecutorInfo {
        executor_id: v1::ExecutorId { value: "e".into() },
        framework_id: Some(v1::FrameworkId { value: "f".into() }),
        r#type: Some(v1::executor_info::Type::Custom as i32),
        command: Some(Box::new(v1::CommandInfo { value: Some("./e".into()), ..Default::default() })),
        resources: vec![scalar("cpus", 0.1), scalar("mem", 32.0), scalar("disk", 10.0)],
        ..Default::default()
    }
}

fn good_task() -> v1::TaskInfo {
    v1::TaskInfo {
        name: "t".into(),
        task_id: v1::TaskId { value: "t1".into() },
        agent_id: v1::AgentId { value: "agent".into() },
        resources: vec![scalar("cpus", 1.0), scalar("mem", 64.0), ranges("ports", &[(5, 6)])],
        executor: Some(Box::new(good_executor())),
        ..Default::default()
    }
}

#[track_caller]
fn check_task(expected: Option<&str>, in_group: bool, change: impl Fn(&mut v1::TaskInfo)) {
    let mut info = good_task();
    change(&mut info);
    let pool =
        Resources::new([scalar("cpus", 2.0), scalar("mem", 128.0), scalar("disk", 100.0), ranges("ports", &[(1, 9)])]);
    let context = TaskContext {
        framework_id: "f",
        agent_id: "agent",
        is_known: &|id| id == "known",
        pool: &pool,
        live_executor: &|id| (id == "live").then(|| v1::ExecutorInfo { name: Some("other".into()), ..good_executor() }),
        in_group,
    };
    match (task(&info, info.executor.as_deref(), &context), expected) {
        (Ok(()), None) => {}
        (Err(problem), Some(part)) => assert!(problem.contains(part), "{problem}"),
        (got, expected) => panic!("{got:?} instead of {expected:?}"),
    }
}

fn executor_of(task: &mut v1::TaskInfo) -> &mut v1::ExecutorInfo {
    task.executor.as_deref_mut().unwrap()
}

#[test]
fn tasks_are_checked_in_order() {
    check_task(None, false, |_| ());
    check_task(None, true, |_| ());
    check_task(Some("Task ID is invalid"), false, |task| task.task_id.value = "a/b".into());
    check_task(Some("duplicate ID: known"), false, |task| task.task_id.value = "known".into());
    check_task(Some("invalid agent"), false, |task| task.agent_id.value = "other".into());
    check_task(Some("grace_period"), false, |task| {
        let grace_period = Some(v1::DurationInfo { nanoseconds: -1 });
        task.kill_policy = Some(Box::new(v1::KillPolicy { grace_period }));
    });
    check_task(Some("invalid check"), false, |task| task.check = Some(Box::default()));
    check_task(Some("invalid health check"), false, |task| task.health_check = Some(Box::default()));
    check_task(None, false, |task| {
        let command = Some(Box::new(v1::CommandInfo::default()));
        task.health_check = Some(Box::new(v1::HealthCheck { command, ..Default::default() }));
    });
    check_task(Some("start with '/'"), false, |task| {
        let http = v1::health_check::HttpCheckInfo { port: 80, path: Some("x".into()), ..Default::default() };
        task.health_check = Some(Box::new(v1::HealthCheck { http: Some(Box::new(http)), ..Default::default() }));
    });
    check_task(Some("no resources"), false, |task| task.resources.clear());
    check_task(Some("invalid resources"), false, |task| task.resources[0].name.clear());
    check_task(Some("'gpus'"), false, |task| task.resources.push(scalar("gpus", 0.5)));
    check_task(Some("at least one"), false, |task| task.executor = None);
    check_task(Some("at least one"), false, |task| task.command = Some(Box::default()));
    check_task(Some("Limit"), false, |task| {
        task.limits.insert("cpus".into(), v1::value::Scalar { value: 0.5 });
    });
    check_task(None, false, |task| {
        task.limits.insert("cpus".into(), v1::value::Scalar { value: f64::INFINITY });
    });
    check_task(Some("Only cpus and mem"), false, |task| {
        task.limits.insert("disk".into(), v1::value::Scalar { value: 5.0 });
    });
    for (expected, share_cgroups) in [
        (Some("'share_cgroups' is 'false'"), None),
        (Some("'share_cgroups' is 'false'"), Some(true)),
        (None, Some(false)),
    ] {
        check_task(expected, true, |task| {
            task.limits.insert("cpus".into(), v1::value::Scalar { value: f64::INFINITY });
            let linux_info = Some(Box::new(v1::LinuxInfo { share_cgroups, ..Default::default() }));
            let r#type = v1::container_info::Type::Mesos as i32;
            task.container = Some(Box::new(v1::ContainerInfo { r#type, linux_info, ..Default::default() }));
        });
    }
    check_task(Some("more resources"), false, |task| task.resources[0] = scalar("cpus", 1.95));
    check_task(None, false, |task| task.resources[0] = scalar("cpus", 1.9));
    check_task(Some("more resources"), false, |task| task.resources.push(ranges("ports", &[(10, 10)])));
    check_task(Some("both use 'ports'"), false, |task| executor_of(task).resources.push(ranges("ports", &[(6, 7)])));
}

#[test]
fn executors_are_checked() {
    use v1::executor_info::Type;
    check_task(Some("'ExecutorInfo.command' must be set"), false, |task| executor_of(task).command = None);
    check_task(Some("custom executors only"), false, |task| {
        executor_of(task).command = None;
        executor_of(task).r#type = Some(Type::Default as i32);
    });
    check_task(Some("'ExecutorInfo.type' must be set"), true, |task| executor_of(task).r#type = None);
    check_task(None, false, |task| executor_of(task).r#type = None);
    check_task(Some("Executor ID"), false, |task| executor_of(task).executor_id.value = "..".into());
    check_task(Some("'ExecutorInfo.framework_id' must be set"), true, |task| executor_of(task).framework_id = None);
    check_task(Some("invalid FrameworkID"), false, |task| {
        executor_of(task).framework_id = Some(v1::FrameworkId { value: "g".into() });
    });
    check_task(Some("minimum of 'cpus'"), true, |task| executor_of(task).resources[0] = scalar("cpus", 0.009));
    check_task(Some("minimum of 'mem'"), true, |task| executor_of(task).resources[1] = scalar("mem", 31.0));
    check_task(Some("minimum of 'disk'"), true, |task| executor_of(task).resources.truncate(2));
    check_task(None, false, |task| executor_of(task).resources.truncate(1));
    check_task(Some("not compatible"), false, |task| executor_of(task).executor_id.value = "live".into());
    check_task(Some("does not have the value"), false, |task| {
        let variables = vec![v1::environment::Variable { name: "A".into(), ..Default::default() }];
        let environment = Some(Box::new(v1::Environment { variables }));
        executor_of(task).command.as_mut().unwrap().environment = environment;
    });
    // The allocation is no part of what is compared against the pool.
    assert!(!Resources::new([scalar("cpus", 1.0)]).contains_all(&[allocate(scalar("cpus", 1.0), "r")]));
}

#[test]
fn calls_are_complete_or_refused() {
    #[track_caller]
    fn check(expected: Option<&str>, call: scheduler::Call) {
        match (super::call(&call), expected) {
            (Ok(()), None) => {}
            (Err(problem), Some(part)) => assert!(problem.contains(part), "{problem}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }
    let id = || Some(v1::FrameworkId { value: "f".into() });
    let of = |kind: CallType| scheduler::Call { r#type: Some(kind as i32), framework_id: id(), ..Default::default() };
    check(Some("'type'"), scheduler::Call::default());
    check(Some("'type'"), scheduler::Call { r#type: Some(999), ..Default::default() });
    check(Some("'subscribe'"), scheduler::Call { framework_id: None, ..of(CallType::Subscribe) });
    let subscribe =
        Some(Box::new(scheduler::call::Subscribe { framework_info: good_framework(), ..Default::default() }));
    check(None, scheduler::Call { framework_id: None, subscribe: subscribe.clone(), ..of(CallType::Subscribe) });
    check(Some("differs"), scheduler::Call { subscribe, ..of(CallType::Subscribe) });
    check(Some("'framework_id'"), scheduler::Call { framework_id: None, ..of(CallType::Teardown) });
    check(None, of(CallType::Teardown));
    check(None, of(CallType::Revive));
    check(Some("'accept'"), of(CallType::Accept));
    check(Some("'kill'"), of(CallType::Kill));
    let acknowledge = scheduler::call::Acknowledge { uuid: vec![1; 15].into(), ..Default::default() };
    check(Some("16 bytes"), scheduler::Call { acknowledge: Some(Box::new(acknowledge)), ..of(CallType::Acknowledge) });
    let acknowledge = scheduler::call::AcknowledgeOperationStatus::default();
    check(
        Some("agent_id"),
        scheduler::Call {
            acknowledge_operation_status: Some(Box::new(acknowledge)),
            ..of(CallType::AcknowledgeOperationStatus)
        },
    );
}
