//! What a master refuses: ill-formed calls, framework descriptions, resources, tasks and executors.
//!
//! Not here: rules that depend on offered resources (`operations.rs`).
//!
//! Invariant: every function answers `Ok(())` or the one first problem, in the order in which a real master looks.

use std::collections::BTreeSet;

use mainstay_proto::v1::{self, Resource, scheduler};

use super::resources::{self, Resources};

use scheduler::call::Type as CallType;
use v1::framework_info::capability::Type as Capability;
use v1::resource::reservation_info::Type as ReservationType;
use v1::value::Type as ValueType;

/// What is wrong, in words for the peer.
pub(crate) type Problem = String;

/// Whether a framework has opted in to something.
pub(crate) fn has_capability(info: &v1::FrameworkInfo, wanted: Capability) -> bool {
    info.capabilities.iter().any(|capability| capability.r#type == Some(wanted as i32))
}

/// The roles a framework subscribes with.
pub(crate) fn roles(info: &v1::FrameworkInfo) -> Vec<String> {
    if has_capability(info, Capability::MultiRole) { info.roles.clone() } else { vec![info.role().to_owned()] }
}

/// Whether a call is complete; what fails here is answered with status 400.
pub(crate) fn call(call: &scheduler::Call) -> Result<(), Problem> {
    let missing = |name: &str| Err(format!("Expecting '{name}' to be present"));
    let Some(kind) = call.r#type.and_then(|number| CallType::try_from(number).ok()) else { return missing("type") };
    if kind == CallType::Subscribe {
        let Some(subscribe) = &call.subscribe else { return missing("subscribe") };
        if subscribe.framework_info.id != call.framework_id {
            return Err("'framework_id' differs from 'subscribe.framework_info.id'".into());
        }
        return Ok(());
    }
    if call.framework_id.is_none() {
        return missing("framework_id");
    }
    let (present, name) = match kind {
        CallType::Unknown | CallType::Subscribe | CallType::Teardown | CallType::Revive | CallType::Suppress => {
            (true, "")
        }
        CallType::Accept => (call.accept.is_some(), "accept"),
        CallType::Decline => (call.decline.is_some(), "decline"),
        CallType::AcceptInverseOffers => (call.accept_inverse_offers.is_some(), "accept_inverse_offers"),
        CallType::DeclineInverseOffers => (call.decline_inverse_offers.is_some(), "decline_inverse_offers"),
        CallType::Kill => (call.kill.is_some(), "kill"),
        CallType::Shutdown => (call.shutdown.is_some(), "shutdown"),
        CallType::Acknowledge => (call.acknowledge.is_some(), "acknowledge"),
        CallType::AcknowledgeOperationStatus => {
            (call.acknowledge_operation_status.is_some(), "acknowledge_operation_status")
        }
        CallType::Reconcile => (call.reconcile.is_some(), "reconcile"),
        CallType::ReconcileOperations => (call.reconcile_operations.is_some(), "reconcile_operations"),
        CallType::Message => (call.message.is_some(), "message"),
        CallType::Request => (call.request.is_some(), "request"),
        CallType::UpdateFramework => (call.update_framework.is_some(), "update_framework"),
    };
    if !present {
        return missing(name);
    }
    if let Some(acknowledge) = &call.acknowledge
        && acknowledge.uuid.len() != 16
    {
        return Err("'acknowledge.uuid' is not 16 bytes long".into());
    }
    if call.acknowledge_operation_status.as_ref().is_some_and(|acknowledge| acknowledge.agent_id.is_none()) {
        return missing("acknowledge_operation_status.agent_id");
    }
    if call.update_framework.as_ref().is_some_and(|update| update.framework_info.id != call.framework_id) {
        return Err("'framework_id' differs from 'update_framework.framework_info.id'".into());
    }
    Ok(())
}

/// Whether a framework may subscribe so; what fails here is answered with an ERROR event.
pub(crate) fn framework(info: &v1::FrameworkInfo, suppressed: &[String]) -> Result<(), Problem> {
    let multi = has_capability(info, Capability::MultiRole);
    if multi && info.role.is_some() {
        return Err("'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable".into());
    }
    if !multi && !info.roles.is_empty() {
        return Err("'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable".into());
    }
    let roles = roles(info);
    if roles.iter().collect::<BTreeSet<_>>().len() != roles.len() {
        return Err("'FrameworkInfo.roles' contains duplicate items".into());
    }
    for role in &roles {
        self::role(role)?;
    }
    if let Some(framework_id) = &info.id {
        id(&framework_id.value).map_err(|problem| format!("Framework ID is invalid: {problem}"))?;
    }
    let timeout = info.failover_timeout();
    if !(0.0..9.0e9).contains(&timeout) {
        return Err(format!("The framework failover_timeout ({timeout} seconds) is invalid"));
    }
    for filters in info.offer_filters.values() {
        for quantities in filters.min_allocatable_resources.iter().flat_map(|minimum| &minimum.quantities) {
            let is_number = |scalar: &v1::value::Scalar| scalar.value.is_finite() && scalar.value >= 0.0;
            if quantities.quantities.is_empty() || !quantities.quantities.values().all(is_number) {
                return Err("Invalid resource quantities in 'FrameworkInfo.offer_filters'".into());
            }
        }
    }
    if let Some(role) = suppressed.iter().find(|role| !roles.contains(role)) {
        return Err(format!("Suppressed role '{role}' is not contained in the set of roles"));
    }
    Ok(())
}

/// Identifiers of tasks, executors, frameworks, agents and volumes.
pub(crate) fn id(text: &str) -> Result<(), Problem> {
    if text.is_empty() {
        return Err("ID must not be empty".into());
    }
    if text.len() > 255 {
        return Err("ID must not be greater than 255 characters".into());
    }
    if text == "." || text == ".." {
        return Err(format!("'{text}' is disallowed"));
    }
    if text.bytes().any(|byte| byte.is_ascii_control() || byte == b'/' || byte == b'\\') {
        return Err(format!("'{text}' contains invalid characters"));
    }
    Ok(())
}

/// Names of roles.
pub(crate) fn role(text: &str) -> Result<(), Problem> {
    if text == "*" {
        return Ok(());
    }
    for component in text.split('/') {
        let is_space = |c: char| matches!(c, '\t' | '\n' | '\x0b' | '\x0c' | '\r' | ' ' | '\x7f');
        if matches!(component, "" | "." | ".." | "*") || component.starts_with('-') || component.contains(is_space) {
            return Err(format!("Role '{text}' is invalid"));
        }
    }
    Ok(())
}

/// One resource as a call carries it, in either reservation format.
pub(crate) fn resource(resource: &Resource) -> Result<(), Problem> {
    if resource.name.is_empty() {
        return Err("Empty resource name".into());
    }
    let text = |problem: &str| Err(format!("Invalid resource '{}': {problem}", resource.name));
    let members = (resource.scalar.is_some(), resource.ranges.is_some(), resource.set.is_some());
    match ValueType::try_from(resource.r#type) {
        Ok(ValueType::Scalar) => {
            if members != (true, false, false) {
                return text("a scalar has exactly the member 'scalar'");
            }
            let value = resource.scalar.as_ref().map_or(0.0, |scalar| scalar.value);
            if !value.is_finite() || value < 0.0 {
                return text("value < 0");
            }
            if value > 0.0 && resources::millis(value) == 0 {
                return text("value too small");
            }
        }
        Ok(ValueType::Ranges) => {
            if members != (false, true, false) {
                return text("ranges have exactly the member 'ranges'");
            }
            let mut list = resources::range_list(resource);
            list.sort_unstable();
            if list.iter().any(|(begin, end)| begin > end) || list.windows(2).any(|pair| pair[0].1 >= pair[1].0) {
                return text("a range is reversed or overlaps another");
            }
        }
        Ok(ValueType::Set) => {
            let items: Vec<&String> = resource.set.iter().flat_map(|set| &set.item).collect();
            if members != (false, false, true) || items.iter().collect::<BTreeSet<_>>().len() != items.len() {
                return text("a set has exactly the member 'set', without duplicates");
            }
        }
        Ok(ValueType::Text) | Err(_) => return text("unsupported resource type"),
    }
    if resource.disk.is_some() && resource.name != "disk" {
        return text("DiskInfo should not be set for a non-disk resource");
    }
    reservations(resource)
}

fn reservations(resource: &Resource) -> Result<(), Problem> {
    let text = |problem: &str| Err(format!("Invalid resource '{}': {problem}", resource.name));
    if let Some(role) = &resource.role {
        self::role(role)?;
    }
    if resource.reservation.is_some() {
        if resource.role() == "*" {
            return text("role '*' cannot be dynamically reserved");
        }
        if resource.reservation.as_ref().is_some_and(|legacy| legacy.role.is_some() || legacy.r#type.is_some()) {
            return text("'Resource.reservation' must not have 'role' or 'type'");
        }
    }
    if !resource.reservations.is_empty() && (resource.reservation.is_some() || resource.role.is_some()) {
        return text("both reservation formats are used");
    }
    let mut above: Option<&str> = None;
    for layer in &resource.reservations {
        let Some(role) = layer.role.as_deref().filter(|role| *role != "*") else {
            return text("each reservation needs a role other than '*'");
        };
        self::role(role)?;
        match layer.r#type() {
            ReservationType::Unknown => return text("each reservation needs a type"),
            ReservationType::Static if above.is_some() => return text("a refined reservation must be DYNAMIC"),
            ReservationType::Static | ReservationType::Dynamic => {}
        }
        if above.is_some_and(|above| role == above || !resources::is_same_or_below(role, above)) {
            return text("a refined reservation must be below the role that it refines");
        }
        above = Some(role);
    }
    Ok(())
}

/// What the master knows when it judges a task.
pub(crate) struct TaskContext<'a> {
    /// Who launches.
    pub(crate) framework_id: &'a str,
    /// The offers' agent.
    pub(crate) agent_id: &'a str,
    /// Whether the id belongs to a known or a remembered unreachable task.
    pub(crate) is_known: &'a dyn Fn(&str) -> bool,
    /// What of the offers is left.
    pub(crate) pool: &'a Resources,
    /// The live executor of an id on the agent, as it was launched.
    pub(crate) live_executor: &'a dyn Fn(&str) -> Option<v1::ExecutorInfo>,
    /// Whether the executor comes with a LAUNCH_GROUP.
    pub(crate) in_group: bool,
}

/// A task with its executor, resources already in the model's form, executor `framework_id` filled in.
pub(crate) fn task(
    task: &v1::TaskInfo,
    executor: Option<&v1::ExecutorInfo>,
    context: &TaskContext,
) -> Result<(), Problem> {
    task_itself(task, context)?;
    if let Some(executor) = executor {
        self::executor(executor, context)?;
    }
    task_against_pool(task, executor, context)
}

fn task_itself(task: &v1::TaskInfo, context: &TaskContext) -> Result<(), Problem> {
    id(&task.task_id.value).map_err(|problem| format!("Task ID is invalid: {problem}"))?;
    if (context.is_known)(&task.task_id.value) {
        return Err(format!("Task has duplicate ID: {}", task.task_id.value));
    }
    if task.agent_id.value != context.agent_id {
        return Err(format!(
            "Task uses invalid agent {} while agent {} is expected",
            task.agent_id.value, context.agent_id
        ));
    }
    if task.kill_policy.as_ref().and_then(|policy| policy.grace_period.as_ref()).is_some_and(|d| d.nanoseconds < 0) {
        return Err("Task's 'kill_policy.grace_period' must be non-negative".into());
    }
    if task.max_completion_time.as_ref().is_some_and(|time| time.nanoseconds < 0) {
        return Err("Task's 'max_completion_time' must be non-negative".into());
    }
    check(task)?;
    health_check(task, context.in_group)?;
    if task.resources.is_empty() {
        return Err("Task uses no resources".into());
    }
    usable_resources(&task.resources).map_err(|problem| format!("Task uses invalid resources: {problem}"))?;
    if let Some(command) = &task.command {
        environment(command).map_err(|problem| format!("Task's `CommandInfo` is invalid: {problem}"))?;
    }
    if let Some(container) = &task.container {
        self::container(container).map_err(|problem| format!("Task's `ContainerInfo` is invalid: {problem}"))?;
    }
    limits(task, context.in_group)?;
    let has_executor = task.executor.is_some();
    if !context.in_group && task.command.is_some() == has_executor {
        return Err("Task should have at least one (but not both) of CommandInfo or ExecutorInfo present".into());
    }
    Ok(())
}

fn check(task: &v1::TaskInfo) -> Result<(), Problem> {
    use v1::check_info::Type;
    let Some(check) = &task.check else { return Ok(()) };
    let bad = |problem: &str| Err(format!("Task uses invalid check: {problem}"));
    // Members that the type does not ask for are tolerated, as by the real master.
    let is_there = match check.r#type.map(Type::try_from) {
        None | Some(Ok(Type::Unknown) | Err(_)) => return bad("CheckInfo must specify 'type'"),
        Some(Ok(Type::Command)) => check.command.is_some(),
        Some(Ok(Type::Http)) => check.http.is_some(),
        Some(Ok(Type::Tcp)) => check.tcp.is_some(),
    };
    if !is_there {
        return bad("the member that matches the type must be set");
    }
    if check.http.as_ref().and_then(|http| http.path.as_deref()).is_some_and(|path| !path.starts_with('/')) {
        return bad("the path of the HTTP check must start with '/'");
    }
    if check.delay_seconds() < 0.0 || check.interval_seconds() < 0.0 || check.timeout_seconds() < 0.0 {
        return bad("times must be non-negative");
    }
    Ok(())
}

fn health_check(task: &v1::TaskInfo, in_group: bool) -> Result<(), Problem> {
    use v1::health_check::Type;
    let Some(check) = &task.health_check else { return Ok(()) };
    let bad = |problem: &str| Err(format!("Task uses invalid health check: {problem}"));
    let members = (check.command.is_some(), check.http.is_some(), check.tcp.is_some());
    let kind = match (check.r#type.map(Type::try_from), members) {
        (None | Some(Ok(Type::Unknown)), (true, false, false)) => Type::Command,
        (None | Some(Ok(Type::Unknown)), (false, true, false)) => Type::Http,
        (Some(Ok(kind)), _) if kind != Type::Unknown => kind,
        _ => return bad("HealthCheck must specify 'type'"),
    };
    let is_there = match kind {
        Type::Unknown | Type::Command => members.0,
        Type::Http => members.1,
        Type::Tcp => members.2,
    };
    if !is_there {
        return bad("the member that matches the type must be set");
    }
    if check.http.as_ref().and_then(|http| http.path.as_deref()).is_some_and(|path| !path.starts_with('/')) {
        return bad("the path of the HTTP check must start with '/'");
    }
    let times =
        [check.delay_seconds(), check.interval_seconds(), check.timeout_seconds(), check.grace_period_seconds()];
    if times.iter().any(|time| *time < 0.0) {
        return bad("times must be non-negative");
    }
    let has_network = task.container.as_ref().is_some_and(|container| !container.network_infos.is_empty());
    if in_group && has_network && kind != Type::Command {
        return bad("HTTP and TCP health checks are not supported for nested containers joining networks");
    }
    Ok(())
}

/// Resources that a task or an executor may use together.
fn usable_resources(list: &[Resource]) -> Result<(), Problem> {
    let mut volumes = BTreeSet::new();
    let mut revocable: std::collections::BTreeMap<&str, bool> = std::collections::BTreeMap::new();
    for one in list {
        resource(one)?;
        if let Some(id) = resources::persistence_id(one)
            && !volumes.insert((resources::reservation_role(one), id))
        {
            return Err(format!("Persistence ID '{id}' is not unique"));
        }
        let is_revocable = one.revocable.is_some();
        if *revocable.entry(&one.name).or_insert(is_revocable) != is_revocable {
            return Err(format!("Cannot use both revocable and non-revocable '{}' at the same time", one.name));
        }
        if one.name == "gpus" && resources::scalar_millis(one) % 1000 != 0 {
            return Err("The 'gpus' resource must be an unsigned integer".into());
        }
    }
    Ok(())
}

fn environment(command: &v1::CommandInfo) -> Result<(), Problem> {
    use v1::environment::variable::Type;
    for variable in command.environment.iter().flat_map(|environment| &environment.variables) {
        let has = (variable.value.is_some(), variable.secret.is_some());
        let fits = match variable.r#type() {
            Type::Value => has == (true, false),
            Type::Secret => has == (false, true),
            Type::Unknown => false,
        };
        if !fits {
            return Err(format!(
                "Environment variable '{}' does not have the value that its type needs",
                variable.name
            ));
        }
    }
    Ok(())
}

fn container(container: &v1::ContainerInfo) -> Result<(), Problem> {
    use v1::container_info::Type;
    for volume in &container.volumes {
        let sources = [volume.host_path.is_some(), volume.image.is_some(), volume.source.is_some()]
            .iter()
            .filter(|s| **s)
            .count();
        if sources != 1 {
            return Err("a volume needs exactly one of 'host_path', 'image' or 'source'".into());
        }
    }
    if container.r#type() == Type::Docker {
        let Some(docker) = &container.docker else {
            return Err("DockerInfo 'docker' is not set for DOCKER typed ContainerInfo".into());
        };
        if docker.parameters.iter().any(|parameter| parameter.key == "name") {
            return Err("Parameter in DockerInfo must not be 'name'".into());
        }
    }
    Ok(())
}

/// Whether a task's container is to share the cgroups of its executor's; `None` when it does not say.
pub(crate) fn share_cgroups(task: &v1::TaskInfo) -> Option<bool> {
    task.container.as_ref()?.linux_info.as_ref()?.share_cgroups
}

fn limits(task: &v1::TaskInfo, in_group: bool) -> Result<(), Problem> {
    if in_group && !task.limits.is_empty() && share_cgroups(task) != Some(false) {
        return Err("Resource limits may only be set for tasks of a group whose 'share_cgroups' is 'false'".into());
    }
    let requested = Resources::new(task.resources.iter().cloned());
    for (name, limit) in &task.limits {
        if name != "cpus" && name != "mem" {
            return Err("Only cpus and mem may be included in a task's resource limits".into());
        }
        let request = requested.scalar(name);
        if request == 0 || (limit.value.is_finite() && resources::millis(limit.value) < request) {
            return Err(format!("Limit of '{name}' is below what the task requests"));
        }
    }
    Ok(())
}

/// An executor: of its own, and against the live one of the same id.
pub(crate) fn executor(info: &v1::ExecutorInfo, context: &TaskContext) -> Result<(), Problem> {
    use v1::executor_info::Type;
    match (info.r#type.map(Type::try_from), context.in_group) {
        (None | Some(Ok(Type::Unknown)), true) => return Err("'ExecutorInfo.type' must be set".into()),
        (Some(Ok(Type::Default)), _) if info.command.is_some() => {
            return Err("'ExecutorInfo.command' must not be set for 'DEFAULT' executor".into());
        }
        (Some(Ok(Type::Default)), _) => {
            return Err("this cluster runs custom executors only; use 'ExecutorInfo.type' CUSTOM".into());
        }
        (Some(Ok(Type::Custom | Type::Unknown)) | None, _) => {}
        (Some(Err(_)), _) => return Err("Unknown executor type".into()),
    }
    let Some(command) = &info.command else {
        return Err("'ExecutorInfo.command' must be set for 'CUSTOM' executor".into());
    };
    let executor_id = &info.executor_id.value;
    id(executor_id).map_err(|problem| format!("Executor ID is invalid: {problem}"))?;
    match &info.framework_id {
        Some(framework_id) if framework_id.value != context.framework_id => {
            return Err(format!("ExecutorInfo has an invalid FrameworkID ({})", framework_id.value));
        }
        Some(_) => {}
        None => return Err("'ExecutorInfo.framework_id' must be set".into()),
    }
    if info.shutdown_grace_period.as_ref().is_some_and(|grace| grace.nanoseconds < 0) {
        return Err("ExecutorInfo's 'shutdown_grace_period' must be non-negative".into());
    }
    usable_resources(&info.resources).map_err(|problem| format!("Executor uses invalid resources: {problem}"))?;
    if info.resources.iter().any(|resource| resource.shared.is_some()) {
        return Err("Executor must not use shared resources".into());
    }
    let has = Resources::new(info.resources.iter().cloned());
    if context.in_group {
        let short =
            [("cpus", 10), ("mem", 32_000), ("disk", 1)].into_iter().find(|(name, min)| has.scalar(name) < *min);
        if let Some((name, _)) = short {
            return Err(format!("Executor of a task group needs a minimum of '{name}' (cpus 0.01, mem 32, disk)"));
        }
        if info.container.as_ref().is_some_and(|container| container.r#type() == v1::container_info::Type::Docker) {
            return Err("Docker ContainerInfo is not supported on the executor of a task group".into());
        }
    }
    environment(command).map_err(|problem| format!("Executor's `CommandInfo` is invalid: {problem}"))?;
    if let Some(live) = (context.live_executor)(executor_id)
        && !super::executor_info::are_equal(&live, info)
    {
        return Err(format!(
            "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID '{executor_id}'"
        ));
    }
    Ok(())
}

fn task_against_pool(
    task: &v1::TaskInfo,
    executor: Option<&v1::ExecutorInfo>,
    context: &TaskContext,
) -> Result<(), Problem> {
    let mut needed = task.resources.clone();
    if let Some(executor) = executor {
        let overlapping =
            executor.resources.iter().find(|theirs| task.resources.iter().any(|own| resources::overlap(own, theirs)));
        if let Some(theirs) = overlapping {
            return Err(format!("Task and its executor both use '{}'", theirs.name));
        }
        if (context.live_executor)(&executor.executor_id.value).is_none() {
            needed.extend(executor.resources.iter().cloned());
        }
    }
    // The scheduler's accounts must cover the sum, not each entry by itself.
    let needed = Resources::new(needed).to_vec();
    if !context.pool.contains_all(&needed) {
        return Err(format!(
            "Task uses more resources {} than available {}",
            resources::describe(&needed),
            resources::describe(context.pool.iter())
        ));
    }
    if !context.in_group && share_cgroups(task) == Some(false) {
        return Err("Only tasks in a task group may have 'share_cgroups' set to 'false'".into());
    }
    Ok(())
}

#[cfg(test)]
#[path = "validation_tests.rs"]
mod tests;
