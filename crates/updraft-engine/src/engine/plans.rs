//! From the graph to what a replica runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use tokio::sync::watch;
use updraft_system::{
    LogSource, Name, Probe, ProbeKind, Process, ProcessState, Role, RowKind, Service, TaskTrigger,
};

use super::{Run, RunTarget, Running};
use crate::board::{Gate, Row};
use crate::environment::{self, Environment};
use crate::replica::{Intent, Proof, Readiness, Replica, ReplicaPlan, Sign, Wanted};
use crate::resource::ServerPlan;
use crate::scope::{CommandPlan, StopSignal};

/// The boot budget of a resource's server: it may have to recover from a crash.
const SERVER_WITHIN: Duration = Duration::from_secs(60);
/// From one look at a resource's server to the next.
const SERVER_EVERY: Duration = Duration::from_secs(2);
/// How long one look at a resource's server may take.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn source(service: &Service, process: &Process, replica: u32) -> LogSource {
    LogSource::new(service.name.clone(), process.name.clone(), replica)
}

impl Run {
    /// Where a service finds what it needs, by name.
    pub(super) fn addresses(&self, service: &Service) -> BTreeMap<Name, String> {
        let held = self.held();
        let address = |need: &updraft_system::Need| {
            let name = need.target.name();
            let url = match held.resources.get(name) {
                Some(plan) => {
                    self.wire.resource_url(&service.name, name, &plan.url).expose().to_owned()
                }
                None => self.wire.service_url(&service.name, name)?,
            };
            Some((name.clone(), url))
        };
        service.needs.iter().filter_map(address).collect()
    }

    /// What a process or task of a service runs.
    pub(super) fn command(
        &self,
        target: &RunTarget,
        service: &Service,
        process: &Name,
        replica: u32,
        port: Option<u16>,
        argv: Vec<String>,
    ) -> CommandPlan {
        let addresses = self.addresses(service);
        let part = target.part(&service.name);
        let environment = Environment {
            system: &target.system,
            service,
            config: &part.config,
            path_prefix: &part.paths,
            addresses: &addresses,
        };
        let env = environment.of(process, replica, port);
        let confinement = Some(self.confinement(&part, service, process));
        CommandPlan { argv, env, cwd: part.directory, confinement }
    }

    /// What one replica of a process runs, at its reserved port.
    pub(super) fn process_plan(
        &self,
        target: &RunTarget,
        service: &Service,
        process: &Process,
        replica: u32,
        port: u16,
    ) -> ReplicaPlan {
        let argv = environment::argv(&process.run);
        let tasks = service.tasks.values().filter(|task| task.when == TaskTrigger::Release);
        let tasks = tasks.map(|task| Gate::Task(service.name.clone(), task.name.clone()));
        ReplicaPlan {
            prepare: Vec::new(),
            run: self.command(target, service, &process.name, replica, Some(port), argv),
            port,
            ready: Readiness::of(&process.ready),
            live: process.live.clone(),
            stop: StopSignal::Term,
            grace: process.stop,
            gates: gates(service).into_iter().chain(tasks).collect(),
            proof: Proof::default(),
            release: target.part(&service.name).release,
        }
    }

    /// Puts a replica on the board.
    pub(super) fn enlist(&self, source: &LogSource, kind: RowKind, plan: &ReplicaPlan) {
        self.enlist_as(source, kind, plan, (Role::Serving, true));
    }

    /// The same for one that has its part in a roll-out, and may have to prove itself.
    pub(super) fn enlist_as(
        &self,
        source: &LogSource,
        kind: RowKind,
        plan: &ReplicaPlan,
        (role, proven): (Role, bool),
    ) {
        let serves_http = source.process == Name::web() || matches!(plan.ready.sign, Sign::Http(_));
        let serves_http = serves_http && kind == RowKind::Service;
        let row = Row {
            kind,
            role,
            proven,
            release: plan.release,
            booted_in: None,
            pid: None,
            port: Some(plan.port),
            url: serves_http.then(|| format!("http://127.0.0.1:{}", plan.port)),
            state: ProcessState::Waiting,
            restarts: 0,
            started: None,
            last_exit: None,
            detail: None,
            confinement: None,
        };
        self.board.send_modify(|board| drop(board.rows.insert(source.clone(), row)));
    }

    /// Lets a replica run that is on the board.
    pub(super) fn launch(&self, source: LogSource, plan: ReplicaPlan) {
        let intent = watch::Sender::new(Intent { wanted: Wanted::Running, generation: 0 });
        let plan = watch::Sender::new(Arc::new(plan));
        let replica = Replica {
            source: source.clone(),
            plan: plan.subscribe(),
            intent: intent.subscribe(),
            board: self.board.clone(),
            wire: self.wire.clone(),
            scopes: self.scopes.clone(),
            logs: self.logs.clone(),
        };
        let task = tokio::spawn(replica.run());
        self.held().replicas.insert(source, Running { intent, plan, task });
    }
}

/// What the start of a service's processes and tasks waits for, beside its own tasks.
pub(super) fn gates(service: &Service) -> Vec<Gate> {
    let after = service.after.iter().map(Gate::from);
    // Services it needs may need it in turn, so only resources hold it up.
    let resources = service.needs.iter().filter_map(|need| match &need.target {
        target @ updraft_system::Target::Resource(_) => Some(Gate::from(target)),
        updraft_system::Target::Service(_) => None,
    });
    after.chain(resources).collect()
}

/// The source and plan of a resource's server.
pub(super) fn server(name: &Name, port: u16, server: &ServerPlan) -> (LogSource, ReplicaPlan) {
    let plan = ReplicaPlan {
        prepare: server.prepare.clone(),
        run: server.run.clone(),
        port,
        ready: Readiness {
            sign: Sign::Server(server.ready.clone()),
            within: SERVER_WITHIN,
            every: SERVER_EVERY,
            timeout: SERVER_TIMEOUT,
            failures: 3,
        },
        live: None,
        stop: server.stop,
        grace: server.grace,
        gates: Vec::new(),
        proof: Proof::default(),
        release: None,
    };
    (LogSource::new(name.clone(), Name::server(), 1), plan)
}

impl Readiness {
    fn of(probe: &Probe) -> Self {
        let sign = match &probe.kind {
            ProbeKind::Http(path) => Sign::Http(path.clone()),
            ProbeKind::Tcp => Sign::Tcp,
            // The manifest's parser has compiled it; one that fails matches nothing.
            ProbeKind::Log(line) => Regex::new(line).map_or(Sign::Started, Sign::Log),
            ProbeKind::Started => Sign::Started,
        };
        Self {
            sign,
            within: probe.within,
            every: probe.every,
            timeout: probe.timeout,
            failures: probe.failures,
        }
    }
}
