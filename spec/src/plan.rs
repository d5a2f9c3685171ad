//! Plans of the author.

/// A plan as written: phases over pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanSpec {
    /// Its name.
    pub name: String,
    /// How its phases follow each other.
    pub strategy: Strategy,
    /// Phases in declaration order.
    pub phases: Vec<PhaseSpec>,
}

/// A phase: steps over the instances of one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseSpec {
    /// Its name.
    pub name: String,
    /// Pod type its steps launch; always one of the service's.
    pub pod_type: String,
    /// How its steps follow each other.
    pub strategy: Strategy,
    /// One entry per step in the order generated: instance index, then the tasks launched together.
    pub steps: Vec<StepSpec>,
    /// Whether the author listed steps; then, under a parallel strategy, the steps of one instance stay in order.
    pub has_custom_steps: bool,
}

/// One step: tasks of one pod instance launched together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepSpec {
    /// Pod instance index.
    pub index: u32,
    /// Task names (short), at least one, each a task of the pod.
    pub tasks: Vec<String>,
}

/// How children of a plan or phase follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// One after another.
    Serial,
    /// All at once.
    Parallel,
    /// Two gated steps, then serial. Phases only.
    SerialCanary,
    /// Two gated steps, then parallel. Phases only.
    ParallelCanary,
}

impl Strategy {
    /// The name the HTTP API shows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Parallel => "parallel",
            Self::SerialCanary => "serial-canary",
            Self::ParallelCanary => "parallel-canary",
        }
    }
}
