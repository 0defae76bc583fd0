//! Reads a Procfile: one service, named like the system, with the process types
//! that the file names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::process;
use super::report::Report;
use super::scalar;
use crate::mesh::{MeshSettings, Protocol, Traffic};
use crate::{Build, Confinement, ImageSettings, Name, Problem, Service, System, Task, TaskTrigger};

/// The process type that runs once before the others, as Heroku has it.
const RELEASE: &str = "release";

/// Reads a Procfile as the manifest of a system with one service.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of the text.
pub fn parse_procfile(text: &str, system_name: &Name) -> Result<System, Vec<Problem>> {
    let mut report = Report::new(text);
    let mut processes = BTreeMap::new();
    let mut tasks = BTreeMap::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let at = start;
        start += line.len();
        let Some((name, run)) = entry(line.trim_end(), at, &mut report) else {
            continue;
        };
        let taken = processes.contains_key(&name) || tasks.contains_key(&name);
        if taken {
            let span = at..at + name.as_str().len();
            let message = format!("`{name}` is given twice");
            let help = "remove one of the two lines".to_owned();
            report.add("procfile::duplicate", span, message, "given here again", help);
        } else if name.as_str() == RELEASE {
            let run = run.to_owned();
            let task = Task {
                name: name.clone(),
                run,
                when: TaskTrigger::Release,
                timeout: None,
                schedule: None,
                tty: false,
                confinement: Confinement::default(),
            };
            tasks.insert(name, task);
        } else {
            processes.insert(name.clone(), process::plain(name, run, None));
        }
    }
    if processes.is_empty() && report.is_empty() {
        let help = "add a line such as `web: python3 server.py`".to_owned();
        report.add("procfile::missing", 0..0, "the Procfile has no process", "empty", help);
    }
    if !report.is_empty() {
        return Err(report.into_problems());
    }
    let name = system_name.clone();
    let service = Service {
        name: name.clone(),
        path: PathBuf::from("."),
        build: Build::None,
        image: ImageSettings::default(),
        processes,
        tasks,
        needs: Vec::new(),
        after: Vec::new(),
        route: None,
        api: None,
        config: BTreeMap::new(),
        protocol: Protocol::default(),
        operations: BTreeMap::new(),
        calls: BTreeMap::new(),
        traffic: Traffic::default(),
    };
    let services = BTreeMap::from([(name.clone(), service)]);
    Ok(System { name, resources: BTreeMap::new(), services, mesh: MeshSettings::default() })
}

/// The process type of one line; `None` for blank lines, comments and mistakes.
fn entry<'t>(line: &'t str, at: usize, report: &mut Report<'_>) -> Option<(Name, &'t str)> {
    let whole = at..at + line.len();
    if line.trim().is_empty() || line.starts_with('#') {
        return None;
    }
    let Some((name, run)) = line.split_once(':') else {
        let help = "write `name: command`".to_owned();
        report.add("procfile::syntax", whole, "this line has no `:`", "here", help);
        return None;
    };
    let span = at..at + name.len();
    let before = report.len();
    scalar::name("process", name, &span, report);
    if run.trim().is_empty() {
        let message = format!("the command of `{name}` is empty");
        let help = "write the command line that starts the program".to_owned();
        report.add("procfile::empty_command", whole.clone(), message, "empty", help);
    } else if run.contains('\0') {
        report.add("procfile::syntax", whole, "the command holds a NUL character", "here", None);
    }
    if report.len() != before {
        return None;
    }
    Some((name.parse().ok()?, run.trim()))
}
