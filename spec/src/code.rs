//! The stable codes of specification diagnostics.
//!
//! Invariant: a number is never reused or given another meaning; every code has a page in `docs/errors/`.

use std::fmt;

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The specification is refused.
    Error,
    /// The specification is used; its author should look.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

macro_rules! codes {
    ($($name:ident = $number:literal $severity:ident $title:literal;)*) => {
        /// What kind of problem a diagnostic reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, ascending.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The number in its name.
            pub const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* }
            }

            /// Its severity, unless the situation makes it worse.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// What it means, in a few words.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    TemplateTag = 1 Error "A template tag is malformed";
    TemplateSection = 2 Error "Template sections do not match";
    TemplatePartial = 3 Error "Template partials are not supported";
    TemplateLimit = 4 Error "The template is too large";
    ValueNotEscaped = 5 Warning "A value is used verbatim where the SDK escaped it";
    VariableUnset = 6 Warning "A variable has no value";
    LeftoverTag = 7 Warning "The rendered text still contains a tag";
    YamlSyntax = 8 Error "The rendered text is not YAML";
    YamlFeature = 9 Error "A YAML feature is not supported";
    YamlLimit = 10 Error "The YAML document is too large";
    DuplicateKey = 11 Error "A key is given twice";
    UnknownKey = 12 Error "A key is not known here";
    EmptyDocument = 13 Error "The specification is empty";
    WrongType = 14 Error "A value has the wrong type";
    RequiredKey = 15 Error "A required key is missing";
    MissingValue = 16 Error "A value is empty";
    OutOfRange = 17 Error "A number is out of range";
    UnknownWord = 18 Error "A word is not one of those allowed";
    NotSupportedYet = 19 Warning "A feature is not supported yet";
    IgnoredPodKey = 20 Warning "A pod key is ignored";
    Deprecated = 21 Warning "An older spelling is used";
    KeyWithoutEffect = 22 Warning "A key has no effect";
    InvalidName = 23 Error "A name is not allowed";
    OddName = 24 Warning "A name does not fit DNS";
    EmptyCollection = 25 Error "At least one entry is needed";
    UnknownResourceSet = 26 Error "A resource set does not exist";
    NoResources = 27 Error "A task or resource set has no resources";
    ResourceSetCollision = 28 Error "Two resource sets have the same id";
    InvalidPath = 29 Error "A path is not allowed";
    DuplicatePath = 30 Error "Two volumes have the same path";
    VolumeAndVolumes = 31 Error "Both volume and volumes are given";
    DuplicatePort = 32 Error "Two ports have the same number";
    VipNameCollision = 33 Error "A VIP has the name of another port";
    DuplicateAdvertisedPort = 34 Error "Two advertised ports have the same name";
    ConfigTemplateUnreadable = 35 Error "A configuration template cannot be used";
    ConfigTemplateSyntax = 36 Warning "A configuration template will not render";
    DuplicateDestination = 37 Error "Two configuration files have the same destination";
    InvalidLabel = 38 Error "A label is malformed";
    SharedDiscoveryPrefix = 39 Error "Two pods share a discovery prefix";
    InvalidUri = 40 Error "A URI is malformed";
    EmptyListItem = 41 Warning "An empty list item is skipped";
    DifferentUser = 42 Error "A pod asks for another user than the service";
    UnknownPod = 43 Error "A phase names a pod that does not exist";
    UnknownTask = 44 Error "A step names a task that does not exist";
    StepShape = 45 Error "Steps are not written as a list of lists";
    DuplicateStepIndex = 46 Error "Steps for one instance are given twice";
    MissingStepIndex = 47 Error "An instance has no steps";
    UnusedStepIndex = 48 Warning "Steps are given for an instance that does not exist";
    GeneratedDeployPlan = 49 Warning "The deploy plan is generated";
    StepConflict = 50 Warning "Tasks of one step exclude each other";
    InvalidPlacement = 51 Error "A placement constraint cannot be understood";
    InvalidMapping = 52 Error "Ports cannot be mapped";
    InvalidRlimit = 53 Error "A limit of processes cannot be used";
    ContradictoryKeys = 54 Error "Two keys contradict each other";
    InvalidDriverOption = 55 Error "A driver option is malformed";
    LimitBelowRequest = 56 Error "A resource limit is below the request";
    InvalidPortRange = 57 Error "A port range is empty";
    DuplicateItem = 58 Error "A list names something twice";
    OddPlacement = 59 Warning "A placement constraint may mean something else";
}

/// Prints `MST-SPEC-0012`.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MST-SPEC-{:04}", self.number())
    }
}
