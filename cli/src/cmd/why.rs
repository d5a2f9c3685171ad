//! `mainstay why`: of a running service, or of offers that somebody recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use mainstay_api::placement::Step;
use mainstay_scheduler::engine::Engine;
use mainstay_scheduler::engine::ids::{AgentId, FrameworkId, Generator, PodInstance};
use mainstay_scheduler::engine::offer::Offer;
use mainstay_scheduler::engine::units::Timestamp;
use mainstay_scheduler::http::v1::placement::to_wire;

use super::{Context, parse};
use crate::author::{self, Sources};
use crate::client::{Error, path};
use crate::recorded::{self, Master, Recorded, Wanted};
use crate::service::Service;

/// Why unfinished steps are not placed now, and the smallest change that would let them pass.
///
/// With --offers and --spec no scheduler is asked: every pod is held against the offers of a file as if it were new and its turn had come.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// Pod instance (`hello-0`) or pod type (`hello`); every unfinished step when absent
    pod: Option<String>,
    /// Explains these offers: an OFFERS event of Mesos in JSON, what the scheduler gave at /v1/placement/offers, or a list of agents
    #[arg(long, value_name = "FILE", requires = "spec")]
    offers: Option<PathBuf>,
    /// The specification (svc.yml) that the offers are for
    #[arg(long, value_name = "SPEC", requires = "offers")]
    spec: Option<PathBuf>,
    /// Region of the master; default: what the file says, else the region with most agents
    #[arg(long, value_name = "NAME", requires = "offers")]
    region: Option<String>,
    #[command(flatten)]
    sources: Sources,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Why {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        if let (Some(offers), Some(spec)) = (&self.offers, &self.spec) {
            return self.offline(offers, spec, context);
        }
        let route = match &self.pod {
            Some(pod) => path(&["v1", "placement", pod]),
            None => "v1/placement".to_owned(),
        };
        let answer = context.client.get(&route)?.check()?;
        if self.json {
            return context.json(&answer);
        }
        show(&parse::<Vec<Step>>(&answer)?, context)
    }

    fn offline(&self, recorded_at: &Path, spec: &Path, context: &mut Context<'_>) -> Result<(), Error> {
        recorded::at_most_one_stdin("--spec", spec, "--offers", recorded_at).map_err(Error::Refused)?;
        let service = Service::load(spec, &self.sources);
        let read = recorded::read(recorded_at, Wanted::Offers);
        let (service, read) = match (service, read) {
            (Ok(service), Ok(read)) => (service, read),
            (service, read) => {
                let problems = [service.err(), read.err()];
                return Err(Error::Refused(problems.into_iter().flatten().collect::<Vec<_>>().join("\n")));
            }
        };
        for warning in &service.warnings {
            writeln!(context.err, "{warning}")?;
        }
        author::tell(context.err, "note", &service.notes);
        author::tell(context.err, "note", &read.notes);
        let roles = service.settings.roles(&service.spec);
        let offers = match read.what {
            Recorded::Offers(offers) => offers,
            Recorded::Agents(agents) => {
                let of_roles = |agent| roles.iter().map(move |role| (agent, role));
                let made = agents.iter().enumerate().flat_map(of_roles).map(|((at, agent), role)| {
                    recorded::offer_of(at, agent, role)
                        .map_err(|problem| Error::Refused(format!("{}: {problem}", agent.hostname)))
                });
                made.collect::<Result<Vec<_>, _>>()?
            }
        };
        let others: Vec<&String> = offers
            .iter()
            .filter_map(|offer| offer.allocation_role.as_ref())
            .filter(|role| !roles.contains(role))
            .collect();
        if !others.is_empty() {
            let names: Vec<&str> =
                others.iter().map(|role| role.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
            let of_others = if names.len() == 1 { "the role" } else { "the roles" };
            let of_service = if roles.len() == 1 { "the role" } else { "the roles" };
            let (names, roles) = (names.join(", "), roles.join(", "));
            let text = format!("were made to {of_others} {names}, the service has {of_service} {roles}");
            // As if there were no offers at all: that would be no answer to what was asked.
            if others.len() == offers.len() {
                let file = recorded_at.display();
                return Err(Error::Refused(format!("{file}: the offers {text}; none of them says anything about it")));
            }
            author::tell(context.err, "note", &[format!("{} of {} offers {text}", others.len(), offers.len())]);
        }
        let agents: BTreeSet<_> = offers.iter().map(|offer| (&offer.agent_id, &offer.allocation_role)).collect();
        let older = offers.len() - agents.len();
        if older > 0 {
            let note = format!("{} offers of {} agents; the last of each counts", offers.len(), agents.len());
            author::tell(context.err, "note", &[note]);
        }
        let region = self.region_of(&offers, read.master, context)?;
        let pods = service.spec.pods.iter().map(|pod| (pod.pod_type.clone(), pod.count)).collect();
        if let Some(pod) = self.pod.as_ref().filter(|pod| !is_known(pod, &pods)) {
            let known: Vec<&str> = pods.keys().map(String::as_str).collect();
            let text = format!("the service has no pod {pod}; its pod types are {}", known.join(", "));
            return Err(Error::Refused(text));
        }
        let steps = explain(service, offers, region, self.pod.as_deref()).map_err(Error::Refused)?;
        if self.json {
            let text = serde_json::to_string_pretty(&steps).map_err(|error| Error::Refused(error.to_string()))?;
            return context.line(&text);
        }
        show(&steps, context)
    }
}

impl Why {
    /// The region of the master, as `fit` takes it to be where nobody says.
    fn region_of(
        &self,
        offers: &[Offer],
        master: Option<Master>,
        context: &mut Context<'_>,
    ) -> Result<Option<String>, Error> {
        let mut agents: BTreeMap<&str, BTreeSet<&AgentId>> = BTreeMap::new();
        for offer in offers {
            if let Some(region) = &offer.region {
                agents.entry(region).or_default().insert(&offer.agent_id);
            }
        }
        let names = agents.keys().copied().collect::<Vec<_>>().join(", ");
        if let Some(region) = &self.region {
            if !agents.contains_key(region.as_str()) {
                let known =
                    if names.is_empty() { "no agent names a region".to_owned() } else { format!("there are {names}") };
                return Err(Error::Refused(format!("--region {region}: no agent is there; {known}")));
            }
            return Ok(Some(region.clone()));
        }
        if let Some(master) = master {
            return Ok(master.region);
        }
        let most = agents.iter().rev().max_by_key(|(_, agents)| agents.len()).map(|(region, _)| (*region).to_owned());
        if let Some(chosen) = most.as_ref().filter(|_| agents.len() > 1) {
            let note = format!("agents are in the regions {names}; the master is taken to be in {chosen} (--region)");
            author::tell(context.err, "note", &[note]);
        }
        Ok(most)
    }
}

/// Steps named where several wait for the same.
const NAMED: usize = 5;

fn show(steps: &[Step], context: &mut Context<'_>) -> Result<(), Error> {
    context.line(if steps.is_empty() { "nothing waits".to_owned() } else { together(steps) }.as_str())
}

/// What stands behind the names of a step in its text.
fn why(step: &Step) -> Option<&str> {
    step.text.strip_prefix(&format!("{} {}: ", step.plan, step.step))
}

/// The texts of all steps; those one after the other that wait for the same are told once.
fn together(steps: &[Step]) -> String {
    let is_alike = |one: &Step, next: &Step| one.plan == next.plan && why(one).is_some() && why(one) == why(next);
    let told = steps.chunk_by(is_alike).filter_map(|group| {
        let first = group.first()?;
        let Some(why) = why(first).filter(|_| group.len() > 1) else { return Some(first.text.clone()) };
        let names: Vec<_> = group.iter().take(NAMED).map(|step| step.step.as_str()).collect();
        let more = match group.len().saturating_sub(NAMED) {
            0 => String::new(),
            1 => " and 1 more step".to_owned(),
            more => format!(" and {more} more steps"),
        };
        Some(format!("{} {}{more}: {why}", first.plan, names.join(", ")))
    });
    told.collect::<Vec<_>>().join("\n")
}

/// Whether this names a pod type or one of its instances.
fn is_known(name: &str, pods: &BTreeMap<String, u32>) -> bool {
    let is_instance = |(pod_type, index): (&str, &str)| {
        let count = pods.get(pod_type).copied().unwrap_or_default();
        index.parse::<u32>().is_ok_and(|index| index < count)
    };
    pods.contains_key(name) || name.rsplit_once('-').is_some_and(is_instance)
}

/// Every step of the deployment, or those of one pod, held against offers.
fn explain(
    service: Service,
    offers: Vec<Offer>,
    region: Option<String>,
    pod: Option<&str>,
) -> Result<Vec<Step>, String> {
    let now = Timestamp(0);
    let config = service.settings.engine(&service.spec, "scheduler", 8080);
    let (mut engine, _) = Engine::start(config, service.spec, BTreeMap::new(), Generator::seeded(0), now)
        .map_err(|error| format!("the service cannot be started: {error}"))?;
    let framework_id = FrameworkId::parse("recorded").map_err(|error| error.to_string())?;
    let question = engine.question_on(offers, framework_id, region, now);
    let is_wanted = |of: &PodInstance| pod.is_none_or(|pod| of.pod_type == pod || of.to_string() == pod);
    Ok(question.answer(is_wanted).iter().map(to_wire).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(plan: &str, name: &str, why: &str) -> Step {
        let text = format!("{plan} {name}: {why}");
        Step { plan: plan.into(), step: name.into(), text, ..Step::default() }
    }

    #[test]
    fn steps_that_wait_for_the_same_are_told_once() {
        let mut steps = vec![step("deploy", "a-0:[x]", "none of 2 agents fits\n  2 agents: cpus short by 1")];
        steps.push(Step { step: "a-1:[x]".into(), text: steps[0].text.replace("a-0", "a-1"), ..steps[0].clone() });
        steps.push(step("deploy", "b-0:[x]", "waits for step a-1:[x]"));
        steps.push(step("update", "c-0:[x]", "is odd"));
        steps.extend((1..6).map(|at| step("update", &format!("c-{at}:[x]"), "is odd")));
        steps.push(step("backup", "c-6:[x]", "is odd"));
        assert_eq!(
            together(&steps),
            "deploy a-0:[x], a-1:[x]: none of 2 agents fits\n  2 agents: cpus short by 1\n\
             deploy b-0:[x]: waits for step a-1:[x]\n\
             update c-0:[x], c-1:[x], c-2:[x], c-3:[x], c-4:[x] and 1 more step: is odd\n\
             backup c-6:[x]: is odd"
        );
    }
}
