//! The number of copies of each process: set by hand, or following the load by its rule.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};
use updraft_system::mesh::EdgeReport;
use updraft_system::{
    LoadStatus, LogSource, Name, ProcessState, ProcessStatus, ScaleRequest, ScaleRule,
    ScalingStatus, System,
};

use super::error::chain;
use super::{CommandError, Engine, Run};
use crate::board::Stage;
use crate::scaler::{Because, Copy, Key, Meter, Milli, Page, Ruling, Sample, Verdict, depth};

/// From one look at requests in flight to the next, at most and at least.
const LOOK_MOST: Duration = Duration::from_secs(1);
const LOOK_LEAST: Duration = Duration::from_millis(20);
/// Looks for each decision.
const LOOKS: u32 = 10;

impl Engine {
    /// Runs so many copies of a process from now on, or as many as its rule says. A number
    /// that is set by hand holds until the rule is put back or the run ends. Returns when new
    /// copies are ready and surplus ones are gone.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when there is no such process, it has no rule that could be put
    /// back, or a copy cannot be had.
    pub async fn set_scale(
        &self,
        service: &Name,
        process: &Name,
        request: ScaleRequest,
    ) -> Result<(), CommandError> {
        let run = &self.0;
        let key = (service.clone(), process.clone());
        let ruled = run.rule(&key).is_some();
        let replicas = match request {
            ScaleRequest::Copies { replicas } => replicas,
            ScaleRequest::ByRule { .. } if ruled => {
                run.scaling.write(&key, |page| page.held = None);
                run.tell_scaling(&key, "its rule decides again how many copies run");
                return Ok(());
            }
            ScaleRequest::ByRule { .. } => {
                // A name that is wrong is told of first.
                run.process(service, process)?;
                return Err(CommandError::NoRule(format!("{service}.{process}")));
            }
        };
        if !ruled {
            return self.scale(service, process, replicas).await;
        }
        // Before anything changes, so that the rule does not undo it meanwhile.
        let before = run.scaling.write(&key, |page| page.held.replace(replicas));
        let scaled = self.scale(service, process, replicas).await;
        if let Err(CommandError::TooMany(_) | CommandError::NotNow(_)) = &scaled {
            run.scaling.write(&key, |page| page.held = before);
        } else {
            let text = format!("held at {replicas} by hand until its rule is put back");
            run.tell_scaling(&key, &text);
        }
        scaled
    }

    /// How the number of copies of each process comes about.
    pub fn scaling(&self) -> Vec<ScalingStatus> {
        let run = &self.0;
        let target = run.target();
        let processes = target.system.services.values().flat_map(|service| {
            service.processes.values().map(|process| (service.name.clone(), process.name.clone()))
        });
        processes.map(|key| run.scaling_of(key)).collect()
    }
}

impl Run {
    /// Says of rows whose number is held by hand that it is.
    pub(super) fn tell_held(&self, rows: &mut [ProcessStatus]) {
        for row in rows {
            let key = (row.service.clone(), row.process.clone());
            if let Some(held) = self.scaling.held(&key)
                && row.detail.is_none()
            {
                let name = format!("{}.{}", row.service, row.process);
                row.detail =
                    Some(format!("held at {held} by hand; `updraft scale {name}=auto` undoes it"));
            }
        }
    }

    fn scaling_of(&self, key: Key) -> ScalingStatus {
        let rule = self.rule(&key);
        let page = self.scaling.page(&key);
        let why = match (&rule, page.held, page.why) {
            (None, ..) => "no rule: `updraft scale` sets it".to_owned(),
            (Some(_), Some(_), _) => "set by hand; its rule only watches".to_owned(),
            (Some(_), None, Some(why)) => why,
            (Some(_), None, None) => "its rule has not decided yet".to_owned(),
        };
        ScalingStatus {
            current: self.copies_of(&key),
            min: rule.as_ref().map(|rule| rule.min),
            max: rule.map(|rule| rule.max),
            wish: page.wish,
            held: page.held,
            loads: page.loads,
            decided: page.decided,
            why,
            service: key.0,
            process: key.1,
        }
    }

    pub(super) fn rule(&self, (service, process): &Key) -> Option<ScaleRule> {
        self.target().system.services.get(service)?.processes.get(process)?.autoscale.clone()
    }

    fn copies_of(&self, key: &Key) -> u32 {
        let held = self.held();
        let copies = held.replicas.keys().filter(|source| of(key, source));
        let copies: BTreeSet<u32> = copies.map(|source| source.replica).collect();
        u32::try_from(copies.len()).unwrap_or(u32::MAX)
    }

    /// Nothing holds a number that no rule decides, once it is sure that there is no rule.
    pub(super) fn forget_rules(&self, old: &System, new: &System) {
        let new = rules(new);
        for key in rules(old).keys().filter(|key| !new.contains_key(key)) {
            self.scaling.write(key, |page| *page = Page::default());
        }
    }

    fn tell_scaling(&self, (service, process): &Key, text: &str) {
        let source = LogSource::new(service.clone(), process.clone(), 1);
        self.logs.notice(&source, text);
    }
}

fn of(key: &Key, source: &LogSource) -> bool {
    source.service == key.0 && source.process == key.1
}

/// Lets every process with a rule follow its load, until the run ends; a roll-out may bring
/// other rules.
pub(super) async fn follow_rules(run: Arc<Run>) {
    let mut targets = run.target.subscribe();
    let mut followed: BTreeMap<Key, (ScaleRule, Arc<()>)> = BTreeMap::new();
    loop {
        let rules = rules(&targets.borrow_and_update().system);
        followed.retain(|key, (rule, _)| rules.get(key) == Some(rule));
        for (key, rule) in rules {
            followed.entry(key.clone()).or_insert_with(|| {
                let alive = Arc::new(());
                let follower = Follower::new(&run, key, rule.clone(), Arc::downgrade(&alive));
                tokio::spawn(follower.follow());
                (rule, alive)
            });
        }
        tokio::select! {
            changed = targets.changed() => if changed.is_err() { return },
            () = run.told_to_stop() => return,
        }
    }
}

fn rules(system: &System) -> BTreeMap<Key, ScaleRule> {
    let all = system.services.values().flat_map(|service| {
        service.processes.values().filter_map(|process| {
            let key = (service.name.clone(), process.name.clone());
            Some((key, process.autoscale.clone()?))
        })
    });
    all.collect()
}

/// Follows one rule.
struct Follower {
    run: Arc<Run>,
    key: Key,
    rule: ScaleRule,
    meter: Meter,
    ruling: Ruling,
    /// The trouble that was told of last, so that it is told once.
    told: Option<String>,
    /// Gone when its rule is not that of what runs any more.
    alive: Weak<()>,
}

/// One load of a rule: what it is called, what is aimed at, and what was measured.
struct Load {
    name: String,
    target: Milli,
    shown: fn(Milli) -> String,
    sample: Result<Sample, String>,
}

impl Follower {
    fn new(run: &Arc<Run>, key: Key, rule: ScaleRule, alive: Weak<()>) -> Self {
        let (run, ruling) = (Arc::clone(run), Ruling::new(rule.clone()));
        Self { run, key, rule, meter: Meter::default(), ruling, told: None, alive }
    }

    async fn follow(mut self) {
        let every = self.rule.every;
        let mut looks = interval((every / LOOKS).clamp(LOOK_LEAST, LOOK_MOST).min(every));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let run = Arc::clone(&self.run);
        let mut next: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = run.told_to_stop() => return,
            }
            if self.alive.strong_count() == 0 {
                return;
            }
            if run.board.borrow().stage != Stage::Running {
                continue;
            }
            let now = Instant::now();
            if self.rule.concurrency.is_some() {
                let in_flight = self.in_flight();
                self.meter.look(&in_flight);
            }
            // The first decision has a whole time behind it, as all others have.
            if *next.get_or_insert(now + every) <= now {
                next = Some(now + every);
                self.decide(now).await;
            }
        }
    }

    /// The copies that there are.
    fn copies(&self) -> Vec<Copy> {
        let held = self.run.held();
        let board = self.run.board.borrow();
        let copies = held.replicas.keys().filter(|source| of(&self.key, source)).map(|source| {
            let row = board.rows.get(source).filter(|row| row.state == ProcessState::Ready);
            Copy { label: source.to_string(), ready: row.and_then(|row| row.pid) }
        });
        copies.collect()
    }

    /// Requests in flight at each copy, as the gateways count them on all edges.
    fn in_flight(&self) -> BTreeMap<String, u64> {
        let reports = self.run.wire.with(|gateway| gateway.report()).unwrap_or_default();
        let board = self.run.board.borrow();
        let copies = board
            .rows
            .iter()
            .filter(|(source, row)| of(&self.key, source) && row.state == ProcessState::Ready);
        let copies = copies.filter_map(|(source, row)| Some((source.to_string(), row.port?)));
        copies.map(|(label, port)| (label, requests_at(&reports, &self.key.0, port))).collect()
    }

    async fn decide(&mut self, now: Instant) {
        let copies = self.copies();
        let loads = self.measure(now, &copies).await;
        if self.alive.strong_count() == 0 {
            return;
        }
        let current = self.run.copies_of(&self.key);
        let samples: Vec<(Option<Sample>, Milli)> =
            loads.iter().map(|load| (load.sample.clone().ok(), load.target)).collect();
        let verdict = self.ruling.decide(now, current, &samples);
        let why = self.reason(&loads, &verdict);
        self.run.scaling.write(&self.key, |page| {
            page.wish = verdict.wish;
            page.loads = statuses(&loads, &verdict);
            page.decided = Some(Timestamp::now());
            page.why = Some(why.clone());
        });
        let trouble = loads.iter().find_map(|load| load.sample.as_ref().err()).cloned();
        if trouble != self.told {
            if let Some(trouble) = &trouble {
                self.run.tell_scaling(&self.key, &format!("its rule cannot see all: {trouble}"));
            }
            self.told = trouble;
        }
        if verdict.copies != current {
            self.change(current, verdict.copies, &why).await;
        }
    }

    /// The way of `updraft scale`, without waiting for new copies to be ready: a slow start
    /// holds up neither the next decision nor anybody's command.
    async fn change(&self, from: u32, to: u32, why: &str) {
        let Ok(_one_at_a_time) = self.run.turn().await else { return };
        // What somebody did meanwhile stands, a roll-out too.
        if self.alive.strong_count() == 0
            || self.run.scaling.held(&self.key).is_some()
            || self.run.copies_of(&self.key) != from
        {
            return;
        }
        self.run.tell_scaling(&self.key, &format!("scaled from {from} to {to}: {why}"));
        let (service, process) = &self.key;
        if let Err(error) = self.run.change_scale(service, process, to).await {
            self.run.tell_scaling(&self.key, &format!("cannot be scaled: {}", chain(&error)));
        }
    }

    async fn measure(&mut self, now: Instant, copies: &[Copy]) -> Vec<Load> {
        let mut loads = Vec::new();
        if let Some(cpu) = self.rule.cpu {
            let sample = self.processors(now, copies).await;
            let (target, shown) = (Milli::from(cpu.percent()) * 10, percent as fn(Milli) -> String);
            loads.push(Load { name: "cpu".to_owned(), target, shown, sample: Ok(sample) });
        }
        if let Some(concurrency) = self.rule.concurrency {
            let (name, target) = ("concurrency".to_owned(), Milli::from(concurrency) * 1000);
            let sample = Ok(self.meter.requests(copies));
            loads.push(Load { name, target, shown: thousandths, sample });
        }
        if let Some(queue) = &self.rule.queue {
            let (name, target) = (format!("queue {}", queue.queue), Milli::from(queue.per) * 1000);
            let url = self.run.held().resources.get(&queue.queue).map(|plan| plan.url.clone());
            let sample = match url {
                Some(url) => depth(&url, Timestamp::now().as_millisecond())
                    .await
                    .map(|jobs| Sample::Whole(jobs.saturating_mul(1000)))
                    .map_err(|error| format!("{}: {}", queue.queue, chain(&error))),
                None => Err(format!("{}: it is not planned", queue.queue)),
            };
            loads.push(Load { name, target, shown: thousandths, sample });
        }
        loads
    }

    async fn processors(&mut self, now: Instant, copies: &[Copy]) -> Sample {
        let scopes = self.run.scopes.clone();
        let labels: Vec<String> = copies.iter().map(|copy| copy.label.clone()).collect();
        let read = tokio::task::spawn_blocking(move || {
            let time = |label: String| scopes.processor_time(&label).map(|time| (label, time));
            labels.into_iter().filter_map(time).collect::<BTreeMap<_, _>>()
        });
        self.meter.processors(now, copies, &read.await.unwrap_or_default())
    }

    /// The reason for a number, with the numbers behind it.
    fn reason(&self, loads: &[Load], verdict: &Verdict) -> String {
        let numbers: Vec<String> =
            loads.iter().zip(&verdict.said).map(|(load, said)| load.in_words(said.wish)).collect();
        let numbers = numbers.join("; ");
        let ScaleRule { min, max, stabilize, .. } = &self.rule;
        let limit = match verdict.because {
            Because::Load(_) => return numbers,
            Because::Least(_) => format!("at least {min}"),
            Because::Most(_) => format!("at most {max}"),
            Because::Bounds => format!("from {min} to {max}"),
            Because::Step => "step by step".to_owned(),
            Because::Window => {
                let [up, down] =
                    [stabilize.up, stabilize.down].map(updraft_system::duration::format);
                format!("not yet: a wish must last {up} for more, {down} for fewer")
            }
            Because::Unmeasured | Because::PartlyUnmeasured => {
                "stays while not all can be measured".to_owned()
            }
        };
        format!("{numbers}; {limit}")
    }
}

impl Load {
    fn measured(&self) -> Option<(Milli, u32)> {
        match self.sample.as_ref().ok()? {
            Sample::Whole(load) => Some((*load, 0)),
            Sample::PerCopy { seen, unseen, .. } => {
                let sum = seen.iter().fold(0, |sum: Milli, load| sum.saturating_add(*load));
                (!seen.is_empty()).then_some((sum, *unseen))
            }
        }
    }

    fn in_words(&self, wish: Option<u32>) -> String {
        let (name, target) = (&self.name, (self.shown)(self.target));
        match (self.measured(), wish) {
            (Some((load, _)), Some(wish)) => {
                let load = (self.shown)(load);
                format!("{name} {load} in all, {target} a copy, asks for {wish}")
            }
            _ if self.sample.is_ok() => format!("{name} is not measured yet"),
            _ => format!("{name} cannot be measured"),
        }
    }
}

fn statuses(loads: &[Load], verdict: &Verdict) -> Vec<LoadStatus> {
    let status = |(load, wish): (&Load, Option<u32>)| {
        let measured = load.measured();
        LoadStatus {
            load: load.name.clone(),
            target: (load.shown)(load.target),
            measured: measured.map(|(sum, _)| (load.shown)(sum)),
            unseen: measured.map_or(0, |(_, unseen)| unseen),
            wish,
            problem: load.sample.as_ref().err().cloned(),
        }
    };
    loads.iter().zip(verdict.said.iter().map(|said| said.wish)).map(status).collect()
}

/// Requests under way to the endpoint of a service at this port, on all its edges.
fn requests_at(reports: &[EdgeReport], service: &Name, port: u16) -> u64 {
    let edges = reports.iter().filter(|report| report.to == *service);
    let endpoints = edges.flat_map(|report| &report.endpoints);
    let own = endpoints.filter(|endpoint| endpoint.address.port() == port);
    own.fold(0, |sum, endpoint| sum.saturating_add(endpoint.active_requests))
}

fn percent(load: Milli) -> String {
    format!("{}%", load / 10)
}

/// `4`, `4.5`; no more digits than tell something.
fn thousandths(load: Milli) -> String {
    match (load / 1000, load % 1000 / 100) {
        (whole, 0) => whole.to_string(),
        (whole, tenth) => format!("{whole}.{tenth}"),
    }
}
