//! `XII.same`, `XII.fail`, `XII.again`: admin tasks run in the artefact and environment of the
//! processes, say when they fail, and may run twice.

use updraft_mesh::instrument::{Manner, Setting, Target, When};
use updraft_system::{Resource, ResourceKind};

use super::{Bench, Control, Dynamic, Looking};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::{Attached, Done, Ended, Provided, Setup};
use crate::seen::Seen;
use crate::subject::{AdminTask, Dependency, DependencyKind, Subject};
use crate::verdict::{Shape, Verdict};

pub(super) const SAME: Dynamic = Dynamic {
    id: ProbeId::XiiSame,
    applies: has_tasks,
    look: |bench| -> Looking { Box::pin(async move { same(&bench.subject) }) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass)
            .with(|subject| add(subject, Behaviour::Task)),
        Control::new(&[Behaviour::Good], Verdict::Fail).with(|subject| {
            add(subject, Behaviour::Task);
            for task in &mut subject.tasks {
                task.environment.insert("DATABASE_URL".to_owned(), "elsewhere".to_owned());
            }
        }),
    ],
};

pub(super) const FAIL: Dynamic = Dynamic {
    id: ProbeId::XiiFail,
    applies: has_tasks,
    look: |bench| -> Looking { Box::pin(fail(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass)
            .with(|subject| add(subject, Behaviour::Task)),
        Control::new(&[Behaviour::Good], Verdict::Fail)
            .with(|subject| add(subject, Behaviour::TaskSwallows)),
    ],
};

pub(super) const AGAIN: Dynamic = Dynamic {
    id: ProbeId::XiiAgain,
    applies: has_release_tasks,
    look: |bench| -> Looking { Box::pin(again(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Good], Verdict::Pass)
            .with(|subject| add(subject, Behaviour::TaskAgain)),
        Control::new(&[Behaviour::Good], Verdict::Warn)
            .with(|subject| add(subject, Behaviour::TaskOnce)),
    ],
};

fn has_tasks(subject: &Subject) -> Result<(), Seen> {
    match subject.tasks.is_empty() {
        true => Err(Seen::not_applicable("it has no admin task")),
        false => Ok(()),
    }
}

fn has_release_tasks(subject: &Subject) -> Result<(), Seen> {
    match subject.tasks.iter().any(|task| task.on_release) {
        true => Ok(()),
        false => Err(Seen::not_applicable("no task runs at each release")),
    }
}

/// Gives a control a task, and the resources that the task wants.
fn add(subject: &mut Subject, behaviour: Behaviour) {
    let (Ok(name), Ok(echo), Ok(files)) = ("migrate".parse(), "control".parse(), "files".parse())
    else {
        return;
    };
    let mut argv = subject.argv.clone();
    if let Some(words) = argv.last_mut() {
        behaviour.as_str().clone_into(words);
    }
    let environment = subject.environment.clone();
    subject.tasks.push(AdminTask { name, argv, environment, on_release: true, timeout: None });
    let blob = Resource { name: files, kind: ResourceKind::Blob };
    let need = |name, variable: &str, kind| Dependency {
        name,
        variables: vec![variable.to_owned()],
        kind,
    };
    subject.needs = vec![
        need(echo, "CONTROL_URL", DependencyKind::Echo),
        need(blob.name.clone(), "FILES_URL", DependencyKind::Resource(blob)),
    ];
}

/// What a process and a task may differ in: who they are.
const OWN: [&str; 2] = ["UPDRAFT_PROCESS", "UPDRAFT_REPLICA"];

fn same(subject: &Subject) -> Seen {
    let mut different = Vec::new();
    for task in &subject.tasks {
        let names = task.environment.keys().chain(subject.environment.keys());
        for name in names.filter(|name| !OWN.contains(&name.as_str())) {
            if task.environment.get(name) != subject.environment.get(name) {
                different.push(format!("{name} of task {}", task.name));
            }
        }
    }
    different.sort();
    different.dedup();
    if !different.is_empty() {
        return Seen::fail(format!("not as the process has it: {}", different.join(", ")));
    }
    let names: Vec<_> = subject.tasks.iter().map(|task| task.name.to_string()).collect();
    let variables = subject.environment.len();
    Seen::pass(format!(
        "{} runs in {}, with the process's {variables} variables and resources",
        names.join(", "),
        subject.folder.display()
    ))
}

/// Runs each task once as it is, and once without what it used.
async fn fail(bench: Bench) -> Seen {
    let (mut judged, mut unseen) = (Vec::new(), Vec::new());
    for task in &bench.subject.tasks {
        match without_resources(&bench, task).await {
            Ok(None) => unseen.push(task.name.to_string()),
            Ok(Some(done)) => judged.push((task, done)),
            Err(seen) => return seen,
        }
    }
    let swallows = judged.iter().find(|(_, done)| done.ended == Some(Ended::Code(0)));
    if let Some((task, _)) = swallows {
        return Seen::fail(format!(
            "task {} ends with 0 though what it needs refuses every connection",
            task.name
        ));
    }
    let hangs = judged.iter().find(|(_, done)| done.ended.is_none());
    if let Some((task, done)) = hangs {
        let seconds = done.took.as_secs();
        return Seen::unknown(format!(
            "task {} still tries after {seconds} s without what it needs",
            task.name
        ));
    }
    match judged.first() {
        Some((task, Done { ended: Some(ended), .. })) => {
            Seen::pass(format!("without what it needs task {} ends with {ended}", task.name))
        }
        _ => Seen::unknown(format!(
            "{} used no resource that is behind a wire, so that none could be taken away",
            unseen.join(", ")
        )),
    }
}

/// `None`: it uses nothing that can be taken away.
async fn without_resources(bench: &Bench, task: &AdminTask) -> Result<Option<Done>, Seen> {
    let provided = provide(bench).await?;
    let done = run(bench, task, &provided).await?;
    if done.ended != Some(Ended::Code(0)) {
        return Err(Seen::unknown(did_not_succeed(task, &done)));
    }
    let wires: Vec<_> = provided.iter().filter_map(Attached::instrument).collect();
    let used: Vec<_> = wires.iter().filter(|wire| wire.counts().messages_to_server > 0).collect();
    if used.is_empty() {
        return Ok(None);
    }
    for wire in used {
        wire.set(Setting::Cut {
            when: When::Now { refuse: true },
            target: Target::default(),
            manner: Manner::Reset,
        });
    }
    run(bench, task, &provided).await.map(Some)
}

async fn again(bench: Bench) -> Seen {
    let provided = match provide(&bench).await {
        Ok(provided) => provided,
        Err(seen) => return seen,
    };
    let tasks: Vec<_> = bench.subject.tasks.iter().filter(|task| task.on_release).collect();
    for task in &tasks {
        match run(&bench, task, &provided).await {
            Ok(done) if done.ended == Some(Ended::Code(0)) => {}
            Ok(done) => return Seen::unknown(did_not_succeed(task, &done)),
            Err(seen) => return seen,
        }
    }
    for task in &tasks {
        match run(&bench, task, &provided).await {
            Ok(done) if done.ended == Some(Ended::Code(0)) => {}
            Ok(done) => {
                let last = done.tail.last().cloned().unwrap_or_default();
                return Seen::warn(format!(
                    "the second time task {} ends with {}: {last}",
                    task.name,
                    ending(&done)
                ));
            }
            Err(seen) => return seen,
        }
    }
    let names: Vec<_> = tasks.iter().map(|task| task.name.to_string()).collect();
    Seen::pass(format!("{} ends with 0, and with 0 again on the same resources", names.join(", ")))
}

async fn provide(bench: &Bench) -> Result<Provided, Seen> {
    let provided = bench.lab.provide_bare(&bench.subject).await;
    provided.map_err(|error| Seen::unknown(error.to_string()))
}

async fn run(bench: &Bench, task: &AdminTask, provided: &Provided) -> Result<Done, Seen> {
    let setup = Setup { provided: Some(provided.clone()), ..Setup::new(Shape::Child) };
    let done = bench.lab.task(&bench.subject, &setup, task).await;
    done.map_err(|error| Seen::unknown(error.to_string()))
}

fn did_not_succeed(task: &AdminTask, done: &Done) -> String {
    let last = done.tail.last().cloned().unwrap_or_default();
    format!("task {} does not succeed in the first place ({}): {last}", task.name, ending(done))
}

fn ending(done: &Done) -> String {
    done.ended.map_or_else(|| "no end".to_owned(), |ended| ended.to_string())
}
