//! Compose files: images of known servers become resources, what is built becomes
//! services, and the rest is told in comments.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

use super::dockerfile;
use super::program;
use super::search;
use super::sketch::{Kind, ServiceSketch, Sketch};

/// The names of compose files, the first one found counts, as Docker has it.
const FILES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// A compose file.
#[derive(Debug)]
pub(super) struct Compose {
    file: &'static str,
    services: BTreeMap<String, Service>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    services: BTreeMap<String, Option<Service>>,
}

// Most of these keys have several forms, and none of them is ours to refuse.
#[derive(Debug, Default, Deserialize)]
struct Service {
    image: Option<String>,
    build: Option<Value>,
    command: Option<Value>,
    entrypoint: Option<Value>,
    depends_on: Option<Value>,
    environment: Option<Value>,
    ports: Option<Value>,
    expose: Option<Value>,
}

impl Compose {
    /// The compose file in `directory`.
    pub(super) fn find(directory: &Path) -> anyhow::Result<Option<Self>> {
        for file in FILES {
            let path = directory.join(file);
            let Some(text) = program::read(&path)? else {
                continue;
            };
            let read: File = serde_saphyr::from_str(&text)
                .with_context(|| format!("cannot understand {}", path.display()))?;
            let services = read.services.into_iter();
            let services = services.map(|(name, one)| (name, one.unwrap_or_default())).collect();
            return Ok(Some(Self { file, services }));
        }
        Ok(None)
    }

    /// Whether it builds anything itself.
    pub(super) fn builds_services(&self) -> bool {
        self.services.values().any(|service| service.build.is_some())
    }

    /// Adds the servers that Updraft can run, and notes those that it cannot.
    pub(super) fn add_resources(&self, sketch: &mut Sketch) {
        for (name, service) in &self.services {
            let (Some(image), None) = (&service.image, &service.build) else {
                continue;
            };
            match known_server(image) {
                Some((kind, version)) => {
                    sketch.add_resource(name, kind, version, &format!("image {image}"));
                }
                None => sketch.leave_out(format!(
                    "{name}: the image {image} is no resource that Updraft can run"
                )),
            }
            sketch.found_in(self.file);
        }
    }

    /// Adds what it builds from folders below `directory`.
    pub(super) fn add_services(&self, directory: &Path, sketch: &mut Sketch) -> anyhow::Result<()> {
        for (name, service) in &self.services {
            let Some(build) = &service.build else {
                continue;
            };
            sketch.found_in(self.file);
            let Some(path) = context(build) else {
                sketch.leave_out(format!("{name}: it is built from outside of this folder"));
                continue;
            };
            let folder = directory.join(&path);
            let mut program = search::program(&folder)?.unwrap_or_default();
            let (file, image) = dockerfile_of(build, &folder)?;
            let own = service.command();
            if let Some(run) = own.clone().or_else(|| dockerfile::command(&image)) {
                // What nobody can reach must not be waited for as if it listened.
                let listens = self.is_called(name, service) || dockerfile::listens(&image);
                let process = if listens { program::WEB } else { program::WORKER };
                program.processes = vec![(process.to_owned(), run)];
                program.release = None;
                program.files.extend(own.is_none().then_some(file));
            }
            if program.processes.is_empty() {
                sketch.leave_out(format!("{name}: nothing tells the command that starts it"));
                continue;
            }
            program.name = Some(name.clone());
            let mut service_sketch = ServiceSketch::of(&path, name, program);
            service_sketch.compose_name = Some(name.clone());
            service_sketch.needs = names(service.depends_on.as_ref());
            let variables = names(service.environment.as_ref());
            if !variables.is_empty() {
                service_sketch.notes.push(format!(
                    "{} sets {}: declare in `config` what the program reads",
                    self.file,
                    variables.join(", ")
                ));
            }
            sketch.add(service_sketch);
        }
        Ok(())
    }
}

impl Compose {
    /// Whether anybody calls a service: from outside, or one that depends on it.
    fn is_called(&self, name: &str, service: &Service) -> bool {
        let depends = |one: &Service| names(one.depends_on.as_ref()).iter().any(|on| on == name);
        service.ports.is_some() || service.expose.is_some() || self.services.values().any(depends)
    }
}

impl Service {
    /// The command that the compose file itself gives.
    fn command(&self) -> Option<String> {
        let own = [&self.entrypoint, &self.command];
        let own: Vec<_> = own.into_iter().flatten().filter_map(command_line).collect();
        (!own.is_empty()).then(|| own.join(" "))
    }
}

/// The name and the text of a Dockerfile; no text where there is none.
fn dockerfile_of(build: &Value, folder: &Path) -> anyhow::Result<(String, String)> {
    let file = build.get("dockerfile").and_then(Value::as_str).unwrap_or("Dockerfile");
    let text = program::read(&folder.join(file))?.unwrap_or_default();
    Ok((file.to_owned(), text))
}

/// The folder that a service is built from, relative to the compose file.
fn context(build: &Value) -> Option<PathBuf> {
    let text = build.as_str().or_else(|| build.get("context")?.as_str()).unwrap_or(".");
    let mut path = PathBuf::new();
    for part in Path::new(text).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => path.push(part),
            _ => return None,
        }
    }
    // A context may be the address of a repository as well.
    (!text.contains("://") && !text.starts_with("git@")).then_some(path)
}

/// A command in either of its forms. Compose writes a dollar as two of them.
fn command_line(value: &Value) -> Option<String> {
    let line = match value {
        Value::String(line) => line.trim().to_owned(),
        Value::Array(words) => shell_words::join(words.iter().map(plain)),
        _ => return None,
    };
    (!line.is_empty()).then(|| line.replace("$$", "$"))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The names in a list such as `[db, A=1]`, or in the keys of a table.
fn names(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| plain(item).split('=').next().unwrap_or_default().to_owned())
            .collect(),
        Some(Value::Object(table)) => table.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// The kind of server that is in an image, and the version that its tag asks for.
fn known_server(image: &str) -> Option<(Kind, Option<String>)> {
    let image = image.split('@').next()?;
    let last = image.rsplit('/').next()?;
    let (name, tag) = last.split_once(':').unwrap_or((last, ""));
    let (kind, parts) = match name {
        "postgres" | "postgresql" => (Kind::Postgres, 1),
        "redis" => (Kind::Redis, 1),
        "nats" => (Kind::Nats, 2),
        _ => return None,
    };
    let digits = tag.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default();
    let numbers: Vec<_> = digits.split('.').filter(|part| !part.is_empty()).take(parts).collect();
    Some((kind, (!numbers.is_empty()).then(|| numbers.join("."))))
}
