//! What of a service goes into its image, and where.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use updraft_image::{Tree, TreeError};
use updraft_system::{BaseImage, Build, Name, Service};

use super::{ArtifactError, HOME, interpreter, virtual_env};
use crate::build::{Built, sources};
use crate::environment;

/// Folders of packages that others wrote: they change less often than the service.
const DEPENDENCIES: [&str; 3] = ["node_modules", ".venv", "vendor"];
/// Values of one deploy, which are never in an image.
const VALUES: &str = ".env";
/// Where the programs of a Cargo package are.
const PROGRAMS: &str = "/app/bin";

/// The files of an image by layers, and how they are started.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Programs of this machine that read others, such as Python.
    pub(super) interpreters: Tree,
    pub(super) dependencies: Tree,
    pub(super) own: Tree,
    /// The programs that are started, by their paths in the image.
    pub(super) programs: BTreeSet<String>,
    /// Folders of programs in the image.
    pub(super) path: Vec<String>,
    /// What runs where nobody says otherwise.
    pub(super) command: Vec<String>,
    pub(super) notes: Vec<String>,
}

impl Contents {
    pub(super) fn gather(
        service: &Service,
        built: &Built,
        folder: &Path,
    ) -> Result<Self, ArtifactError> {
        let mut contents = Self::default();
        contents.files(service, built, folder)?;
        contents.find_programs(service, folder)?;
        let web = service.processes.get(&Name::web()).or_else(|| {
            let mut processes = service.processes.values();
            processes.next().filter(|_| processes.next().is_none())
        });
        contents.command = web.map(|web| environment::argv(&web.run)).unwrap_or_default();
        Ok(contents)
    }

    fn files(
        &mut self,
        service: &Service,
        built: &Built,
        folder: &Path,
    ) -> Result<(), ArtifactError> {
        let unreadable = |path: &Path| {
            let (service, path) = (service.name.clone(), path.to_owned());
            move |source| ArtifactError::Read { service, path, source }
        };
        match &service.build {
            Build::Cargo => {
                self.path.push(PROGRAMS.to_owned());
                for programs in &built.path_prefix {
                    let entries = fs::read_dir(programs).map_err(unreadable(programs))?;
                    for entry in entries {
                        let path = entry.map_err(unreadable(programs))?.path();
                        let name = path.file_name().unwrap_or_default().to_string_lossy();
                        let at = format!("{PROGRAMS}/{name}");
                        self.own.add_host(&path, &at).map_err(unfit(service))?;
                    }
                }
            }
            Build::Command { keep, .. } => {
                for path in keep {
                    self.take(service, folder, path)?;
                }
            }
            Build::None | Build::Node | Build::Python => {
                let left: Vec<PathBuf> = DEPENDENCIES.map(|name| folder.join(name)).into();
                for path in sources(folder, &left) {
                    let path = path
                        .map_err(|error| unreadable(folder)(io::Error::other(error.to_string())))?;
                    let relative = path.strip_prefix(folder).unwrap_or(&path).to_owned();
                    self.take(service, folder, &relative)?;
                }
            }
        }
        let (made, programs) = match service.build {
            Build::Node => ("node_modules", "node_modules/.bin"),
            Build::Python => (".venv", ".venv/bin"),
            _ => ("", ""),
        };
        if !made.is_empty() && folder.join(made).is_dir() {
            self.path.push(format!("{HOME}/{programs}"));
            self.take(service, folder, Path::new(made))?;
        }
        for path in &service.image.include {
            if let Err(source) = fs::symlink_metadata(folder.join(path)) {
                return Err(unreadable(&folder.join(path))(source));
            }
            self.take(service, folder, path)?;
        }
        Ok(())
    }

    /// Takes a file or folder of the service.
    fn take(&mut self, service: &Service, folder: &Path, path: &Path) -> Result<(), ArtifactError> {
        let parts: Vec<&str> = path
            .components()
            .filter(|part| !matches!(part, Component::CurDir))
            .filter_map(|part| part.as_os_str().to_str())
            .collect();
        if parts.last() == Some(&VALUES) || parts.contains(&".git") {
            return Ok(());
        }
        let is_dependency = parts.iter().any(|part| DEPENDENCIES.contains(part));
        let tree = if is_dependency { &mut self.dependencies } else { &mut self.own };
        let at = [&[HOME], &*parts].concat().join("/");
        let from = folder.join(path);
        let added = match from.join("pyvenv.cfg").is_file() {
            true => virtual_env::add(tree, &from, &at),
            false => tree.add_host(&from, &at),
        };
        added.map_err(unfit(service))
    }

    /// Finds what the processes and tasks of a service start.
    fn find_programs(&mut self, service: &Service, folder: &Path) -> Result<(), ArtifactError> {
        let processes = service.processes.values().map(|process| &process.run);
        let tasks = service.tasks.values().map(|task| &task.run);
        let mut problems = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for run in processes.chain(tasks) {
            let argv = environment::argv(run);
            let Some(program) = argv.first().filter(|program| seen.insert((*program).clone()))
            else {
                continue;
            };
            if program == "/bin/sh" {
                self.notes.push(format!(
                    "`{run}` is read by a shell, so /bin/sh is in the image of `{}`; programs \
                     that only the shell starts are not looked for",
                    service.name
                ));
            }
            match self.place(program) {
                Some(at) => drop(self.programs.insert(at)),
                None if service.image.base != BaseImage::Closure => {}
                None => match interpreter::add(&mut self.interpreters, program, folder) {
                    Ok(at) => drop(self.programs.insert(at)),
                    Err(problem) => drop(problems.insert(problem)),
                },
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        let problems = problems.into_iter().collect();
        Err(ArtifactError::Programs { service: service.name.clone(), problems })
    }

    /// Where a program of the service is in its image; `None`: it is not one of its own.
    fn place(&self, program: &str) -> Option<String> {
        let is_there = |at: &String| self.own.contains(at) || self.dependencies.contains(at);
        if program.starts_with('/') {
            return None;
        }
        if program.contains('/') {
            let at = format!("{HOME}/{}", program.trim_start_matches("./"));
            return Some(at).filter(is_there);
        }
        self.path.iter().map(|folder| format!("{folder}/{program}")).find(is_there)
    }
}

fn unfit(service: &Service) -> impl Fn(TreeError) -> ArtifactError + '_ {
    |source| ArtifactError::File { service: service.name.clone(), source }
}
