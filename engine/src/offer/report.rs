//! What every stage of one evaluation found out, for operators.
//!
//! Invariant: all stages are in it, also those after a failure; texts are made only when read.
//! Source: the evaluation log and the offer outcome tracker of the SDK; class names in it are part of the operator's surface.

use std::fmt::Write as _;

use super::Offer;
pub use super::reason::{Of, Reason, Shortfall};
use super::stage::OfferStage;
use crate::ids::{ExecutorId, ResourceId};

/// Outcome of one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Class name, as the SDK prints it.
    pub stage: &'static str,
    /// Whether the offer fits here.
    pub passed: bool,
    /// Why.
    pub reason: Reason,
    /// Outcomes this one is made of.
    pub children: Vec<Outcome>,
}

impl Outcome {
    /// An outcome without children.
    pub fn new(stage: &'static str, passed: bool, reason: Reason) -> Self {
        Self { stage, passed, reason, children: Vec::new() }
    }

    /// Passed.
    pub fn pass(stage: OfferStage, reason: Reason) -> Self {
        Self::new(stage.as_str(), true, reason)
    }

    /// Failed.
    pub fn fail(stage: OfferStage, reason: Reason) -> Self {
        Self::new(stage.as_str(), false, reason)
    }

    const fn word(&self) -> &'static str {
        if self.passed { "PASS" } else { "FAIL" }
    }

    fn render(&self, depth: usize, text: &mut String) {
        let _ = write!(text, "\n{:width$}{}({}): {}", "", self.word(), self.stage, self.reason, width = 2 * depth);
        for child in &self.children {
            child.render(depth + 1, text);
        }
    }

    fn explain(&self, lines: &mut Vec<String>) {
        lines.push(format!("{}({}):{}", self.word(), self.stage, self.reason));
        for child in &self.children {
            child.explain(lines);
        }
    }

    /// The failed outcomes at or below this one that have no failed child.
    pub fn obstacles(&self) -> Vec<&Outcome> {
        let mut found = Vec::new();
        if !self.passed {
            self.failures(&mut found);
        }
        found
    }

    /// Why, in words that say enough without the outcomes below: a rule that negates gives the reason of the one it negates.
    pub fn why(&self) -> String {
        let negated = |outcome: &'_ Self| matches!(outcome.reason, Reason::Negated);
        match self.children.as_slice() {
            [child] if negated(self) && negated(child) => {
                child.children.first().map_or_else(|| child.reason.to_string(), Self::why)
            }
            [child] if negated(self) && !self.passed => format!("not allowed: {}", child.reason),
            _ => self.reason.to_string(),
        }
    }

    fn failures<'a>(&'a self, found: &mut Vec<&'a Outcome>) {
        let before = found.len();
        for child in self.children.iter().filter(|child| !child.passed) {
            child.failures(found);
        }
        // A group fails because of a child; a rule that negates fails on its own.
        if !self.passed && found.len() == before {
            found.push(self);
        }
    }
}

/// Every stage of one offer and one requirement, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Outcomes in stage order.
    pub outcomes: Vec<Outcome>,
    /// Operations that follow; 0 when a stage failed.
    pub recommendations: usize,
}

impl Report {
    /// Whether every stage passed.
    pub fn passed(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.passed)
    }

    /// Several lines for the log: a headline, then one line a stage.
    ///
    /// Shape: number is the offer's place in its batch, from 1; no line break at the end.
    pub fn render(&self, number: usize, step: &str, offer: &Offer) -> String {
        let mut text = String::with_capacity(96 * (self.outcomes.len() + 1));
        let stages = self.outcomes.len();
        let failed = self.outcomes.iter().filter(|outcome| !outcome.passed).count();
        let _ = if failed == 0 {
            let operations = self.recommendations;
            write!(
                text,
                "Offer {number}: passed all {stages} evaluation stages, returning {operations} recommendations"
            )
        } else {
            write!(text, "Offer {number}: failed {failed} of {stages} evaluation stages")
        };
        let _ = write!(text, " for {step}, offer {}, agent {}:", offer.id, offer.hostname);
        for outcome in &self.outcomes {
            outcome.render(1, &mut text);
        }
        text
    }

    /// One line per outcome, children after their parent, `PASS(Stage):reason`.
    pub fn explanation(&self) -> Vec<String> {
        let mut lines = Vec::with_capacity(self.outcomes.len());
        for outcome in &self.outcomes {
            outcome.explain(&mut lines);
        }
        lines
    }

    /// The failed outcomes that have no failed child: the actual obstacles, in stage order.
    pub fn obstacles(&self) -> Vec<&Outcome> {
        let mut found = Vec::new();
        for outcome in self.outcomes.iter().filter(|outcome| !outcome.passed) {
            outcome.failures(&mut found);
        }
        found
    }

    /// The first obstacle.
    pub fn first_failure(&self) -> Option<&Outcome> {
        self.obstacles().into_iter().next()
    }

    /// The executor that the pod waits for, where its tasks have ended and it has not. Shutting it down ends the wait.
    pub fn ending_executor(&self) -> Option<&ExecutorId> {
        self.outcomes.iter().find_map(|outcome| {
            let Reason::ExecutorEnding { id } = &outcome.reason else { return None };
            Some(id)
        })
    }

    /// The reservations without a volume that the pod had and the offer does not show; none while its executor is the obstacle, since
    /// what is in use is not offered.
    pub fn missing(&self) -> Vec<ResourceId> {
        let obstacles = self.obstacles();
        if obstacles.iter().any(|outcome| outcome.stage == OfferStage::Executor.as_str()) {
            return Vec::new();
        }
        let missing = obstacles.into_iter().filter_map(|outcome| {
            let (Reason::ReservedMissing { id, .. } | Reason::PortMissing { id, .. }) = &outcome.reason else {
                return None;
            };
            Some(id.clone())
        });
        missing.collect()
    }

    /// The amounts that are missing, in stage order.
    pub fn shortfalls(&self) -> Vec<&Shortfall> {
        self.obstacles().into_iter().filter_map(|outcome| outcome.reason.shortfall()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use mainstay_spec::{PodSpec, ResourceSet, VipSpec};

    use crate::offer::fixture::{World, pod, port, root_volume, scalar, set, task, units};
    use crate::offer::requirement::Recovery;
    use crate::units::Scalar;

    /// A server with ports and volumes, and a small task with a set of its own.
    fn node() -> World {
        let vip = VipSpec { prefix: "native".into(), port: 9042, advertise: true };
        let server = ResourceSet {
            cpus: Some(units(2)),
            memory_mb: Some(units(2000)),
            ports: vec![
                mainstay_spec::PortSpec { vip: Some(vip), ..port("native", Some(8080)) },
                port("storage", Some(8081)),
                port("jmx", None),
            ],
            volumes: vec![root_volume("data", 5000), root_volume("commitlog", 1000)],
            ..set("server-set")
        };
        World::new(PodSpec {
            uris: Vec::new(),
            volumes: Vec::new(),
            resource_sets: vec![server, set("init-set")],
            tasks: vec![task("server", "server-set"), task("init", "init-set")],
            ..pod()
        })
    }

    /// Eighteen lines for fourteen stages; their names, PASS and FAIL, as `FAIL Resource`, children behind `  `.
    #[track_caller]
    fn stages(report: &str) -> Vec<String> {
        assert_eq!(report.lines().count(), 18, "{report}");
        report
            .lines()
            .skip(1)
            .map(|line| {
                let line = line.strip_prefix("  ").unwrap();
                let (word, rest) = line.split_once('(').unwrap();
                let (stage, text) = rest.split_once("): ").unwrap();
                assert!(!text.is_empty() && !line.contains("Optional["), "{line}");
                format!("{word} {}", stage.trim_end_matches("EvaluationStage"))
            })
            .collect()
    }

    // The situation that the SDK's operators know from its guide: an agent where only cpus are missing.
    #[test]
    fn the_report_of_a_pod_that_lacks_cpus_has_a_line_for_each_stage() {
        let launch = ["init", "server"];
        let mut world = node();
        let passing = world.evaluate(&launch, Recovery::None);
        let passing = world.report(&passing);
        insta::assert_snapshot!("fourteen_stages_pass", passing);
        let mut expected = vec![
            "PASS Executor",
            "PASS PlacementRule",
            "PASS Resource",
            "PASS Resource",
            "PASS Resource",
            "PASS Resource",
            "PASS Resource",
            "PASS Launch",
            "PASS Multi",
            "  PASS NamedVIP",
            "  PASS Port",
            "  PASS Port",
            "PASS Resource",
            "PASS Resource",
            "PASS Volume",
            "PASS Volume",
            "PASS Launch",
        ];
        assert_eq!(stages(&passing), expected);
        assert!(passing.starts_with("Offer 1: passed all 14 evaluation stages, returning 15 recommendations for "));

        world.master.free.retain(|resource| resource.name != "cpus");
        world.master.free.push(scalar("cpus", Scalar::from_millis(1100)));
        let failing = world.evaluate(&launch, Recovery::None);
        assert_eq!(failing.report.shortfalls().first().unwrap().short_by(), Scalar::from_millis(1500));
        let failing = world.report(&failing);
        insta::assert_snapshot!("fourteen_stages_lack_cpus", failing);
        expected[12] = "FAIL Resource";
        assert_eq!(stages(&failing), expected);
        assert!(failing.starts_with("Offer 1: failed 1 of 14 evaluation stages for "));
        assert_eq!(failing.matches("FAIL").count(), 1);
    }
}
