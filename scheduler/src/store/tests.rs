//! The behaviours of every store, on a folder and in memory. The same table runs on a real ZooKeeper in the package of whole-system tests.
#![allow(clippy::unwrap_used)]

mod behaviours;

use std::time::Duration;

use behaviours::{Place, put};

use super::{CommitError, Error, Fault, Location, Memory, Settings, Store, Tree};

#[tokio::test]
async fn a_memory_behaves_as_a_store() {
    behaviours::all(async || Place::Memory(Memory::new())).await;
}

#[tokio::test]
async fn a_folder_behaves_as_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    behaviours::all(async || {
        number += 1;
        Place::At(Location::File(folder.path().join(format!("missing/parents/{number}"))))
    })
    .await;
}

#[tokio::test]
async fn a_planned_fault_loses_the_store_before_or_after_the_commit() {
    for (fault, stored) in [(Fault::BeforeApply, false), (Fault::AfterApply, true)] {
        let memory = Memory::new();
        let (mut store, _) = Store::memory(&memory, "hello").await.unwrap();
        assert_eq!(memory.commits(), 1);
        memory.fail_commit(3, fault);
        store.commit(&put("Properties/a", "1")).await.unwrap();
        let error = store.commit(&put("Properties/b", "2")).await.unwrap_err();
        assert_eq!(error.exit_code(), 8);
        assert_eq!(store.lost().await.exit_code(), 8);
        assert!(!*store.connection().borrow());
        assert!(matches!(store.commit(&put("Properties/c", "3")).await, Err(CommitError::Lost(_))));
        // The next process finds the lock free although the old one still exists.
        let (_next, tree) = Store::memory(&memory, "hello").await.unwrap();
        assert_eq!(tree.contains_key("Properties/b"), stored);
        assert!(!tree.contains_key("Properties/c"));
    }
}

#[tokio::test]
async fn an_expired_store_writes_nothing_even_when_the_next_one_holds_the_lock() {
    let memory = Memory::new();
    let (mut old, _) = Store::memory(&memory, "hello").await.unwrap();
    let lost = old.lost();
    memory.expire();
    lost.await;
    let (mut new, _) = Store::memory(&memory, "hello").await.unwrap();
    assert!(matches!(old.commit(&put("Properties/a", "old")).await, Err(CommitError::Lost(_))));
    drop(old);
    assert!(matches!(Store::memory(&memory, "hello").await, Err(Error::Locked { .. })), "the new one still holds");
    new.commit(&put("Properties/a", "new")).await.unwrap();
    assert_eq!(memory.tree()["Properties/a"], "new");
}

#[tokio::test]
async fn the_connection_of_a_memory_can_be_cut() {
    let memory = Memory::new();
    let (store, _) = Store::memory(&memory, "hello").await.unwrap();
    let connection = store.connection();
    assert!(*connection.borrow());
    memory.set_connected(false);
    assert!(!*connection.borrow());
    memory.set_connected(true);
    assert!(*connection.borrow());
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("taken"), "").unwrap();
    let location = Location::File(folder.path().join("taken"));
    let error = Store::open(&location, "hello", &Settings::default()).await.unwrap_err();
    assert!(matches!(error, Error::Folder { .. }));
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("taken"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.redb");
    std::fs::write(&file, "not a database").unwrap();
    let location = Location::File(folder.path().to_owned());
    let error = Store::open(&location, "hello", &Settings::default()).await.unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a database");
}

/// A commit that is dropped half-way may or may not be stored; nothing may be built on it.
#[test]
fn a_dropped_commit_blocks_all_later_ones() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::File(folder.path().to_owned());
        let (mut store, _): (Store, Tree) = Store::open(&location, "hello", &Settings::default()).await.unwrap();
        // The only thread that could write the file is busy.
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || wait.recv());
        let transaction = put("Properties/a", "1");
        let dropped = tokio::time::timeout(Duration::ZERO, store.commit(&transaction)).await;
        assert!(dropped.is_err());
        go_on.send(()).unwrap();
        busy.await.unwrap().unwrap();
        let error = store.commit(&put("Properties/b", "2")).await.unwrap_err();
        assert!(matches!(error, CommitError::Undecided));
        assert_eq!(error.exit_code(), 6);
    });
}
