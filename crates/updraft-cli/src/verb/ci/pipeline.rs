//! What a pipeline does, whichever forge runs it.

use std::borrow::Cow;
use std::path::{Component, Path};

use updraft_system::{Build, Name, System};

/// What the person who generates it decides.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Settings {
    /// The branch whose commits are pushed and released
    #[arg(long, value_name = "NAME", default_value = "main", value_parser = one_line)]
    pub(super) branch: String,
    /// The label of the runners of the jobs [default: ubuntu-latest, on forgejo docker]
    #[arg(long, value_name = "LABEL", value_parser = one_line)]
    pub(super) runner: Option<String>,
    /// A container image for the jobs, which has `updraft` in its PATH
    #[arg(long, value_name = "IMAGE", value_parser = one_line)]
    pub(super) image: Option<String>,
    /// A command that puts `updraft` into the PATH, run first in each job
    #[arg(long, value_name = "COMMAND", value_parser = one_line)]
    pub(super) install: Option<String>,
    /// Push what is built to this registry: `HOST/PATH`, one repository for each service
    #[arg(long, value_name = "REGISTRY", value_parser = registry)]
    pub(super) push: Option<String>,
    /// Release on the runner with this label: the machine that the system runs on
    #[arg(long, value_name = "LABEL", value_parser = one_line)]
    pub(super) release_on: Option<String>,
}

fn one_line(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err("it must be one line, and not empty".to_owned());
    }
    Ok(text.to_owned())
}

/// The part of a reference before the service's name: OCI Distribution Specification 1.1.
fn registry(text: &str) -> Result<String, String> {
    let part = |part: &str| {
        let may = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.chars().all(may)
    };
    let mut parts = text.split('/');
    let host = parts.next().unwrap_or_default();
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    if !part(name) || port.parse::<u16>().is_err() || !parts.all(part) {
        return Err("write it as `HOST[:PORT]/PATH` in lower case, such as `ghcr.io/acme/shop`, \
                    without tag"
            .to_owned());
    }
    Ok(text.to_owned())
}

/// A pipeline of a system.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) settings: Settings,
    /// The folder of the system within the repository; empty: its root.
    folder: String,
    /// Services with something that runs.
    pub(super) services: Vec<Name>,
    pub(super) caches: Caches,
}

/// Package managers whose downloads are worth keeping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Caches {
    pub(super) cargo: bool,
    pub(super) npm: bool,
    pub(super) uv: bool,
    pub(super) pip: bool,
}

impl Pipeline {
    /// The pipeline of `system`, whose manifest is in `folder` of its repository.
    pub(super) fn of(system: &System, folder: &Path, settings: Settings) -> Self {
        let parts = folder.components().filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
            _ => None,
        });
        let services = system.services.values().filter(|service| !service.processes.is_empty());
        Self {
            folder: parts.collect::<Vec<_>>().join("/"),
            services: services.map(|service| service.name.clone()).collect(),
            caches: Caches::of(system),
            settings,
        }
    }

    /// A call of the command, as a line of a shell. Words with a `$` are in double quotes
    /// already.
    pub(super) fn call(&self, words: &[&str]) -> String {
        let mut line = String::from("updraft");
        if !self.folder.is_empty() {
            line.push_str(" -C ");
            line.push_str(&quoted(&self.folder));
        }
        for word in words {
            line.push(' ');
            match word.starts_with('"') {
                true => line.push_str(word),
                false => line.push_str(&quoted(word)),
            }
        }
        line
    }

    /// The words that write this very pipeline for a forge.
    pub(super) fn words(&self, forge: &str, check: bool) -> Vec<String> {
        let settings = &self.settings;
        let mut words = vec!["ci".to_owned(), forge.to_owned()];
        words.extend(check.then(|| "--check".to_owned()));
        let options = [
            ("--branch", Some(&settings.branch).filter(|branch| *branch != "main")),
            ("--runner", settings.runner.as_ref()),
            ("--image", settings.image.as_ref()),
            ("--install", settings.install.as_ref()),
            ("--push", settings.push.as_ref()),
            ("--release-on", settings.release_on.as_ref()),
        ];
        for (option, value) in options {
            // One word, so that a value that begins with `-` is one.
            words.extend(value.map(|value| format!("{option}={value}")));
        }
        words
    }

    /// The call that finds out whether the file is current.
    pub(super) fn call_itself(&self, forge: &str, file: Option<&str>) -> String {
        let mut words = self.words(forge, true);
        words.extend(file.map(|file| format!("--output={file}")));
        self.call(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// A word of a shell; `--option=value` is plain in any of them, which `shell_words` leaves open.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-=:@+,".contains(&byte);
    match word.bytes().all(is_plain) && word.starts_with("--") {
        true => Cow::Borrowed(word),
        false => shell_words::quote(word),
    }
}

impl Caches {
    fn of(system: &System) -> Self {
        let mut caches = Self::default();
        for service in system.services.values() {
            match &service.build {
                Build::Cargo => caches.cargo = true,
                Build::Node => caches.npm = true,
                Build::Python => (caches.uv, caches.pip) = (true, true),
                Build::Command { fetch, run, .. } => {
                    // As a word: `npm ci && npm run build`, `uv sync`.
                    let words = [fetch.as_deref().unwrap_or_default(), run].join(" ");
                    let has =
                        |tool: &str| words.split([' ', '&', ';', '|']).any(|word| word == tool);
                    caches.cargo |= has("cargo");
                    caches.npm |= has("npm");
                    caches.uv |= has("uv");
                    caches.pip |= has("pip");
                }
                Build::None => {}
            }
        }
        caches
    }

    /// Folders below HOME, and the lock files that decide what is in them.
    pub(super) fn folders(self) -> (Vec<&'static str>, Vec<&'static str>) {
        let all: [(bool, &[&str], &str); 4] = [
            (self.cargo, &[".cargo/registry/cache", ".cargo/registry/index"], "Cargo.lock"),
            (self.npm, &[".npm"], "package-lock.json"),
            (self.uv, &[".cache/uv"], "uv.lock"),
            (self.pip, &[".cache/pip"], "requirements*.txt"),
        ];
        let used = all.iter().filter(|(used, ..)| *used);
        let folders = used.clone().flat_map(|(_, folders, _)| folders.iter().copied()).collect();
        (folders, used.map(|(_, _, lock)| *lock).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_what_comes_before_a_service() {
        for taken in ["ghcr.io/acme/shop", "localhost:5000", "127.0.0.1:5000/a-b/c_d.e"] {
            assert!(registry(taken).is_ok(), "{taken}");
        }
        let refused = [
            "",
            "ghcr.io/Acme",
            "ghcr.io//a",
            "ghcr.io/a/",
            "https://ghcr.io/a",
            "a b",
            "ghcr.io/a:1",
            "h:port/a",
            "h:70000",
            "h/$(id)",
            "h/a;b",
        ];
        for text in refused {
            assert!(registry(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_of_a_shell_are_quoted() {
        let manifest = "system = 's'\n[service.api]\nrun = 'a'\n";
        let system = updraft_system::parse_manifest(manifest).unwrap();
        let settings = Settings {
            branch: "trunk".to_owned(),
            runner: Some("big one".to_owned()),
            image: None,
            install: Some("curl -sSf https://example.org | sh".to_owned()),
            push: None,
            release_on: None,
        };
        let pipeline = Pipeline::of(&system, Path::new("my shop"), settings);
        assert_eq!(
            pipeline.call(&["check", "\"$SERVICE\""]),
            "updraft -C 'my shop' check \"$SERVICE\""
        );
        assert_eq!(
            pipeline.call_itself("github", None),
            "updraft -C 'my shop' ci github --check --branch=trunk '--runner=big one' \
             '--install=curl -sSf https://example.org | sh'"
        );
    }
}
