//! Limits of the kernel on the processes of a pod.

/// One limit of `setrlimit`.
///
/// Source: `svc.yml` `rlimits`; Mesos `RLimitInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RlimitSpec {
    /// What is limited.
    pub kind: RlimitKind,
    /// Soft and hard value, soft at most hard; `None` is unlimited.
    pub values: Option<(u64, u64)>,
}

macro_rules! kinds {
    ($($name:ident = $text:literal,)*) => {
        /// What a limit is about, under the names of Mesos.
        #[allow(missing_docs, reason = "each is the constant of its name")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RlimitKind {
            $($name,)*
        }

        impl RlimitKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in specifications: `RLIMIT_NOFILE`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The kind of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    As = "RLIMIT_AS",
    Core = "RLIMIT_CORE",
    Cpu = "RLIMIT_CPU",
    Data = "RLIMIT_DATA",
    Fsize = "RLIMIT_FSIZE",
    Locks = "RLIMIT_LOCKS",
    Memlock = "RLIMIT_MEMLOCK",
    Msgqueue = "RLIMIT_MSGQUEUE",
    Nice = "RLIMIT_NICE",
    Nofile = "RLIMIT_NOFILE",
    Nproc = "RLIMIT_NPROC",
    Rss = "RLIMIT_RSS",
    Rtprio = "RLIMIT_RTPRIO",
    Rttime = "RLIMIT_RTTIME",
    Sigpending = "RLIMIT_SIGPENDING",
    Stack = "RLIMIT_STACK",
}
