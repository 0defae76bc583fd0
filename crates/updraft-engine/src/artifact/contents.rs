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
        let mut contents = Self::made(service, built, folder)?;
        contents.find_programs(service, folder)?;
        let web = service.processes.get(&Name::web()).or_else(|| {
            let mut processes = service.processes.values();
            processes.next().filter(|_| processes.next().is_none())
        });
        contents.command = web.map(|web| environment::argv(&web.run)).unwrap_or_default();
        Ok(contents)
    }

    /// The files of the service alone, whatever starts them.
    pub(super) fn made(
        service: &Service,
        built: &Built,
        folder: &Path,
    ) -> Result<Self, ArtifactError> {
        let mut contents = Self::default();
        contents.files(service, built, folder)?;
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
        let made = match service.build {
            Build::Node => Some(("node_modules", "node_modules/.bin")),
            Build::Python => Some((".venv", ".venv/bin")),
            _ => None,
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
                // What the build has made is taken below.
                let left: Vec<PathBuf> =
                    made.map(|(made, _)| folder.join(made)).into_iter().collect();
                for path in sources(folder, &left) {
                    let path = path
                        .map_err(|error| unreadable(folder)(io::Error::other(error.to_string())))?;
                    let relative = path.strip_prefix(folder).unwrap_or(&path).to_owned();
                    self.take(service, folder, &relative)?;
                }
            }
        }
        if let Some((made, programs)) = made.filter(|(made, _)| folder.join(made).is_dir()) {
            self.path.push(format!("{HOME}/{programs}"));
            self.take(service, folder, Path::new(made))?;
        }
        for path in &service.image.include {
            if let Err(source) = fs::symlink_metadata(folder.join(path)) {
                return Err(unreadable(&folder.join(path))(source));
            }
            self.take(service, folder, path)?;
        }
        for tree in [&mut self.dependencies, &mut self.own] {
            tree.leave_out(|path, is_folder| {
                let name = path.rsplit('/').next();
                path.split('/').any(|part| part == ".git") || !is_folder && name == Some(VALUES)
            });
        }
        Ok(())
    }

    /// Takes a file or folder of the service.
    fn take(&mut self, service: &Service, folder: &Path, path: &Path) -> Result<(), ArtifactError> {
        let parts = path.components().filter(|part| !matches!(part, Component::CurDir));
        let parts: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
        let Some(parts) = parts else {
            return Err(unfit(service)(TreeError::NotUtf8(folder.join(path))));
        };
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
        let harvests = service.image.base == BaseImage::Closure;
        if harvests
            && service.build == Build::Python
            && let Some(python) = virtual_env::interpreter(&folder.join(".venv"))
            && let Err(problem) = interpreter::add(&mut self.interpreters, &python, folder)
        {
            problems.insert(problem);
        }
        for run in processes.chain(tasks) {
            let argv = environment::argv(run);
            problems.extend(argv.iter().skip(1).filter_map(|word| self.missing(word, folder)));
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
                None if service.image.base == BaseImage::Scratch => drop(problems.insert(format!(
                    "`{program}` is no file of the service, and `scratch` has no other"
                ))),
                None if !harvests => {}
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

    /// What is wrong with a word of a command line that names a file of the service.
    fn missing(&self, word: &str, folder: &Path) -> Option<String> {
        let at = format!("{HOME}/{}", word.trim_start_matches("./"));
        let is_meant = !word.starts_with('/') && word != VALUES && folder.join(word).is_file();
        let is_there = self.own.contains(&at) || self.dependencies.contains(&at);
        (is_meant && !is_there).then(|| {
            format!(
                "`{word}` is not in the image, since Git ignores it: name it in `image.include`"
            )
        })
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
