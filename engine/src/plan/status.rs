//! Status words of steps, phases and plans, and how parents get theirs.

/// Status of a step, phase or plan.
///
/// Source: the SDK's status words; never stored, always derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It cannot be carried out; its errors say why.
    Error,
    /// Held by an operator.
    Waiting,
    /// Held back after a failure.
    Delayed,
    /// To be done.
    Pending,
    /// Looked at, old tasks being ended or no offer matched yet.
    Prepared,
    /// Launched, not yet running.
    Starting,
    /// Running, but not ready or not finished.
    Started,
    /// Partly done; parents only.
    InProgress,
    /// Done.
    Complete,
}

impl Status {
    /// The word of the HTTP API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Waiting => "WAITING",
            Self::Delayed => "DELAYED",
            Self::Pending => "PENDING",
            Self::Prepared => "PREPARED",
            Self::Starting => "STARTING",
            Self::Started => "STARTED",
            Self::InProgress => "IN_PROGRESS",
            Self::Complete => "COMPLETE",
        }
    }

    /// Whether work is under way, as commands and health understand it.
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Prepared | Self::Starting | Self::Started | Self::InProgress)
    }
}

/// One child of a phase or plan, as aggregation looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// Its status.
    pub status: Status,
    /// Whether the strategy would work on it now.
    pub is_candidate: bool,
}

/// Status of a parent from its children; the first rule that matches decides.
///
/// Source: the SDK's aggregation table. Its last row (a mixture that no rule covers reads as ERROR) is answered with what the mixture holds.
pub fn aggregate(has_errors: bool, is_interrupted: bool, children: &[Child]) -> Status {
    let any = |wanted: Status| children.iter().any(|child| child.status == wanted);
    let candidate = |wanted: Status| children.iter().any(|child| child.is_candidate && child.status == wanted);
    if has_errors || any(Status::Error) {
        return Status::Error;
    }
    if children.iter().all(|child| child.status == Status::Complete) {
        return Status::Complete;
    }
    if is_interrupted {
        return Status::Waiting;
    }
    if children.iter().all(|child| child.status == Status::Delayed) {
        return Status::Delayed;
    }
    if any(Status::Prepared) {
        return Status::InProgress;
    }
    if candidate(Status::Waiting) {
        return Status::Waiting;
    }
    if candidate(Status::InProgress) {
        return Status::InProgress;
    }
    let begun = candidate(Status::Pending) || candidate(Status::Starting) || candidate(Status::Started);
    if any(Status::Complete) && begun {
        return Status::InProgress;
    }
    if candidate(Status::Pending) {
        return Status::Pending;
    }
    if any(Status::Waiting) {
        return Status::Waiting;
    }
    if candidate(Status::Starting) {
        return Status::Starting;
    }
    if candidate(Status::Started) {
        return Status::Started;
    }
    if any(Status::Delayed) {
        return Status::Delayed;
    }
    Status::InProgress
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(children: &[(Status, bool)], is_interrupted: bool, expected: Status) {
        let children: Vec<Child> =
            children.iter().map(|&(status, is_candidate)| Child { status, is_candidate }).collect();
        assert_eq!(aggregate(false, is_interrupted, &children), expected);
    }

    // contract: 3.8/words
    #[test]
    fn a_parent_gets_its_status_from_the_first_rule_that_matches() {
        use Status::{Complete, Delayed, Error, InProgress, Pending, Prepared, Started, Starting, Waiting};
        check(&[], false, Complete);
        check(&[], true, Complete);
        check(&[(Complete, false), (Complete, false)], true, Complete);
        check(&[(Complete, false), (Error, false)], true, Error);
        check(&[(Pending, false)], true, Waiting);
        check(&[(Delayed, true), (Delayed, false)], false, Delayed);
        check(&[(Prepared, true), (Pending, false)], false, InProgress);
        check(&[(Waiting, true), (Pending, false)], false, Waiting);
        check(&[(InProgress, true), (Pending, false)], false, InProgress);
        check(&[(Complete, false), (Pending, true)], false, InProgress);
        check(&[(Complete, false), (Starting, true)], false, InProgress);
        check(&[(Complete, false), (Started, true)], false, InProgress);
        check(&[(Pending, true), (Pending, false)], false, Pending);
        check(&[(Pending, false), (Waiting, false)], false, Waiting);
        check(&[(Starting, true), (Pending, false)], false, Starting);
        check(&[(Started, true), (Pending, false)], false, Started);
        // The SDK reads this mixture as ERROR.
        check(&[(Complete, false), (Delayed, true)], false, Delayed);
    }
}
