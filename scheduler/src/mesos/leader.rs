//! Which master leads: from the ensemble the masters elect themselves in, or by asking the masters of a list.
//!
//! Not the redirect itself (307): `subscribe.rs` follows those.
//! Invariant: a loss of the ensemble does not end a subscription; only another leader does.

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use zookeeper_client as zk;

/// Port of a master when none is given.
pub const MASTER_PORT: u16 = 5050;
/// Port of a ZooKeeper server when none is given.
pub const ZOOKEEPER_PORT: u16 = 2181;
/// Session of the watching client, as Mesos itself uses it.
const SESSION: Duration = Duration::from_secs(10);
/// Time between attempts to reach the ensemble.
const RETRY: Duration = Duration::from_secs(2);
/// Names of the nodes of masters begin with this and end with a sequence number.
const NODE_LABEL: &str = "json.info_";

/// Host and port of a master.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Endpoint {
    /// Reads `host[:port]` or `[v6][:port]`.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, Error> {
        let bad = || Error::Endpoint(text.to_owned());
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(bad)?) })
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_plain) {
            return Err(bad());
        }
        let port = match port {
            None => default_port,
            Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

/// Why a text names no master.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A scheme we do not know.
    #[error("{0:?} is neither zk://host:port,…/path nor http://host:port[,…]")]
    Scheme(String),
    /// TLS.
    #[error("https:// to the master is not supported yet; use http://")]
    Tls,
    /// Not `host:port`.
    #[error("{0:?} is not host:port")]
    Endpoint(String),
    /// A zk:// address without a path.
    #[error("{0:?} lacks the path under which the masters register, such as /mesos")]
    NoPath(String),
}

/// Where to look for the leading master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterUrl {
    /// Masters elect themselves here.
    ZooKeeper {
        /// `host:port,…`.
        servers: String,
        /// `user:password` of the digest scheme.
        credentials: Option<Credentials>,
        /// Path with its leading slash.
        path: String,
    },
    /// One of these leads or knows who does; never empty.
    Listed(Vec<Endpoint>),
}

/// `user:password`, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(String);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Display for MasterUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZooKeeper { servers, path, .. } => write!(f, "zk://{servers}{path}"),
            Self::Listed(endpoints) => {
                let all: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
                write!(f, "http://{}", all.join(","))
            }
        }
    }
}

impl MasterUrl {
    /// Reads `zk://[user:password@]host:port,…/path`, `http://host:port[,host:port…]` or `host:port[,…]`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if let Some(rest) = text.strip_prefix("zk://") {
            let (servers, path) = rest.split_once('/').ok_or_else(|| Error::NoPath(text.to_owned()))?;
            let path = path.trim_end_matches('/');
            if path.is_empty() {
                return Err(Error::NoPath(text.to_owned()));
            }
            let (credentials, servers) = match servers.rsplit_once('@') {
                Some((credentials, servers)) => (Some(Credentials(credentials.to_owned())), servers),
                None => (None, servers),
            };
            let servers = endpoints(servers, ZOOKEEPER_PORT)?;
            let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
            return Ok(Self::ZooKeeper { servers: servers.join(","), credentials, path: format!("/{path}") });
        }
        if text.starts_with("https://") {
            return Err(Error::Tls);
        }
        let rest = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        if rest.contains("://") {
            return Err(Error::Scheme(text.to_owned()));
        }
        Ok(Self::Listed(endpoints(rest, MASTER_PORT)?))
    }
}

fn endpoints(text: &str, default_port: u16) -> Result<Vec<Endpoint>, Error> {
    text.split(',').map(|part| Endpoint::parse(part.trim(), default_port)).collect()
}

/// The target of a redirect: `Location` is protocol-relative, with or without a path.
pub fn redirect_target(location: &str) -> Result<Endpoint, Error> {
    if location.starts_with("https://") {
        return Err(Error::Tls);
    }
    let rest = location.strip_prefix("http:").unwrap_or(location);
    let authority = rest.strip_prefix("//").ok_or_else(|| Error::Endpoint(location.to_owned()))?;
    Endpoint::parse(authority.split('/').next().unwrap_or_default(), MASTER_PORT)
}

/// Says which master to try.
#[derive(Debug)]
pub enum Leader {
    /// Follows the election.
    Watched {
        /// The leader, when there is one.
        current: watch::Receiver<Option<Endpoint>>,
        /// The watching task; ends with this value.
        task: JoinSet<()>,
    },
    /// Goes round the list.
    Listed {
        /// All masters.
        endpoints: Vec<Endpoint>,
        /// Index of the next one to try.
        next: usize,
    },
}

impl Leader {
    /// Starts looking.
    pub fn new(url: &MasterUrl) -> Self {
        match url {
            MasterUrl::Listed(endpoints) => Self::Listed { endpoints: endpoints.clone(), next: 0 },
            MasterUrl::ZooKeeper { servers, credentials, path } => {
                let (found, current) = watch::channel(None);
                let mut task = JoinSet::new();
                task.spawn(watch_election(servers.clone(), credentials.clone(), path.clone(), found));
                Self::Watched { current, task }
            }
        }
    }

    /// How many masters there are to try before it makes sense to wait.
    pub fn candidates(&self) -> usize {
        match self {
            Self::Watched { .. } => 1,
            Self::Listed { endpoints, .. } => endpoints.len(),
        }
    }

    /// The master to try now; waits while the ensemble names none. Cancel-safe.
    pub async fn next(&mut self) -> Endpoint {
        match self {
            Self::Listed { endpoints, next } => {
                let endpoint = endpoints[*next % endpoints.len()].clone();
                *next = (*next + 1) % endpoints.len();
                endpoint
            }
            Self::Watched { current, .. } => {
                if let Ok(found) = current.wait_for(Option::is_some).await
                    && let Some(endpoint) = found.clone()
                {
                    return endpoint;
                }
                // The watching task ends only with this value.
                std::future::pending().await
            }
        }
    }

    /// Remembers that this master answered, so that a list is tried from it first.
    pub fn succeeded(&mut self, with: &Endpoint) {
        if let Self::Listed { endpoints, next } = self
            && let Some(index) = endpoints.iter().position(|endpoint| endpoint == with)
        {
            *next = index;
        }
    }

    /// Returns once another master than this one leads. Cancel-safe.
    pub async fn changed_from(&mut self, known: &Endpoint) {
        if let Self::Watched { current, .. } = self
            && current.wait_for(|found| found.as_ref().is_some_and(|found| found != known)).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

async fn watch_election(
    servers: String,
    credentials: Option<Credentials>,
    path: String,
    found: watch::Sender<Option<Endpoint>>,
) {
    loop {
        let mut connector = zk::Client::connector().with_session_timeout(SESSION);
        if let Some(credentials) = &credentials {
            connector = connector.with_auth("digest", credentials.0.as_bytes());
        }
        let error = match connector.connect(&servers).await {
            Ok(client) => follow(&client, &path, &found).await,
            Err(error) => error,
        };
        tracing::warn!(ensemble = %servers, path, %error, "cannot watch the election of masters; retrying");
        tokio::time::sleep(RETRY).await;
    }
}

/// Follows one session to its end.
async fn follow(client: &zk::Client, path: &str, found: &watch::Sender<Option<Endpoint>>) -> zk::Error {
    loop {
        let (children, _, changed) = match client.get_and_watch_children(path).await {
            Ok(listed) => listed,
            Err(zk::Error::NoNode) => {
                let (stat, appeared) = match client.check_and_watch_stat(path).await {
                    Ok(watched) => watched,
                    Err(error) => return error,
                };
                if stat.is_none() {
                    tracing::warn!(path, "no master has registered in the ensemble yet; waiting");
                    found.send_if_modified(|known| known.take().is_some());
                    appeared.changed().await;
                }
                continue;
            }
            Err(error) => return error,
        };
        let leader = match elected(&children) {
            None => None,
            Some(node) => match client.get_data(&format!("{path}/{node}")).await {
                Ok((data, _)) => {
                    let endpoint = endpoint_of(&data);
                    if endpoint.is_none() {
                        tracing::warn!(path, node, "the leading master's node cannot be read; waiting");
                    }
                    endpoint
                }
                Err(zk::Error::NoNode) => continue,
                Err(error) => return error,
            },
        };
        found.send_if_modified(|known| {
            if *known == leader {
                return false;
            }
            if let Some(endpoint) = &leader {
                tracing::info!(master = %endpoint, "a master leads");
            } else {
                tracing::warn!(path, "no master leads; waiting");
            }
            *known = leader;
            true
        });
        let event = changed.changed().await;
        if event.event_type == zk::EventType::Session && event.session_state.is_terminated() {
            return zk::Error::SessionExpired;
        }
    }
}

/// The node of the leader: the lowest sequence number among those of masters.
fn elected(children: &[String]) -> Option<&str> {
    children
        .iter()
        .filter_map(|name| {
            let digits = name.strip_prefix(NODE_LABEL)?;
            Some((digits.parse::<u64>().ok()?, name.as_str()))
        })
        .min()
        .map(|(_, name)| name)
}

/// Address of a master from its `MasterInfo` in JSON.
fn endpoint_of(json: &[u8]) -> Option<Endpoint> {
    let info: serde_json::Value = serde_json::from_slice(json).ok()?;
    let endpoint = |host: &serde_json::Value, port: &serde_json::Value| {
        let port = u16::try_from(port.as_u64()?).ok().filter(|port| *port > 0)?;
        let host = host.as_str().filter(|host| !host.is_empty())?;
        Endpoint::parse(host, port).ok().or_else(|| Endpoint::parse(&format!("[{host}]"), port).ok())
    };
    let address = &info["address"];
    // The address before the name: it needs no resolver.
    endpoint(&address["ip"], &address["port"])
        .or_else(|| {
            let (_, address) = info["pid"].as_str()?.split_once('@')?;
            Endpoint::parse(address, MASTER_PORT).ok()
        })
        .or_else(|| endpoint(&address["hostname"], &address["port"]))
        .or_else(|| endpoint(&info["hostname"], &info["port"]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn master_addresses() {
        #[track_caller]
        fn check(text: &str, shown: &str) {
            let found = match MasterUrl::parse(text) {
                Ok(url) => url.to_string(),
                Err(error) => format!("error: {error}"),
            };
            assert_eq!(found, shown, "{text}");
        }
        check("zk://master.mesos:2181/mesos", "zk://master.mesos:2181/mesos");
        check("zk://a,b:1,[::1]:3/x/y/", "zk://a:2181,b:1,[::1]:3/x/y");
        check("zk://user:p@ss@a:1/mesos", "zk://a:1/mesos");
        check("zk://a:1", "error: \"zk://a:1\" lacks the path under which the masters register, such as /mesos");
        check("zk://a:1/", "error: \"zk://a:1/\" lacks the path under which the masters register, such as /mesos");
        check("http://leader.mesos", "http://leader.mesos:5050");
        check("http://a:1,b:2/", "http://a:1,b:2");
        check("10.0.0.1:5050", "http://10.0.0.1:5050");
        check("https://a:1", "error: https:// to the master is not supported yet; use http://");
        check("ftp://a", "error: \"ftp://a\" is neither zk://host:port,…/path nor http://host:port[,…]");
        check("a:0", "error: \"a:0\" is not host:port");
        check("a:66000", "error: \"a:66000\" is not host:port");
        check("", "error: \"\" is not host:port");
        check("a,,b", "error: \"\" is not host:port");
        check("a b:1", "error: \"a b:1\" is not host:port");
    }

    #[test]
    fn credentials_are_kept_but_never_shown() {
        let MasterUrl::ZooKeeper { credentials: Some(credentials), .. } =
            MasterUrl::parse("zk://u:p@ss@a:1/m").unwrap()
        else {
            panic!("a zk address with credentials");
        };
        assert_eq!(credentials.0, "u:p@ss");
        assert_eq!(format!("{credentials:?}"), "…");
    }

    #[test]
    fn redirects_are_protocol_relative_with_or_without_a_path() {
        #[track_caller]
        fn check(location: &str, target: Option<&str>) {
            let found = redirect_target(location).ok().map(|endpoint| endpoint.to_string());
            assert_eq!(found.as_deref(), target, "{location}");
        }
        check("//host:5051/master/api/v1/scheduler", Some("host:5051"));
        check("//10.1.2.3:5050", Some("10.1.2.3:5050"));
        check("//host", Some("host:5050"));
        check("//[::1]:5052/x", Some("[::1]:5052"));
        check("http://host:1/x", Some("host:1"));
        check("https://host:1/x", None);
        check("/api/v1/scheduler", None);
        check("", None);
    }

    #[test]
    fn the_lowest_sequence_leads_and_other_nodes_do_not_count() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let children = names(&["log_replicas", "json.info_0000000012", "json.info_0000000009", "info_0000000001"]);
        assert_eq!(elected(&children), Some("json.info_0000000009"));
        assert_eq!(elected(&names(&["json.info_", "json.info_x"])), None);
        assert_eq!(elected(&[]), None);
    }

    #[test]
    fn a_masters_address_is_found_in_each_of_its_forms() {
        #[track_caller]
        fn check(json: &str, shown: Option<&str>) {
            assert_eq!(endpoint_of(json.as_bytes()).map(|found| found.to_string()).as_deref(), shown, "{json}");
        }
        check(
            r#"{"address":{"hostname":"m1","ip":"10.0.0.1","port":5051},"hostname":"m1","port":5051}"#,
            Some("10.0.0.1:5051"),
        );
        check(r#"{"address":{"ip":"::1","port":5051}}"#, Some("[::1]:5051"));
        check(r#"{"pid":"master@10.0.0.2:5052","hostname":"m2","port":5052}"#, Some("10.0.0.2:5052"));
        check(r#"{"address":{"hostname":"m3","port":5053}}"#, Some("m3:5053"));
        check(r#"{"hostname":"m4","port":5054}"#, Some("m4:5054"));
        check(r#"{"hostname":"m4","port":0}"#, None);
        check(r#"{"hostname":"m4","port":99999}"#, None);
        check("not json", None);
        check("[]", None);
    }

    #[tokio::test]
    async fn a_list_is_gone_round_and_begins_with_the_one_that_answered() {
        let mut leader = Leader::new(&MasterUrl::parse("a:1,b:2").unwrap());
        assert_eq!(leader.candidates(), 2);
        let (a, b) = (leader.next().await, leader.next().await);
        assert_eq!((a.to_string().as_str(), b.to_string().as_str()), ("a:1", "b:2"));
        leader.succeeded(&b);
        assert_eq!(leader.next().await, b);
        assert_eq!(leader.next().await, a);
    }
}
