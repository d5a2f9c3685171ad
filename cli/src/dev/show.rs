//! What the user sees: lines that stay, and on a terminal a picture below them that is drawn anew.
//!
//! Invariant: into a pipe or a file go lines only, one for each change, without colours.
//! Invariant: failing to write ends nothing; the service runs on and the log has everything.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write};
use std::time::Duration;

use mainstay_scheduler::engine::task::status::State;
use mainstay_scheduler::engine::view::View;
use tokio::time::Instant;

use super::folder::Folder;
use super::happening::Happening;
use super::line::Line;
use super::picture;

/// A reason to wait is shown when it has lasted this long: most are gone with the next offer.
const WAITING_SHOWN_AFTER: Duration = Duration::from_secs(2);

/// The output.
pub(super) struct Show<'a> {
    out: &'a mut dyn Write,
    since: Instant,
    is_coloured: bool,
    /// The picture on the screen, empty after a line was printed; absent: no picture at all.
    drawn: Option<Vec<Line>>,
    /// Columns and rows the picture was drawn for.
    size: (usize, usize),
    /// Since when what has been waited for, and whether it was said.
    waiting: BTreeMap<String, (Instant, bool)>,
    /// The state last shown of each task: checks repeat it.
    states: BTreeMap<String, State>,
}

impl<'a> Show<'a> {
    /// Decides by the process's standard output and the variables `NO_COLOR` and `TERM`.
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        let variable = |name| std::env::var(name).unwrap_or_default();
        let is_terminal = std::io::stdout().is_terminal() && !matches!(variable("TERM").as_str(), "" | "dumb");
        Self {
            out,
            since: Instant::now(),
            is_coloured: is_terminal && variable("NO_COLOR").is_empty(),
            drawn: is_terminal.then(Vec::new),
            size: (0, 0),
            waiting: BTreeMap::new(),
            states: BTreeMap::new(),
        }
    }

    /// Time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// Prints a line that stays.
    pub(super) fn say(&mut self, line: &Line) {
        self.erase();
        line.write(self.out, self.is_coloured, usize::MAX).ok();
        self.out.flush().ok();
    }

    /// The same, with the time since the start in front.
    pub(super) fn tell(&mut self, line: Line) {
        let mut timed = Line::default().dim(format!("{:6.1}s  ", self.elapsed().as_secs_f64()));
        timed.extend(line);
        self.say(&timed);
    }

    /// Prints what happened; with a picture only what the picture does not show.
    pub(super) fn happened(&mut self, happening: &Happening, folder: &Folder) {
        let has_picture = self.drawn.is_some();
        match happening {
            Happening::Launched { task, .. } => _ = self.states.remove(task),
            Happening::Task { task, state, .. } if self.states.insert(task.clone(), *state) == Some(*state) => return,
            _ => {}
        }
        for line in lines(happening, folder, has_picture) {
            self.tell(line);
        }
    }

    /// Prints reasons to wait that last, and draws the picture.
    pub(super) fn moment(&mut self, view: &View, folder: &Folder) {
        let now = Instant::now();
        let lines = waiting(view);
        self.waiting.retain(|line, _| lines.contains(&line));
        for line in lines {
            self.waiting.entry(line.clone()).or_insert((now, false));
        }
        let lasting = |since: Instant| now.duration_since(since) >= WAITING_SHOWN_AFTER;
        if self.drawn.is_some() {
            let waiting: Vec<String> =
                self.waiting.iter().filter(|(_, (since, _))| lasting(*since)).map(|(line, _)| line.clone()).collect();
            self.draw(view, folder, &waiting);
            return;
        }
        let due: Vec<String> = self
            .waiting
            .iter_mut()
            .filter(|(_, (since, is_said))| !*is_said && lasting(*since))
            .map(|(line, (_, is_said))| {
                *is_said = true;
                line.clone()
            })
            .collect();
        for line in due {
            self.tell(Line::new(format!("waiting: {line}")));
        }
    }

    /// Leaves the picture as it is and goes on below it.
    pub(super) fn end_picture(&mut self) {
        self.drawn = None;
    }

    fn draw(&mut self, view: &View, folder: &Folder, waiting: &[String]) {
        let (width, height) = terminal_size();
        let lines = picture::draw(view, folder, waiting, height.saturating_sub(1));
        if self.drawn.as_ref() == Some(&lines) && self.size == (width, height) {
            return;
        }
        self.erase();
        for line in &lines {
            line.write(self.out, self.is_coloured, width).ok();
        }
        self.out.flush().ok();
        self.drawn = Some(lines);
        self.size = (width, height);
    }

    fn erase(&mut self) {
        if let Some(lines) = self.drawn.as_mut().filter(|lines| !lines.is_empty()) {
            // Up to the picture's first line, then clear all below.
            write!(self.out, "\x1b[{}A\r\x1b[J", lines.len()).ok();
            lines.clear();
        }
    }
}

/// What is waited for. Not that a plan waits for somebody to start it: that is no news.
pub(super) fn waiting(view: &View) -> Vec<&String> {
    let has_begun = |status| status != "PENDING" && status != "WAITING";
    let by_hand: Vec<String> = view
        .plans
        .iter()
        .filter(|plan| {
            let mut steps = plan.phases.iter().flat_map(|phase| &phase.steps);
            plan.name != "deploy" && plan.is_interrupted && !steps.any(|step| has_begun(step.status))
        })
        .map(|plan| format!("{}: ", plan.name))
        .collect();
    view.waiting.iter().filter(|line| !by_hand.iter().any(|plan| line.starts_with(plan))).collect()
}

/// Columns and rows.
fn terminal_size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}

fn lines(happening: &Happening, folder: &Folder, has_picture: bool) -> Vec<Line> {
    let one = |line| vec![line];
    match happening {
        Happening::Subscribed { is_new: true } => one(Line::new("registered with the master")),
        Happening::Subscribed { is_new: false } => one(Line::new("registered again, with the framework id of before")),
        Happening::Disconnected => one(Line::new("disconnected from the master")),
        Happening::Step { .. } | Happening::Launched { .. } if has_picture => Vec::new(),
        // Phases of the recovery plan are called like their step.
        Happening::Step { plan, phase, step, to } if phase == step => {
            one(Line::new(format!("{plan} {step} ")).status(to))
        }
        Happening::Step { plan, phase, step, to } => one(Line::new(format!("{plan} {phase} {step} ")).status(to)),
        // Its steps tell the rest.
        Happening::Plan { plan, to: to @ ("COMPLETE" | "ERROR") } if !has_picture || plan != "deploy" => {
            one(Line::new("plan ").plain(plan).plain(" ").status(to))
        }
        Happening::Plan { .. } | Happening::Reconciled => Vec::new(),
        Happening::Launched { task, hostname, .. } => one(Line::new(format!("task {task} "))
            .status("LAUNCHED")
            .plain(format!(" on {hostname}, folder {}", folder.task(task).display()))),
        Happening::Task { task, state, message } => {
            if has_picture && !is_bad(*state) {
                return Vec::new();
            }
            let mut line = Line::new(format!("task {task} ")).status(state.as_str().trim_start_matches("TASK_"));
            if let Some(message) = message {
                line = line.plain(format!(": {message}"));
            }
            if matches!(state, State::Failed) {
                line = line.dim(format!("; its errors: {}", folder.task(task).join("stderr").display()));
            }
            one(line)
        }
        Happening::Recovery { pod, kind: "PERMANENT" } => {
            one(Line::new(format!("pod {pod} is replaced: new place, empty volumes")))
        }
        Happening::Recovery { pod, .. } => {
            one(Line::new(format!("pod {pod} is brought back in its place, on its volumes")))
        }
        Happening::Refused { problems } => {
            let first = Line::new(
                "the specification was changed in a way that a running service cannot follow; the old one stays in force:",
            );
            let each = problems.iter().map(|problem| Line::new("  ").status("ERROR").plain(format!(" {problem}")));
            std::iter::once(first).chain(each).collect()
        }
        Happening::Command { text, answer } => one(Line::new(format!("command: {text}: {answer}"))),
    }
}

/// Whether something went wrong, or somebody did something.
fn is_bad(state: State) -> bool {
    match state {
        State::Staging | State::Starting | State::Running | State::Killing | State::Finished => false,
        State::Failed
        | State::Killed
        | State::Error
        | State::Lost
        | State::Dropped
        | State::Unreachable
        | State::Gone
        | State::GoneByOperator
        | State::Unknown => true,
    }
}
