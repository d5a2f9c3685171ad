//! What can go wrong with a store, and the exit code each means.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Exit code of the SDK for "the lock is not ours".
const EXIT_LOCK: u8 = 8;
/// Exit code of the SDK for a failed start.
const EXIT_START: u8 = 1;
/// Exit code of the SDK for a failure in the middle of the work.
const EXIT_WORK: u8 = 6;

/// The lock or its session is gone for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the lock is lost: {reason}")]
pub struct Lost {
    reason: Arc<str>,
}

impl Lost {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into().into() }
    }

    /// How it was lost.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Code to end the process with.
    pub fn exit_code(&self) -> u8 {
        EXIT_LOCK
    }
}

/// A store that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not one of a store.
    #[error("the store {text:?} is not an address: {reason}")]
    Location {
        /// As given.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// No node can have this name.
    #[error("the service name {name:?} gives no node name: it must have no empty part and no control character")]
    ServiceName {
        /// As given.
        name: String,
    },
    /// No server answered in time.
    #[error(
        "zookeeper at {connect} cannot be reached since {waited:?}: check the address and that a majority of its servers runs"
    )]
    Unreachable {
        /// Servers.
        connect: String,
        /// How long it was tried.
        waited: Duration,
        /// Last failure.
        source: zookeeper_client::Error,
    },
    /// The server lacks requests that we need.
    #[error("zookeeper {version} at {server} is too old: 3.5 or later is needed")]
    OldServer {
        /// Which server.
        server: String,
        /// Its version.
        version: String,
    },
    /// Another scheduler of this service runs.
    #[error("{lock} is locked by another scheduler of this service ({holder}): stop it, or wait until it has ended")]
    Locked {
        /// Where the lock is.
        lock: String,
        /// What is known of the holder.
        holder: String,
    },
    /// The tree carries another name.
    #[error(
        "the stored state belongs to the service {found:?}, not to {wanted:?}: give this service a name of its own"
    )]
    OtherService {
        /// Our name.
        wanted: String,
        /// Stored name.
        found: String,
    },
    /// The tree is of another layout.
    #[error(
        "the stored state has schema version {found:?}, and only 1 is understood: it was written by another kind of scheduler"
    )]
    Schema {
        /// Stored version.
        found: String,
    },
    /// An older scheduler kept this service elsewhere.
    #[error(
        "this service's state is still at {nested}, where the older generation kept it, and {root} is empty: \
         copy everything below {nested} except its lock to {root}, or delete {nested} to start empty"
    )]
    NestedRoot {
        /// Where the state is.
        nested: String,
        /// Where it should be.
        root: String,
    },
    /// The tree could not be read.
    #[error("cannot read the stored state at {path}")]
    Read {
        /// Node or file.
        path: String,
        /// Failure.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The folder of the state cannot be made.
    #[error("cannot create the folder {}", path.display())]
    Folder {
        /// Folder.
        path: PathBuf,
        /// Failure.
        source: io::Error,
    },
    /// The lock was lost before the tree was read.
    #[error(transparent)]
    Lost(Lost),
    /// Name and schema version could not be written.
    #[error("cannot mark the stored state as this service's")]
    Identify(#[source] CommitError),
}

impl Error {
    /// Code to end the process with: 8 when the lock is not ours, else 1.
    ///
    /// Source: the SDK's exit codes; "unreachable" is a failed start there, too.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Locked { .. } | Self::Lost(_) | Self::Identify(CommitError::Lost(_)) => EXIT_LOCK,
            Self::Location { .. }
            | Self::ServiceName { .. }
            | Self::Unreachable { .. }
            | Self::OldServer { .. }
            | Self::OtherService { .. }
            | Self::Schema { .. }
            | Self::NestedRoot { .. }
            | Self::Read { .. }
            | Self::Folder { .. }
            | Self::Identify(_) => EXIT_START,
        }
    }

    /// Whether a later start may succeed without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Locked { .. } | Self::Read { .. } | Self::Lost(_) | Self::Identify(_) => {
                true
            }
            Self::Location { .. }
            | Self::ServiceName { .. }
            | Self::OldServer { .. }
            | Self::OtherService { .. }
            | Self::Schema { .. }
            | Self::NestedRoot { .. }
            | Self::Folder { .. } => false,
        }
    }
}

/// A commit that did not become durable, or of which that is not known. The process must end; a restart reads what is stored.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The lock is not ours any more.
    #[error(transparent)]
    Lost(Lost),
    /// A value, or what must be stored together with it, is larger than the store accepts. Nothing was written.
    #[error("{path} needs {bytes} bytes in one request, more than the {limit} a store accepts")]
    TooLarge {
        /// Node.
        path: String,
        /// Its size.
        bytes: usize,
        /// What is accepted.
        limit: usize,
    },
    /// The path is none of a transaction. Nothing was written.
    #[error("{path:?} is not a path of the stored tree")]
    Path {
        /// As given.
        path: String,
    },
    /// An earlier commit failed or was abandoned before it was decided.
    #[error("an earlier commit is undecided: what is stored is not known")]
    Undecided,
    /// The store refused or failed.
    #[error("cannot write the stored state at {path}")]
    Write {
        /// Node or file.
        path: String,
        /// Failure.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl CommitError {
    /// Code to end the process with: 8 when the lock is lost, else 6.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Lost(_) => EXIT_LOCK,
            Self::TooLarge { .. } | Self::Path { .. } | Self::Undecided | Self::Write { .. } => EXIT_WORK,
        }
    }
}
