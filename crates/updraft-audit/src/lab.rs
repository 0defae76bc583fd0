//! Where programs are run to be judged: each trial has a fresh copy of the program's folder,
//! its own port, its own resources and its own surroundings, and nothing of it is left.

mod attached;
pub(crate) mod client;
mod machine;
mod network;
mod output;
mod outside;
mod own_port;
mod ports;
pub(crate) mod process;
mod running;
mod setup;
pub(crate) mod sockets;
mod stage;
mod task;
pub(crate) mod tree;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use tokio::sync::{Mutex, OnceCell};
use updraft_engine::{ScopeError, Scopes, StateDir, StateDirError, StateLock, remove_folder};

pub(crate) use attached::{Attached, Provided};
pub use machine::Feature;
use machine::Means;
pub(crate) use machine::Tiers;
pub(crate) use network::{Address, Network};
pub(crate) use running::{Ended, Running};
pub(crate) use setup::{Setup, Stdout};
pub(crate) use stage::Unstartable;
pub(crate) use task::Done;

/// Where programs are run. Shared by all probes of an audit.
#[derive(Clone, Debug)]
pub(crate) struct Lab(Arc<Bench>);

#[derive(Debug)]
struct Bench {
    scopes: Scopes,
    /// Held until nothing is left.
    _lock: StateLock,
    folder: Option<TempDir>,
    root: PathBuf,
    executable: PathBuf,
    without: Vec<Feature>,
    /// Whether programs may reach what this machine reaches.
    egress: bool,
    tiers: OnceCell<Tiers>,
    /// Who listens at files, as it was before the first trial.
    outside: BTreeSet<PathBuf>,
    /// Holds the networks of trials, or why it cannot.
    holder: OnceCell<network::Holder>,
    trials: AtomicU64,
    /// Taken by whoever prepares a server.
    preparing: Mutex<()>,
    own_ports: own_port::OwnPorts,
}

/// The lab cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// No place for its files.
    #[error("no place for the files of the audit")]
    Folder(#[source] io::Error),
    /// Its folder cannot be locked.
    #[error("the folder of the audit cannot be used")]
    State(#[from] StateDirError),
    /// Somebody else has the folder.
    #[error("the folder of the audit is somebody else's")]
    Taken,
    /// No guardian can be started.
    #[error("the guardian of the audit cannot be started")]
    Guard(#[from] ScopeError),
}

impl Lab {
    /// An empty lab in the system's folder for temporary files.
    /// It does without some features, as on a machine that does not have them. `egress`:
    /// programs may reach what this machine reaches.
    pub(crate) async fn open(without: &[Feature], egress: bool) -> Result<Self, LabError> {
        let executable = std::env::current_exe().map_err(LabError::Folder)?;
        let folder = tempfile::Builder::new().prefix("updraft-check-").tempdir();
        let folder = folder.map_err(LabError::Folder)?;
        // Programs that are no longer root, and links in the way, must not matter.
        let root = folder.path().canonicalize().map_err(LabError::Folder)?;
        let state = StateDir::throwaway(root.clone());
        let lock = state.lock()?.ok_or(LabError::Taken)?;
        let scopes = Scopes::open_throwaway(&lock, &state).await?;
        Ok(Self(Arc::new(Bench {
            scopes,
            _lock: lock,
            outside: outside::listeners(&root),
            folder: Some(folder),
            root,
            executable,
            without: without.to_vec(),
            egress,
            tiers: OnceCell::new(),
            holder: OnceCell::new(),
            trials: AtomicU64::new(0),
            preparing: Mutex::new(()),
            own_ports: own_port::OwnPorts::default(),
        })))
    }

    /// What works on this machine; tried once.
    pub(crate) async fn tiers(&self) -> &Tiers {
        self.0.tiers.get_or_init(|| Tiers::try_out(self)).await
    }

    /// Whether programs may reach what this machine reaches.
    pub(crate) fn allows_egress(&self) -> bool {
        self.0.egress
    }

    /// What trials use of this machine.
    async fn means(&self) -> Means {
        let tiers = Box::pin(self.tiers()).await;
        Means {
            overlay: tiers.without(Feature::Overlay).is_none(),
            network: !self.0.egress && tiers.without(Feature::Network).is_none(),
        }
    }

    /// The network of a trial.
    pub(crate) async fn network(&self) -> Result<Network, Unstartable> {
        let means = self.means().await;
        if means.network { self.enclosure(None).await } else { Ok(Network::default()) }
    }

    /// A network in which nobody is; `log`: where to note whom its programs look for.
    async fn enclosure(&self, log: Option<&Path>) -> Result<Network, Unstartable> {
        let refused = |error: io::Error| {
            let reason = format!("a network of its own: {error}");
            match error.kind() {
                io::ErrorKind::TimedOut => Unstartable::Slow(reason),
                _ => Unstartable::Machine(reason),
            }
        };
        let holder = self.0.holder.get_or_try_init(|| network::Holder::start(self)).await;
        holder.map_err(refused)?.network(log).await.map_err(refused)
    }

    /// Ends what is left and removes all files.
    pub(crate) async fn close(self) {
        self.0.scopes.close().await;
    }

    /// Where programs are started.
    pub(crate) fn scopes(&self) -> &Scopes {
        &self.0.scopes
    }

    /// This executable, which takes roles.
    pub(crate) fn executable(&self) -> &Path {
        &self.0.executable
    }

    /// How a trial is called among the scopes.
    fn label(&self, place: &Path) -> String {
        place.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// An empty folder that nobody else has, for one trial.
    pub(crate) fn place(&self) -> io::Result<PathBuf> {
        let number = self.0.trials.fetch_add(1, Ordering::Relaxed);
        let place = self.0.root.join(format!("t{number}"));
        std::fs::create_dir(&place)?;
        Ok(place)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take() {
            // What cannot be removed is in the system's folder for temporary files.
            drop(remove_folder(&folder.keep()));
        }
    }
}
