//! A system that is being proposed, and the text of its manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use updraft_system::Name;

use super::program::{self, BuildSketch, Program};
use super::python::VENV;

/// A system that is being proposed.
#[derive(Debug)]
pub(super) struct Sketch {
    system: String,
    resources: Vec<ResourceSketch>,
    services: Vec<ServiceSketch>,
    left_out: Vec<String>,
    found: Vec<String>,
}

#[derive(Debug)]
struct ResourceSketch {
    name: String,
    compose_name: String,
    kind: Kind,
    version: Option<String>,
    from: String,
}

/// The servers that a compose file can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// PostgreSQL.
    Postgres,
    /// Redis.
    Redis,
    /// NATS.
    Nats,
}

/// A service that is being proposed.
#[derive(Debug)]
pub(super) struct ServiceSketch {
    /// The name that it would like to have.
    name: String,
    /// What a compose file calls it.
    pub compose_name: Option<String>,
    path: String,
    program: Program,
    /// What it needs, as the compose file names it.
    pub needs: Vec<String>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

impl ServiceSketch {
    /// The service that a program in a folder makes; `fallback` names it where nothing else does.
    pub(super) fn of(path: &Path, fallback: &str, program: Program) -> Self {
        let folder = path.file_name().and_then(|name| name.to_str()).unwrap_or(fallback);
        let name = program.name.clone().unwrap_or_else(|| folder.to_owned());
        let path = path.to_string_lossy().into_owned();
        let processes = distinct(program.processes);
        let program = Program { processes, ..program };
        Self { name, compose_name: None, path, program, needs: Vec::new(), notes: Vec::new() }
    }
}

impl Sketch {
    pub(super) fn new(system: Option<Name>) -> Self {
        let system = system.map_or_else(|| "app".to_owned(), |name| name.to_string());
        Self {
            system,
            resources: Vec::new(),
            services: Vec::new(),
            left_out: Vec::new(),
            found: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.services.is_empty()
    }

    /// The files that it was made from.
    pub(super) fn found(&self) -> Vec<String> {
        self.found.clone()
    }

    pub(super) fn found_in(&mut self, file: &str) {
        if !self.found.iter().any(|known| known == file) {
            self.found.push(file.to_owned());
        }
    }

    /// Notes what was found and not taken over.
    pub(super) fn leave_out(&mut self, sentence: String) {
        self.left_out.push(sentence);
    }

    pub(super) fn add_resource(
        &mut self,
        compose_name: &str,
        kind: Kind,
        version: Option<String>,
        from: &str,
    ) {
        let name = self.free_name(compose_name);
        self.resources.push(ResourceSketch {
            name,
            compose_name: compose_name.to_owned(),
            kind,
            version,
            from: from.to_owned(),
        });
    }

    pub(super) fn add(&mut self, mut service: ServiceSketch) {
        service.name = self.free_name(&service.name);
        for file in service.program.files.clone() {
            let path = Path::new(&service.path).join(file);
            self.found_in(&path.to_string_lossy());
        }
        self.services.push(service);
    }

    /// Where nothing tells who uses a resource, the only service does.
    pub(super) fn need_all_resources(&mut self) {
        let all: Vec<_> = self.resources.iter().map(|one| one.compose_name.clone()).collect();
        match self.services.as_mut_slice() {
            [only] => only.needs = all,
            several => {
                for service in several.iter_mut().filter(|_| !all.is_empty()) {
                    let note = format!("add what it uses: needs = [{}]", quoted_list(&all));
                    service.notes.push(note);
                }
            }
        }
    }

    /// A name that nothing else has and that is not Updraft's own.
    fn free_name(&self, wanted: &str) -> String {
        let mended = Name::mended(wanted).map(|name| name.to_string());
        let base = mended
            .filter(|name| name != "updraft" && !name.starts_with("updraft-"))
            .unwrap_or_else(|| "app".to_owned());
        let resources = self.resources.iter().map(|one| one.name.as_str());
        let services = self.services.iter().map(|one| one.name.as_str());
        unique(&base, &resources.chain(services).collect())
    }

    /// The manifest.
    pub(super) fn render(&self) -> String {
        let mut text = format!(
            "# Written by `updraft init` from {}.\n# It is yours now: change what is wrong, and \
             remove what is no service of this system.\n\nsystem = {}\n",
            comment(&self.found.join(", ")),
            quoted(&self.system)
        );
        if !self.resources.is_empty() {
            text.push_str("\n# A service that needs a resource receives <NAME>_URL.\n[resource]\n");
            for resource in &self.resources {
                text.push_str(&resource.render());
            }
        }
        let names = self.names();
        for service in &self.services {
            text.push_str(&service.render(&names));
        }
        if !self.left_out.is_empty() {
            text.push_str("\n# Not taken over:\n");
            for sentence in &self.left_out {
                text.push_str(&format!("# - {}\n", comment(sentence)));
            }
        }
        text
    }

    /// The manifest's name for each name of the compose file.
    fn names(&self) -> BTreeMap<&str, &str> {
        let resources =
            self.resources.iter().map(|one| (one.compose_name.as_str(), one.name.as_str()));
        let services = self
            .services
            .iter()
            // Nothing can call what does not listen.
            .filter(|one| one.program.processes.iter().any(|(name, _)| name == program::WEB))
            .filter_map(|one| Some((one.compose_name.as_deref()?, one.name.as_str())));
        resources.chain(services).collect()
    }
}

impl ResourceSketch {
    fn render(&self) -> String {
        let kind = match self.kind {
            Kind::Postgres => "postgres",
            Kind::Redis => "redis",
            Kind::Nats => "nats",
        };
        let version = self.version.as_deref();
        let version = version.map_or_else(String::new, |v| format!(", version = {}", quoted(v)));
        let from = comment(&self.from);
        format!("{} = {{ kind = \"{kind}\"{version} }}  # {from}\n", self.name)
    }
}

impl ServiceSketch {
    /// Whether its build makes a virtual environment that its commands do not name.
    fn misses_venv(&self) -> bool {
        let makes_venv = match &self.program.build {
            Some(BuildSketch::Command { keep, .. }) => keep.iter().any(|kept| kept == VENV),
            _ => false,
        };
        makes_venv && !self.program.processes.iter().all(|(_, run)| run.contains(VENV))
    }

    fn render(&self, names: &BTreeMap<&str, &str>) -> String {
        let mut text = format!("\n[service.{}]", self.name);
        let files = self.program.files.join(", ");
        if !files.is_empty() {
            text.push_str(&format!("  # {}", comment(&files)));
        }
        text.push('\n');
        if self.misses_venv() {
            text.push_str("# the build puts programs in .venv/bin, which is not in PATH\n");
        }
        for note in &self.notes {
            text.push_str(&format!("# {}\n", comment(note)));
        }
        if !self.path.is_empty() {
            text.push_str(&format!("path = {}\n", quoted(&self.path)));
        }
        if let Some(build) = &self.program.build {
            text.push_str(&format!("build = {}\n", render_build(build)));
        }
        let short = match self.program.processes.as_slice() {
            [(name, run)] if name == program::WEB => Some(run),
            _ => None,
        };
        if let Some(run) = short {
            text.push_str(&format!("run = {}  # must listen on $PORT\n", quoted(run)));
        }
        let needs: Vec<_> =
            self.needs.iter().filter_map(|name| names.get(name.as_str())).copied().collect();
        if !needs.is_empty() {
            text.push_str(&format!("needs = [{}]\n", quoted_list(&needs)));
        }
        if short.is_none() {
            text.push_str(&format!("[service.{}.process]\n", self.name));
            for (name, run) in &self.program.processes {
                text.push_str(&format!("{name} = {}\n", quoted(run)));
            }
        }
        if let Some(release) = &self.program.release {
            text.push_str(&format!("[service.{}.task]\n", self.name));
            text.push_str(&format!(
                "release = {{ run = {}, when = \"release\" }}\n",
                quoted(release)
            ));
        }
        text
    }
}

/// The processes under names that are all different; `build` is Updraft's own.
fn distinct(processes: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut taken = BTreeSet::from(["build".to_owned()]);
    let mut distinct = Vec::new();
    for (name, run) in processes {
        let free = unique(&name, &taken.iter().map(String::as_str).collect());
        taken.insert(free.clone());
        distinct.push((free, run));
    }
    distinct
}

/// `base`, with a number behind it where that is taken.
fn unique(base: &str, taken: &BTreeSet<&str>) -> String {
    let mut name = base.to_owned();
    let mut number = 1;
    while taken.contains(name.as_str()) {
        number += 1;
        let suffix = format!("-{number}");
        let room = Name::LENGTH_MAX - suffix.len();
        name = format!("{}{suffix}", base.get(..room).unwrap_or(base));
    }
    name
}

fn render_build(build: &BuildSketch) -> String {
    match build {
        BuildSketch::Cargo => "\"cargo\"".to_owned(),
        BuildSketch::Command { run, keep } if keep.is_empty() => {
            format!("{{ run = {} }}", quoted(run))
        }
        BuildSketch::Command { run, keep } => {
            format!("{{ run = {}, keep = [{}] }}", quoted(run), quoted_list(keep))
        }
    }
}

fn quoted_list(items: &[impl AsRef<str>]) -> String {
    items.iter().map(|item| quoted(item.as_ref())).collect::<Vec<_>>().join(", ")
}

/// A TOML string; a literal one where that saves escapes.
fn quoted(text: &str) -> String {
    let needs_escape = text.contains(['"', '\\']);
    if needs_escape && !text.contains('\'') && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Text for a comment: one line, and nothing that TOML forbids there.
fn comment(text: &str) -> String {
    text.replace(char::is_control, " ")
}
