//! Where a store is: the grammar of `STATE_STORE`.

use std::path::PathBuf;

use super::Error;

/// Where the tree of a service is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// An ensemble of ZooKeeper servers.
    ZooKeeper {
        /// `host:port[,host:port…]`, every port given.
        connect: String,
    },
    /// A folder of this machine, for `mainstay dev`.
    File(PathBuf),
    /// This process: gone when it ends.
    Memory,
}

impl Location {
    /// Reads `zk://host[:port][,host[:port]…]`, `file:FOLDER` or `memory:`.
    ///
    /// Errors: everything else, with the reason; `etcd://…` is known but not supported yet.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| Err(Error::Location { text: text.to_owned(), reason: reason.to_owned() });
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        if let Some(folder) = text.strip_prefix("file:") {
            return match folder.strip_prefix("//").unwrap_or(folder) {
                "" => refuse("the folder is missing: file:FOLDER"),
                folder => Ok(Self::File(PathBuf::from(folder))),
            };
        }
        if text.starts_with("etcd://") {
            return refuse("etcd is not supported yet; use zk://, file: or memory:");
        }
        let Some(hosts) = text.strip_prefix("zk://") else {
            return refuse("expected zk://host:port[,host:port…], file:FOLDER or memory:");
        };
        let hosts = hosts.strip_suffix('/').unwrap_or(hosts);
        if hosts.contains('/') {
            return refuse("a path is not allowed: the tree is always below /dcos-service-<name>");
        }
        if hosts.contains('@') {
            return refuse("a user in the address is not supported");
        }
        let mut connect = Vec::new();
        for host in hosts.split(',') {
            match host_and_port(host) {
                Some((host, port)) => connect.push(format!("{host}:{port}")),
                None => return refuse(&format!("{host:?} is not host:port")),
            }
        }
        Ok(Self::ZooKeeper { connect: connect.join(",") })
    }
}

/// `host`, `host:port` or `[v6]:port`; the port is 2181 when missing.
fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let colon = match text.rfind(']') {
        Some(bracket) => text[bracket..].find(':').map(|colon| bracket + colon),
        None => text.rfind(':'),
    };
    let (host, port) = match colon {
        Some(colon) => (&text[..colon], text[colon + 1..].parse().ok().filter(|port| *port != 0)?),
        None => (text, 2181),
    };
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    (!name.is_empty() && !name.contains(char::is_whitespace)).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn accepts(text: &str, expected: Location) {
        assert_eq!(Location::parse(text).ok(), Some(expected), "{text}");
    }

    #[track_caller]
    fn refuses(text: &str, reason: &str) {
        let error = Location::parse(text).map_err(|error| error.to_string());
        assert!(error.as_ref().is_err_and(|error| error.contains(reason) && error.contains(text)), "{text}: {error:?}");
    }

    #[test]
    fn locations_are_read_or_refused_with_a_reason() {
        let zookeeper = |connect: &str| Location::ZooKeeper { connect: connect.to_owned() };
        accepts("zk://a:1,b:2", zookeeper("a:1,b:2"));
        accepts("zk://master.mesos", zookeeper("master.mesos:2181"));
        accepts("zk://[::1]:2182,[::2]/", zookeeper("[::1]:2182,[::2]:2181"));
        accepts("file:state", Location::File("state".into()));
        accepts("file:///var/lib/x", Location::File("/var/lib/x".into()));
        accepts("memory:", Location::Memory);
        refuses("etcd://h:2379", "not supported yet");
        refuses("zk://", "is not host:port");
        refuses("zk://a:1,,b:2", "is not host:port");
        refuses("zk://a:0", "is not host:port");
        refuses("zk://a:70000", "is not host:port");
        refuses("zk://::1:2181", "is not host:port");
        refuses("zk://a:1/mesos", "a path is not allowed");
        refuses("zk://u:p@a:1", "a user");
        refuses("file:", "folder is missing");
        refuses("memory:x", "expected");
        refuses("a:2181", "expected");
    }
}
