//! The preset `cargo`: a release build of the package in the service's folder.
//!
//! Cargo decides what to compile. Whether Cargo has to be asked at all is decided here,
//! from the content of everything that went into the last build: the local packages,
//! the files that the compiler and build scripts named, the lock file, Cargo's
//! configuration, the compiler and the variables that change what it does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use updraft_system::{LogStream, Name};

use super::inputs::{Digest, InputError, Inputs, Moment};
use super::stage::{CargoStamp, Staged, Stamp};
use super::{
    BuildError, BuildStep, Built, Method, Progress, Source, environment, not_kept, unreadable,
};

/// Tells the inputs of this preset from those of others.
const KIND: &str = "cargo";

/// A build by Cargo that runs.
#[derive(Debug)]
pub(super) struct CargoBuild {
    base: PathBuf,
    folder: PathBuf,
    /// The root of the workspace, with the lock file.
    root: PathBuf,
    /// Whether there was a lock file before.
    locked: bool,
    started: Moment,
    before: Option<CargoStamp>,
    compiled: u32,
    programs: BTreeSet<PathBuf>,
    packages: BTreeSet<PathBuf>,
}

/// A line that Cargo writes for programs. Other kinds than these two are of no use here.
#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact(Artifact),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Artifact {
    package_id: String,
    manifest_path: PathBuf,
    executable: Option<PathBuf>,
    fresh: bool,
}

/// How Cargo's lines about its own progress begin.
const STATUS_WORDS: [&str; 10] = [
    "Adding ",
    "Blocking ",
    "Building ",
    "Compiling ",
    "Downloaded ",
    "Downloading ",
    "Finished ",
    "Fresh ",
    "Locking ",
    "Updating ",
];

pub(super) fn plan(source: &Source<'_>, stamp: Stamp) -> Result<BuildStep, BuildError> {
    let started = Moment::now();
    if let (Some(inputs), Some(cargo)) = (&stamp.inputs, &stamp.cargo)
        && cargo.staged.is_intact(source.store)
    {
        let mut current = Inputs::new(KIND, source.base);
        let taken = take(&mut current, source.folder, &cargo.packages, &cargo.files);
        taken.map_err(source.unreadable())?;
        if current.digest() == *inputs {
            let inputs = current.digest();
            return Ok(BuildStep::Skip(built(true, inputs, &cargo.staged, source.store)));
        }
    }
    let root = workspace_root(source)?;
    let locked = root.join("Cargo.lock").is_file();
    let mut argv: Vec<String> =
        ["cargo", "build", "--release", "--message-format=json-render-diagnostics"]
            .map(str::to_owned)
            .into();
    let mut fetch = None;
    if source.conditions.network.is_cut() {
        let mut words = ["cargo", "fetch"].map(str::to_owned).to_vec();
        words.extend(locked.then(|| "--locked".to_owned()));
        fetch = Some(words);
        argv.push("--offline".to_owned());
        argv.extend(neutral(&root, &environment()));
    }
    if locked {
        argv.push("--locked".to_owned());
    }
    let argv = source.conditions.after_fetch(argv);
    let build = CargoBuild {
        base: source.base.to_owned(),
        folder: source.folder.to_owned(),
        root,
        locked,
        started,
        before: stamp.cargo,
        compiled: 0,
        programs: BTreeSet::new(),
        packages: BTreeSet::new(),
    };
    Ok(source.run(fetch, argv, Method::Cargo(build)))
}

/// Settings by which a program does not depend on where it is built, and has no symbols: an
/// artefact is its content. A user's own flags and settings in Cargo's configuration stay.
fn neutral(root: &Path, environment: &BTreeMap<String, String>) -> Vec<String> {
    let cargo_home = environment
        .get("CARGO_HOME")
        .cloned()
        .or_else(|| environment.get("HOME").map(|home| format!("{home}/.cargo")));
    let target = environment.get("CARGO_TARGET_DIR");
    // Within the workspace it is where Cargo has it anyway.
    let target =
        target.filter(|at| Path::new(at).is_absolute() && !Path::new(at).starts_with(root));
    let folders = [
        (cargo_home.unwrap_or_default(), "/cargo"),
        (root.display().to_string(), "/src"),
        (target.cloned().unwrap_or_default(), "/src/target"),
    ];
    let flags: Vec<String> = folders
        .iter()
        .filter(|(from, _)| !from.is_empty())
        .map(|(from, to)| format!("--remap-path-prefix={from}={to}"))
        .collect();
    let flags = serde_json::to_string(&flags).unwrap_or_default();
    let mut words = vec!["--config".to_owned(), format!("build.rustflags={flags}")];
    if !environment.contains_key("CARGO_PROFILE_RELEASE_STRIP") {
        words.extend(["--config", "profile.release.strip=\"symbols\""].map(str::to_owned));
    }
    words
}

/// Only Cargo knows to which workspace a package belongs.
fn workspace_root(source: &Source<'_>) -> Result<PathBuf, BuildError> {
    let service = source.service.clone();
    let mut command = Command::new("cargo");
    command
        .args(["locate-project", "--workspace", "--message-format=plain"])
        .current_dir(source.folder)
        .env_clear()
        .envs(environment());
    let output = match command.output() {
        Ok(output) => output,
        Err(source) => return Err(BuildError::NoCargo { service, source }),
    };
    let manifest = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    match manifest.parent() {
        Some(root) if output.status.success() => Ok(root.to_owned()),
        _ => Err(BuildError::Failed {
            service,
            command: "cargo locate-project --workspace".to_owned(),
            exit: output.status.to_string(),
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        }),
    }
}

impl CargoBuild {
    pub(super) fn observe(&mut self, stream: LogStream, line: &str) -> Option<Progress> {
        if stream == LogStream::Stdout && line.starts_with('{') {
            match serde_json::from_str(line) {
                Ok(Message::CompilerArtifact(artifact)) => self.take_artifact(artifact),
                Ok(Message::Other) => {}
                // A build script or a macro may print an object of its own.
                Err(_) => return Some(Progress::Line(line.to_owned())),
            }
            return None;
        }
        let status = line.trim_start();
        if stream == LogStream::Stderr && STATUS_WORDS.iter().any(|word| status.starts_with(word)) {
            return Some(Progress::Step { done: self.compiled, text: status.to_owned() });
        }
        Some(Progress::Line(line.to_owned()))
    }

    fn take_artifact(&mut self, artifact: Artifact) {
        self.compiled += u32::from(!artifact.fresh);
        if artifact.package_id.contains("path+file:")
            && let Some(folder) = artifact.manifest_path.parent()
        {
            self.packages.insert(folder.to_owned());
        }
        self.programs.extend(artifact.executable);
    }

    pub(super) fn finish(
        self,
        service: &Name,
        store: &Path,
        spared: &[PathBuf],
    ) -> Result<Built, BuildError> {
        if self.programs.is_empty() {
            return Err(BuildError::NoProgram { service: service.clone() });
        }
        let programs: Vec<PathBuf> = self.programs.iter().cloned().collect();
        let staged = Staged::put(store, &programs).map_err(not_kept(service))?;
        let packages: Vec<PathBuf> = self.packages.iter().cloned().collect();
        let files: Vec<PathBuf> = self.files().into_iter().collect();
        let mut inputs = Inputs::new(KIND, &self.base);
        if !self.locked {
            // Cargo has made it.
            inputs.overlook_change_of(self.root.join("Cargo.lock"));
        }
        let taken = take(&mut inputs, &self.folder, &packages, &files);
        taken.map_err(unreadable(service))?;
        let digest = inputs.digest();
        // What changed during the build may have been read before or after, so that the
        // next time Cargo has to say. The time is only ever a reason to build.
        let known = (!inputs.changed_since(self.started)).then(|| digest.clone());

        let built = built(false, digest, &staged, store);
        let previous = match self.before {
            Some(before) if before.staged == staged => before.previous,
            Some(before) => Some(before.staged),
            None => None,
        };
        let kept: Vec<&Staged> = [&staged].into_iter().chain(&previous).collect();
        Staged::keep_only(store, &kept, spared).map_err(not_kept(service))?;
        let cargo = CargoStamp { packages, files, staged, previous };
        let stamp = Stamp { inputs: known, cut: false, cargo: Some(cargo) };
        stamp.write(store).map_err(not_kept(service))?;
        Ok(built)
    }

    /// What took part beside the packages' own folders.
    fn files(&self) -> BTreeSet<PathBuf> {
        let mut files: BTreeSet<PathBuf> =
            ["Cargo.toml", "Cargo.lock"].map(|name| self.root.join(name)).into();
        for program in &self.programs {
            let made = program.parent().and_then(Path::parent).unwrap_or(program);
            let list = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
            let named = dependencies(&list).map(|path| self.root.join(path));
            files.extend(named.filter(|path| !path.starts_with(made)));
        }
        files
    }
}

/// All inputs of a build, in an order that depends on them alone.
fn take(
    inputs: &mut Inputs<'_>,
    folder: &Path,
    packages: &[PathBuf],
    files: &[PathBuf],
) -> Result<(), InputError> {
    for package in packages {
        inputs.word("package", &[]);
        inputs.folder(package, &[])?;
    }
    for file in files {
        inputs.path(file)?;
    }
    let environment = environment();
    for (level, path) in configurations(folder, &environment) {
        inputs.named_file(&level, &path)?;
    }
    for (name, value) in environment.iter().filter(|(name, _)| changes_the_build(name)) {
        inputs.word(name, value.as_bytes());
    }
    inputs.word("rustc", &compiler(folder, &environment));
    Ok(())
}

/// The configuration files that Cargo reads in `folder`, each with how near it is.
fn configurations(folder: &Path, environment: &BTreeMap<String, String>) -> Vec<(String, PathBuf)> {
    let levels = folder.ancestors().enumerate();
    let near = levels.map(|(level, folder)| (format!("config {level}"), folder.join(".cargo")));
    let home = environment
        .get("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| environment.get("HOME").map(|home| Path::new(home).join(".cargo")));
    let home = home.map(|home| ("config home".to_owned(), home));
    near.chain(home)
        .flat_map(|(level, folder)| {
            ["config.toml", "config"].map(|name| (level.clone(), folder.join(name)))
        })
        .filter(|(_, path)| path.is_file())
        .collect()
}

fn changes_the_build(variable: &str) -> bool {
    const NAMES: [&str; 14] = [
        "AR",
        "CC",
        "CFLAGS",
        "CPPFLAGS",
        "CXX",
        "CXXFLAGS",
        "LDFLAGS",
        "PKG_CONFIG_PATH",
        "RUSTC",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
    ];
    const PREFIXES: [&str; 3] = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_"];
    NAMES.contains(&variable) || PREFIXES.iter().any(|prefix| variable.starts_with(prefix))
}

/// What the compiler of this folder says of itself; empty if there is none, in which
/// case the build will say so.
fn compiler(folder: &Path, environment: &BTreeMap<String, String>) -> Vec<u8> {
    let program = environment.get("RUSTC").map_or("rustc", String::as_str);
    let mut command = Command::new(program);
    command.arg("-vV").current_dir(folder).env_clear().envs(environment);
    command.output().map(|output| output.stdout).unwrap_or_default()
}

/// The paths on the right of a list of dependencies in the form that `make` reads, where
/// a blank in a path has a backslash before it.
fn dependencies(list: &str) -> impl Iterator<Item = PathBuf> {
    list.lines().filter_map(|line| line.split_once(": ")).flat_map(|(_, paths)| {
        let joined = paths.replace("\\ ", "\0");
        let split = joined.split_whitespace();
        split.map(|path| PathBuf::from(path.replace('\0', " "))).collect::<Vec<_>>()
    })
}

fn built(skipped: bool, inputs: Digest, staged: &Staged, store: &Path) -> Built {
    Built { path_prefix: vec![staged.folder(store)], skipped, inputs: Some(inputs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_dependencies_may_have_blanks_in_paths() {
        let list = "/t/release/a b: /s/main.rs /s/a\\ b/lib.rs\n\n/s/main.rs:\n";
        let list = list.replace("a b:", "a\\ b:");
        let paths: Vec<PathBuf> = dependencies(&list).collect();
        assert_eq!(paths, [Path::new("/s/main.rs"), Path::new("/s/a b/lib.rs")]);
    }

    #[test]
    fn variables_that_only_cargo_run_sets_do_not_count() {
        for (name, counts) in [
            ("RUSTFLAGS", true),
            ("CARGO_PROFILE_RELEASE_LTO", true),
            ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER", true),
            ("CARGO_MANIFEST_DIR", false),
            ("CARGO_PKG_NAME", false),
            ("PATH", false),
        ] {
            assert_eq!(changes_the_build(name), counts, "{name}");
        }
    }
}
