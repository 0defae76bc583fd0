//! The whole audit: what is asked of which program, in lanes, and what comes out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use updraft_system::{Name, System};

use crate::build::CannotBuild;
use crate::catalogue::{PROBES, ProbeId};
use crate::control::Behaviour;
use crate::factors::factors;
use crate::judge::{Judge, JudgedControl, said_once};
use crate::lab::{Feature, Lab, LabError, Setup, Unstartable};
use crate::probe::{DYNAMIC, Dynamic, completed};
use crate::report::{Finding, Machine, Program, Report, SCHEMA, Target};
use crate::seen::Seen;
use crate::source::{Declared, Deploy, Tree, look};
use crate::subject::Subject;
use crate::subject::system::BuiltSystem;
use crate::verdict::{Shape, Tier, Verdict};
use crate::waiver::{Waiver, waive};

/// A place for audits: what runs in it is gone when it is closed or this process is gone.
#[derive(Debug)]
pub struct Audit {
    lab: Lab,
}

impl Audit {
    /// An empty one. It does without some features, as on a machine that does not have them.
    /// `egress`: programs may reach what this machine reaches.
    ///
    /// # Errors
    ///
    /// [`LabError`] when this machine has no place for it.
    pub async fn open(without: &[Feature], egress: bool) -> Result<Self, LabError> {
        Ok(Self { lab: Lab::open(without, egress).await? })
    }

    /// Builds services of a system and what they need.
    ///
    /// # Errors
    ///
    /// [`CannotBuild`], with what the build printed.
    pub async fn build(
        &self,
        system: &System,
        directory: &Path,
        services: &[Name],
        told: impl Fn(&Name, updraft_engine::Progress),
    ) -> Result<BuiltSystem, CannotBuild> {
        crate::build::build(self.lab.scopes(), system, directory, services, &told).await
    }

    /// Runs an audit, and says how far it is. What cannot be judged is `unknown` in the report.
    pub async fn run(&self, request: &Request, progress: impl Fn(Progress)) -> Report {
        let (began, started) = (Instant::now(), jiff::Timestamp::now());
        let scale = scale(&self.lab).await;
        let judge = Arc::new(Judge::new(self.lab.clone(), scale, request.quick));
        let mut probes = request.findings(&judge, &progress).await;
        let mut hints = waive(&mut probes, &request.waivers, jiff::Zoned::now().date());
        let tiers = self.lab.tiers().await;
        let withheld = tiers.without(Feature::Network);
        hints.extend(network_hint(&probes, self.lab.allows_egress(), withheld));
        let machine = Machine {
            tiers: tiers.working(),
            missing: tiers.missing(),
            egress: self.lab.allows_egress() || withheld.is_some(),
            lanes: request.lanes,
        };
        let target = request.target();
        let deployed = |name: &str| {
            let program = target.programs.iter().find(|program| program.name == name);
            program.map_or(Shape::Child, |program| program.deployed)
        };
        Report {
            schema: SCHEMA.to_owned(),
            factors: factors(&probes, deployed),
            target,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: started.to_string(),
            seconds: (began.elapsed().as_secs_f64() * 1e3).round() / 1e3,
            machine,
            probes,
            hints,
        }
    }

    /// Lets each probe judge the programs of ours whose verdicts are known.
    pub async fn self_test(
        &self,
        request: &Request,
        told: impl Fn(&JudgedControl),
    ) -> Vec<JudgedControl> {
        let scale = scale(&self.lab).await;
        let judge = Arc::new(Judge::new(self.lab.clone(), scale, request.quick));
        let lanes = Arc::new(Semaphore::new(request.lanes.max(1)));
        let mut running = JoinSet::new();
        for (place, (probe, shape)) in request.asked_of_controls().into_iter().enumerate() {
            let (judge, lanes) = (Arc::clone(&judge), Arc::clone(&lanes));
            running.spawn(async move {
                // The lanes are never closed.
                let _lane = lanes.acquire_owned().await;
                (place, judge.self_test(probe, shape).await)
            });
        }
        let mut all = Vec::new();
        // A probe that panics is a fault of ours; the others go on.
        while let Some(judged) = running.join_next().await {
            let Ok((place, judged)) = judged else { continue };
            judged.iter().for_each(&told);
            all.push((place, judged));
        }
        all.sort_by_key(|(place, _)| *place);
        all.into_iter().flat_map(|(_, judged)| judged).collect()
    }

    /// Ends what is left and removes all files.
    pub async fn close(self) {
        self.lab.close().await;
    }
}

/// What is asked of which programs.
#[derive(Clone, Debug)]
pub struct Request {
    /// The system they are of, where there is one.
    pub system: Option<Arc<System>>,
    /// The schemes of the addresses of resources that are somewhere else.
    pub attached: BTreeMap<Name, String>,
    /// What runs in its deploys, or why that cannot be read.
    pub deploys: Arc<Result<Vec<Deploy>, String>>,
    /// The programs.
    pub subjects: Vec<Subject>,
    /// The probes.
    pub probes: Vec<ProbeId>,
    /// The shapes to judge them in, where the shape matters.
    pub shapes: Vec<Shape>,
    /// How many trials run at a time.
    pub lanes: usize,
    /// Findings that are accepted.
    pub waivers: Vec<Waiver>,
    /// Whether it has to be over within 15 s: the probes are those that are quick, and what
    /// cannot be seen in a few seconds is unknown.
    pub quick: bool,
}

/// How far an audit is.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A probe begins with a program.
    Begun {
        /// Which probe.
        id: ProbeId,
        /// Which program.
        program: String,
        /// In which shape.
        shape: Option<Shape>,
    },
    /// A probe has a verdict.
    Done {
        /// The verdict with its evidence.
        finding: Box<Finding>,
        /// So many have one.
        done: usize,
        /// Of so many.
        of: usize,
    },
}

/// How long a control takes to say its first line where nothing else runs.
const CONTROL_START: Duration = Duration::from_millis(60);
/// The slowest machine that time limits follow.
const SCALE_MAX: f64 = 8.0;

impl Request {
    /// Every probe, in both shapes, in three lanes for each processor: programs mostly wait.
    #[must_use]
    pub fn whole(subjects: Vec<Subject>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            system: None,
            attached: BTreeMap::new(),
            deploys: Arc::new(Ok(Vec::new())),
            waivers: Vec::new(),
            subjects,
            probes: PROBES.iter().map(|probe| probe.id).collect(),
            shapes: vec![Shape::Child, Shape::Pid1],
            lanes: processors * 3,
            quick: false,
        }
    }

    /// The quick probes only.
    #[must_use]
    pub fn quick(subjects: Vec<Subject>) -> Self {
        let quick = PROBES.iter().filter(|probe| probe.quick).map(|probe| probe.id).collect();
        Self { probes: quick, quick: true, ..Self::whole(subjects) }
    }

    fn target(&self) -> Target {
        let program = |subject: &Subject| Program {
            name: subject.name.clone(),
            command: subject.argv.clone(),
            folder: subject.folder.display().to_string(),
            deployed: subject.deployed,
        };
        let system = self.system.as_ref().map(|system| system.name.to_string());
        Target { system, programs: self.subjects.iter().map(program).collect() }
    }

    async fn findings(&self, judge: &Arc<Judge>, progress: &impl Fn(Progress)) -> Vec<Finding> {
        let asked = self.asked();
        let (of, done) = (asked.len(), AtomicUsize::new(0));
        let all = self.lanes.max(1);
        let lanes = Arc::new(Semaphore::new(all));
        let (begun, mut begins) = tokio::sync::mpsc::channel(of.max(1));
        let mut running = JoinSet::new();
        let (alone, beside): (Vec<_>, Vec<_>) =
            asked.into_iter().enumerate().partition(|(_, asked)| asked.id() == ProbeId::VRepro);
        let answer = |(place, asked): (usize, Asked)| {
            let (judge, lanes, begun) = (Arc::clone(judge), Arc::clone(&lanes), begun.clone());
            async move {
                // The lanes are never closed.
                let _lane = lanes.acquire_owned().await;
                let (id, shape) = (asked.id(), asked.shape);
                let program = asked.subject.name.clone();
                drop(begun.send(Progress::Begun { id, program, shape }).await);
                (place, asked.answer(&judge).await)
            }
        };
        beside.into_iter().for_each(|asked| drop(running.spawn(answer(asked))));
        // Nothing that is timed runs beside a build, which takes all processors.
        let mut alone = alone.into_iter();
        let mut findings = Vec::with_capacity(of);
        loop {
            tokio::select! {
                Some(event) = begins.recv() => progress(event),
                finished = running.join_next() => match finished {
                    Some(Ok((place, finding))) => {
                        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                        let shown = Box::new(finding.clone());
                        progress(Progress::Done { finding: shown, done, of });
                        findings.push((place, finding));
                    }
                    // A probe that panics is a fault of ours; the others go on.
                    Some(Err(_)) => {}
                    None => match alone.next() {
                        Some(asked) => drop(running.spawn(answer(asked))),
                        None => break,
                    },
                },
            }
        }
        findings.sort_by_key(|(place, _)| *place);
        findings.into_iter().map(|(_, finding)| finding).collect()
    }

    /// Every probe that runs programs, in each shape.
    fn asked_of_controls(&self) -> Vec<(&'static Dynamic, Option<Shape>)> {
        let mut asked = Vec::new();
        for probe in DYNAMIC.iter().filter(|probe| self.probes.contains(&probe.id)) {
            let wanted =
                |shape: &&Option<Shape>| shape.is_none_or(|shape| self.shapes.contains(&shape));
            let shapes = probe.id.probe().shapes().iter().filter(wanted);
            asked.extend(shapes.map(|shape| (*probe, *shape)));
        }
        asked
    }

    /// What is asked, in the order of the catalogue.
    fn asked(&self) -> Vec<Asked> {
        let subjects: Vec<_> =
            self.subjects.iter().map(|subject| Arc::new(completed(subject))).collect();
        let mut asked = Vec::new();
        for probe in PROBES.iter().filter(|probe| self.probes.contains(&probe.id)) {
            let looks = match DYNAMIC.iter().find(|dynamic| dynamic.id == probe.id) {
                Some(dynamic) => Looks::Runs(dynamic),
                None if probe.tier == Tier::Static => Looks::Reads(probe.id),
                None => continue,
            };
            for subject in &subjects {
                let shapes = probe.shapes().iter();
                let wanted =
                    shapes.filter(|shape| shape.is_none_or(|shape| self.shapes.contains(&shape)));
                let one = |shape: &Option<Shape>| Asked {
                    looks,
                    subject: Arc::clone(subject),
                    declared: self.declared(subject),
                    shape: *shape,
                };
                asked.extend(wanted.map(one));
            }
        }
        asked
    }

    /// What the manifest says of the service of a program.
    fn declared(&self, subject: &Subject) -> Option<Declared> {
        let service = subject.name.split('.').next()?.parse().ok()?;
        let system = Arc::clone(self.system.as_ref()?);
        let (attached, deploys) = (self.attached.clone(), Arc::clone(&self.deploys));
        Some(Declared { system, service, attached, deploys })
    }
}

/// How a probe looks.
#[derive(Clone, Copy)]
enum Looks {
    /// It runs the program.
    Runs(&'static Dynamic),
    /// It reads the program's files.
    Reads(ProbeId),
}

/// One probe of one program.
struct Asked {
    looks: Looks,
    subject: Arc<Subject>,
    declared: Option<Declared>,
    shape: Option<Shape>,
}

impl Asked {
    fn id(&self) -> ProbeId {
        match self.looks {
            Looks::Runs(dynamic) => dynamic.id,
            Looks::Reads(id) => id,
        }
    }

    async fn answer(self, judge: &Judge) -> Finding {
        let name = self.subject.name.clone();
        match self.looks {
            Looks::Runs(dynamic) => judge.judge(dynamic, &self.subject, self.shape).await,
            Looks::Reads(id) => {
                let looked = tokio::task::spawn_blocking(move || read(id, &self)).await;
                let seen =
                    looked.unwrap_or_else(|_panic| Seen::unknown("the files cannot be read"));
                said_once(seen).finding(id, &name, None)
            }
        }
    }
}

/// What the files of a program say.
fn read(id: ProbeId, asked: &Asked) -> Seen {
    let folder = &asked.subject.folder;
    let tree = match Tree::at(folder) {
        Ok(tree) => tree,
        Err(error) => {
            return Seen::unknown(format!("{} cannot be read: {error}", folder.display()));
        }
    };
    let tree = match asked.declared.clone() {
        Some(declared) => tree.declared(declared),
        None => tree,
    };
    look(id, &tree).unwrap_or_else(|| Seen::unknown("there is no such probe of files"))
}

/// What to know of the network that the programs had.
fn network_hint(probes: &[Finding], egress: bool, withheld: Option<&str>) -> Option<String> {
    let ran = probes.iter().any(|finding| finding.tier != Tier::Static);
    let down = |finding: &Finding| {
        finding.verdict == Verdict::Unknown && Unstartable::is_told_in(&finding.evidence)
    };
    match withheld {
        _ if egress || !ran => None,
        Some(reason) => Some(format!(
            "the programs could reach what this machine reaches, as none of them can have a \
             network of its own here: {reason}"
        )),
        None if probes.iter().any(down) => Some(
            "the programs could reach nothing but what they were given; what needs more to start \
             gets the network of this machine by --allow-egress"
                .to_owned(),
        ),
        None => None,
    }
}

/// By how much slower this machine starts a control than an idle one.
async fn scale(lab: &Lab) -> f64 {
    let Ok(folder) = lab.place() else { return 1.0 };
    let executable = lab.executable().to_string_lossy().into_owned();
    let control = Subject::control(executable, folder, &[Behaviour::Good]);
    let started = lab.start(&control, &Setup::new(Shape::Child), Duration::from_secs(30)).await;
    let Ok(running) = started else { return SCALE_MAX };
    let took = running.elapsed();
    running.end().await;
    (took.as_secs_f64() / CONTROL_START.as_secs_f64()).clamp(1.0, SCALE_MAX)
}
