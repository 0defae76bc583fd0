//! From a resource of the graph to its address and, for a server, to what must run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use updraft_system::{Name, Resource, ResourceKind};

use super::attachments::Attachments;
use super::installed::{Programs, version_meets, version_of};
use super::ready::ServerReady;
use super::url::{InvalidUrl, ResourceUrl};
use super::{nats, postgres, private_file, redis};
use crate::durable;
use crate::scope::{CommandPlan, StopSignal};

/// Plans the resources of one system.
#[derive(Clone, Copy, Debug)]
pub struct Planner<'a> {
    /// All resources of the system.
    pub resources: &'a BTreeMap<Name, Resource>,
    /// Holds one folder for each local resource; absolute.
    pub directory: &'a Path,
    /// The resources that run elsewhere.
    pub attachments: &'a Attachments,
    /// Where servers are looked for.
    pub programs: &'a Programs,
}

/// What a resource is on this machine.
#[derive(Clone, Debug)]
pub struct ResourcePlan {
    /// What a service that needs it receives.
    pub url: ResourceUrl,
    /// The server to run; `None` for what is embedded or attached.
    pub server: Option<ServerPlan>,
}

/// How the private server of a resource is run. Neither the arguments nor the
/// environment of its commands hold a secret.
#[derive(Clone, Debug)]
pub struct ServerPlan {
    /// To be run to success in this order before the first start. Empty once the data
    /// is there; may be cut off at any moment and run again.
    pub prepare: Vec<CommandPlan>,
    /// The server itself.
    pub run: CommandPlan,
    /// When it is ready.
    pub ready: ServerReady,
    /// What makes it end in order.
    pub stop: StopSignal,
    /// How long that may take.
    pub grace: Duration,
}

/// A resource cannot be had on this machine.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// Its server is not installed.
    #[error(
        "resource `{resource}` needs `{program}`, which is not installed: install {packages}, or use one that runs elsewhere with `updraft attach {resource} URL`"
    )]
    NotInstalled {
        /// The resource.
        resource: Name,
        /// The missing program.
        program: &'static str,
        /// What to install.
        packages: String,
    },
    /// Its server is installed, in another version.
    #[error(
        "resource `{resource}` needs {server} {wanted}, and installed is {found}: install {packages}, change `version` in the manifest, or use `updraft attach {resource} URL`"
    )]
    WrongVersion {
        /// The resource.
        resource: Name,
        /// The server's name.
        server: &'static str,
        /// The version it must have.
        wanted: String,
        /// The versions there are.
        found: String,
        /// What to install.
        packages: String,
    },
    /// Its data was written by another major version of the server.
    #[error(
        "the data of resource `{resource}` in {folder} is of {server} {found}, and the manifest asks for {wanted}: set `version = \"{found}\"`, or dump the data with that version and delete it with `updraft down --resources`"
    )]
    WrongData {
        /// The resource.
        resource: Name,
        /// The server's name.
        server: &'static str,
        /// The version of the data.
        found: String,
        /// The version asked for.
        wanted: String,
        /// Where the data is.
        folder: String,
    },
    /// A folder is not what it should be.
    #[error(
        "{folder} is not a data folder of {server}: move it away, or delete the data of all resources with `updraft down --resources`"
    )]
    Damaged {
        /// The server's name.
        server: &'static str,
        /// The folder.
        folder: String,
    },
    /// The server does not run as root, and no other user can be had.
    #[error(
        "resource `{resource}` needs PostgreSQL, which refuses to run as root, and user namespaces cannot be used here ({reason}): run updraft as another user, or use `updraft attach {resource} URL`"
    )]
    Root {
        /// The resource.
        resource: Name,
        /// What `unshare` says.
        reason: String,
    },
    /// A queue lies in a database that does not exist.
    #[error("queue `{resource}` is on `{on}`, and there is no such resource")]
    NoDatabase {
        /// The queue.
        resource: Name,
        /// Where it should be.
        on: Name,
    },
    /// A path cannot be put in a URL or a configuration file.
    #[error(
        "{path} cannot hold resources: use an absolute path of UTF-8 text without control characters"
    )]
    Path {
        /// The path.
        path: String,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// `make`, `read` or `write`.
        action: &'static str,
        /// The file or folder.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// A resource whose server is to be planned.
pub(super) struct ServerRequest<'a> {
    pub(super) name: &'a Name,
    pub(super) version: Option<&'a str>,
    /// There, absolute and the owner's alone.
    pub(super) folder: PathBuf,
    pub(super) port: u16,
    pub(super) programs: &'a Programs,
}

impl Planner<'_> {
    /// Whether a server must run for the resource, and so a port be reserved.
    pub fn runs_server(&self, resource: &Resource) -> bool {
        use ResourceKind::{Blob, Cache, Nats, Postgres, Queue, Redis, Sql};
        let server = match resource.kind {
            Postgres { .. } | Redis { .. } | Nats { .. } => true,
            Sql | Cache | Queue { .. } | Blob => false,
        };
        server && self.attachments.get(&resource.name).is_none()
    }

    /// Plans one resource; makes its folder and the files that its server reads.
    /// `port` is the one reserved for it and unused where no server runs.
    /// Blocks for as long as a program needs to tell its version.
    pub fn plan(&self, resource: &Resource, port: u16) -> Result<ResourcePlan, ResourceError> {
        use ResourceKind::{Blob, Cache, Nats, Postgres, Queue, Redis, Sql};
        let name = &resource.name;
        if let Some(url) = self.attachments.get(name) {
            let url = match &resource.kind {
                Queue { max_attempts, .. } => queue_in(url, name, *max_attempts),
                _ => url.clone(),
            };
            return Ok(ResourcePlan { url, server: None });
        }
        let embedded = |url| Ok(ResourcePlan { url, server: None });
        match &resource.kind {
            Sql => embedded(self.database(name)?),
            Cache => embedded(ResourceUrl::from_parts("memory:".to_owned())),
            Queue { on, max_attempts } => {
                let database = match on {
                    Some(on) => self.database_of(name, on)?,
                    None => self.database(name)?,
                };
                embedded(queue_in(&database, name, *max_attempts))
            }
            Blob => {
                let folder = self.folder(name)?.join("files");
                make_folder(&folder)?;
                // The empty last part gives the URL of a folder, which ends in `/`.
                embedded(url_of("file", &folder.join(""))?)
            }
            Postgres { version } => postgres::plan(&self.server(name, version, port)?),
            Redis { version } => redis::plan(&self.server(name, version, port)?),
            Nats { version } => nats::plan(&self.server(name, version, port)?),
        }
    }

    fn server<'b>(
        &'b self,
        name: &'b Name,
        version: &'b Option<String>,
        port: u16,
    ) -> Result<ServerRequest<'b>, ResourceError> {
        let folder = self.folder(name)?;
        let version = version.as_deref();
        Ok(ServerRequest { name, version, folder, port, programs: self.programs })
    }

    /// The private folder of a local resource. Its path gets into URLs, arguments and
    /// configuration files, so it must be plain text.
    fn folder(&self, name: &Name) -> Result<PathBuf, ResourceError> {
        let folder = self.directory.join(name.as_str());
        let plain = folder.to_str().is_some_and(|text| !text.contains(char::is_control));
        if !plain || !folder.is_absolute() {
            return Err(ResourceError::Path { path: folder.display().to_string() });
        }
        make_folder(&folder)?;
        Ok(folder)
    }

    /// The file of an embedded SQL database. Whoever opens it first makes it.
    fn database(&self, name: &Name) -> Result<ResourceUrl, ResourceError> {
        url_of("sqlite", &self.folder(name)?.join(format!("{name}.sqlite3")))
    }

    /// The database a queue lies in, wherever that is attached.
    fn database_of(&self, queue: &Name, on: &Name) -> Result<ResourceUrl, ResourceError> {
        if !self.resources.contains_key(on) {
            return Err(ResourceError::NoDatabase { resource: queue.clone(), on: on.clone() });
        }
        match self.attachments.get(on) {
            Some(url) => Ok(url.clone()),
            None => self.database(on),
        }
    }
}

fn make_folder(path: &Path) -> Result<(), ResourceError> {
    private_file::make_folder(path).map_err(|source| ResourceError::file("make", path, source))
}

fn url_of(scheme: &str, path: &Path) -> Result<ResourceUrl, ResourceError> {
    ResourceUrl::of_path(scheme, path)
        .map_err(|InvalidUrl| ResourceError::Path { path: path.display().to_string() })
}

/// A queue is a name and a limit within a database.
fn queue_in(database: &ResourceUrl, queue: &Name, max_attempts: u32) -> ResourceUrl {
    database.with_query(&format!("queue={queue}&max_attempts={max_attempts}"))
}

impl ResourceError {
    pub(super) fn file(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::File { action, path: path.display().to_string(), source }
    }
}

impl ServerRequest<'_> {
    /// The first program of that name, in a version that the manifest allows.
    pub(super) fn program(
        &self,
        program: &'static str,
        server: &'static str,
        packages: &str,
    ) -> Result<PathBuf, ResourceError> {
        let packages = packages.to_owned();
        let Some(path) = self.programs.find(program) else {
            return Err(ResourceError::NotInstalled {
                resource: self.name.clone(),
                program,
                packages,
            });
        };
        let Some(wanted) = self.version else { return Ok(path) };
        let found = version_of(&path).unwrap_or_else(|| "of an unknown version".to_owned());
        if version_meets(&found, wanted) {
            return Ok(path);
        }
        let wanted = wanted.to_owned();
        Err(ResourceError::WrongVersion {
            resource: self.name.clone(),
            server,
            wanted,
            found,
            packages,
        })
    }

    /// A command that runs in the resource's folder. Servers get no variable of the
    /// caller's: what they do must not depend on who starts them.
    pub(super) fn command(&self, argv: Vec<String>) -> CommandPlan {
        let env = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"),
            ("LC_ALL", "C"),
            ("TZ", "UTC"),
        ];
        let env = env.map(|(key, value)| (key.to_owned(), value.to_owned()));
        CommandPlan { argv, env: env.into(), cwd: self.folder.clone(), confinement: None }
    }

    /// Writes a configuration file; it may hold the password.
    pub(super) fn configure(&self, file: &str, text: &str) -> Result<String, ResourceError> {
        let path = self.folder.join(file);
        durable::write(&path, text.as_bytes())
            .map_err(|source| ResourceError::file("write", &path, source))?;
        Ok(text_of(&path))
    }

    /// The password of the server, made with the resource's folder.
    pub(super) fn password(&self) -> Result<String, ResourceError> {
        private_file::password(&self.folder.join(PASSWORD_FILE))
    }
}

/// In the folder of each resource with a server.
pub(super) const PASSWORD_FILE: &str = "password";

/// A path known to be text.
pub(super) fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A word in double quotes, as the configuration files of Redis and NATS have it.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
