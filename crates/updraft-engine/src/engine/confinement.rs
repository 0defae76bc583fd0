//! From the graph to what a program may use and do.

use std::path::PathBuf;

use updraft_system::{Name, Service};

use super::{Run, ServiceTarget};
use crate::scope::{Confinement, FileRules};

impl Run {
    /// What a process or task of a service may use and do.
    pub(super) fn confinement(
        &self,
        part: &ServiceTarget,
        service: &Service,
        name: &Name,
    ) -> Confinement {
        let process = service.processes.get(name).map(|process| &process.confinement);
        let task = service.tasks.get(name).map(|task| &task.confinement);
        let declared = process.or(task).cloned().unwrap_or_default();
        let writable = match process {
            Some(_) => declared.writable,
            None => declared.writable.or_else(|| writable_by_processes(service)),
        };
        Confinement {
            limits: declared.limits,
            capabilities: declared.capabilities,
            files: writable.map(|paths| self.file_rules(part, service, &paths)),
        }
    }

    fn file_rules(
        &self,
        part: &ServiceTarget,
        service: &Service,
        writable: &[PathBuf],
    ) -> FileRules {
        let folder = &part.directory;
        let held = self.held();
        let needed = service.needs.iter().filter_map(|need| held.resources.get(need.target.name()));
        let mut resources: Vec<_> = needed.filter_map(|plan| plan.url.written_path()).collect();
        resources.sort();
        resources.dedup();
        FileRules {
            // `.` would make paths that look different from what they are.
            writable: writable
                .iter()
                .map(|path| folder.join(path).components().collect())
                .collect(),
            resources,
            hidden: Some(self.state.root().to_owned()),
            shown: part.paths.iter().cloned().chain([folder.components().collect()]).collect(),
        }
    }
}

/// Where the processes of a service may write, together. `None`: one of them writes wherever its
/// user may.
fn writable_by_processes(service: &Service) -> Option<Vec<PathBuf>> {
    let each = service.processes.values().map(|process| process.confinement.writable.clone());
    let mut all: Vec<PathBuf> = each.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
    all.sort();
    all.dedup();
    Some(all)
}
