#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;

fn vars(pairs: &[(&str, &str)]) -> Vars {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(pairs: &[(&str, &str)]) -> Settings {
    let mut vars = vars(pairs);
    vars.entry("PORT_API".into()).or_insert_with(|| "8080".into());
    Settings::read(&vars, true).unwrap()
}

fn spec(name: &str) -> ServiceSpec {
    ServiceSpec {
        name: name.into(),
        web_url: None,
        principal: format!("{name}-principal"),
        user: "root".into(),
        zookeeper: "zk1:2181,zk2:2181".into(),
        declared_role: None,
        pods: Vec::new(),
        plans: Vec::new(),
        ..ServiceSpec::default()
    }
}

// contract: 4.2/scheduler-host
#[test]
fn defaults_are_those_of_the_sdk() {
    let settings = read(&[]);
    let spec = spec("/path/to/svc.one");
    assert_eq!(settings.port_api, Some(8080));
    assert_eq!(settings.master(&spec).unwrap().to_string(), "zk://zk1:2181,zk2:2181/mesos");
    assert_eq!(settings.store(&spec).unwrap(), Location::parse("zk://zk1:2181,zk2:2181").unwrap());
    assert_eq!(settings.api_hostname, HostnameSource::Route);
    assert_eq!(settings.dcos_hostname(&spec), "svc-one-to-path.marathon.autoip.dcos.thisdcos.directory");
    assert_eq!(settings.notes, Vec::<String>::new());
    let config = settings.engine(&spec, "10.0.0.1", 8080);
    assert_eq!(
        config,
        Config {
            role: "path__to__svc.one-role".into(),
            executor_cpus: Scalar::from_millis(100),
            executor_mem_mb: Scalar::from_units(32),
            executor_disk_mb: Scalar::from_units(256),
            executor_uri: "http://10.0.0.1:8080/v1/artifacts/executor".into(),
            api_hostname: "10.0.0.1".into(),
            api_port: 8080,
            service_tld: "autoip.dcos.thisdcos.directory".into(),
            vip_tld: "l4lb.thisdcos.directory".into(),
            dcos_space: "/".into(),
            backoff: None,
            replacement: None,
            implicit_reconciliation: Millis(3_600_000),
            is_suppress_disabled: false,
            has_service_account: false,
            validators: Vec::new(),
        }
    );
    assert_eq!(settings.engine(&spec, "::1", 1).executor_uri, "http://[::1]:1/v1/artifacts/executor");
}

// contract: 5.1/presence 5.1/MARATHON_APP_ID 5.1/EXECUTOR_URI 5.1/EXECUTOR_CPUS 5.1/DISABLE_SUPPRESS 5.1/SERVICE_TLD
// contract: 5.1/STATSD_UDP_HOST 5.1/MESOS_ALLOCATION_ROLE 5.1/ENABLE_BACKOFF 5.1/ENABLE_AUTOMATIC_POD_REPLACEMENT
// contract: 5.1/master
#[test]
fn everything_that_can_be_set_has_its_effect() {
    let settings = read(&[
        ("MESOS_MASTER", "http://m1:5050"),
        ("STATE_STORE", "memory:"),
        ("EXECUTOR_CPUS", "0.25"),
        ("EXECUTOR_MEM_MB", "64"),
        ("EXECUTOR_DISK_MB", "10.5"),
        ("EXECUTOR_URI", "http://x/executor"),
        ("SCHEDULER_API_HOSTNAME", "sched.example"),
        ("SERVICE_TLD", "tld"),
        ("VIP_TLD", "vip"),
        ("MARATHON_APP_ID", "/app"),
        ("MESOS_ALLOCATION_ROLE", "/team/db"),
        ("ENABLE_BACKOFF", "yes"),
        ("FRAMEWORK_BACKOFF_FACTOR", "2"),
        ("FRAMEWORK_INITIAL_BACKOFF", "10"),
        ("ENABLE_AUTOMATIC_POD_REPLACEMENT", "TRUE"),
        ("PERMANENT_FAILURE_TIMEOUT_SECS", "60"),
        ("DISABLE_SUPPRESS", ""),
        ("IMPLICIT_RECONCILIATION_PERIOD_MS", "60000"),
        ("MAINSTAY_FORGET_FRAMEWORK_ID", "a-0001"),
        ("MESOS_FRAMEWORK_SECRET", "s3cret"),
        ("STATSD_UDP_HOST", "x"),
    ]);
    let spec = spec("svc");
    assert_eq!(settings.master(&spec).unwrap().to_string(), "http://m1:5050");
    assert_eq!(settings.store(&spec).unwrap(), Location::Memory);
    assert_eq!(settings.api_hostname, HostnameSource::Given("sched.example".into()));
    assert_eq!(settings.forget_framework_id, Some(FrameworkId::parse("a-0001").unwrap()));
    assert!(settings.auth(&spec).unwrap().header().is_some());
    assert!(!format!("{settings:?}").contains("s3cret"));
    assert_eq!(settings.notes, ["STATSD_UDP_HOST has no effect: metrics are not pushed to StatsD yet"]);
    let config = settings.engine(&spec, "sched.example", 8080);
    assert_eq!(
        config,
        Config {
            role: "team__db".into(),
            executor_cpus: Scalar::from_millis(250),
            executor_mem_mb: Scalar::from_units(64),
            executor_disk_mb: Scalar::from_millis(10_500),
            executor_uri: "http://x/executor".into(),
            api_hostname: "sched.example".into(),
            api_port: 8080,
            service_tld: "tld".into(),
            vip_tld: "vip".into(),
            dcos_space: "/app".into(),
            backoff: Some(Backoff { initial: Millis(10_000), factor_millis: 2000, max: Millis(300_000) }),
            replacement: Some(Replacement { permanent_failure_timeout: Millis(60_000), min_delay: Millis(600_000) }),
            implicit_reconciliation: Millis(60_000),
            is_suppress_disabled: true,
            has_service_account: false,
            validators: Vec::new(),
        }
    );
}

// contract: 5.1/LIBPROCESS_IP
#[test]
fn the_hostname_comes_from_the_first_source_that_has_one() {
    #[track_caller]
    fn check(pairs: &[(&str, &str)], expected: HostnameSource) {
        assert_eq!(read(pairs).api_hostname, expected);
    }
    let given = |text: &str| HostnameSource::Given(text.to_owned());
    check(&[("HOST", "h"), ("LIBPROCESS_IP", "10.0.0.9")], given("h"));
    check(&[("LIBPROCESS_IP", "10.0.0.9")], given("10.0.0.9"));
    check(&[("LIBPROCESS_IP", "0.0.0.0")], HostnameSource::Route);
    check(&[("MARATHON_APP_ID", "/x"), ("HOST", "h")], given("h"));
    check(&[("MARATHON_APP_ID", "/x"), ("HOST", "h"), ("DCOS_SPACE", "/x")], HostnameSource::Dcos);
    check(&[("MARATHON_APP_ID", "/x"), ("MARATHON_APP_LABEL_DCOS_PACKAGE_NAME", "p")], HostnameSource::Dcos);
    check(&[("DCOS_SPACE", "/x"), ("SCHEDULER_API_HOSTNAME", "s")], given("s"));
}

// contract: 4.3/enforced 4.3/allocation
#[test]
fn the_public_role_is_only_taken_when_enforced() {
    let role = |pairs: &[(&str, &str)]| read(pairs).role(&spec("svc"));
    assert_eq!(role(&[("MESOS_ALLOCATION_ROLE", "slave_public")]), "svc-role");
    assert_eq!(
        role(&[("MESOS_ALLOCATION_ROLE", "slave_public"), ("MARATHON_APP_ENFORCE_GROUP_ROLE", "t")]),
        "slave_public"
    );
    assert_eq!(role(&[("MESOS_ALLOCATION_ROLE", "dev")]), "dev");
}

/// A stored task that was placed in a region.
fn placed_task(name: &mainstay_engine::ids::TaskName, region: &str) -> mainstay_engine::state::Task {
    use mainstay_proto::v1;
    use prost::Message as _;

    let label = |key: &str, value: &str| v1::Label { key: key.into(), value: Some(value.into()) };
    let labels = vec![label("task_type", "a"), label("index", "0"), label("offer_region", region)];
    let info = v1::TaskInfo {
        name: name.to_string(),
        task_id: v1::TaskId { value: String::new() },
        agent_id: v1::AgentId { value: "agent".into() },
        labels: Some(Box::new(v1::Labels { labels })),
        ..Default::default()
    };
    mainstay_engine::state::Task::parse(name.clone(), info.encode_to_vec().into(), None).unwrap()
}

// contract: 5.1/SERVICE_REGION 5.1/ALLOW_REGION_AWARENESS 2.26/region
#[test]
fn the_region_becomes_a_rule_and_a_capability_unless_forbidden() {
    let placed = |pairs: &[(&str, &str)], rule: Option<&str>| {
        let mut spec = spec("svc");
        let placement = rule.and_then(|rule| mainstay_spec::placement::Rule::parse(rule, "a").unwrap());
        spec.pods.push(mainstay_spec::PodSpec { placement, ..mainstay_spec::PodSpec::default() });
        let settings = read(pairs);
        settings.confine(&mut spec);
        let rule = spec.pods[0].placement.as_ref().map(ToString::to_string).unwrap_or_default();
        (spec.region.clone().unwrap_or_default(), rule, settings.is_region_aware(&spec, &State::default()))
    };
    let text = |region: &str, rule: &str, is_aware| (region.to_owned(), rule.to_owned(), is_aware);
    assert_eq!(placed(&[], None), text("", "", false));
    assert_eq!(placed(&[("SERVICE_REGION", " east ")], None), text("east", "region IS east", true));
    assert_eq!(
        placed(&[("SERVICE_REGION", "east")], Some("hostname:UNIQUE")),
        text("east", "region IS east AND hostname max 1 of a", true)
    );
    assert_eq!(placed(&[], Some("@region:GROUP_BY")), text("", "region spread over all of a", true));
    for forbidden in ["false", "no", ""] {
        let pairs = [("SERVICE_REGION", "east"), ("ALLOW_REGION_AWARENESS", forbidden)];
        assert_eq!(placed(&pairs, None), text("east", "region IS east", false), "{forbidden:?}");
    }
    let pairs = [("SERVICE_REGION", "east"), ("ALLOW_REGION_AWARENESS", "true")];
    assert!(placed(&pairs, None).2);
    // What is placed in some region must still be offered what it holds when no rule looks at regions any more.
    let plain = spec("svc");
    let mut state = State::default();
    assert!(!read(&[]).is_region_aware(&plain, &state));
    let name = mainstay_engine::ids::TaskName::parse("a-0-server").unwrap();
    let task = placed_task(&name, "east");
    Arc::make_mut(&mut state.tasks).insert(name, Arc::new(task));
    assert!(read(&[]).is_region_aware(&plain, &state));
    assert!(!read(&[("ALLOW_REGION_AWARENESS", "f")]).is_region_aware(&plain, &state));
    let problems = Settings::read(&vars(&[("PORT_API", "1"), ("ALLOW_REGION_AWARENESS", "1")]), true).unwrap_err();
    assert_eq!((problems[0].code, problems[0].variable), (UNREADABLE, "ALLOW_REGION_AWARENESS"));
}

#[test]
fn what_was_given_up_is_still_asked_for_when_nothing_else_speaks_of_it() {
    use mainstay_engine::ids::ResourceId;
    use mainstay_engine::state::GivenUp;
    let spec = spec("svc");
    let mut state = State::default();
    let identity = |state: &State| {
        let identity = read(&[]).identity(&spec, state);
        (identity.roles, identity.is_gpu_aware, identity.is_region_aware)
    };
    assert_eq!(identity(&state), (vec!["svc-role".to_owned()], false, false));
    let mut give_up = |id: &str, line: &str| {
        state.releasing.insert(ResourceId::parse(id).unwrap(), GivenUp::read(line).unwrap());
        identity(&state)
    };
    let roles = vec!["svc-role".to_owned(), "public/svc-role".to_owned()];
    assert_eq!(give_up("r0", "a0"), (vec!["svc-role".to_owned()], false, false), "of an earlier version");
    assert_eq!(give_up("r1", "a1 public/svc-role"), (roles.clone(), false, false));
    assert_eq!(give_up("r2", "a2 svc-role gpus"), (roles.clone(), true, false));
    assert_eq!(give_up("r3", "a3 svc-role region"), (roles, true, true));
}

// contract: 3.5/uninstall 5.1/errors 5.1/SDK_UNINSTALL 5.1/DCOS_SERVICE_ACCOUNT_CREDENTIAL 5.1/MESOS_API_VERSION
// contract: 5.1/IMPLICIT_RECONCILIATION_DELAY_MS
#[test]
fn every_problem_is_reported_at_once_with_what_to_do() {
    let vars = vars(&[
        ("DCOS_SERVICE_ACCOUNT_CREDENTIAL", "{}"),
        ("ENABLE_BACKOFF", "true"),
        ("ENABLE_AUTOMATIC_POD_REPLACEMENT", "maybe"),
        ("EXECUTOR_CPUS", "-1"),
        ("EXECUTOR_DISK_MB", "0"),
        ("EXECUTOR_MEM_MB", "31.999"),
        ("FRAMEWORK_INITIAL_BACKOFF", "400"),
        ("IMPLICIT_RECONCILIATION_DELAY_MS", "5"),
        ("IMPLICIT_RECONCILIATION_PERIOD_MS", "hourly"),
        ("LIBPROCESS_IP", "localhost"),
        ("MARATHON_APP_ENFORCE_GROUP_ROLE", "true"),
        ("MESOS_API_VERSION", "V0"),
        ("MESOS_MASTER", "zk://a"),
        ("SDK_UNINSTALL", ""),
        ("STATE_STORE", "etcd://a:1"),
    ]);
    let problems = Settings::read(&vars, true).unwrap_err();
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(text.join("\n"));
}

// contract: 5.1/PORT_API
#[test]
fn a_port_is_needed_unless_the_caller_listens_itself() {
    assert!(Settings::read(&Vars::new(), false).unwrap().port_api.is_none());
    for (value, is_good) in
        [("1", true), ("65535", true), ("0", false), ("65536", false), ("-1", false), ("http", false)]
    {
        assert_eq!(Settings::read(&vars(&[("PORT_API", value)]), true).is_ok(), is_good, "{value}");
    }
    let problems = Settings::read(&vars(&[("PORT_API", " ")]), true).unwrap_err();
    assert_eq!((problems[0].code, problems.len()), (MISSING, 1));
}

#[test]
fn every_code_has_its_page() {
    for code in [MISSING, UNREADABLE, UNSUPPORTED, CONTRADICTION] {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/errors/{code}.md"));
        let text = std::fs::read_to_string(page).unwrap();
        assert!(text.starts_with(&format!("# {code}: ")), "{code}");
    }
}

// contract: 5.1/booleans
#[test]
fn booleans_are_read_by_their_first_letter() {
    for (text, expected) in [("", false), (" ", false), ("f", false), ("No", false), ("T", true), ("yes", true)] {
        let config = read(&[("ENABLE_BACKOFF", text)]).engine(&spec("svc"), "h", 1);
        assert_eq!(config.backoff.is_some(), expected, "{text:?}");
    }
    for text in ["1", "on", "maybe"] {
        let problems = Settings::read(&vars(&[("PORT_API", "1"), ("ENABLE_BACKOFF", text)]), true).unwrap_err();
        assert_eq!((problems[0].code, problems.len()), (UNREADABLE, 1), "{text:?}");
    }
}

// contract: 5.1/FRAMEWORK_PRERESERVED_ROLES 5.1/ENABLE_ROLE_MIGRATION 5.1/MESOS_MODULES
#[test]
fn what_would_mean_something_else_without_support_is_refused() {
    for (name, value) in [
        ("FRAMEWORK_PRERESERVED_ROLES", "a,b"),
        ("ENABLE_ROLE_MIGRATION", "true"),
        ("MESOS_AUTHENTICATEE", "com_mesosphere_dcos_ClassicRPCAuthenticatee"),
        ("MESOS_HTTP_AUTHENTICATEE", "com_mesosphere_dcos_http_Authenticatee"),
    ] {
        let problems = Settings::read(&vars(&[("PORT_API", "1"), (name, value)]), true).unwrap_err();
        assert_eq!((problems[0].code, problems[0].variable, problems.len()), (UNSUPPORTED, name, 1));
    }
}

// contract: 5.1/PAUSE_OVERRIDE_CMD 5.1/USE_LEGACY_KILL_UNNEEDED_TASKS
#[test]
fn what_has_no_effect_is_said() {
    for name in ["PAUSE_OVERRIDE_CMD", "USE_LEGACY_KILL_UNNEEDED_TASKS"] {
        let settings = read(&[(name, "x")]);
        assert!(settings.notes[0].starts_with(&format!("{name} has no effect: ")), "{:?}", settings.notes);
    }
}

// contract: 5.1/DCOS_SPACE 5.1/MARATHON_APP_ID
#[test]
fn the_space_is_named_or_that_of_the_app() {
    let space = |pairs: &[(&str, &str)]| read(pairs).engine(&spec("svc"), "h", 1).dcos_space;
    assert_eq!(space(&[]), "/");
    assert_eq!(space(&[("MARATHON_APP_ID", "/app")]), "/app");
    assert_eq!(space(&[("MARATHON_APP_ID", "/app"), ("DCOS_SPACE", "/space")]), "/space");
}

// contract: 5.1/PACKAGE_NAME 5.1/AUTH_TOKEN_REFRESH_THRESHOLD_S 5.1/BOOTSTRAP_URI 5.1/API_SERVER_TIMEOUT_S
// contract: 5.1/SERVICE_REMOVAL_TIMEOUT_S 5.1/RESERVE_DISCIPLINE 5.1/DISABLE_STATE_CACHE 5.1/DISABLE_DEADLOCK_EXIT
// contract: 5.1/MESOS_MODULES
#[test]
fn what_only_the_sdk_or_a_template_needs_is_left_alone() {
    let default = read(&[]);
    for name in [
        "API_SERVER_TIMEOUT_S",
        "AUTH_TOKEN_REFRESH_THRESHOLD_S",
        "BOOTSTRAP_URI",
        "DISABLE_DEADLOCK_EXIT",
        "DISABLE_STATE_CACHE",
        "JAVA_URI",
        "LIBMESOS_URI",
        "MESOS_MODULES",
        "PACKAGE_BUILD_TIME_EPOCH_MS",
        "PACKAGE_NAME",
        "PACKAGE_VERSION",
        "RESERVE_DISCIPLINE",
        "SERVICE_REMOVAL_TIMEOUT_S",
    ] {
        let settings = read(&[(name, "7")]);
        let engine = |settings: &Settings| settings.engine(&spec("svc"), "h", 1);
        assert_eq!((engine(&settings), &settings.notes), (engine(&default), &default.notes), "{name}");
    }
}
