//! What can be asked of the wire of a run: reports, taps, traffic, certificates.

use std::collections::BTreeMap;
use std::sync::Arc;

use updraft_mesh::{EventSink, LocalIssuer, Taps};
use updraft_system::mesh::{
    Action, BundleDocument, EdgeReport, GatewayConfig, IdentityRequest, IdentityResponse, Served,
    Share, Traffic,
};
use updraft_system::{LogSource, Name};

use super::error::chain;
use super::{CommandError, Engine, Run};
use crate::logs::LogStore;

/// The access log of the gateway goes to the system's log, as lines of its own.
#[derive(Debug)]
pub(super) struct WireLog {
    logs: LogStore,
    source: LogSource,
}

impl WireLog {
    pub(super) fn new(logs: LogStore) -> Self {
        let source = LogSource::new(Name::gateway(), Name::access(), 1);
        Self { logs, source }
    }
}

impl EventSink for WireLog {
    fn event(&self, line: &str) -> bool {
        self.logs.notice(&self.source, line);
        true
    }
}

/// Does what is due with the certificates, until the run ends.
pub(super) async fn keep_authority(run: Arc<Run>) {
    let failed = |error: &dyn std::error::Error| run.tell_wire(&chain(error));
    tokio::select! {
        () = run.authority.follow_time(failed) => {}
        () = run.told_to_stop() => {}
    }
}

impl Run {
    /// Tells the gateway what is new.
    pub(super) fn sync_wire(&self) {
        if let Err(error) = self.wire.sync() {
            self.tell_wire(&format!("the gateway goes on as before: {}", chain(&error)));
        }
    }

    fn tell_wire(&self, text: &str) {
        let source = LogSource::new(Name::gateway(), Name::server(), 1);
        self.logs.notice(&source, text);
    }
}

impl Engine {
    /// What is known of each edge.
    pub fn edges(&self) -> Vec<EdgeReport> {
        self.0.wire.with(|gateway| gateway.report()).unwrap_or_default()
    }

    /// The metrics of the gateway as Prometheus text.
    pub fn wire_metrics(&self) -> String {
        self.0.wire.with(|gateway| gateway.metrics()).unwrap_or_default()
    }

    /// The configuration that the gateway goes by.
    pub fn wire_config(&self) -> Option<GatewayConfig> {
        self.0.wire.with(|gateway| gateway.config()).flatten()
    }

    /// Listens to live requests of the edges between these ends; `None`: any.
    ///
    /// # Errors
    ///
    /// [`CommandError::Tap`], or that the run has ended.
    pub fn tap(
        &self,
        from: Option<&Name>,
        to: Option<&Name>,
        share: Share,
    ) -> Result<Taps, CommandError> {
        let taps = self.0.wire.with(|gateway| gateway.tap(from, to, share));
        Ok(taps.ok_or(CommandError::NotNow("stopping"))??)
    }

    /// The traffic of each service as it is now.
    pub fn traffic(&self) -> BTreeMap<Name, Traffic> {
        self.0.wire.traffic()
    }

    /// Changes the traffic to a service, until the run ends; `None`: what the manifest says.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when there is no such service or version, or the gateway refuses it.
    pub fn set_traffic(
        &self,
        service: &Name,
        traffic: Option<Traffic>,
    ) -> Result<(), CommandError> {
        let run = &self.0;
        let known = run.service(service)?;
        if let Some(traffic) = &traffic {
            let versions: Vec<Name> = known.endpoints().map(|(_, version)| version).collect();
            if let Some(version) = named(traffic).find(|version| !versions.contains(version)) {
                let known: Vec<&str> = versions.iter().map(Name::as_str).collect();
                return Err(CommandError::NoVersion {
                    service: service.to_string(),
                    version: version.to_string(),
                    known: known.join(", "),
                });
            }
        }
        run.wire.set_traffic(service, traffic)?;
        Ok(())
    }

    /// The certificates that are served now.
    pub fn identities(&self) -> Vec<Served> {
        self.0.wire.with(|gateway| gateway.identities()).unwrap_or_default()
    }

    /// Gets new certificates for all services, or for one.
    pub fn rotate(&self, only: Option<&Name>) -> Result<(), CommandError> {
        if let Some(service) = only {
            drop(self.0.service(service)?);
        }
        self.0.wire.with(|gateway| gateway.rotate(only)).ok_or(CommandError::NotNow("stopping"))
    }

    /// Begins a rotation of the root of trust; false: one goes on already.
    ///
    /// # Errors
    ///
    /// [`CommandError::Authority`].
    pub fn rotate_root(&self) -> Result<bool, CommandError> {
        let begun = self.0.authority.issuer().rotate_root()?;
        self.keep_authority();
        Ok(begun)
    }

    /// A certificate for a gateway that speaks for a service of this system.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when there is no such service, or its key is not proven.
    pub fn issue(&self, request: &IdentityRequest) -> Result<IdentityResponse, CommandError> {
        drop(self.0.service(&request.service)?);
        let response = self.0.authority.issuer().answer(request)?;
        self.keep_authority();
        Ok(response)
    }

    /// The roots that are trusted now.
    pub fn bundle(&self) -> BundleDocument {
        self.issuer().trusted()
    }

    fn issuer(&self) -> &LocalIssuer {
        self.0.authority.issuer()
    }

    /// A change that cannot be written down now is written at the next look.
    fn keep_authority(&self) {
        if let Err(error) = self.0.authority.keep() {
            self.0.tell_wire(&chain(&error));
        }
    }
}

/// The versions that a traffic names.
fn named(traffic: &Traffic) -> impl Iterator<Item = &Name> {
    let split = traffic.split.iter().flat_map(|split| split.weights.keys());
    let ruled = traffic.rules.iter().filter_map(|rule| match &rule.action {
        Action::Route(version) => Some(version),
        Action::Mirror(mirror) => Some(&mirror.to),
        _ => None,
    });
    split.chain(ruled)
}
