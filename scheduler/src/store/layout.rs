//! The parts of the tree that the store itself knows: root, lock, name and schema version. Everything else is the engine's.
//!
//! Source: the SDK's persistent state, whose names and rules must never change.

use mainstay_engine::effect::Transaction;

use super::{Error, Tree};

/// Folder of the lock, below the root; never part of a [`Tree`], never written by a transaction.
pub(super) const LOCK: &str = "lock";
/// Holds the raw service name, so that two names that share a root are told apart.
pub(super) const SERVICE_NAME: &str = "servicename";
/// Holds the layout's version.
pub(super) const SCHEMA_VERSION: &str = "SchemaVersion";
/// The layout of a single service.
const SCHEMA: &str = "1";

/// Root of a service's tree: one leading `/` of the name dropped, every other one written `__`.
///
/// Errors: a name from which no node name can be made.
pub fn root_path(service_name: &str) -> Result<String, Error> {
    let name = service_name.strip_prefix('/').unwrap_or(service_name);
    let bad = name.is_empty() || name.split('/').any(str::is_empty) || name.contains(char::is_control);
    if bad {
        return Err(Error::ServiceName { name: service_name.to_owned() });
    }
    Ok(format!("/dcos-service-{}", name.replace('/', "__")))
}

/// Root that the older generation used for a name with folders, if it differs.
pub(super) fn nested_root(service_name: &str) -> Option<String> {
    let name = service_name.strip_prefix('/').unwrap_or(service_name);
    name.contains('/').then(|| format!("/dcos-service-{name}"))
}

/// Checks that the tree is this service's and of our schema; what to write to make that explicit.
pub(super) fn identify(tree: &Tree, service_name: &str) -> Result<Transaction, Error> {
    let mut missing = Transaction::default();
    match tree.get(SERVICE_NAME) {
        Some(name) if name == service_name.as_bytes() => {}
        Some(name) => {
            return Err(Error::OtherService {
                wanted: service_name.to_owned(),
                found: String::from_utf8_lossy(name).into_owned(),
            });
        }
        None => missing.put(SERVICE_NAME, service_name.as_bytes().to_vec()),
    }
    match tree.get(SCHEMA_VERSION) {
        Some(version) if version.trim_ascii() == SCHEMA.as_bytes() => {}
        Some(version) => return Err(Error::Schema { found: String::from_utf8_lossy(version).into_owned() }),
        None => missing.put(SCHEMA_VERSION, SCHEMA.as_bytes()),
    }
    Ok(missing)
}

/// Paths below a node, out of an ascending walk that starts where they would.
pub(super) fn subtree<I: Iterator<Item = String>>(path: &str, walk: impl FnOnce(String) -> I) -> Vec<String> {
    let prefix = format!("{path}/");
    walk(prefix.clone()).take_while(|other| other.starts_with(&prefix)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    // contract: 4.2/znode
    #[test]
    fn the_root_follows_the_sdk() {
        for (name, root) in [
            ("hello-world", "/dcos-service-hello-world"),
            ("/hello-world", "/dcos-service-hello-world"),
            ("/team/db", "/dcos-service-team__db"),
            ("a/b/c", "/dcos-service-a__b__c"),
        ] {
            assert_eq!(root_path(name).unwrap(), root, "{name}");
        }
        for name in ["", "/", "//a", "a//b", "a/", "a\nb"] {
            assert!(matches!(root_path(name), Err(Error::ServiceName { .. })), "{name:?}");
        }
    }

    #[test]
    fn only_a_name_with_folders_had_another_root() {
        assert_eq!(nested_root("/team/db").as_deref(), Some("/dcos-service-team/db"));
        assert_eq!(nested_root("/hello"), None);
    }
}
