//! Runs the stages of one requirement over one offer.
//!
//! Invariant: every stage runs, also after a failure; the report is always complete.
//! Invariant: an accept uses only what the offer holds, and nothing is sent or stored here.
//!
//! | Pipeline | When | Stages |
//! |---|---|---|
//! | new | nothing is reserved, or the pod is given up for good | executor, placement, pod volumes, then per task by name: executor overhead (once), its set (once), launch |
//! | existing | otherwise | executor, placement (not applied), executor resources, then per launched task: orphans of its set, its set, launch of every task of the set |
//!
//! In a pod that exists all that is given back (orphans, what is left of reservations that shrink) is in the pool before anything is taken;
//! the report tells it with the set it was of.
//!
//! Read next: `claim.rs` for what stages leave behind, `operation.rs` for what becomes of it.

use mainstay_spec::{PodSpec, ResourceSet, TaskSpec, VolumeSpec};

use super::Offer;
use super::claim::{Claim, Draft, ExecutorDraft, SetDraft, TaskDraft};
use super::operation;
use super::report::{Outcome, Reason, Report};
use super::requirement::{Accepted, Recovery, Requirement};
use super::role;
use super::stage::ports::Planned;
use super::stage::{self, OfferStage};
use super::stored::{self, Stored};
use crate::ids::Generator;
use crate::resource::{MountWish, Pool, Resource};
use crate::units::Scalar;

/// What one offer is worth for one requirement.
///
/// It says what would be used and under which ids; messages are made of it only when the offer is accepted.
#[derive(Debug)]
pub struct Evaluation<'a> {
    /// Every stage.
    pub report: Report,
    /// Present exactly when every stage passed.
    draft: Option<Draft<'a>>,
}

impl Evaluation<'_> {
    /// Whether every stage passed.
    pub const fn passed(&self) -> bool {
        self.draft.is_some()
    }

    /// What follows when the offer is accepted; `None` when a stage failed.
    ///
    /// `requirement` and `offer` are those that were evaluated.
    pub fn accept(&self, requirement: &Requirement<'_>, offer: &Offer, ids: &mut Generator) -> Option<Accepted> {
        self.draft.as_ref().map(|draft| operation::accept(requirement, offer, draft, ids))
    }
}

/// Runs all stages.
pub fn evaluate<'a>(requirement: &'a Requirement<'a>, offer: &'a Offer, ids: &mut Generator) -> Evaluation<'a> {
    let is_placed = !is_given_up(requirement) && has_reservation(requirement);
    let (outcome, executor) = stage::executor::evaluate(requirement, offer, is_placed, ids);
    let mut run = Run {
        requirement,
        pool: Pool::new(offer, &requirement.role()),
        below: role::below(requirement.pod_spec),
        ids,
        is_placed,
        mounts: Vec::new(),
        ports: Planned::default(),
        outcomes: Vec::with_capacity(16),
        draft: Draft { executor, orphans: Vec::new(), sets: Vec::new(), tasks: Vec::new() },
    };
    run.outcomes.push(outcome);
    run.outcomes.push(stage::placement::evaluate(requirement, offer, is_placed));
    if is_placed {
        run.existing();
    } else {
        run.new_pod();
    }
    run.judge_container();
    let Run { outcomes, draft, .. } = run;
    let mut report = Report { outcomes, recommendations: 0 };
    let draft = report.passed().then_some(draft);
    report.recommendations = draft.as_ref().map_or(0, Draft::operations);
    Evaluation { report, draft }
}

fn is_given_up(requirement: &Requirement<'_>) -> bool {
    requirement.recovery == Recovery::Permanent
        || (!requirement.stored.is_empty() && requirement.stored.iter().all(|task| task.is_permanently_failed))
}

fn has_reservation(requirement: &Requirement<'_>) -> bool {
    // Also what only the executor holds: the volumes of the pod are there.
    requirement.stored.iter().any(|task| task.resource_ids().next().is_some())
}

/// One evaluation on its way.
struct Run<'a, 'g> {
    requirement: &'a Requirement<'a>,
    pool: Pool<'a>,
    /// Role of what is free to take.
    below: &'a str,
    ids: &'g mut Generator,
    is_placed: bool,
    /// What volumes of a new pod still want of MOUNT disks; the next one is the last here.
    mounts: Vec<MountWish<'a>>,
    /// Numbers for ports that choose one.
    ports: Planned<'a>,
    outcomes: Vec<Outcome>,
    draft: Draft<'a>,
}

impl<'a> Run<'a, '_> {
    fn new_pod(&mut self) {
        let nothing = Stored::default();
        let mut tasks: Vec<&TaskSpec> = self.requirement.pod_spec.tasks.iter().collect();
        tasks.sort_by(|left, right| left.name.cmp(&right.name));
        self.want_mounts(&tasks);
        self.ports = self.plan_ports(|| self.sets_of(&tasks).into_iter().map(|set| (set, &nothing)).collect());
        self.executor_volumes(&nothing);
        self.executor_overhead(&nothing);
        for task in tasks {
            let pod: &'a PodSpec = self.requirement.pod_spec;
            let known = self.draft.sets.iter().position(|draft| draft.set.id == task.resource_set);
            let new = || pod.resource_set(&task.resource_set).map(|set| self.resource_set(set, &nothing));
            let Some(set) = known.or_else(new) else { continue };
            self.task(task, set, true);
        }
    }

    /// Notes the MOUNT disks that all volumes want, in the order in which they take them; nothing where no volume has a choice.
    fn want_mounts(&mut self, tasks: &[&TaskSpec]) {
        let pod: &'a PodSpec = self.requirement.pod_spec;
        let mut all = pod.volumes.iter().chain(pod.resource_sets.iter().flat_map(|set| &set.volumes));
        if !all.any(|volume| stage::volumes::mount_wish(volume).is_some_and(|wish| wish.has_choice())) {
            return;
        }
        let sets = self.sets_of(tasks);
        let volumes = pod.volumes.iter().chain(sets.into_iter().flat_map(|set| &set.volumes));
        self.mounts = volumes.filter_map(stage::volumes::mount_wish).collect();
        self.mounts.reverse();
    }

    /// The sets of these tasks, each once, in their order.
    fn sets_of(&self, tasks: &[&TaskSpec]) -> Vec<&'a ResourceSet> {
        let pod: &'a PodSpec = self.requirement.pod_spec;
        let mut sets: Vec<&ResourceSet> = Vec::with_capacity(tasks.len());
        for task in tasks {
            if sets.iter().all(|set| set.id != task.resource_set) {
                sets.extend(pod.resource_set(&task.resource_set));
            }
        }
        sets
    }

    /// Chooses numbers for the ports of these sets that have none yet; only where ports of the pod may be in each other's way.
    fn plan_ports<'s>(&self, sets: impl FnOnce() -> Vec<(&'a ResourceSet, &'s Stored<'a>)>) -> Planned<'a>
    where
        'a: 's,
    {
        let pod: &'a PodSpec = self.requirement.pod_spec;
        if !stage::ports::has_ranges(pod) {
            return Planned::default();
        }
        let (mut choosing, mut kept) = (Vec::new(), Vec::new());
        for (set, stored) in sets() {
            for port in stage::ports::in_order(&set.ports).into_iter().filter(|port| port.port.is_none()) {
                match stored.port_number(port) {
                    Some(number) => kept.push(number),
                    None => choosing.push(port),
                }
            }
        }
        let is_left = |number: &u16| !kept.contains(number);
        if pod.uses_host_ports() {
            let pool = &self.pool;
            Planned::new(choosing, |port| stage::ports::candidates(pod, port, self.below, pool).filter(is_left))
        } else {
            let taken = self.ports_of_network();
            Planned::new(choosing, |port| stage::network_ports::candidates(pod, port, &taken).filter(is_left))
        }
    }

    fn existing(&mut self) {
        let is_running = matches!(self.draft.executor, ExecutorDraft::Running(_));
        let of_executor = (!is_running).then(|| Stored::of_executor(self.requirement));
        let mut sets = self.launched_sets();
        // Whatever is given back, all of it is there before anything is taken: the tasks of a pod may change places.
        if let Some(stored) = &of_executor {
            for orphan in stored.orphans_of_executor(&self.requirement.pod_spec.volumes) {
                self.orphan(orphan);
            }
            for (name, wanted) in self.overhead() {
                self.surplus(name, wanted, stored);
            }
        }
        for launched in &mut sets {
            self.give_back(launched);
        }
        self.ports = self.plan_ports(|| sets.iter().map(|launched| (launched.set, &launched.stored)).collect());
        if let ExecutorDraft::Running(executor) = &self.draft.executor {
            self.outcomes.extend(executor.resources.iter().filter_map(of_running));
        }
        if let Some(stored) = &of_executor {
            self.executor_volumes(stored);
            self.executor_overhead(stored);
        }
        for launched in sets {
            self.outcomes.extend(launched.told);
            let set = self.resource_set(launched.set, &launched.stored);
            let is_changed = launched.has_orphans
                || self.draft.sets.get(set).is_some_and(|draft| draft.claims.iter().any(Claim::is_change));
            let mut tasks: Vec<&TaskSpec> =
                self.requirement.pod_spec.tasks.iter().filter(|other| other.resource_set == launched.set.id).collect();
            tasks.sort_by(|left, right| left.name.cmp(&right.name));
            for task in tasks {
                // A sibling in the set is stored again only when the reservation is no longer the one it names; its own
                // configuration and launch stay known otherwise.
                let is_stale = self.is_stale(task, set, is_changed);
                self.task(task, set, is_stale);
            }
        }
    }

    /// The sets of the tasks that are launched, each once, in their order.
    fn launched_sets(&self) -> Vec<Launched<'a>> {
        let pod: &'a PodSpec = self.requirement.pod_spec;
        let tasks: Vec<&TaskSpec> = self.requirement.launch.iter().filter_map(|short| pod.task(short)).collect();
        let launched = |set| {
            // Without stored tasks of this set, which is new then, everything is reserved.
            let stored = Stored::of_set(self.requirement, set);
            Launched { set, stored, told: Vec::new(), has_orphans: false }
        };
        self.sets_of(&tasks).into_iter().map(launched).collect()
    }

    /// Puts what a set has and does not want any more into the pool. What is said of it is told with the set.
    fn give_back(&mut self, launched: &mut Launched<'a>) {
        let (told, orphans) = (self.outcomes.len(), self.draft.orphans.len());
        for orphan in launched.stored.orphans_of_set(launched.set) {
            self.orphan(orphan);
        }
        launched.told = self.outcomes.split_off(told);
        launched.has_orphans = self.draft.orphans.len() > orphans;
        for (name, wanted) in scalars(launched.set) {
            self.surplus(name, wanted, &launched.stored);
        }
    }

    fn surplus(&mut self, name: &str, wanted: Scalar, stored: &Stored<'a>) {
        if let Some(id) = stored.scalar(name, &self.pool) {
            self.pool.give_back_surplus(name, &id, wanted);
        }
    }

    /// Tasks of a plan do not join an executor that runs in another container than the one that is asked for now: what has changed would
    /// not happen. A task that only comes back does not wait for that.
    fn judge_container(&mut self) {
        let Some(outcome) = self.outcomes.first_mut() else { return };
        if let (ExecutorDraft::Running(executor), Recovery::None) = (&self.draft.executor, self.requirement.recovery)
            && outcome.passed
            && !operation::is_container_kept(self.requirement, &self.draft)
        {
            *outcome = Outcome::fail(OfferStage::Executor, Reason::ExecutorElsewhere { id: executor.id.clone() });
        }
    }

    fn executor_volumes(&mut self, stored: &Stored<'a>) {
        for volume in &self.requirement.pod_spec.volumes {
            let claim = self.volume(volume, stored);
            self.of_executor(claim);
        }
    }

    fn volume(&mut self, volume: &'a VolumeSpec, stored: &Stored<'a>) -> Option<Claim<'a>> {
        if stage::volumes::mount_wish(volume).is_some() {
            self.mounts.pop();
        }
        let found = stored.volume(volume, &self.pool);
        let is_unconfirmed = found.as_ref().is_some_and(|(id, _)| self.requirement.unconfirmed.contains(id));
        let has_run = stored.has_run() && !is_unconfirmed;
        let take = stage::volumes::Take { role: self.below, later: &self.mounts, has_run };
        let (outcome, claim) = stage::volumes::evaluate(volume, found, &take, &mut self.pool, self.ids);
        self.outcomes.push(outcome);
        claim
    }

    fn executor_overhead(&mut self, stored: &Stored<'a>) {
        for (name, wanted) in self.overhead() {
            let claim = self.scalar(name, wanted, stored);
            self.of_executor(claim);
        }
    }

    /// What a new executor needs.
    fn overhead(&self) -> impl Iterator<Item = (&'static str, Scalar)> + use<> {
        let config = self.requirement.config;
        let overhead =
            [("cpus", config.executor_cpus), ("disk", config.executor_disk_mb), ("mem", config.executor_mem_mb)];
        overhead.into_iter().filter(|(_, wanted)| !wanted.is_zero())
    }

    fn of_executor(&mut self, claim: Option<Claim<'a>>) {
        match &mut self.draft.executor {
            ExecutorDraft::New { claims, .. } => claims.extend(claim),
            // Nothing is ever claimed for an executor that runs.
            ExecutorDraft::Running(_) => {}
        }
    }

    /// The stages of a set; answers its place among the sets.
    fn resource_set(&mut self, set: &'a ResourceSet, stored: &Stored<'a>) -> usize {
        let mut draft = SetDraft { set, claims: Vec::with_capacity(8), ports: Vec::new() };
        if self.requirement.pod_spec.uses_host_ports() {
            self.outcomes.extend(stage::ports::evaluate(
                self.requirement.pod_spec,
                &mut draft,
                stored,
                &stage::ports::Take { role: self.below, planned: &self.ports },
                &mut self.pool,
                self.ids,
            ));
        } else {
            let taken = self.ports_of_network();
            self.outcomes.extend(stage::network_ports::evaluate(
                self.requirement.pod_spec,
                &mut draft,
                stored,
                &self.ports,
                &taken,
            ));
        }
        for (name, wanted) in scalars(set) {
            let claim = self.scalar(name, wanted, stored);
            draft.claims.extend(claim);
        }
        for volume in &set.volumes {
            let claim = self.volume(volume, stored);
            draft.claims.extend(claim);
        }
        let at = self.draft.sets.len();
        self.draft.sets.push(draft);
        at
    }

    /// Numbers that other tasks of the pod have in the network they share.
    fn ports_of_network(&self) -> Vec<u16> {
        let now = self.draft.sets.iter().flat_map(|draft| &draft.ports).map(|(_, number)| *number);
        let stored = self.requirement.stored.iter().filter(|_| self.is_placed).flat_map(|task| &task.ports);
        now.chain(stored.map(|(_, number)| *number)).collect()
    }

    fn scalar(&mut self, name: &'static str, wanted: Scalar, stored: &Stored<'a>) -> Option<Claim<'a>> {
        let found = stored.scalar(name, &self.pool);
        let (outcome, claim) = stage::resources::evaluate(name, wanted, found, self.below, &mut self.pool, self.ids);
        self.outcomes.push(outcome);
        claim
    }

    fn orphan(&mut self, stored: &'a Resource) {
        let Some(id) = stored.resource_id() else { return };
        let (outcome, orphan) = stage::unreserve::evaluate(&stored.name, id, &mut self.pool);
        self.outcomes.extend(orphan.and_then(stage::destroy::evaluate));
        self.outcomes.push(outcome);
        self.draft.orphans.extend(orphan);
    }

    fn is_stale(&self, task: &TaskSpec, set: usize, is_changed: bool) -> bool {
        let name = self.requirement.pod.task_name(&task.name);
        self.draft.sets.get(set).is_some_and(|set| stored::is_stale(self.requirement, &name, set, is_changed))
    }

    fn task(&mut self, spec: &'a TaskSpec, set: usize, is_stored: bool) {
        let is_launched = self.requirement.launch.contains(&spec.name);
        let name = self.requirement.pod.task_name(&spec.name);
        self.outcomes.push(stage::launch::evaluate(name, is_launched, is_stored));
        if is_launched || is_stored {
            self.draft.tasks.push(TaskDraft { spec, set, is_launched });
        }
    }
}

/// A set of a pod that has reservations, before its stages.
struct Launched<'a> {
    set: &'a ResourceSet,
    stored: Stored<'a>,
    /// What is said of the reservations it gives up.
    told: Vec<Outcome>,
    has_orphans: bool,
}

/// What a set wants of scalars, in the order of its stages.
fn scalars(set: &ResourceSet) -> impl Iterator<Item = (&'static str, Scalar)> + use<> {
    let scalars = [("cpus", set.cpus), ("gpus", set.gpus), ("mem", set.memory_mb)];
    scalars.into_iter().filter_map(|(name, wanted)| Some((name, wanted?)))
}

/// The line for a resource of an executor that runs; it is in use, so the offer does not hold it.
fn of_running(resource: &Resource) -> Option<Outcome> {
    let id = resource.resource_id()?;
    if let Some(disk) = resource.disk.as_ref().filter(|disk| disk.persistence.is_some()) {
        let path = disk.container_path.clone().unwrap_or_default();
        return Some(Outcome::pass(OfferStage::Volume, Reason::VolumeOfRunningExecutor { path, id }));
    }
    let name = match resource.name.as_str() {
        "cpus" => "cpus",
        "mem" => "mem",
        "disk" => "disk",
        _ => return None,
    };
    Some(Outcome::pass(OfferStage::Resource, Reason::OfRunningExecutor { name, id }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use mainstay_proto::v1;
    use mainstay_proto::v1::offer::operation::Type;
    use mainstay_spec::placement::Rule;
    use mainstay_spec::{PodSpec, VolumeKind, VolumeSpec};
    use proptest::prelude::*;

    use std::sync::Arc;

    use super::*;
    use crate::offer::fixture::{
        self, Evaluated, World, mount, mount_volume, pod, port, redact, root_volume, scalar, set, task, units,
    };
    use crate::resource::{Ranges, Value};
    use crate::state::Task;

    const BOTH: [&str; 2] = ["server", "agent"];

    fn kinds(accepted: &Accepted) -> Vec<Type> {
        accepted.operations.iter().map(|one| Type::try_from(one.r#type.unwrap()).unwrap()).collect()
    }

    /// One task with cpus and memory only.
    fn small() -> PodSpec {
        PodSpec {
            uris: Vec::new(),
            volumes: Vec::new(),
            resource_sets: vec![set("s")],
            tasks: vec![task("server", "s")],
            ..pod()
        }
    }

    fn ids_of(tasks: &[Task]) -> Vec<String> {
        let resources = tasks.iter().flat_map(|task| {
            task.resources.iter().chain(task.executor.iter().flat_map(|executor| &executor.resources))
        });
        resources.map(|one| format!("{}/{:?}", one.resource_id().unwrap(), one.persistence_id())).collect()
    }

    // contract: 2.4/launch 2.14/reserved
    #[test]
    fn a_new_pod_reserves_creates_and_launches_as_one_group() {
        let mut world = World::new(pod());
        let evaluation = world.launch(&BOTH, Recovery::None);
        insta::assert_snapshot!("new_pod", world.report(&evaluation));
        let accepted = evaluation.accepted.unwrap();
        let expected =
            [[Type::Reserve, Type::Create].as_slice(), &[Type::Reserve; 10], &[Type::Create, Type::LaunchGroup]];
        assert_eq!(kinds(&accepted), expected.concat());
        assert_eq!(accepted.planned.len(), 11);
        let unique: std::collections::BTreeSet<_> = ids_of(&world.stored).into_iter().collect();
        let planned: std::collections::BTreeSet<_> = accepted.planned.iter().map(ToString::to_string).collect();
        assert!(
            unique.iter().all(|id| planned.contains(id.split_once('/').unwrap().0)),
            "planned are exactly the stored"
        );
        assert_eq!(unique.len(), planned.len());
    }

    // contract: 2.4/overhead 2.4/pod-volumes 2.7/every-task 2.15/discovery 2.15/vip-label 2.15/resource
    // contract: 2.15/env-default 2.19/artifact 2.21/check 4.1/pod-instance 4.1/task-name 4.1/task-id 4.1/executor-id
    // contract: 4.1/executor-name 4.1/resource-id 4.2/framework-host 4.5/reservation 4.5/task 4.5/executor
    // contract: 5.2/built-in 5.3/POD_INSTANCE_INDEX 5.3/TASK_NAME 5.3/full-name 5.3/FRAMEWORK_NAME 5.3/FRAMEWORK_HOST
    // contract: 5.3/SCHEDULER_API_HOSTNAME 5.3/PLACEMENT_REFERENCED_REGION 5.3/CONFIG_TEMPLATE 5.3/REGION 5.3/once
    // contract: 5.3/checks 8.2/14
    #[test]
    fn the_infos_are_as_the_sdk_stores_them_and_as_our_executor_expects_them() {
        let mut world = World::new(pod());
        world.parameters.insert("PARAMETER".into(), "1".into());
        let accepted = world.launch(&["server"], Recovery::None).accepted.unwrap();
        let server = fixture::stored(&accepted, "hello-0-server");
        insta::assert_snapshot!("stored_task_info", redact(&fixture::task_text(&server)));
        let group = accepted.operations.last().unwrap().launch_group.as_ref().unwrap();
        assert_eq!(server.executor.as_deref(), Some(&group.executor), "stored exactly as sent");
        let [sent] = group.task_group.tasks.as_slice() else { panic!("one task is launched") };
        insta::assert_snapshot!("sent_task_info", redact(&fixture::task_text(sent)));
        let command = <v1::CommandInfo as prost::Message>::decode(sent.data.clone().unwrap()).unwrap();
        insta::assert_snapshot!("sent_command", redact(&fixture::compact(&command)));
        let agent = fixture::stored(&accepted, "hello-0-agent");
        assert_eq!(agent.task_id.value, "", "only reserved for");
    }

    // contract: 5.3/order
    #[test]
    fn later_sources_of_the_environment_win() {
        let mut world = World::new(pod());
        let given = ["NAME", "TASK_NAME", "CONFIG_TEMPLATE_SITE_XML", "ADMIN_PORT", "REGION"];
        world.parameters.extend(given.map(|name| (name.to_owned(), "parameter".to_owned())));
        let accepted = world.launch(&["server"], Recovery::None).accepted.unwrap();
        let server = fixture::stored(&accepted, "hello-0-server");
        let env = server.command.as_ref().unwrap().environment.as_ref().unwrap();
        let value = |name: &str| {
            let found: Vec<_> = env.variables.iter().filter(|variable| variable.name == name).collect();
            assert_eq!(found.len(), 1, "{name}");
            found[0].value.clone().unwrap()
        };
        // Parameters of the plan win over the author's, the built-in and the template's, and lose against ports and region.
        let values = given.map(value);
        assert_eq!(values, ["parameter", "parameter", "parameter", "8081", "west"]);
    }

    // contract: 2.4/executor
    #[test]
    fn a_task_that_joins_the_running_executor_leaves_it_as_it_is() {
        let mut world = World::new(pod());
        world.launch(&["server"], Recovery::None);
        // Where the scheduler now lives must not change what the executor was told.
        world.config.executor_uri = "http://elsewhere/executor".into();
        let evaluation = world.launch(&["agent"], Recovery::None);
        insta::assert_snapshot!("join_running", world.report(&evaluation));
        assert_eq!(kinds(&evaluation.accepted.unwrap()), [Type::Launch]);
    }

    // contract: 2.15/sticky
    #[test]
    fn a_pod_that_ended_gets_its_reservations_and_volumes_back() {
        let mut world = World::new(pod());
        world.launch(&BOTH, Recovery::None);
        let before = ids_of(&world.stored);
        let ports: Vec<_> = world.stored.iter().map(|task| task.ports.clone()).collect();
        world.end();
        let evaluation = world.launch(&BOTH, Recovery::Transient);
        insta::assert_snapshot!("relaunch", world.report(&evaluation));
        let accepted = evaluation.accepted.unwrap();
        assert_eq!(kinds(&accepted), [Type::LaunchGroup]);
        assert_eq!(accepted.planned, []);
        assert_eq!(ids_of(&world.stored), before);
        assert_eq!(world.stored.iter().map(|task| task.ports.clone()).collect::<Vec<_>>(), ports, "dynamic ports too");
    }

    #[test]
    fn a_pod_that_ended_waits_for_its_executor_to_exit() {
        let mut world = World::new(pod());
        world.launch(&BOTH, Recovery::None);
        let executor = world.offer().executor_ids;
        world.end();
        let offer = Offer { executor_ids: executor.clone(), ..world.offer() };
        let evaluation = world.evaluate_offer(&offer, &BOTH, Recovery::Transient);
        assert_eq!(evaluation.report.obstacles().len(), 1, "whatever else is offered already");
        assert_eq!(evaluation.report.ending_executor(), executor.first());
        assert!(world.evaluate_offer(&offer, &BOTH, Recovery::Permanent).accepted.is_none(), "nothing is free there");
        let free = Offer { executor_ids: executor, ..fixture::offer(fixture::roomy()) };
        assert!(
            world.evaluate_offer(&free, &BOTH, Recovery::Permanent).accepted.is_some(),
            "a given up pod need not wait"
        );
        world.launch(&BOTH, Recovery::Transient);
    }

    #[test]
    fn an_offer_of_another_agent_lacks_the_reservations() {
        let mut world = World::new(pod());
        world.launch(&BOTH, Recovery::None);
        world.end();
        world.master.free = fixture::roomy();
        let evaluation = world.evaluate(&BOTH, Recovery::Transient);
        insta::assert_snapshot!("other_agent", world.report(&evaluation));
        assert_eq!(evaluation.accepted, None);
    }

    // contract: 2.15/sticky
    #[test]
    fn a_pod_given_up_starts_anew_anywhere() {
        let mut world = World::new(pod());
        world.launch(&BOTH, Recovery::None);
        let before = ids_of(&world.stored);
        world.end();
        world.master.free = fixture::roomy();
        world.launch(&BOTH, Recovery::Permanent);
        assert!(ids_of(&world.stored).iter().all(|id| !before.contains(id)));

        world.end();
        world.master.free = fixture::roomy();
        for task in &mut world.stored {
            task.is_permanently_failed = true;
        }
        assert!(world.evaluate(&BOTH, Recovery::None).accepted.is_some(), "also when every task carries the mark");
    }

    #[test]
    fn what_is_missing_is_said_with_numbers_and_all_stages_run() {
        let mut world = World::new(PodSpec {
            resource_sets: vec![ResourceSet {
                ports: vec![port("fixed", Some(80)), port("dynamic", None)],
                volumes: vec![root_volume("data", 900), mount_volume("fast", 500)],
                ..set("s")
            }],
            placement: Rule::parse("hostname:UNIQUE,rack:IS:r2,zone-attribute:UNLIKE:x", "hello").unwrap(),
            ..small()
        });
        world.master.free =
            vec![scalar("cpus", Scalar::from_millis(550)), scalar("disk", units(1000)), mount(100, "/m")];
        let evaluation = world.evaluate(&["server"], Recovery::None);
        insta::assert_snapshot!("too_small", world.report(&evaluation));
        insta::assert_snapshot!("too_small_explanation", redact(&evaluation.report.explanation().join("\n")));
        assert_eq!(evaluation.report.first_failure().unwrap().stage, "AttributeRule");
        let short: Vec<_> = evaluation.report.shortfalls().iter().map(|one| (one.name, one.short_by())).collect();
        assert_eq!(
            short,
            [
                ("mem", units(32)),
                ("cpus", Scalar::from_millis(50)),
                ("mem", units(128)),
                ("disk", units(156)),
                ("disk", units(400)),
            ]
        );
    }

    #[test]
    fn a_reservation_grows_and_shrinks_with_the_specification() {
        let mut world = World::new(small());
        world.launch(&["server"], Recovery::None);
        let before = ids_of(&world.stored);
        world.end();
        let wanted = world.pod_mut().resource_sets.first_mut().unwrap();
        wanted.cpus = Some(units(1));
        wanted.memory_mb = Some(units(64));
        let evaluation = world.launch(&["server"], Recovery::None);
        insta::assert_snapshot!("resize", world.report(&evaluation));
        let accepted = evaluation.accepted.unwrap();
        assert_eq!(kinds(&accepted), [Type::Unreserve, Type::Reserve, Type::LaunchGroup]);
        assert_eq!(accepted.planned, [], "no reservation is new");
        assert_eq!(ids_of(&world.stored), before);
        let amounts: Vec<_> =
            world.stored.iter().flat_map(|task| &task.resources).map(|one| one.value.clone()).collect();
        assert_eq!(amounts, [Value::Scalar(units(1)), Value::Scalar(units(64))]);

        world.end();
        world.pod_mut().resource_sets.first_mut().unwrap().cpus = Some(units(9));
        let evaluation = world.evaluate(&["server"], Recovery::None);
        insta::assert_snapshot!("growth_fails", world.report(&evaluation));
    }

    #[test]
    fn a_volume_that_is_no_longer_wanted_is_destroyed_before_it_is_unreserved() {
        // The SDK only unreserves it, which Mesos refuses.
        let wanted =
            ResourceSet { volumes: vec![root_volume("old", 100)], ports: vec![port("p", Some(8080))], ..set("s") };
        let mut world =
            World::new(PodSpec { resource_sets: vec![wanted], volumes: vec![root_volume("pod", 10)], ..small() });
        world.launch(&["server"], Recovery::None);
        world.end();
        world.pod_mut().volumes.clear();
        world.pod_mut().resource_sets = vec![ResourceSet { volumes: vec![root_volume("new", 9000)], ..set("s") }];
        let evaluation = world.launch(&["server"], Recovery::None);
        insta::assert_snapshot!("orphans", world.report(&evaluation));
        assert_eq!(
            kinds(&evaluation.accepted.unwrap()),
            [
                Type::Destroy,
                Type::Destroy,
                Type::Unreserve,
                Type::Unreserve,
                Type::Unreserve,
                Type::Reserve,
                Type::Create,
                Type::LaunchGroup,
            ]
        );
    }

    #[test]
    fn a_mount_is_taken_whole_kept_whole_and_given_back_whole() {
        let mounted = |path| ResourceSet { volumes: vec![mount_volume(path, 100)], ..set("s") };
        let mut world = World::new(PodSpec { resource_sets: vec![mounted("data")], ..small() });
        world.master.free.push(mount(400, "/m"));
        world.launch(&["server"], Recovery::None);
        world.end();
        assert_eq!(kinds(&world.launch(&["server"], Recovery::Transient).accepted.unwrap()), [Type::LaunchGroup]);
        let size = |world: &World| world.stored.first().unwrap().resources.last().unwrap().value.clone();
        assert_eq!(size(&world), Value::Scalar(units(400)));
        // The disk of the orphan serves the new volume in the same accept.
        world.end();
        world.pod_mut().resource_sets = vec![mounted("other")];
        let accepted = world.launch(&["server"], Recovery::None).accepted.unwrap();
        assert_eq!(kinds(&accepted), [Type::Destroy, Type::Unreserve, Type::Reserve, Type::Create, Type::LaunchGroup]);
        assert_eq!(size(&world), Value::Scalar(units(400)));
    }

    #[test]
    fn a_volume_with_a_choice_of_disks_leaves_the_only_one_to_another_of_the_pod() {
        let mounted = |path: &str, profiles: &[&str]| VolumeSpec {
            kind: VolumeKind::Mount { profiles: profiles.iter().map(|name| (*name).to_owned()).collect() },
            ..mount_volume(path, 100)
        };
        let disk = |size, root: &str, profile: &str| {
            let mut disk = mount(size, root);
            disk.disk.as_mut().unwrap().source.as_mut().unwrap().profile = Some(profile.to_owned());
            disk
        };
        let volumes = vec![mounted("cold", &["slow", "fast"])];
        let sets = vec![ResourceSet { volumes: vec![mounted("hot", &["fast"])], ..set("s") }];
        let mut world = World::new(PodSpec { volumes, resource_sets: sets, ..small() });
        world.master.free.extend([disk(150, "/m1", "fast"), disk(400, "/m2", "slow")]);
        let accepted = world.launch(&["server"], Recovery::None).accepted.unwrap();
        let roots: Vec<_> =
            accepted.tasks.first().unwrap().resources.iter().filter_map(|one| one.disk.clone()).collect();
        let root = |disk: &crate::resource::Disk| disk.source.as_ref().and_then(|source| source.root.clone());
        assert_eq!(roots.iter().map(|disk| root(disk).unwrap()).collect::<Vec<_>>(), ["/m1"]);
    }

    #[test]
    fn a_task_added_to_an_existing_pod_gets_its_own_reservation() {
        // The SDK finds no stored task for it and launches it without resources.
        let mut world = World::new(small());
        world.launch(&["server"], Recovery::None);
        world.pod_mut().tasks.push(task("extra", "x"));
        world.pod_mut().resource_sets.push(ResourceSet { volumes: vec![root_volume("data", 10)], ..set("x") });
        let evaluation = world.launch(&["extra"], Recovery::None);
        insta::assert_snapshot!("added_task", world.report(&evaluation));
        assert_eq!(
            kinds(&evaluation.accepted.unwrap()),
            [Type::Reserve, Type::Reserve, Type::Reserve, Type::Create, Type::Launch]
        );
    }

    #[test]
    fn a_sibling_in_the_same_set_is_stored_again_only_when_the_reservation_changes() {
        let mut world = World::new(PodSpec { tasks: vec![task("server", "s"), task("once", "s")], ..small() });
        let records = |evaluation: &Evaluated| -> Vec<(String, bool)> {
            let tasks = &evaluation.accepted.as_ref().unwrap().tasks;
            tasks.iter().map(|task| (task.name.to_string(), task.task_id.is_some())).collect()
        };
        let (once, server) = ("hello-0-once".to_owned(), "hello-0-server".to_owned());
        let first = world.launch(&["once"], Recovery::None);
        assert_eq!(records(&first), [(once.clone(), true), (server.clone(), false)]);
        world.end();
        let second = world.launch(&["server"], Recovery::None);
        assert_eq!(records(&second), [(server.clone(), true)]);
        insta::assert_snapshot!("sibling", world.report(&second));
        world.end();
        world.pod_mut().resource_sets.first_mut().unwrap().cpus = Some(units(1));
        let third = world.launch(&["server"], Recovery::None);
        assert_eq!(records(&third), [(once, false), (server, true)]);
    }

    /// A task without a volume, and one with, each with a set of its own.
    fn with_and_without_volume() -> World {
        let with = ResourceSet { volumes: vec![root_volume("data", 100)], ..set("x") };
        let tasks = vec![task("agent", "x"), task("server", "s")];
        World::new(PodSpec { resource_sets: vec![set("s"), with], tasks, ..small() })
    }

    fn destroy_volumes(world: &mut World) {
        for resource in &mut world.master.free {
            resource.disk = None;
        }
    }

    #[test]
    fn a_create_that_was_lost_is_done_again_with_the_same_id_before_the_first_launch() {
        let mut world = with_and_without_volume();
        world.launch(&["server"], Recovery::None);
        world.end();
        let before = ids_of(&world.stored);
        destroy_volumes(&mut world);
        let evaluation = world.launch(&["agent"], Recovery::None);
        insta::assert_snapshot!("create_again", world.report(&evaluation));
        assert_eq!(kinds(&evaluation.accepted.unwrap()), [Type::Create, Type::LaunchGroup]);
        assert_eq!(ids_of(&world.stored), before);
    }

    #[test]
    fn a_volume_that_was_destroyed_behind_our_back_is_not_silently_made_anew() {
        let mut world = with_and_without_volume();
        world.launch(&["agent"], Recovery::None);
        world.end();
        destroy_volumes(&mut world);
        let evaluation = world.evaluate(&["agent"], Recovery::Transient);
        assert!(matches!(evaluation.report.first_failure().unwrap().reason, Reason::VolumeMissing { .. }));
        assert!(world.evaluate(&["agent"], Recovery::Permanent).accepted.is_some(), "a replace gives it up");
    }

    #[test]
    fn a_pod_whose_volume_is_all_it_has_left_stays_with_it() {
        let pod = PodSpec { volumes: vec![root_volume("data", 100)], ..small() };
        let mut world = World::new(pod);
        world.launch(&["server"], Recovery::None);
        world.end();
        let volume = |resource: &Resource| resource.persistence_id().is_some();
        let kept: Vec<_> =
            world.stored[0].executor.iter().flat_map(|one| &one.resources).filter(|one| volume(one)).collect();
        let kept = kept[0].resource_id().unwrap();
        let stripped = crate::state::rewrite::without_resources(&world.stored[0], |id| *id != kept).unwrap();
        world.stored = vec![stripped];
        let evaluation = world.evaluate(&["server"], Recovery::Transient);
        let created = kinds(&evaluation.accepted.unwrap()).into_iter().filter(|kind| *kind == Type::Create).count();
        assert_eq!(created, 0, "the volume is used, not made anew");
    }

    #[test]
    fn another_volume_under_our_reservation_is_never_used() {
        let mut world = World::new(PodSpec {
            resource_sets: vec![ResourceSet { volumes: vec![root_volume("data", 100)], ..set("s") }],
            ..small()
        });
        world.launch(&["server"], Recovery::None);
        world.end();
        for disk in world.master.free.iter_mut().filter_map(|resource| resource.disk.as_mut()) {
            disk.persistence.as_mut().unwrap().id = crate::ids::PersistenceId::parse("other").unwrap();
        }
        let evaluation = world.evaluate(&["server"], Recovery::Transient);
        assert!(matches!(evaluation.report.first_failure().unwrap().reason, Reason::VolumeMissing { .. }));
    }

    // Whatever lets such a specification through, data is not destroyed.
    #[test]
    fn a_volume_of_another_kind_than_wanted_is_kept_as_it_is() {
        let mut world = with_and_without_volume();
        world.launch(&["agent"], Recovery::None);
        world.end();
        let before = ids_of(&world.stored);
        world.pod_mut().resource_sets.last_mut().unwrap().volumes = vec![mount_volume("data", 100)];
        let evaluation = world.launch(&["agent"], Recovery::None);
        assert_eq!(kinds(&evaluation.accepted.unwrap()), [Type::LaunchGroup]);
        assert_eq!(ids_of(&world.stored), before);
    }

    #[test]
    fn one_reservation_for_several_ports_is_split_and_the_numbers_stay() {
        // As the older generation reserved them.
        let wanted = ResourceSet { ports: vec![port("web", Some(8080)), port("dynamic", None)], ..set("s") };
        let mut world = World::new(PodSpec { resource_sets: vec![wanted], ..small() });
        world.launch(&["server"], Recovery::None);
        world.end();
        let stored = world.stored.first_mut().unwrap();
        let number = stored.ports.iter().find(|(name, _)| name == "dynamic").unwrap().1;
        stored.ports = vec![("$PORT_DYNAMIC".into(), number)];
        let joined = Ranges::new([(8080, 8080), (u64::from(number), u64::from(number))]);
        let first = stored.resources.iter().find(|one| one.name == "ports").unwrap().clone();
        let joined = Resource { value: Value::Ranges(joined), ..first };
        let is_reserved_port = |one: &Resource| one.name == "ports" && one.is_dynamically_reserved();
        stored.resources.retain(|one| !is_reserved_port(one));
        stored.resources.push(joined.clone());
        world.master.free.retain(|one| !is_reserved_port(one));
        world.master.free.push(joined);
        let evaluation = world.launch(&["server"], Recovery::Transient);
        insta::assert_snapshot!("split_ports", world.report(&evaluation));
        assert_eq!(
            kinds(&evaluation.accepted.unwrap()),
            [Type::Unreserve, Type::Reserve, Type::Reserve, Type::LaunchGroup]
        );
        assert_eq!(world.stored.first().unwrap().ports, [("web".to_owned(), 8080), ("dynamic".to_owned(), number)]);
    }

    fn ranged(name: &str, ranges: &[(u16, u16)]) -> mainstay_spec::PortSpec {
        let ranges = ranges.iter().map(|&(begin, end)| mainstay_spec::PortRange { begin, end }).collect();
        mainstay_spec::PortSpec { ranges, ..port(name, None) }
    }

    #[test]
    fn a_port_is_chosen_within_its_ranges_also_with_a_virtual_address() {
        let vip = mainstay_spec::VipSpec { prefix: "web".into(), port: 80, advertise: true };
        // 8085 is asked for by number, so nobody else gets it.
        let ports = vec![
            port("fixed", Some(8085)),
            ranged("a", &[(8085, 8086), (31_500, 31_999)]),
            mainstay_spec::PortSpec { vip: Some(vip), ..ranged("b", &[(8085, 8086), (31_500, 31_999)]) },
            port("anywhere", None),
        ];
        let mut world = World::new(PodSpec { resource_sets: vec![ResourceSet { ports, ..set("s") }], ..small() });
        world.launch(&["server"], Recovery::None);
        let numbers = |world: &World| world.stored.first().unwrap().ports.clone();
        let expected = [("fixed", 8085), ("a", 8086), ("b", 31_500), ("anywhere", 8080)];
        assert_eq!(numbers(&world), expected.map(|(name, number)| (name.to_owned(), number)));
        world.end();
        world.launch(&["server"], Recovery::Transient);
        assert_eq!(numbers(&world), expected.map(|(name, number)| (name.to_owned(), number)), "it keeps its numbers");

        // A number outside of what the specification says now is given up.
        world.end();
        world.pod_mut().resource_sets.first_mut().unwrap().ports[1].ranges =
            vec![mainstay_spec::PortRange { begin: 31_500, end: 31_999 }];
        let evaluation = world.launch(&["server"], Recovery::None);
        assert_eq!(kinds(&evaluation.accepted.unwrap()), [Type::Unreserve, Type::Reserve, Type::LaunchGroup]);
        assert_eq!(numbers(&world)[1], ("a".to_owned(), 31_501));
    }

    #[test]
    fn a_port_with_more_choice_leaves_what_another_one_needs() {
        let numbers = |sets: Vec<ResourceSet>| {
            let tasks = sets.iter().map(|set| task(&set.id, &set.id)).collect();
            let mut world = World::new(PodSpec { resource_sets: sets, tasks, ..small() });
            world.launch(&["a"], Recovery::None);
            let mut ports: Vec<_> = world.stored.iter().flat_map(|task| task.ports.clone()).collect();
            ports.sort();
            ports.into_iter().map(|(_, number)| number).collect::<Vec<_>>()
        };
        let of = |id: &str, ports| ResourceSet { ports, ..set(id) };
        // 8080 is the first that is offered.
        let any = || port("0-any", None);
        let (one, two) = (|| ranged("1-one", &[(8080, 8080)]), || ranged("2-two", &[(8080, 8081)]));
        assert_eq!(numbers(vec![of("a", vec![any(), two(), one()])]), [8082, 8080, 8081]);
        assert_eq!(numbers(vec![of("a", vec![any()]), of("b", vec![one()])]), [8081, 8080], "of another set");
        // Unless there is nothing else.
        assert_eq!(numbers(vec![of("a", vec![any(), ranged("all", &[(1, 65_535)])])]), [8081, 8080]);
    }

    #[test]
    fn a_port_that_finds_none_in_its_ranges_says_where_it_looked() {
        let ports = vec![ranged("a", &[(1, 7999), (8091, 30_999)])];
        let mut world = World::new(PodSpec { resource_sets: vec![ResourceSet { ports, ..set("s") }], ..small() });
        let evaluation = world.evaluate(&["server"], Recovery::None);
        assert_eq!(
            evaluation.report.first_failure().unwrap().reason.to_string(),
            "Failed to satisfy required resource 'ports': none of the 1012 ports offered in role * can be port 'a' \
             within 1-7999, 8091-30999"
        );
    }

    #[test]
    fn gpus_are_reserved_kept_and_given_back() {
        let wanted = ResourceSet { gpus: Some(units(2)), ..set("s") };
        let mut world = World::new(PodSpec { resource_sets: vec![wanted], ..small() });
        let evaluation = world.evaluate(&["server"], Recovery::None);
        assert_eq!(
            evaluation.report.first_failure().unwrap().reason.to_string(),
            "Failed to satisfy required resource 'gpus': wanted 2, available 0 in role *, short by 2"
        );
        world.master.free.push(scalar("gpus", units(3)));
        world.launch(&["server"], Recovery::None);
        let gpus = |world: &World| {
            let found = world.stored.first().unwrap().resources.iter().filter(|one| one.name == "gpus");
            found.map(|one| one.value.clone()).collect::<Vec<_>>()
        };
        assert_eq!(gpus(&world), [Value::Scalar(units(2))]);
        world.end();
        let evaluation = world.launch(&["server"], Recovery::Transient);
        assert_eq!(kinds(&evaluation.accepted.unwrap()), [Type::LaunchGroup]);
        world.end();
        world.pod_mut().resource_sets.first_mut().unwrap().gpus = None;
        let evaluation = world.launch(&["server"], Recovery::None);
        assert_eq!(kinds(&evaluation.accepted.unwrap()), [Type::Unreserve, Type::LaunchGroup]);
        assert_eq!(gpus(&world), []);
    }

    // contract: 2.4/rlimits
    #[test]
    fn limits_of_processes_reach_the_executor() {
        use mainstay_spec::{RlimitKind, RlimitSpec};
        use v1::r_limit_info::{RLimit, r_limit::Type as Kind};

        let mut world = World::new(PodSpec {
            rlimits: vec![
                RlimitSpec { kind: RlimitKind::Nofile, values: Some((1024, 4096)) },
                RlimitSpec { kind: RlimitKind::Memlock, values: None },
            ],
            ..small()
        });
        let evaluation = world.launch(&["server"], Recovery::None);
        let accepted = evaluation.accepted.unwrap();
        let sent = &accepted.operations.last().unwrap().launch_group.as_ref().unwrap().task_group.tasks[0];
        let limit = |kind, soft, hard| RLimit { r#type: Some(kind as i32), soft, hard };
        for info in [sent, &fixture::stored(&accepted, "hello-0-server")] {
            let container = info.container.as_ref().unwrap();
            assert_eq!(container.r#type(), v1::container_info::Type::Mesos);
            assert_eq!(
                container.rlimit_info.as_ref().unwrap().rlimits,
                [limit(Kind::RlmtNofile, Some(1024), Some(4096)), limit(Kind::RlmtMemlock, None, None)]
            );
        }
        // Where the agent can, it raises them for an executor that may not do so itself.
        let executor = world.master.executor.as_ref().unwrap().container.as_ref().unwrap();
        assert_eq!(executor.rlimit_info, sent.container.as_ref().unwrap().rlimit_info);
    }

    #[test]
    fn the_executor_of_another_scheduler_is_not_joined() {
        let mut world = World::new(pod());
        world.launch(&BOTH, Recovery::None);
        for executor in world.stored.iter_mut().filter_map(|task| task.executor.as_mut()).map(Arc::make_mut) {
            let mut wire = <v1::ExecutorInfo as prost::Message>::decode(executor.info.clone()).unwrap();
            wire.command = None;
            wire.r#type = Some(v1::executor_info::Type::Default as i32);
            executor.info = prost::Message::encode_to_vec(&wire).into();
        }
        let evaluation = world.evaluate(&["agent"], Recovery::Transient);
        assert!(matches!(evaluation.report.first_failure().unwrap().reason, Reason::ExecutorForeign { .. }));
        let mut offer = world.offer();
        offer.executor_ids.clear();
        let mut world = World::new(pod());
        world.launch(&BOTH, Recovery::None);
        let evaluation = world.evaluate_offer(&offer, &["agent"], Recovery::Transient);
        assert!(matches!(evaluation.report.first_failure().unwrap().reason, Reason::ExecutorMissing { .. }));
    }

    #[test]
    fn a_pod_whose_executor_alone_holds_something_keeps_its_volumes() {
        let mut world = World::new(PodSpec { volumes: vec![root_volume("shared", 50)], ..small() });
        world.launch(&["server"], Recovery::None);
        world.end();
        // As when the reservations of a launch that fell through were dropped.
        world.stored.first_mut().unwrap().resources.clear();
        let accepted = world.launch(&["server"], Recovery::None).accepted.unwrap();
        assert_eq!(kinds(&accepted), [Type::Reserve, Type::Reserve, Type::LaunchGroup], "cpus and memory, no volume");
    }

    #[test]
    fn a_reservation_of_our_id_that_is_of_something_else_is_not_ours() {
        let mut world = World::new(small());
        world.launch(&["server"], Recovery::None);
        world.end();
        let id_of = |world: &World, name: &str| {
            let held = world.stored.first().unwrap().resources.iter();
            held.clone().find(|one| one.name == name).unwrap().reservations.clone()
        };
        // Somebody in our role has copied labels: memory under the id of our cpus comes first.
        let copied = Resource { reservations: id_of(&world, "cpus"), ..scalar("mem", units(9000)) };
        let mut offer = world.offer();
        offer.resources.insert(0, copied.clone());
        let accepted = world.evaluate_offer(&offer, &["server"], Recovery::Transient).accepted.unwrap();
        assert_eq!(kinds(&accepted), [Type::LaunchGroup]);
        assert!(world.master.clone().apply(&accepted.operations).is_ok(), "nothing but what is ours");
        offer.resources.retain(|one| one.name != "cpus" || !one.is_dynamically_reserved());
        let evaluation = world.evaluate_offer(&offer, &["server"], Recovery::Transient);
        assert!(matches!(evaluation.report.first_failure().unwrap().reason, Reason::ReservedMissing { .. }));
    }

    #[test]
    fn a_placed_pod_stays_although_the_rule_has_changed() {
        let mut world = World::new(small());
        world.launch(&["server"], Recovery::None);
        world.end();
        world.pod_mut().placement = Rule::parse("hostname:IS:elsewhere", "hello").unwrap();
        assert!(world.evaluate(&["server"], Recovery::Transient).accepted.is_some());
        assert!(world.evaluate(&["server"], Recovery::Permanent).accepted.is_none());
    }

    fn some_set() -> impl Strategy<Value = ResourceSet> {
        let range = (8080u16..8088, 0u16..3);
        let ports = proptest::collection::vec(
            prop_oneof![
                Just((None, None)),
                range.prop_map(|range| (None, Some(range))),
                (8080u16..8086).prop_map(|at| (Some(at), None))
            ],
            0..4,
        );
        let volumes = proptest::collection::vec((0u8..3, 1u64..400), 0..4);
        let gpus = proptest::option::of(1u64..4);
        (proptest::option::of(1u64..6000), 1u64..6000, gpus, ports, volumes).prop_map(
            |(cpus, mem, gpus, ports, volumes)| ResourceSet {
                id: "s".into(),
                cpus: cpus.map(Scalar::from_millis),
                memory_mb: Some(Scalar::from_units(mem)),
                gpus: gpus.map(units),
                ports: ports
                    .iter()
                    .enumerate()
                    .map(|(at, (number, range))| {
                        let ranges = range.iter().map(|(begin, more)| (*begin, begin + more)).collect::<Vec<_>>();
                        mainstay_spec::PortSpec { port: *number, ..ranged(&format!("p{at}"), &ranges) }
                    })
                    .collect(),
                volumes: volumes
                    .iter()
                    .enumerate()
                    .map(|(at, (kind, size))| {
                        let path = format!("v{at}");
                        match kind {
                            0 => root_volume(&path, *size),
                            1 => mount_volume(&path, *size),
                            _ => VolumeSpec {
                                kind: VolumeKind::Mount { profiles: vec!["slow".into(), "fast".into()] },
                                ..mount_volume(&path, *size)
                            },
                        }
                    })
                    .collect(),
                ..ResourceSet::default()
            },
        )
    }

    /// What an agent has besides, of which nothing is for us.
    fn of_others() -> Vec<Resource> {
        use crate::resource::{Reservation, ReservationKind};
        let layer = |role: &str, labels: &[(&str, &str)]| Reservation {
            kind: ReservationKind::Dynamic,
            role: role.into(),
            principal: Some("somebody".into()),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))).collect(),
        };
        let of = |layer| Resource { reservations: vec![layer], ..scalar("cpus", units(64)) };
        vec![
            of(layer(fixture::ROLE, &[])),
            of(layer(fixture::ROLE, &[("resource_id", "theirs"), ("framework_id", "framework-2")])),
            Resource { revocable: true, ..scalar("cpus", units(64)) },
            Resource { shared: true, ..scalar("disk", units(9000)) },
            Resource { allocation_role: Some("other".into()), ..scalar("mem", units(9000)) },
        ]
    }

    /// Whether each port can have a number of its own: tries every way.
    fn can_all_have(ports: &[&mainstay_spec::PortSpec], free: &[u16]) -> bool {
        let Some((port, rest)) = ports.split_first() else { return true };
        free.iter().any(|number| {
            let is_allowed = match port.port {
                Some(wanted) => wanted == *number,
                None => {
                    port.ranges.is_empty() || port.ranges.iter().any(|range| (range.begin..=range.end).contains(number))
                }
            };
            let left: Vec<u16> = free.iter().filter(|other| *other != number).copied().collect();
            is_allowed && can_all_have(rest, &left)
        })
    }

    /// Ports of some sets: with a number, with ranges, or neither.
    fn some_ports() -> impl Strategy<Value = Vec<Vec<mainstay_spec::PortSpec>>> {
        let range = (8000u16..8005, 0u16..3).prop_map(|(begin, more)| (begin, begin + more));
        let one = prop_oneof![
            1 => (8000u16..8005).prop_map(|number| port("p", Some(number))),
            1 => Just(port("p", None)),
            4 => proptest::collection::vec(range, 1..3).prop_map(|ranges| ranged("p", &ranges)),
        ];
        proptest::collection::vec(proptest::collection::vec(one, 0..4), 1..4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        // The fixture's master refuses whatever the offer does not hold.
        #[test]
        fn an_accept_uses_only_what_was_offered(
            sets in proptest::collection::vec(some_set(), 1..5),
            end in any::<bool>(),
            is_refined in any::<bool>(),
        ) {
            let mut world = World::new(PodSpec { tasks: vec![task("server", "s"), task("extra", "x")], ..pod() });
            let mut fast = mount(250, "/m3");
            if let Some(source) = fast.disk.as_mut().and_then(|disk| disk.source.as_mut()) {
                source.profile = Some("fast".into());
            }
            world.master.free.extend([mount(200, "/m1"), mount(300, "/m2"), fast, scalar("gpus", units(2))]);
            if is_refined {
                world.pod_mut().pre_reserved_role = Some("public".into());
                let of_agent = std::mem::take(&mut world.master.free);
                world.master.free = fixture::refined(of_agent.clone(), "public", true);
                // What nobody has set aside is offered beside it.
                world.master.free.extend(fixture::refined(of_agent, "public", false));
            }
            let others = of_others();
            world.master.free.extend(others.clone());
            for wanted in sets {
                world.pod_mut().resource_sets = vec![wanted, set("x")];
                let launch: &[&str] = if end { &["server", "extra"] } else { &["server"] };
                if let Some(accepted) = world.evaluate(launch, Recovery::None).accepted {
                    let mut applied = world.master.clone();
                    let result = applied.apply(&accepted.operations);
                    prop_assert!(result.is_ok(), "{}", result.unwrap_err());
                    world.accept(&accepted);
                }
                world.end();
                prop_assert!(others.iter().all(|other| world.master.free.contains(other)), "what is not ours is left alone");
            }
        }

        #[test]
        fn ports_are_found_whenever_there_is_a_way(sets in some_ports(), free in proptest::sample::subsequence((8000u16..8008).collect::<Vec<_>>(), 0..8)) {
            let mut at = 0;
            let sets: Vec<ResourceSet> = sets.into_iter().enumerate().map(|(number, mut ports)| {
                for port in &mut ports {
                    port.name = format!("p{at}");
                    at += 1;
                }
                ResourceSet { ports, ..set(&format!("s{number}")) }
            }).collect();
            let ports: Vec<mainstay_spec::PortSpec> = sets.iter().flat_map(|set| &set.ports).cloned().collect();
            let tasks: Vec<_> = (0..sets.len()).map(|number| task(&format!("t{number}"), &format!("s{number}"))).collect();
            let names: Vec<String> = tasks.iter().map(|task| task.name.clone()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut world = World::new(PodSpec { resource_sets: sets, tasks, ..small() });
            world.master.free.retain(|resource| resource.name != "ports");
            let offered = Ranges::new(free.iter().map(|number| (u64::from(*number), u64::from(*number))));
            world.master.free.push(fixture::resource("ports", Value::Ranges(offered)));
            // A number that is asked for twice is refused elsewhere; here it just does not fit.
            let possible = can_all_have(&ports.iter().collect::<Vec<_>>(), &free);
            let evaluation = world.evaluate(&names, Recovery::None);
            prop_assert_eq!(evaluation.report.passed(), possible, "{:?}", evaluation.report.explanation());
        }
    }
}
