//! What every store does, whatever is below it. Included by the unit tests here and by the tests on a real ZooKeeper.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use mainstay_engine::effect::Transaction;

use super::{CommitError, Error, Location, Memory, Settings, Store, Tree};

/// Something that stores can be opened on one after the other.
pub(crate) enum Place {
    #[allow(dead_code, reason = "the tests on a real server include this file and have no use for it")]
    Memory(Memory),
    At(Location),
}

impl Place {
    pub(crate) async fn open(&self, service_name: &str) -> Result<(Store, Tree), Error> {
        // A held lock is found out fast.
        let settings = Settings { lock_attempts: 1, lock_wait: Duration::from_millis(300), ..Settings::default() };
        match self {
            Self::Memory(memory) => Store::memory(memory, service_name).await,
            Self::At(location) => Store::open(location, service_name, &settings).await,
        }
    }

    /// What a restarted process finds.
    async fn reopened(&self, store: Store) -> (Store, Tree) {
        store.close().await;
        self.open(NAME).await.unwrap()
    }
}

pub(crate) fn put(path: &str, data: &str) -> Transaction {
    let mut transaction = Transaction::default();
    transaction.put(path, data.as_bytes().to_vec());
    transaction
}

const NAME: &str = "/team/db";

/// Runs every behaviour, each on an empty place.
pub(crate) async fn all(mut empty: impl AsyncFnMut() -> Place) {
    an_empty_place_is_marked_as_the_services(&empty().await).await;
    transactions_leave_what_they_say(&empty().await).await;
    a_second_store_is_refused_until_the_first_is_closed(&empty().await).await;
    a_tree_of_another_service_is_refused_and_left_alone(&empty().await).await;
    a_tree_of_another_schema_is_refused(&empty().await).await;
    what_cannot_be_stored_is_refused_whole(&empty().await).await;
    a_large_transaction_is_stored(&empty().await).await;
}

async fn an_empty_place_is_marked_as_the_services(place: &Place) {
    let (store, first) = place.open(NAME).await.unwrap();
    let text: Vec<_> = first.iter().map(|(path, data)| (path.as_str(), data.as_ref())).collect();
    assert_eq!(text, [("SchemaVersion", b"1".as_slice()), ("servicename", b"/team/db".as_slice())]);
    assert!(*store.connection().borrow());
    let (_store, second) = place.reopened(store).await;
    assert_eq!(first, second);
}

async fn transactions_leave_what_they_say(place: &Place) {
    let (mut store, mut expected) = place.open(NAME).await.unwrap();
    store.commit(&Transaction::default()).await.unwrap();

    let mut launch = put("FrameworkID", "f");
    for node in ["Tasks/a/TaskInfo", "Tasks/a/TaskStatus", "Tasks/a/Metadata/x", "Tasks/a-b/TaskInfo", "Properties/p"] {
        launch.put(node, node.as_bytes().to_vec());
        expected.insert(node.to_owned(), node.as_bytes().to_vec().into());
    }
    expected.insert("FrameworkID".to_owned(), "f".into());
    store.commit(&launch).await.unwrap();
    let (mut store, tree) = place.reopened(store).await;
    assert_eq!(tree, expected);

    // Replaces, deletes a subtree but not its namesakes, deletes what is missing, puts below a deleted node, empties a node.
    let mut change = put("FrameworkID", "g");
    change.delete("Tasks/a");
    change.delete("Tasks/missing");
    change.put("Tasks/a/Metadata/y", "new");
    change.put("Properties/p", "");
    store.commit(&change).await.unwrap();
    expected.retain(|path, _| !path.starts_with("Tasks/a/") && path != "Properties/p");
    expected.insert("FrameworkID".to_owned(), "g".into());
    expected.insert("Tasks/a/Metadata/y".to_owned(), "new".into());
    let (mut store, tree) = place.reopened(store).await;
    assert_eq!(tree, expected);

    // The same again: what is gone stays gone, what is there is replaced.
    store.commit(&change).await.unwrap();
    let (mut store, tree) = place.reopened(store).await;
    assert_eq!(tree, expected);

    let mut wipe = Transaction::default();
    for path in ["Tasks", "Properties", "FrameworkID", "SchemaVersion", "servicename"] {
        wipe.delete(path);
    }
    store.commit(&wipe).await.unwrap();
    let (_store, tree) = place.reopened(store).await;
    assert_eq!(tree.keys().collect::<Vec<_>>(), ["SchemaVersion", "servicename"], "written anew");
}

async fn a_second_store_is_refused_until_the_first_is_closed(place: &Place) {
    let (mut store, _) = place.open(NAME).await.unwrap();
    let error = place.open(NAME).await.unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error:?}");
    assert_eq!(error.exit_code(), 8);
    store.commit(&put("Properties/p", "1")).await.unwrap();
    let (_store, tree) = place.reopened(store).await;
    assert_eq!(tree["Properties/p"], "1");
}

async fn a_tree_of_another_service_is_refused_and_left_alone(place: &Place) {
    let (mut store, _) = place.open(NAME).await.unwrap();
    store.commit(&put("Properties/p", "1")).await.unwrap();
    store.close().await;
    // Both names have the same root.
    let error = place.open("team__db").await.unwrap_err();
    assert!(matches!(&error, Error::OtherService { found, .. } if found == NAME), "{error:?}");
    assert_eq!(error.exit_code(), 1);
    let (_store, tree) = place.open(NAME).await.unwrap();
    assert_eq!(tree["Properties/p"], "1");
    assert_eq!(tree["servicename"], NAME);
}

async fn a_tree_of_another_schema_is_refused(place: &Place) {
    let (mut store, _) = place.open(NAME).await.unwrap();
    store.commit(&put("SchemaVersion", "2")).await.unwrap();
    store.close().await;
    let error = place.open(NAME).await.unwrap_err();
    assert!(matches!(&error, Error::Schema { found } if found == "2"), "{error:?}");
    assert_eq!(error.exit_code(), 1);
}

async fn what_cannot_be_stored_is_refused_whole(place: &Place) {
    let (mut store, before) = place.open(NAME).await.unwrap();
    let mut large = put("Properties/a", "1");
    large.put("Properties/b", vec![0; 1_000_001]);
    assert!(matches!(store.commit(&large).await, Err(CommitError::TooLarge { .. })));
    let mut lock = put("Properties/a", "1");
    lock.delete("lock");
    assert!(matches!(store.commit(&lock).await, Err(CommitError::Path { .. })));
    let (_store, tree) = place.reopened(store).await;
    assert_eq!(tree, before);
}

async fn a_large_transaction_is_stored(place: &Place) {
    let (mut store, mut expected) = place.open(NAME).await.unwrap();
    let mut large = Transaction::default();
    for task in 0..300_u32 {
        let data = vec![task as u8; 9_999];
        large.put(format!("Tasks/t{task:03}/TaskInfo"), data.clone());
        large.put(format!("Tasks/t{task:03}/TaskStatus"), vec![1]);
        expected.insert(format!("Tasks/t{task:03}/TaskInfo"), data.into());
        expected.insert(format!("Tasks/t{task:03}/TaskStatus"), vec![1].into());
    }
    large.put("Properties/largest", vec![7; 1_000_000]);
    expected.insert("Properties/largest".to_owned(), vec![7; 1_000_000].into());
    store.commit(&large).await.unwrap();
    let (_store, tree) = place.reopened(store).await;
    assert!(tree == expected);
}
