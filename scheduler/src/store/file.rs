//! The tree in a folder of this machine, for `mainstay dev`: one database file, one transaction per commit, synced to disk.
//!
//! Invariant: the database's own file lock is the service's lock; the operating system frees it with the process, so a second scheduler
//! is refused at once instead of waiting.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use mainstay_engine::effect::{Transaction, Write};
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use super::{CommitError, Error, Tree};

/// The only file in the folder.
const FILE: &str = "state.redb";
const TREE: TableDefinition<&str, &[u8]> = TableDefinition::new("tree");

#[derive(Debug)]
pub(super) struct File {
    database: Arc<Database>,
    path: PathBuf,
}

impl File {
    /// Opens the folder's database; makes both where they are missing.
    pub(super) async fn open(folder: &Path) -> Result<(Self, Tree), Error> {
        let folder = folder.to_owned();
        blocking(move || {
            std::fs::create_dir_all(&folder).map_err(|source| Error::Folder { path: folder.clone(), source })?;
            let path = folder.join(FILE);
            let database = Database::create(&path).map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => Error::Locked {
                    lock: path.display().to_string(),
                    holder: "another process of this machine".to_owned(),
                },
                other => read_error(&path, other),
            })?;
            let tree = read(&database).map_err(|error| read_error(&path, error))?;
            Ok((Self { database: Arc::new(database), path }, tree))
        })
        .await
    }

    pub(super) async fn commit(&self, transaction: &Transaction) -> Result<(), CommitError> {
        let (database, transaction, path) = (Arc::clone(&self.database), transaction.clone(), self.path.clone());
        blocking(move || {
            write(&database, &transaction)
                .map_err(|error| CommitError::Write { path: path.display().to_string(), source: Box::new(error) })
        })
        .await
    }

    pub(super) async fn close(self) {
        blocking(move || drop(self)).await;
    }
}

fn read_error(path: &Path, error: impl Into<redb::Error>) -> Error {
    Error::Read { path: path.display().to_string(), source: Box::new(error.into()) }
}

fn read(database: &Database) -> Result<Tree, redb::Error> {
    let table = match database.begin_read()?.open_table(TREE) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Tree::new()),
        Err(error) => return Err(error.into()),
    };
    let mut tree = Tree::new();
    for entry in table.iter()? {
        let (path, data) = entry?;
        tree.insert(path.value().to_owned(), Bytes::copy_from_slice(data.value()));
    }
    Ok(tree)
}

/// Synced when it returns: that is the database's default.
fn write(database: &Database, transaction: &Transaction) -> Result<(), redb::Error> {
    let changes = database.begin_write()?;
    {
        let mut table = changes.open_table(TREE)?;
        for (path, write) in &transaction.writes {
            match write {
                Write::Put(data) => {
                    table.insert(path.as_str(), data.as_ref())?;
                }
                Write::Delete => {
                    table.remove(path.as_str())?;
                    let mut below = Vec::new();
                    for entry in table.range(format!("{path}/").as_str()..)? {
                        let other = entry?.0.value().to_owned();
                        if !other.starts_with(&format!("{path}/")) {
                            break;
                        }
                        below.push(other);
                    }
                    for other in below {
                        table.remove(other.as_str())?;
                    }
                }
            }
        }
    }
    changes.commit()?;
    Ok(())
}

/// Runs file work where it blocks nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // Cancelled only when the runtime ends, and then nobody waits; otherwise the panic goes on.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}
