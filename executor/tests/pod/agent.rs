//! An agent that speaks the executor API over plain sockets, under the control of a test.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstay_proto::recordio;
use mainstay_proto::v1;
use mainstay_proto::v1::executor::{Call, Event, call, event};
use prost::Message as _;

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How the agent answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As an agent does.
    Serving,
    /// As an agent does, but without acknowledging updates.
    Silent,
    /// With this status.
    Status(u16),
}

struct Shared {
    mode: Mode,
    stream: Option<TcpStream>,
    /// Every socket accepted, to be cut when the agent "dies".
    sockets: Vec<TcpStream>,
    /// Subscriptions turned away.
    refused: usize,
    last_header: String,
}

pub(crate) struct Agent {
    pub(crate) port: u16,
    shared: Arc<Mutex<Shared>>,
    updates: Receiver<v1::TaskStatus>,
    subscribes: Receiver<call::Subscribe>,
    early: VecDeque<v1::TaskStatus>,
}

impl Agent {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (update, updates) = mpsc::channel();
        let (subscribe, subscribes) = mpsc::channel();
        let shared =
            Shared { mode: Mode::Serving, stream: None, sockets: Vec::new(), refused: 0, last_header: String::new() };
        let shared = Arc::new(Mutex::new(shared));
        let accepted = Arc::clone(&shared);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                accepted.lock().unwrap().sockets.push(socket.try_clone().unwrap());
                let (shared, update, subscribe) = (Arc::clone(&accepted), update.clone(), subscribe.clone());
                std::thread::spawn(move || serve(socket, &shared, &update, &subscribe));
            }
        });
        Self { port, shared, updates, subscribes, early: VecDeque::new() }
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.shared.lock().unwrap().mode = mode;
    }

    /// Cuts every connection, as the death of an agent does.
    pub(crate) fn cut(&self) {
        let mut shared = self.shared.lock().unwrap();
        shared.stream = None;
        for socket in shared.sockets.drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn refused(&self) -> usize {
        self.shared.lock().unwrap().refused
    }

    pub(crate) fn last_header(&self) -> String {
        self.shared.lock().unwrap().last_header.clone()
    }

    /// Waits for a subscription.
    pub(crate) fn subscribed(&self) -> call::Subscribe {
        self.subscribes.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn send(&self, event: &Event) {
        send(&self.shared, event);
    }

    pub(crate) fn launch(&self, task: v1::TaskInfo) {
        let launch = Some(Box::new(event::Launch { task }));
        self.send(&Event { launch, ..of(event::Type::Launch) });
    }

    pub(crate) fn launch_group(&self, tasks: Vec<v1::TaskInfo>) {
        let launch_group = Some(Box::new(event::LaunchGroup { task_group: v1::TaskGroupInfo { tasks } }));
        self.send(&Event { launch_group, ..of(event::Type::LaunchGroup) });
    }

    pub(crate) fn kill(&self, task: &str, grace: Option<Duration>) {
        let kill_policy = grace.map(|grace| {
            let grace_period = Some(v1::DurationInfo { nanoseconds: grace.as_nanos() as i64 });
            Box::new(v1::KillPolicy { grace_period })
        });
        let kill = event::Kill { task_id: v1::TaskId { value: task.to_owned() }, kill_policy };
        self.send(&Event { kill: Some(Box::new(kill)), ..of(event::Type::Kill) });
    }

    pub(crate) fn shutdown(&self) {
        self.send(&of(event::Type::Shutdown));
    }

    /// The next update of a task.
    pub(crate) fn update(&mut self, task: &str) -> v1::TaskStatus {
        if let Some(at) = self.early.iter().position(|status| status.task_id.value == task) {
            return self.early.remove(at).unwrap();
        }
        let started = Instant::now();
        loop {
            let left = PATIENCE.saturating_sub(started.elapsed());
            match self.updates.recv_timeout(left) {
                Ok(status) if status.task_id.value == task => return status,
                Ok(status) => self.early.push_back(status),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => panic!("no update of {task}"),
            }
        }
    }

    /// The next update of a task, which must be of this state.
    #[track_caller]
    pub(crate) fn expect(&mut self, task: &str, state: v1::TaskState) -> v1::TaskStatus {
        let status = self.update(task);
        assert_eq!(status.state(), state, "{status:?}");
        status
    }

    /// Waits until a task runs.
    #[track_caller]
    pub(crate) fn expect_running(&mut self, task: &str) -> v1::TaskStatus {
        self.expect(task, v1::TaskState::TaskStarting);
        self.expect(task, v1::TaskState::TaskRunning)
    }
}

pub(crate) fn of(r#type: event::Type) -> Event {
    Event { r#type: Some(r#type as i32), ..Default::default() }
}

fn send(shared: &Mutex<Shared>, event: &Event) {
    let frame = recordio::encode(&event.encode_to_vec());
    let mut shared = shared.lock().unwrap();
    if let Some(stream) = &mut shared.stream {
        let chunk = [format!("{:x}\r\n", frame.len()).as_bytes(), &frame, b"\r\n"].concat();
        // A dead executor is noticed by the test's next wait.
        let _ = stream.write_all(&chunk);
    }
}

fn serve(
    socket: TcpStream,
    shared: &Mutex<Shared>,
    update: &mpsc::Sender<v1::TaskStatus>,
    subscribe: &mpsc::Sender<call::Subscribe>,
) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut socket = socket;
    while let Some((head, call)) = read_call(&mut reader) {
        let mode = {
            let mut shared = shared.lock().unwrap();
            shared.last_header = head;
            shared.mode
        };
        match (mode, call.r#type()) {
            (Mode::Status(status), r#type) => {
                if r#type == call::Type::Subscribe {
                    shared.lock().unwrap().refused += 1;
                }
                let answer = format!("HTTP/1.1 {status} Not Now\r\nContent-Length: 0\r\n\r\n");
                if socket.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
            (_, call::Type::Subscribe) => {
                let head =
                    "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nTransfer-Encoding: chunked\r\n\r\n";
                socket.write_all(head.as_bytes()).unwrap();
                shared.lock().unwrap().stream = Some(socket.try_clone().unwrap());
                let subscribed = event::Subscribed {
                    executor_info: v1::ExecutorInfo::default(),
                    framework_info: v1::FrameworkInfo::default(),
                    agent_info: v1::AgentInfo::default(),
                    container_id: None,
                };
                send(shared, &Event { subscribed: Some(Box::new(subscribed)), ..of(event::Type::Subscribed) });
                let request = *call.subscribe.unwrap();
                if mode == Mode::Serving {
                    for update in &request.unacknowledged_updates {
                        acknowledge(shared, &update.status);
                    }
                }
                let _ = subscribe.send(request);
            }
            (_, call::Type::Update) => {
                socket.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").unwrap();
                let status = call.update.unwrap().status;
                if mode == Mode::Serving {
                    acknowledge(shared, &status);
                }
                let _ = update.send(status);
            }
            (_, other) => panic!("unexpected call {other:?}"),
        }
    }
}

fn acknowledge(shared: &Mutex<Shared>, status: &v1::TaskStatus) {
    let acknowledged = event::Acknowledged { task_id: status.task_id.clone(), uuid: status.uuid.clone().unwrap() };
    send(shared, &Event { acknowledged: Some(Box::new(acknowledged)), ..of(event::Type::Acknowledged) });
}

fn read_call(reader: &mut BufReader<TcpStream>) -> Option<(String, Call)> {
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, Call::decode(&body[..]).unwrap()))
}
