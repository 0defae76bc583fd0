//! Where a server is and whose it is: what its kind needs to run it and to ask it something.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::getuid;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Kind, ServerError, nats, postgres, redis};

/// Ports are taken from here. No system hands these out to connections that go out, so a port
/// is still free when its server is started again.
const PORTS: std::ops::Range<u16> = 16_384..32_768;

/// Who runs PostgreSQL, which refuses to run as root: `nobody`.
pub(super) const NOBODY: u32 = 65_534;

/// A server's place. The password tells it from another test's server that came to the same
/// port first.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) kind: Kind,
    /// Its folder: everything that it writes.
    pub(super) folder: PathBuf,
    pub(super) port: u16,
    pub(super) password: String,
}

/// What another process must know to use a server.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Access {
    pub(super) port: u16,
    pub(super) password: String,
}

impl Site {
    /// A place with a port that is free now.
    pub(super) fn new(kind: Kind, folder: &Path) -> Self {
        let port = std::iter::repeat_with(|| fastrand::u16(PORTS))
            .take(usize::from(u16::MAX))
            .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
            .unwrap_or(PORTS.start);
        let password = Uuid::now_v7().simple().to_string();
        Self { kind, folder: folder.to_owned(), port, password }
    }

    /// The user as whom the server runs, when that is not who runs the test.
    pub(super) fn user(&self) -> Option<u32> {
        (self.kind == Kind::Postgres && getuid().is_root()).then_some(NOBODY)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Makes data and configuration.
    pub(super) fn prepare(&mut self) -> Result<(), ServerError> {
        match self.kind {
            Kind::Postgres => postgres::prepare(self),
            Kind::Redis => redis::prepare(self),
            Kind::Nats => nats::prepare(self),
        }
    }

    /// The program and its arguments.
    pub(super) fn command(&self) -> Result<Vec<OsString>, ServerError> {
        match self.kind {
            Kind::Postgres => postgres::command(self),
            Kind::Redis => redis::command(self),
            Kind::Nats => nats::command(self),
        }
    }

    /// Whether this server, and not another one on its port, takes what clients ask.
    pub(super) fn is_ready(&self) -> bool {
        match self.kind {
            Kind::Postgres => postgres::is_ready(self),
            Kind::Redis => redis::is_ready(self),
            Kind::Nats => nats::is_ready(self),
        }
    }

    /// Makes the part of this number fresh and empty.
    pub(super) fn empty(&self, number: u32) -> Result<(), ServerError> {
        match self.kind {
            Kind::Postgres => postgres::create(self, number),
            Kind::Redis => redis::empty(self, number),
            Kind::Nats => nats::empty(self, number),
        }
    }

    /// Removes what is in the part of this number.
    pub(super) fn remove(&self, number: u32) -> Result<(), ServerError> {
        match self.kind {
            Kind::Postgres => postgres::drop_database(self, number),
            Kind::Redis => redis::empty(self, number),
            Kind::Nats => nats::empty(self, number),
        }
    }

    /// Where the part of this number is.
    pub(super) fn url(&self, number: u32) -> String {
        let Self { port, password, .. } = self;
        match self.kind {
            Kind::Postgres => {
                let (role, database) = (postgres::ROLE, postgres::database(number));
                format!("postgres://{role}:{password}@127.0.0.1:{port}/{database}")
            }
            Kind::Redis => format!("redis://:{password}@127.0.0.1:{port}/{number}"),
            Kind::Nats => format!("nats://{}:{password}@127.0.0.1:{port}", nats::user(number)),
        }
    }
}

/// A command that inherits nothing of the environment that could change what a server does,
/// as this user.
pub(super) fn plain_command(program: impl AsRef<std::ffi::OsStr>, user: Option<u32>) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").env("HOME", "/tmp");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    if let Some(user) = user {
        // This gives up all other groups too.
        command.gid(user).uid(user);
    }
    command
}
