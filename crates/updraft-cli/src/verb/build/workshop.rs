//! Where builds run: guarded, so that nothing of them outlives the command.

use tempfile::TempDir;
use updraft_engine::{Network, Scopes, StateDir, StateLock};

use crate::failure::{Class, Failure};

/// A place for builds that is gone with the command.
#[derive(Debug)]
pub(super) struct Workshop {
    scopes: Scopes,
    folder: TempDir,
    network: Network,
    _lock: StateLock,
}

impl Workshop {
    pub(super) async fn open() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("updraft-build-").tempdir();
        let folder = folder.map_err(|error| {
            Failure::environment("no place for the files of builds").because(&error)
        })?;
        let state = StateDir::throwaway(folder.path().to_owned());
        let taken = || Failure::environment("the folder of builds is somebody else's");
        let lock = state.lock()?.ok_or_else(taken)?;
        let scopes = Scopes::open_throwaway(&lock, &state).await;
        let scopes = scopes.map_err(|error| Failure::from_error(Class::Environment, &error))?;
        let network = Network::cut().unwrap_or_default();
        Ok(Self { scopes, folder, network, _lock: lock })
    }

    pub(super) fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What builds may use of the network.
    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    pub(super) async fn close(self) {
        self.scopes.close().await;
    }
}
