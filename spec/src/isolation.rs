//! What a pod or task shares with others on its agent.

/// Whose System V IPC objects and POSIX shared memory a container sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpcMode {
    /// Its own.
    Private,
    /// Those of the container around it. Tasks only.
    ShareParent,
}

impl IpcMode {
    /// Its name in specifications and in Mesos.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Private => "PRIVATE",
            Self::ShareParent => "SHARE_PARENT",
        }
    }
}
