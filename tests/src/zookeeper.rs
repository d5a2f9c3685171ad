//! A real ZooKeeper: one server of the system's package, in a folder of its own.
//!
//! Not an ensemble: a test sees sessions, locks, multis and lost replies, but no change of leader.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::port::free_port;
use crate::process::{Process, Program};

/// Where Debian's `libzookeeper-java` puts the server; its manifest names what else it needs.
const JARS: [&str; 2] = ["/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar"];
/// A Java machine on a busy computer needs some seconds.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// A four-letter word is answered at once or not at all.
const WORD_DEADLINE: Duration = Duration::from_secs(2);

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Length of a tick: sessions end at a multiple of it.
    pub tick: Duration,
    /// Shortest session it grants.
    pub min_session: Duration,
    /// Longest session it grants.
    pub max_session: Duration,
    /// Heap of its Java machine, MB: it holds the whole tree, and ends when that does not fit.
    pub heap_mb: u32,
}

impl Default for Options {
    /// The tick of a production server; sessions from one second to a minute; room for a small tree.
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(2),
            min_session: Duration::from_secs(1),
            max_session: Duration::from_secs(60),
            heap_mb: 128,
        }
    }
}

/// A running server; it and its data end with this value.
#[derive(Debug)]
pub struct ZooKeeper {
    process: Option<Process>,
    program: Program,
    port: u16,
    folder: Option<TempDir>,
}

impl ZooKeeper {
    /// Starts a server with the default options and waits until it serves.
    ///
    /// Errors: ZooKeeper or Java is not installed (`cargo xtask setup` does), or it does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&Options::default()).await
    }

    /// Starts a server and waits until it serves.
    pub async fn start_with(options: &Options) -> Result<Self> {
        for jar in JARS {
            if !Path::new(jar).exists() {
                bail!(
                    "{jar} is missing: run `cargo xtask setup` (Debian packages libzookeeper-java, default-jre-headless)"
                );
            }
        }
        let folder = tempfile::Builder::new().prefix("mainstay-zookeeper-").tempdir()?;
        let port = free_port()?;
        let config = folder.path().join("zoo.cfg");
        let lines = [
            format!("tickTime={}", options.tick.as_millis()),
            format!("minSessionTimeout={}", options.min_session.as_millis()),
            format!("maxSessionTimeout={}", options.max_session.as_millis()),
            format!("dataDir={}", folder.path().join("data").display()),
            "clientPortAddress=127.0.0.1".to_owned(),
            format!("clientPort={port}"),
            "maxClientCnxns=0".to_owned(),
            "admin.enableServer=false".to_owned(),
            "4lw.commands.whitelist=*".to_owned(),
        ];
        std::fs::write(&config, lines.join("\n")).context("write zoo.cfg")?;
        let program = Program::new("zookeeper", "java", folder.path().join("zookeeper.log"))
            .arg(format!("-Xmx{}m", options.heap_mb))
            .arg("-XX:+UseSerialGC")
            .arg("-XX:TieredStopAtLevel=1")
            .arg("-XX:-UsePerfData")
            .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
            .arg("-cp")
            .arg(JARS.join(":"))
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(&config);
        let mut server = Self { process: None, program, port, folder: Some(folder) };
        server.restart().await?;
        Ok(server)
    }

    /// Its address, `127.0.0.1:<port>`.
    pub fn connect_string(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file with its output.
    pub fn log_path(&self) -> &Path {
        &self.program.log
    }

    /// Ends it at once (SIGKILL); its data stay.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port with the same data, killed before or not, and waits until it serves.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = None;
        let mut process = self.program.spawn()?;
        let port = self.port;
        process
            .wait_serving(START_DEADLINE, async || Ok(word(port, "srvr").await?.contains("Mode: standalone")))
            .await?;
        self.process = Some(process);
        Ok(())
    }

    /// Freezes it: connections stay open and nothing is answered.
    ///
    /// Errors: it does not run.
    pub fn freeze(&mut self) -> Result<()> {
        self.process.as_mut().context("zookeeper does not run")?.freeze()
    }

    /// Lets it go on after [`Self::freeze`].
    ///
    /// Errors: it does not run.
    pub fn thaw(&mut self) -> Result<()> {
        self.process.as_mut().context("zookeeper does not run")?.thaw()
    }

    /// Asks a four-letter word, for example `dump` for its sessions and their ephemeral nodes.
    ///
    /// Errors: it does not run or does not answer.
    pub async fn word(&self, word_: &str) -> Result<String> {
        word(self.port, word_).await
    }

    /// Keeps its folder for a look after the test, and returns it.
    pub fn keep(&mut self) -> Option<PathBuf> {
        self.folder.take().map(TempDir::keep)
    }
}

impl Drop for ZooKeeper {
    fn drop(&mut self) {
        self.process = None;
        if std::thread::panicking()
            && let Some(folder) = self.keep()
        {
            eprintln!("zookeeper: log and data kept in {}", folder.display());
        }
    }
}

async fn word(port: u16, word: &str) -> Result<String> {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(word.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    Ok(tokio::time::timeout(WORD_DEADLINE, ask).await.with_context(|| format!("no answer to {word}"))??)
}
