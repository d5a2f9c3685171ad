//! Every variable the scheduler reads, from a map that is handed in: never from the process itself.
//!
//! Not the variables of the spec's template, which are whatever the author names.
//! Invariant: all problems are found in one go and nothing is done before they are told.
//! Invariant: a variable of the SDK whose effect is not supported is a problem when leaving it out would change what runs or
//! who may see it, and a note otherwise; never silently ignored.
//!
//! Source: the SDK's environment contract.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use mainstay_engine::config::{Backoff, Config, Replacement, region};
use mainstay_engine::ids::FrameworkId;
use mainstay_engine::offer::role;
use mainstay_engine::state::State;
use mainstay_engine::units::{Millis, Scalar};
use mainstay_spec::ServiceSpec;

use crate::Vars;
use crate::mesos::auth::Auth;
use crate::mesos::leader::MasterUrl;
use crate::mesos::subscribe::Identity;
use crate::store::Location;

/// What is wrong with one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Stable code; its page is `docs/errors/<code>.md`.
    pub code: &'static str,
    /// Name of the variable.
    pub variable: &'static str,
    /// What was found.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// A required variable is missing.
pub const MISSING: &str = "MST-ENV-0001";
/// A value cannot be read.
pub const UNREADABLE: &str = "MST-ENV-0002";
/// A variable asks for what is not supported.
pub const UNSUPPORTED: &str = "MST-ENV-0003";
/// Two variables do not go together.
pub const CONTRADICTION: &str = "MST-ENV-0004";

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "environment: error[{}] {}: {}\n   = help: {}", self.code, self.variable, self.message, self.help)
    }
}

/// The environment, read and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Port of the HTTP API; absent only when the caller brings its own listener.
    pub port_api: Option<u16>,
    /// Where the masters are, when not by the spec's ensemble.
    pub master: Option<MasterUrl>,
    /// Where the state is, when not in the spec's ensemble.
    pub store: Option<Location>,
    /// How tasks reach the scheduler, when given or known from the surroundings.
    pub api_hostname: HostnameSource,
    /// Where agents fetch the executor, when not from us.
    pub executor_uri: Option<String>,
    /// Id of a removed framework whose stored id is to be forgotten.
    pub forget_framework_id: Option<FrameworkId>,
    /// Shared secret of the framework's principal.
    pub secret: Option<Secret>,
    /// Things worth telling once logs work.
    pub notes: Vec<String>,
    executor: (Scalar, Scalar, Scalar),
    service_tld: String,
    vip_tld: String,
    marathon_name: String,
    dcos_space: String,
    allocation_role: Option<String>,
    region: Option<String>,
    allows_other_regions: bool,
    backoff: Option<Backoff>,
    replacement: Option<Replacement>,
    implicit_reconciliation: Millis,
    is_suppress_disabled: bool,
}

/// Where the name of the scheduler's API comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostnameSource {
    /// This text.
    Given(String),
    /// The DNS name DC/OS gives the service.
    Dcos,
    /// The local address of the route to the master.
    Route,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Settings {
    /// Reads all variables. `needs_port` is false when the caller brings a listener of its own.
    ///
    /// Errors: every problem found, sorted by variable.
    pub fn read(vars: &Vars, needs_port: bool) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader { vars, problems: Vec::new(), notes: Vec::new() };
        let settings = reader.settings(needs_port);
        if !reader.problems.is_empty() {
            reader.problems.sort_by_key(|problem| problem.variable);
            return Err(reader.problems);
        }
        Ok(Self { notes: reader.notes, ..settings })
    }

    /// Where the masters are.
    ///
    /// Errors: the spec's ensemble is no address.
    pub fn master(&self, spec: &ServiceSpec) -> Result<MasterUrl, crate::mesos::leader::Error> {
        match &self.master {
            Some(url) => Ok(url.clone()),
            None => MasterUrl::parse(&format!("zk://{}/mesos", spec.zookeeper)),
        }
    }

    /// Where the state is.
    ///
    /// Errors: the spec's ensemble is no address.
    pub fn store(&self, spec: &ServiceSpec) -> Result<Location, crate::store::Error> {
        match &self.store {
            Some(location) => Ok(location.clone()),
            None => Location::parse(&format!("zk://{}", spec.zookeeper)),
        }
    }

    /// The service's own role: that of its reservations, unless a pod refines another one.
    pub fn role(&self, spec: &ServiceSpec) -> String {
        self.allocation_role.clone().unwrap_or_else(|| spec.role())
    }

    /// The roles it subscribes with when nothing is placed yet, its own first.
    pub fn roles(&self, spec: &ServiceSpec) -> Vec<String> {
        role::all(spec, std::iter::empty(), &self.role(spec))
    }

    /// Keeps the service in its region: that of the environment, else one that was set in code.
    pub fn confine(&self, spec: &mut ServiceSpec) {
        let region = self.region.clone().or_else(|| spec.region.clone());
        region::confine(spec, region.as_deref());
    }

    /// Whether offers of other regions than the master's are wanted: a rule looks at regions, or did when something was placed that must
    /// still be offered what it holds.
    pub fn is_region_aware(&self, spec: &ServiceSpec, state: &State) -> bool {
        let is_held = || {
            let tasks = state.tasks.values().any(|task| task.region.is_some());
            tasks || state.releasing.values().any(|given_up| given_up.has_region)
        };
        self.allows_other_regions && (region::is_used(spec) || is_held())
    }

    /// Whether agents with GPUs are wanted: a pod asks for some, or holds some.
    pub fn is_gpu_aware(spec: &ServiceSpec, state: &State) -> bool {
        let mut sets = spec.pods.iter().flat_map(|pod| &pod.resource_sets);
        sets.any(|set| set.gpus.is_some())
            || state.tasks.values().any(|task| task.has_gpus())
            || state.releasing.values().any(|given_up| given_up.has_gpus)
    }

    /// Who the service is to the master, by what is in force and what is there: pods that are placed already must be offered what they hold.
    pub fn identity(&self, spec: &ServiceSpec, state: &State) -> Identity {
        Identity {
            roles: role::all(spec, state.reserved_roles(), &self.role(spec)),
            name: spec.name.clone(),
            user: spec.user.clone(),
            principal: spec.principal.clone(),
            webui_url: spec.web_url.clone(),
            is_region_aware: self.is_region_aware(spec, state),
            is_gpu_aware: Self::is_gpu_aware(spec, state),
        }
    }

    /// The header that proves who we are.
    pub fn auth(&self, spec: &ServiceSpec) -> Result<Auth, Problem> {
        let Some(secret) = &self.secret else { return Ok(Auth::none()) };
        Auth::basic(&spec.principal, &secret.0).map_err(|why| Problem {
            code: UNREADABLE,
            variable: "MESOS_FRAMEWORK_SECRET",
            message: why.to_owned(),
            help: "choose a principal and a secret without a colon".to_owned(),
        })
    }

    /// The name DC/OS gives to the scheduler of this service.
    pub fn dcos_hostname(&self, spec: &ServiceSpec) -> String {
        spec.scheduler_host(&self.marathon_name, &self.service_tld)
    }

    /// What the engine needs of all this.
    pub fn engine(&self, spec: &ServiceSpec, api_hostname: &str, api_port: u16) -> Config {
        let default = Config::new(self.role(spec), api_hostname, api_port);
        Config {
            executor_uri: self.executor_uri.clone().unwrap_or(default.executor_uri),
            executor_cpus: self.executor.0,
            executor_mem_mb: self.executor.1,
            executor_disk_mb: self.executor.2,
            service_tld: self.service_tld.clone(),
            vip_tld: self.vip_tld.clone(),
            dcos_space: self.dcos_space.clone(),
            backoff: self.backoff,
            replacement: self.replacement,
            implicit_reconciliation: self.implicit_reconciliation,
            is_suppress_disabled: self.is_suppress_disabled,
            ..default
        }
    }

    /// Suffix of task names.
    pub fn service_tld(&self) -> &str {
        &self.service_tld
    }

    /// Suffix of virtual addresses.
    pub fn vip_tld(&self) -> &str {
        &self.vip_tld
    }
}

struct Reader<'a> {
    vars: &'a Vars,
    problems: Vec<Problem>,
    notes: Vec<String>,
}

impl Reader<'_> {
    fn settings(&mut self, needs_port: bool) -> Settings {
        self.refuse_unsupported();
        let default = Config::new("", "", 0);
        let port_api = self.number::<u16>("PORT_API", "a port from 1 to 65535", |port| *port > 0);
        if needs_port && self.text("PORT_API").is_none() {
            self.problem(MISSING, "PORT_API", "is not set", "set it to the port of the scheduler's HTTP API");
        }
        let master = self.parsed("MESOS_MASTER", MasterUrl::parse);
        let store = self.parsed("STATE_STORE", Location::parse);
        let forget_framework_id = self.parsed("MAINSTAY_FORGET_FRAMEWORK_ID", |text| FrameworkId::parse(text));
        Settings {
            port_api,
            master,
            store,
            api_hostname: self.hostname(),
            executor_uri: self.text("EXECUTOR_URI").map(str::to_owned),
            forget_framework_id,
            secret: self.text("MESOS_FRAMEWORK_SECRET").map(|secret| Secret(secret.to_owned())),
            notes: Vec::new(),
            executor: (
                self.scalar("EXECUTOR_CPUS", Scalar::from_millis(10), default.executor_cpus),
                self.scalar("EXECUTOR_MEM_MB", Scalar::from_units(32), default.executor_mem_mb),
                self.scalar("EXECUTOR_DISK_MB", Scalar::from_millis(1), default.executor_disk_mb),
            ),
            service_tld: self.text("SERVICE_TLD").map_or(default.service_tld, str::to_owned),
            vip_tld: self.text("VIP_TLD").map_or(default.vip_tld, str::to_owned),
            marathon_name: self.text("MARATHON_NAME").unwrap_or("marathon").to_owned(),
            dcos_space: self
                .text("DCOS_SPACE")
                .or_else(|| self.text("MARATHON_APP_ID"))
                .map_or(default.dcos_space, str::to_owned),
            allocation_role: self.allocation_role(),
            region: self.text("SERVICE_REGION").map(str::to_owned),
            allows_other_regions: !self.vars.contains_key("ALLOW_REGION_AWARENESS")
                || self.boolean("ALLOW_REGION_AWARENESS"),
            backoff: self.backoff(),
            replacement: self.replacement(),
            implicit_reconciliation: self
                .number("IMPLICIT_RECONCILIATION_PERIOD_MS", "milliseconds, at least 1000", |ms: &u64| *ms >= 1000)
                .map_or(default.implicit_reconciliation, Millis),
            is_suppress_disabled: self.vars.contains_key("DISABLE_SUPPRESS"),
        }
    }

    /// The value, unless absent or blank.
    fn text(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn problem(
        &mut self,
        code: &'static str,
        variable: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.push(Problem { code, variable, message: message.into(), help: help.into() });
    }

    fn unreadable(&mut self, variable: &'static str, expected: &str) {
        let message = format!("{:?} cannot be read", self.vars.get(variable).map_or("", String::as_str));
        self.problem(UNREADABLE, variable, message, format!("set it to {expected}"));
    }

    fn number<T: FromStr>(&mut self, name: &'static str, expected: &str, is_good: impl Fn(&T) -> bool) -> Option<T> {
        let number = self.text(name)?.parse().ok().filter(is_good);
        if number.is_none() {
            self.unreadable(name, expected);
        }
        number
    }

    /// Source: Mesos calls a launch with a smaller executor invalid, and would do so for ever.
    fn scalar(&mut self, name: &'static str, least: Scalar, default: Scalar) -> Scalar {
        let Some(text) = self.text(name) else { return default };
        if let Some(scalar) = text.parse().ok().and_then(Scalar::from_f64).filter(|scalar| *scalar >= least) {
            return scalar;
        }
        self.unreadable(name, &format!("a number of at least {least}, which Mesos asks of an executor"));
        default
    }

    fn parsed<T, E: fmt::Display>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        match parse(self.text(name)?) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.problem(UNREADABLE, name, error.to_string(), "correct it, or leave it out for the default");
                None
            }
        }
    }

    /// Blank is false; otherwise the first letter decides.
    fn boolean(&mut self, name: &'static str) -> bool {
        match self.text(name).and_then(|text| text.chars().next()).map(|first| first.to_ascii_lowercase()) {
            None | Some('f' | 'n') => false,
            Some('t' | 'y') => true,
            Some(_) => {
                self.unreadable(name, "`true` or `false`");
                false
            }
        }
    }

    fn refuse_unsupported(&mut self) {
        // Presence counts, even of an empty value.
        if self.vars.contains_key("SDK_UNINSTALL") {
            self.problem(
                UNSUPPORTED,
                "SDK_UNINSTALL",
                "uninstalling a service is not supported yet",
                "remove the variable; nothing has been changed or removed",
            );
        }
        for (name, what) in [
            ("DCOS_SERVICE_ACCOUNT_CREDENTIAL", "service accounts of DC/OS are not supported yet"),
            ("MESOS_HTTP_AUTHENTICATEE", "modules that authenticate to the master are not supported"),
            ("MESOS_AUTHENTICATEE", "modules that authenticate to the master are not supported"),
            ("FRAMEWORK_PRERESERVED_ROLES", "several services behind one framework are not supported yet"),
        ] {
            if self.text(name).is_some() {
                self.problem(UNSUPPORTED, name, what, "remove the variable");
            }
        }
        if self.boolean("ENABLE_ROLE_MIGRATION") {
            self.problem(
                UNSUPPORTED,
                "ENABLE_ROLE_MIGRATION",
                "role migration is not supported yet",
                "set it to `false`",
            );
        }
        if self.text("MESOS_API_VERSION").is_some_and(|version| !version.eq_ignore_ascii_case("V1")) {
            self.problem(UNSUPPORTED, "MESOS_API_VERSION", "only the v1 API of Mesos is spoken", "remove the variable");
        }
        if self.number("IMPLICIT_RECONCILIATION_DELAY_MS", "0", |_: &u64| true).is_some_and(|ms| ms > 0) {
            self.problem(
                UNSUPPORTED,
                "IMPLICIT_RECONCILIATION_DELAY_MS",
                "a delay of the first implicit reconciliation is not supported: it follows the explicit one",
                "set it to 0 or remove it",
            );
        }
        for (name, what) in [
            ("STATSD_UDP_HOST", "metrics are not pushed to StatsD yet"),
            ("PAUSE_OVERRIDE_CMD", "pausing pods is not supported yet"),
            ("USE_LEGACY_KILL_UNNEEDED_TASKS", "the older rule for killing unneeded tasks does not exist here"),
        ] {
            if self.vars.contains_key(name) {
                self.notes.push(format!("{name} has no effect: {what}"));
            }
        }
    }

    fn hostname(&mut self) -> HostnameSource {
        if let Some(given) = self.text("SCHEDULER_API_HOSTNAME") {
            return HostnameSource::Given(given.to_owned());
        }
        let own_ip = self.text("LIBPROCESS_IP").map(IpAddr::from_str);
        if matches!(own_ip, Some(Err(_))) {
            self.unreadable("LIBPROCESS_IP", "an IP address of this machine");
        }
        let is_dcos = |name: &String| name.starts_with("DCOS_") || name.starts_with("MARATHON_APP_LABEL_DCOS_");
        if self.text("MARATHON_APP_ID").is_some() && self.vars.keys().any(is_dcos) {
            return HostnameSource::Dcos;
        }
        if let Some(host) = self.text("HOST") {
            return HostnameSource::Given(host.to_owned());
        }
        match own_ip {
            Some(Ok(ip)) if !ip.is_unspecified() => HostnameSource::Given(ip.to_string()),
            _ => HostnameSource::Route,
        }
    }

    fn allocation_role(&mut self) -> Option<String> {
        let role = self.text("MESOS_ALLOCATION_ROLE").map(str::to_owned);
        if self.boolean("MARATHON_APP_ENFORCE_GROUP_ROLE") {
            if role.is_none() {
                self.problem(
                    CONTRADICTION,
                    "MESOS_ALLOCATION_ROLE",
                    "is not set although MARATHON_APP_ENFORCE_GROUP_ROLE is true",
                    "set it to the role of the service's group",
                );
            }
        } else if role.as_deref() == Some("slave_public") {
            return None;
        }
        role.map(|role| role.trim_matches('/').replace('/', "__"))
    }

    fn backoff(&mut self) -> Option<Backoff> {
        let is_enabled = self.boolean("ENABLE_BACKOFF");
        let factor = self
            .number("FRAMEWORK_BACKOFF_FACTOR", "a number from 1 to 1000", |factor: &f64| {
                (1.0..=1000.0).contains(factor)
            })
            .unwrap_or(1.15);
        let secs = |reader: &mut Self, name, default| {
            Millis::from_secs(reader.number(name, "whole seconds", |_: &u64| true).unwrap_or(default))
        };
        let initial = secs(self, "FRAMEWORK_INITIAL_BACKOFF", 60);
        let max = secs(self, "FRAMEWORK_MAX_LAUNCH_DELAY", 300);
        if is_enabled && max < initial {
            self.problem(
                CONTRADICTION,
                "FRAMEWORK_MAX_LAUNCH_DELAY",
                "is less than FRAMEWORK_INITIAL_BACKOFF",
                "make the longest delay at least as long as the first",
            );
        }
        is_enabled.then_some(Backoff { initial, factor_millis: (factor * 1000.0).round() as u64, max })
    }

    fn replacement(&mut self) -> Option<Replacement> {
        let is_enabled = self.boolean("ENABLE_AUTOMATIC_POD_REPLACEMENT");
        let secs = |reader: &mut Self, name, default| {
            Millis::from_secs(reader.number(name, "whole seconds", |_: &u64| true).unwrap_or(default))
        };
        let permanent_failure_timeout = secs(self, "PERMANENT_FAILURE_TIMEOUT_SECS", 1200);
        let min_delay = secs(self, "MIN_REPLACE_DELAY_SECS", 600);
        is_enabled.then_some(Replacement { permanent_failure_timeout, min_delay })
    }
}

#[cfg(test)]
mod tests;
