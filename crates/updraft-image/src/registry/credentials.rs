//! Credentials of registries, where Docker, podman and skopeo keep them.
//!
//! Files are read in the order of `containers-auth.json(5)` and then Docker's; the first that
//! has an entry decides. An entry is a user's name and password, a token, or the name of a
//! program that knows it (Docker's credential helpers).

mod file;
mod program;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use super::error::Looked;

/// Docker's own name of Docker Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Files that may hold credentials, the first first. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialFiles {
    files: Vec<PathBuf>,
    /// Where `docker-credential-NAME` is looked for; a `PATH`.
    programs: Option<OsString>,
}

impl CredentialFiles {
    /// Those of the environment: `$REGISTRY_AUTH_FILE`, else
    /// `$XDG_RUNTIME_DIR/containers/auth.json` and `$XDG_CONFIG_HOME/containers/auth.json` (or
    /// `~/.config/…`); then `$DOCKER_CONFIG/config.json` (or `~/.docker/…`). `variable` gives the
    /// value of a variable, as `std::env::var_os` does.
    pub fn of_environment(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let given =
            |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = given("HOME");
        let below_home = |folder: &str| home.as_ref().map(|home| home.join(folder));
        let mut files = Vec::new();
        match given("REGISTRY_AUTH_FILE") {
            Some(file) => files.push(file),
            None => {
                let config = given("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
                let folders = [given("XDG_RUNTIME_DIR"), config].into_iter().flatten();
                files.extend(folders.map(|folder| folder.join("containers/auth.json")));
            }
        }
        let docker = given("DOCKER_CONFIG").or_else(|| below_home(".docker"));
        files.extend(docker.map(|folder| folder.join("config.json")));
        Self { files, programs: variable("PATH") }
    }

    /// Exactly these files, with programs from `path` (a list of folders as `PATH` is).
    pub fn new(files: Vec<PathBuf>, path: Option<OsString>) -> Self {
        Self { files, programs: path }
    }

    /// What is known about a repository of a host.
    pub(super) async fn find(&self, host: &str, name: &str) -> Result<Found, CredentialsError> {
        for path in &self.files {
            let Some(content) = file::read(path)? else { continue };
            if let Some(program) = content.program(host) {
                let place = format!("`docker-credential-{program}` ({})", path.display());
                let (server, search) = (server(host), self.programs.as_deref());
                let asked = program::ask(&program, &server, search, path).await?;
                if let Some(credential) = asked {
                    return Ok(Found {
                        credential: Some(credential),
                        looked: Looked::Found(place),
                    });
                }
            }
            if let Some(credential) = content.entry(host, name).map_err(|why| why.at(path))? {
                let looked = Looked::Found(path.display().to_string());
                return Ok(Found { credential: Some(credential), looked });
            }
        }
        Ok(Found { credential: None, looked: Looked::Missing(self.files.clone()) })
    }
}

/// The word for a host that Docker hands to its programs.
fn server(host: &str) -> String {
    if file::is_hub(host) { HUB_KEY.to_owned() } else { host.to_owned() }
}

/// What was found, and where.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) credential: Option<Credential>,
    pub(super) looked: Looked,
}

/// A secret that a registry knows.
#[derive(Clone)]
pub(super) enum Credential {
    Password {
        user: String,
        password: SecretString,
    },
    /// To be exchanged at the token server (OAuth 2, `refresh_token`).
    Identity(SecretString),
    /// To be sent as it is.
    Bearer(SecretString),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Password { .. } => "Password",
            Self::Identity(_) => "Identity",
            Self::Bearer(_) => "Bearer",
        };
        f.debug_struct(kind).finish_non_exhaustive()
    }
}

/// Credentials cannot be read. No text of it holds what is in the files.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file is there and cannot be read.
    #[error("cannot read the credentials in {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is something else.
    #[error("{} is no file of credentials: line {line}, column {column} is not as Docker writes it", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// It is larger than any.
    #[error("{} is larger than {most} bytes, and no file of credentials", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// In bytes.
        most: u64,
    },
    /// An entry cannot be understood.
    #[error("{}: the entry `{key}` {problem}: log in again", path.display())]
    Entry {
        /// In which file.
        path: PathBuf,
        /// Which one.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A program that should know does not answer.
    #[error("`docker-credential-{program}`, which {} names, {problem}", path.display())]
    Program {
        /// The part of its name that the file has.
        program: String,
        /// In which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// How long a program may take: it may ask a person.
const PROGRAM_PATIENCE: Duration = Duration::from_secs(60);

/// An entry that is wrong, before it is known in which file.
struct BadEntry {
    key: String,
    problem: &'static str,
}

impl BadEntry {
    fn at(self, path: &Path) -> CredentialsError {
        CredentialsError::Entry { path: path.to_owned(), key: self.key, problem: self.problem }
    }
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
