#![allow(clippy::unwrap_used)]

use super::*;

fn variable(name: &str, value: &str) -> v1::environment::Variable {
    v1::environment::Variable { name: name.to_owned(), value: Some(value.to_owned()), ..Default::default() }
}

fn command(value: &str) -> v1::CommandInfo {
    v1::CommandInfo {
        value: Some(value.to_owned()),
        environment: Some(Box::new(v1::Environment { variables: vec![variable("A", "1")] })),
        ..Default::default()
    }
}

fn info(command: &v1::CommandInfo) -> v1::TaskInfo {
    v1::TaskInfo {
        name: "hello-0-server".to_owned(),
        task_id: v1::TaskId { value: "hello-0-server__1".to_owned() },
        data: Some(command.encode_to_vec().into()),
        ..Default::default()
    }
}

fn volume(id: &str, place: Option<&str>) -> v1::TaskInfo {
    let mut info = info(&command("x"));
    let persistence = v1::resource::disk_info::Persistence { id: id.to_owned(), ..Default::default() };
    let disk = v1::resource::DiskInfo { persistence: Some(Box::new(persistence)), ..Default::default() };
    info.resources = vec![v1::Resource { disk: Some(Box::new(disk)), ..Default::default() }];
    if let Some(place) = place {
        let label = v1::Label { key: format!("volume:{id}"), value: Some(place.to_owned()) };
        info.labels = Some(Box::new(v1::Labels { labels: vec![label] }));
    }
    info
}

#[test]
fn a_task_is_read_from_its_data() {
    let mut wire = command("echo hi");
    wire.user = Some("nobody".to_owned());
    wire.uris = vec![v1::command_info::Uri {
        value: "http://h:1/v1/artifacts/template/x".to_owned(),
        output_file: Some("config-templates/x".to_owned()),
        extract: Some(false),
        ..Default::default()
    }];
    let mut task = info(&wire);
    task.command = Some(Box::new(command("ignored")));
    task.kill_policy =
        Some(Box::new(v1::KillPolicy { grace_period: Some(v1::DurationInfo { nanoseconds: 5_000_000_000 }) }));
    let plan = Plan::from_wire(&task).unwrap();
    assert_eq!(plan.command.program, "/bin/sh");
    assert_eq!(plan.command.arguments, ["-c", "echo hi"]);
    assert_eq!(plan.command.environment, BTreeMap::from([("A".to_owned(), "1".to_owned())]));
    assert_eq!(plan.user.as_deref(), Some("nobody"));
    assert_eq!(plan.downloads[0].file, "config-templates/x");
    assert_eq!(plan.rules, Rules { kill_grace: Some(Duration::from_secs(5)), ..Rules::default() });
}

#[test]
fn without_data_the_command_counts() {
    let mut task = info(&command("x"));
    task.data = Some(bytes::Bytes::new());
    task.command = Some(Box::new(v1::CommandInfo {
        shell: Some(false),
        value: Some("/bin/server".to_owned()),
        arguments: vec!["server".to_owned(), "-v".to_owned()],
        ..Default::default()
    }));
    let plan = Plan::from_wire(&task).unwrap();
    assert_eq!((plan.command.program.as_str(), &plan.command.arguments[..]), ("/bin/server", &["-v".to_owned()][..]));
}

#[test]
fn checks_are_read_with_the_defaults_of_mesos() {
    let mut task = info(&command("x"));
    let check = v1::check_info::Command { command: command("ready") };
    task.check = Some(Box::new(v1::CheckInfo {
        r#type: Some(v1::check_info::Type::Command as i32),
        command: Some(Box::new(check)),
        timeout_seconds: Some(0.0),
        ..Default::default()
    }));
    task.health_check = Some(Box::new(v1::HealthCheck {
        r#type: Some(v1::health_check::Type::Command as i32),
        command: Some(Box::new(command("alive"))),
        consecutive_failures: Some(5),
        ..Default::default()
    }));
    let plan = Plan::from_wire(&task).unwrap();
    let s = Duration::from_secs;
    assert_eq!(plan.rules.readiness, Some(Schedule { delay: s(15), interval: s(10), timeout: None }));
    let schedule = Schedule { delay: s(15), interval: s(10), timeout: Some(s(20)) };
    assert_eq!(plan.rules.health, Some(HealthRules { schedule, grace: s(10), max_failures: 5 }));
    assert_eq!(plan.readiness.unwrap().arguments, ["-c", "ready"]);
    assert_eq!(plan.health.unwrap().arguments, ["-c", "alive"]);
}

#[test]
fn volumes_have_a_place() {
    let link = |place: &str| VolumeLink { kind: LinkKind::Volume, id: "v1".to_owned(), place: place.to_owned() };
    assert_eq!(Plan::from_wire(&volume("v1", Some("data"))).unwrap().volumes, [link("data")]);
    assert_eq!(Plan::from_wire(&volume("v1", Some("a/b/"))).unwrap().volumes, [link("a/b")]);
    for wrong in ["", "/data", "../data", "a/../b", "."] {
        let result = Plan::from_wire(&volume("v1", Some(wrong)));
        assert!(matches!(result, Err(Error::VolumePlace(..))), "{wrong:?}: {result:?}");
    }
    let error = Plan::from_wire(&volume("v1", None)).unwrap_err();
    assert_eq!(error, Error::VolumeWithoutPlace("v1".to_owned()));
}

#[test]
fn what_cannot_be_run_is_refused_with_a_reason() {
    #[track_caller]
    fn check(change: impl FnOnce(&mut v1::TaskInfo), expected: &str) {
        let mut task = info(&command("x"));
        change(&mut task);
        assert_eq!(Plan::from_wire(&task).unwrap_err().to_string(), expected);
    }
    check(|task| task.task_id.value = "a/b".to_owned(), "task id \"a/b\" cannot be the name of a folder");
    check(|task| task.task_id.value = "..".to_owned(), "task id \"..\" cannot be the name of a folder");
    check(|task| task.data = None, "the task has no command");
    check(|task| task.data = Some(command("").encode_to_vec().into()), "the command of the task is empty");
    check(
        |task| {
            let r#type = Some(v1::health_check::Type::Http as i32);
            task.health_check = Some(Box::new(v1::HealthCheck { r#type, ..Default::default() }));
        },
        "the health check is of type HTTP; only COMMAND is supported",
    );
    check(
        |task| {
            let r#type = Some(v1::check_info::Type::Tcp as i32);
            task.check = Some(Box::new(v1::CheckInfo { r#type, ..Default::default() }));
        },
        "the readiness check is of type TCP; only COMMAND is supported",
    );
    check(
        |task| {
            let mut wire = command("x");
            let variable = variable("CONFIG_TEMPLATE_X", "config-templates/x");
            wire.environment = Some(Box::new(v1::Environment { variables: vec![variable] }));
            task.data = Some(wire.encode_to_vec().into());
        },
        "variable CONFIG_TEMPLATE_X is not of the form \"source,destination\"",
    );
    for (uri, expected) in [
        ("https://h/x", "the executor fetches plain http only; fetch it with the pod's uris"),
        ("http://h/x.tgz", "the executor unpacks no archives; fetch it with the pod's uris"),
        ("http://h/..", "its file is not in the task's folder"),
    ] {
        let mut wire = command("x");
        wire.uris = vec![v1::command_info::Uri { value: uri.to_owned(), ..Default::default() }];
        check(
            |task| task.data = Some(wire.encode_to_vec().into()),
            &format!("uri {uri:?} of the task cannot be fetched: {expected}"),
        );
    }
    let error = Plan::from_wire(&v1::TaskInfo { data: Some(vec![0xff].into()), ..info(&command("x")) }).unwrap_err();
    assert!(matches!(error, Error::Data(_)), "{error}");
}

#[test]
fn memory_is_the_limit_or_what_was_reserved() {
    let mem = |value: f64| v1::value::Scalar { value };
    let resource = |value| v1::Resource { name: "mem".to_owned(), scalar: Some(mem(value)), ..Default::default() };
    let memory = |info: &v1::TaskInfo| Plan::from_wire(info).unwrap().amounts.memory;
    let mut task = v1::TaskInfo { resources: vec![resource(32.0), resource(0.5)], ..info(&command("x")) };
    assert_eq!(memory(&task), Some(34_078_720));
    task.limits.insert("mem".to_owned(), mem(64.0));
    assert_eq!(memory(&task), Some(67_108_864));
    task.limits.insert("mem".to_owned(), mem(f64::INFINITY));
    assert_eq!(memory(&task), None);
    assert_eq!(memory(&info(&command("x"))), None);
}

#[test]
fn cpus_have_a_weight_and_only_with_a_limit_a_quota() {
    let amount = |value: f64| v1::value::Scalar { value };
    let resource = v1::Resource { name: "cpus".to_owned(), scalar: Some(amount(0.1)), ..Default::default() };
    let mut task = v1::TaskInfo { resources: vec![resource], ..info(&command("x")) };
    let cpus = |info: &v1::TaskInfo| {
        let amounts = Plan::from_wire(info).unwrap().amounts;
        (amounts.cpu_millis, amounts.cpu_limit_millis)
    };
    assert_eq!(cpus(&task), (100, None));
    task.limits.insert("cpus".to_owned(), amount(1.5));
    assert_eq!(cpus(&task), (100, Some(1500)));
    task.limits.insert("cpus".to_owned(), amount(f64::INFINITY));
    assert_eq!(cpus(&task), (100, None));
    assert_eq!(cpus(&info(&command("x"))), (0, None));
}

#[test]
fn limits_are_pairs() {
    use v1::r_limit_info::RLimit;
    use v1::r_limit_info::r_limit::Type;
    let with = |soft, hard| {
        let rlimits = vec![RLimit { r#type: Some(Type::RlmtNofile as i32), soft, hard }];
        let rlimit_info = Some(Box::new(v1::RLimitInfo { rlimits }));
        let container = v1::ContainerInfo { rlimit_info, ..Default::default() };
        Plan::from_wire(&v1::TaskInfo { container: Some(Box::new(container)), ..info(&command("x")) })
            .map(|plan| plan.rlimits)
    };
    let name = "RLMT_NOFILE".to_owned();
    assert_eq!(with(Some(1), Some(2)).unwrap(), [Rlimit { name: name.clone(), limits: Some((1, 2)) }]);
    assert_eq!(with(None, None).unwrap(), [Rlimit { name: name.clone(), limits: None }]);
    assert_eq!(with(Some(1), None), Err(Error::Rlimit(name)));
}
