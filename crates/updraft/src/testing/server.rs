//! Real PostgreSQL, Redis and NATS servers for tests, of the programs that this machine has.
//!
//! A server listens on loopback, on a port of its own, with a password of its own, and keeps
//! its data in a temporary folder. It ends with the value that stands for it, and also when
//! the test's process is killed: a shell waits for that.
//!
//! ```no_run
//! use updraft::testing::server::{Kind, Server, ServerError};
//!
//! # fn main() -> Result<(), ServerError> {
//! // What most tests need: a database that is theirs alone, on a server that many tests share.
//! let database = Server::shared(Kind::Postgres)?.database()?;
//! println!("DB_URL={}", database.url());
//!
//! // A server that may be stopped, stalled and killed.
//! let redis = Server::start(Kind::Redis)?;
//! redis.kill()?;
//! redis.restart()?;
//! # Ok(())
//! # }
//! ```
//!
//! All calls block, for as long as a server takes to do what is asked and never longer than
//! a minute. That is right for a test; a service that does something else at the same time
//! calls them through `tokio::task::spawn_blocking`.

mod ask;
mod error;
mod folder;
mod nats;
mod own;
mod postgres;
mod programs;
mod redis;
mod shared;
mod site;
mod slot;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use error::ServerError;
use own::Own;
use shared::Shared;
use site::Site;
use slot::Slot;

/// The kinds of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// Redis, or Valkey where only that is installed.
    Redis,
    /// NATS with JetStream.
    Nats,
}

impl Kind {
    /// A word for folders and messages.
    fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Nats => "nats",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
            Self::Nats => "NATS",
        })
    }
}

/// A running server. Clones are the same server; it ends with the last of them and of its
/// [databases](Self::database).
#[derive(Clone)]
pub struct Server {
    running: Arc<Running>,
}

struct Running {
    site: Site,
    life: Life,
}

/// Dropped, a server of its own ends, and a share in one is given back.
#[derive(Debug)]
enum Life {
    Own(Own),
    Shared(Shared),
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let site = &self.running.site;
        f.debug_struct("Server")
            .field("kind", &site.kind)
            .field("port", &site.port)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Starts a server for this test alone. What it has acknowledged outlives
    /// [`kill`](Self::kill), but not the machine: nothing is forced to the disk.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotInstalled`] says which package to install. Others say what the
    /// server said when it did not start within a minute.
    pub fn start(kind: Kind) -> Result<Self, ServerError> {
        let (site, own) = Own::start(kind)?;
        Ok(Self { running: Arc::new(Running { site, life: Life::Own(own) }) })
    }

    /// The server that all tests of this build share, for they are run in many processes and
    /// a server takes its time to start. The first to ask starts it. It ends some seconds
    /// after the last test that uses it, however that test ended.
    ///
    /// Take a [`database`](Self::database) of it, and leave the rest alone.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn shared(kind: Kind) -> Result<Self, ServerError> {
        Self::shared_lingering(kind, "", shared::LINGER)
    }

    fn shared_lingering(kind: Kind, group: &str, linger: Duration) -> Result<Self, ServerError> {
        let (site, shared) = Shared::join(kind, group, linger)?;
        Ok(Self { running: Arc::new(Running { site, life: Life::Shared(shared) }) })
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.running.site.kind
    }

    /// Where it is: `postgres://USER:PASSWORD@127.0.0.1:PORT/postgres`,
    /// `redis://:PASSWORD@127.0.0.1:PORT/0` or `nats://USER:PASSWORD@127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.running.site.url(Slot::MAIN)
    }

    /// The port on 127.0.0.1. It stays the same over [`restart`](Self::restart).
    pub fn port(&self) -> u16 {
        self.running.site.port
    }

    /// A fresh and empty part of the server: a database of PostgreSQL, a numbered database of
    /// Redis, an account of NATS with its own subjects and streams. Nobody else gets it until
    /// it is dropped, or until this process is gone.
    ///
    /// # Errors
    ///
    /// [`ServerError::Occupied`] when 128 of them are in use;
    /// [`ServerError::Refused`] when the server does not do it.
    pub fn database(&self) -> Result<Database, ServerError> {
        let site = &self.running.site;
        let slot = Slot::take(site)?;
        site.empty(slot.number())?;
        Ok(Database { slot, server: self.clone() })
    }

    /// Ends it gracefully, and waits for its end. A stalled server is resumed for that.
    ///
    /// # Errors
    ///
    /// [`ServerError::Shared`] when others use it too; [`ServerError::StillRunning`] when it
    /// had to be killed.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.own()?.stop(&self.running.site)
    }

    /// Ends it and all its processes at once, as a crash does (`SIGKILL`).
    ///
    /// # Errors
    ///
    /// [`ServerError::Shared`] when others use it too; [`ServerError::StillRunning`] when
    /// something still listens on its port.
    pub fn kill(&self) -> Result<(), ServerError> {
        self.own()?.kill(&self.running.site)
    }

    /// Stops all its processes (`SIGSTOP`): connections are taken by the system and never
    /// answered, as of a machine that hangs.
    ///
    /// # Errors
    ///
    /// [`ServerError::Shared`] when others use it too; [`ServerError::NotRunning`].
    pub fn stall(&self) -> Result<(), ServerError> {
        self.own()?.stall(self.kind())
    }

    /// Lets a stalled server go on (`SIGCONT`).
    ///
    /// # Errors
    ///
    /// [`ServerError::Shared`] when others use it too; [`ServerError::NotRunning`].
    pub fn resume(&self) -> Result<(), ServerError> {
        self.own()?.resume(self.kind())
    }

    /// Starts it again with the same port and data, after ending it gracefully if it still
    /// runs.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start) and [`stop`](Self::stop).
    pub fn restart(&self) -> Result<(), ServerError> {
        self.own()?.restart(&self.running.site)
    }

    fn own(&self) -> Result<&Own, ServerError> {
        match &self.running.life {
            Life::Own(own) => Ok(own),
            Life::Shared(Shared { .. }) => Err(ServerError::Shared { kind: self.kind() }),
        }
    }
}

/// A part of a [`Server`] that only its holder uses. Dropped, it is emptied and free again.
pub struct Database {
    slot: Slot,
    server: Server,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("server", &self.server)
            .field("number", &self.slot.number())
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Where it is, as [`Server::url`], with user and password.
    pub fn url(&self) -> String {
        self.server.running.site.url(self.slot.number())
    }

    /// The server that it is a part of.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that is down cannot; whoever takes this part next begins with the same.
        drop(self.server.running.site.remove(self.slot.number()));
    }
}

#[cfg(test)]
#[path = "server/tests.rs"]
mod tests;
