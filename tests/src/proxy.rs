//! A TCP proxy before a real server that loses, holds and refuses on demand.
//!
//! It reads just enough of ZooKeeper's framing to strike at a write and not at a ping. All that is not a [`Fault`] works before any server.
//!
//! Invariant: every fault is used once, by the first write that passes after it was planned.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// ZooKeeper's codes of the requests that count as writes: `setData` and `multi`.
const WRITES: [u32; 2] = [5, 14];

/// What happens to a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives; the connection ends.
    LoseRequest,
    /// It is carried out, but the answer never arrives; the connection ends.
    LoseReply,
    /// It waits in its connection until [`Proxy::release`]; new connections work.
    HoldRequest,
}

/// A running proxy; it ends with this value.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    faults: Mutex<VecDeque<Fault>>,
    /// Raised to end all connections.
    cuts: watch::Sender<u64>,
    refusing: watch::Sender<bool>,
    holding: watch::Sender<bool>,
    stalled: watch::Sender<bool>,
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, VecDeque<Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Starts a proxy before a server of this machine.
    pub async fn start(server_port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            faults: Mutex::default(),
            cuts: watch::Sender::new(0),
            refusing: watch::Sender::new(false),
            holding: watch::Sender::new(true),
            stalled: watch::Sender::new(false),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server_port, Arc::clone(&shared)));
        Ok(Self { port, shared, _tasks: tasks })
    }

    /// Its address, `127.0.0.1:<port>`.
    pub fn connect_string(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends all connections; new ones are accepted.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Ends all connections and every new one, as a broken network does, until [`Self::open`].
    pub fn refuse(&self) {
        self.shared.refusing.send_replace(true);
        self.cut();
    }

    /// Ends [`Self::refuse`].
    pub fn open(&self) {
        self.shared.refusing.send_replace(false);
    }

    /// Holds back what the server says, on all connections, until [`Self::flow`]: to the client the network has become slow.
    pub fn stall(&self) {
        self.shared.stalled.send_replace(true);
    }

    /// Ends [`Self::stall`]: what was said arrives, in its order.
    pub fn flow(&self) {
        self.shared.stalled.send_replace(false);
    }

    /// Plans faults for the next writes, in this order.
    pub fn plan(&self, faults: &[Fault]) {
        self.shared.holding.send_replace(true);
        self.shared.faults().extend(faults);
    }

    /// Faults that were planned and not used yet.
    pub fn planned(&self) -> usize {
        self.shared.faults().len()
    }

    /// Lets the held writes go on to the server.
    pub fn release(&self) {
        self.shared.holding.send_replace(false);
    }
}

async fn accept(listener: TcpListener, server_port: u16, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if *shared.refusing.borrow() {
            continue;
        }
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let mut cuts = shared.cuts.subscribe();
            if let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server_port)).await {
                tokio::select! {
                    _ = cuts.changed() => {}
                    _ = carry(client, server, &shared) => {}
                }
            }
        });
    }
}

/// Carries one connection in both directions until either side ends it or a fault does.
async fn carry(client: TcpStream, server: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let (mute, muted) = watch::channel(false);
    tokio::select! {
        result = requests(client_reads, server_writes, shared, mute) => result,
        result = replies(server_reads, client_writes, shared, muted) => result,
    }
}

async fn requests(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    shared: &Shared,
    mute: watch::Sender<bool>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let bytes = client.read(&mut buffer).await?;
        let Some(chunk) = buffer.get(..bytes).filter(|chunk| !chunk.is_empty()) else { return Ok(()) };
        let fault = if has_write(chunk) { shared.faults().pop_front() } else { None };
        match fault {
            None => server.write_all(chunk).await?,
            Some(Fault::LoseRequest) => return Ok(()),
            Some(Fault::LoseReply) => {
                mute.send_replace(true);
                server.write_all(chunk).await?;
            }
            Some(Fault::HoldRequest) => {
                mute.send_replace(true);
                let _ = shared.holding.subscribe().wait_for(|holding| !holding).await;
                server.write_all(chunk).await?;
            }
        }
    }
}

async fn replies(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    shared: &Shared,
    muted: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let bytes = server.read(&mut buffer).await?;
        let _ = shared.stalled.subscribe().wait_for(|stalled| !stalled).await;
        if bytes == 0 || *muted.borrow() {
            return Ok(());
        }
        if let Some(chunk) = buffer.get(..bytes) {
            client.write_all(chunk).await?;
        }
    }
}

/// Whether one of the frames is a write. A frame is its length, a request number and a code, each 4 bytes, and the rest.
fn has_write(mut chunk: &[u8]) -> bool {
    while let Some((header, _)) = chunk.split_first_chunk::<12>() {
        let number = |at: usize| header[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
        if WRITES.contains(&number(8)) {
            return true;
        }
        chunk = chunk.get(4 + number(0) as usize..).unwrap_or_default();
    }
    false
}
