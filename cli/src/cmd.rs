//! The commands, one file each, and what is common to them.
//!
//! Words of both generations of the SDK's command line are understood. Rule: an old word keeps its old output (`plan show`
//! prints JSON), a new word has the new one (`plan status` draws a tree), `--json` is accepted by both.
//!
//! Invariant: results go to standard output and nothing else does; exit code 0 is success, 1 is any error. Author's commands have a third
//! one: 1 is an error of the specification, 2 one of the command or its files.

mod check;
mod config;
mod debug;
mod dev;
mod endpoints;
mod explain;
mod fit;
mod plan;
mod pod;
mod render;
mod schema;
mod state;
mod waiting;
mod why;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::author;
use crate::client::{Answer, Client, DEFAULT_PORT, Error};

/// Runs stateful services on Apache Mesos from one svc.yml.
#[derive(Debug, Parser)]
#[command(name = "mainstay", version, disable_help_subcommand = false, subcommand_required = true)]
struct Cli {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: Command,
}

/// Which scheduler operator commands speak to.
#[derive(Debug, Args)]
struct Target {
    /// Address of the scheduler's HTTP API; default http://127.0.0.1:$PORT_API, port 8080 if that is unset
    #[arg(long, global = true, env = "MAINSTAY_URL", value_name = "URL")]
    url: Option<String>,
    /// Port of the scheduler on this machine, when no address is given
    #[arg(long = "port-api", global = true, env = "PORT_API", value_name = "PORT", hide = true)]
    port: Option<u16>,
    /// Print requests and responses to standard error
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check specifications and show every problem
    Check(check::Check),
    /// Show a specification after rendering, or its variables
    Render(render::Render),
    /// Show what a specification asks for: pods, resources, plans, names
    Explain(explain::Explain),
    /// Print the JSON Schema of specifications, for editors
    Schema(schema::Schema),
    /// Run a service on this machine, on a Mesos cluster inside this process
    Dev(dev::Dev),
    /// Say whether and where a service would fit a described cluster
    Fit(fit::Fit),
    /// Show and command plans
    #[command(subcommand, visible_alias = "plans")]
    Plan(plan::Command),
    /// Show and command pods
    #[command(subcommand)]
    Pod(pod::Command),
    /// The same in the words and shapes of 2017
    #[command(subcommand, hide = true)]
    Pods(pod::Command),
    /// Show where the service can be reached
    #[command(visible_alias = "endpoint")]
    Endpoints(endpoints::Endpoints),
    /// Show stored configurations
    #[command(subcommand)]
    Config(config::Command),
    /// Show stored state
    #[command(subcommand)]
    State(state::Command),
    /// Show why nothing happens, and what the SDK's command line keeps under this word
    #[command(subcommand)]
    Debug(debug::Command),
    /// Show what each unfinished step waits for
    Waiting(waiting::Waiting),
    /// Show why unfinished steps are not placed now, and what would help
    Why(why::Why),
}

impl Target {
    fn client(&self) -> Result<Client, Error> {
        let fallback = || format!("http://127.0.0.1:{}", self.port.unwrap_or(DEFAULT_PORT));
        Client::new(&self.url.clone().unwrap_or_else(fallback), self.verbose)
    }
}

/// What a command may use.
struct Context<'a> {
    client: Client,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

/// Parses the arguments (the first is the program's name) and runs the command.
pub(crate) fn run(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, is_authors(&args), out, err),
    };
    let cli = match cli {
        // Its exit code is the scheduler's; it speaks to no running scheduler.
        Cli { command: Command::Dev(command), .. } => return command.run(out, err),
        // Theirs tell errors of the specification from errors of the command.
        Cli { command: Command::Check(command), .. } => return ExitCode::from(command.run(out, err)),
        Cli { command: Command::Render(command), .. } => return ExitCode::from(command.run(out, err)),
        Cli { command: Command::Explain(command), .. } => return ExitCode::from(command.run(out, err)),
        Cli { command: Command::Schema(command), .. } => return ExitCode::from(command.run(out, err)),
        Cli { command: Command::Fit(command), .. } => return ExitCode::from(command.run(out, err)),
        cli => cli,
    };
    let done = dispatch(cli, out, err);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nowhere is left to complain when this cannot be written.
            writeln!(err, "mainstay: error: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli, out: &mut dyn Write, err: &mut dyn Write) -> Result<(), Error> {
    let mut context = Context { client: cli.target.client()?, out, err };
    match cli.command {
        Command::Check(_)
        | Command::Render(_)
        | Command::Explain(_)
        | Command::Schema(_)
        | Command::Fit(_)
        | Command::Dev(_) => Ok(()),
        Command::Plan(command) => command.run(&mut context),
        Command::Pod(command) => command.run(&mut context, pod::Generation::Second),
        Command::Pods(command) => command.run(&mut context, pod::Generation::First),
        Command::Endpoints(command) => command.run(&mut context),
        Command::Config(command) => command.run(&mut context),
        Command::State(command) => command.run(&mut context),
        Command::Debug(command) => command.run(&mut context),
        Command::Waiting(command) => command.run(&mut context),
        Command::Why(command) => command.run(&mut context),
    }
}

/// Whether arguments that could not be understood are meant for an author's command.
fn is_authors(args: &[OsString]) -> bool {
    let mut args = args.iter().skip(1).filter_map(|arg| arg.to_str());
    while let Some(arg) = args.next() {
        match arg {
            "--url" | "--port-api" => drop(args.next()),
            _ if arg.starts_with('-') => {}
            _ => return matches!(arg, "check" | "render" | "explain" | "schema" | "fit"),
        }
    }
    false
}

/// Help goes to standard output with success; anything else about arguments is an error with exit code 1, or 2 for author's commands.
fn usage(error: &clap::Error, is_authors: bool, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let text = error.render();
    if error.use_stderr() {
        write!(err, "{text}").ok();
        if is_authors { ExitCode::from(author::UNUSABLE) } else { ExitCode::FAILURE }
    } else {
        write!(out, "{text}").ok();
        ExitCode::SUCCESS
    }
}

impl Context<'_> {
    /// A line of the result.
    fn line(&mut self, text: &str) -> Result<(), Error> {
        match writeln!(self.out, "{}", text.trim_end_matches('\n')) {
            // Whoever read the output has seen enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => Ok(written?),
        }
    }

    /// The answer as JSON; one that is not JSON is passed on with a warning.
    fn json(&mut self, answer: &Answer) -> Result<(), Error> {
        if let Some(text) = crate::render::json(&answer.body) {
            return self.line(&text);
        }
        writeln!(self.err, "warning: the answer is not JSON; it follows as it was received")?;
        self.line(&String::from_utf8_lossy(&answer.body))
    }

    /// Reads a path and prints JSON.
    fn get_json(&mut self, path: &str) -> Result<(), Error> {
        let answer = self.client.get(path)?.check()?;
        self.json(&answer)
    }
}

/// The answer as one of the API's shapes.
fn parse<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T, Error> {
    serde_json::from_slice(&answer.body)
        .map_err(|error| Error::Refused(format!("the answer cannot be read: {error}; --json shows it as it is")))
}

#[cfg(test)]
mod tests;
