//! What every stage of one evaluation found out, for operators.
//!
//! Invariant: all stages are in it, also those after a failure; texts are made only when read.
//! Source: the evaluation log and the offer outcome tracker of the SDK; class names in it are part of the operator's surface.

use std::fmt::Write as _;

use super::Offer;
pub use super::reason::{Of, Reason, Shortfall};
use super::stage::OfferStage;
use crate::ids::ExecutorId;

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

    /// The amounts that are missing, in stage order.
    pub fn shortfalls(&self) -> Vec<&Shortfall> {
        self.obstacles().into_iter().filter_map(|outcome| outcome.reason.shortfall()).collect()
    }
}
