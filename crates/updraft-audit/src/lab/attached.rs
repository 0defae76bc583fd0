//! What a program needs, for one trial: throw-away resources and real peers, each behind an
//! instrument that can hold, cut, stall, swap and count.

mod echo;
mod server;
mod wire;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use updraft_engine::{Attachments, Planner, Programs};
use updraft_mesh::instrument::Instrument;
use updraft_mesh::instrument::stream::Protocol;
use updraft_system::{Name, Resource, ResourceKind};

use super::running::Running;
use super::stage::Unstartable;
use super::{Lab, Network, Setup};
use crate::subject::{Dependency, DependencyKind, Subject};
use crate::verdict::Shape;
use wire::Wire;

/// All that a program needs, and the network in which it is there.
#[derive(Clone, Debug)]
pub(crate) struct Provided {
    /// Where the addresses mean something.
    pub(crate) network: Network,
    all: Vec<Attached>,
}

impl Deref for Provided {
    type Target = [Attached];

    fn deref(&self) -> &[Attached] {
        &self.all
    }
}

/// One thing that a program needs, for one trial.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    /// Its name.
    pub(crate) name: Name,
    /// The variables that hold its address.
    pub(crate) variables: Vec<String>,
    /// Its address through the wire. It may hold a password.
    pub(crate) url: String,
    /// The wire to it; `None`: it is a file, and there is none.
    pub(crate) wire: Option<Arc<Wire>>,
    /// Whether it is another service, and not a resource.
    pub(crate) is_peer: bool,
    /// What has to live as long.
    _alive: Option<Arc<Alive>>,
}

#[derive(Debug)]
enum Alive {
    Server(#[expect(dead_code, reason = "its drop ends the server")] updraft_engine::Scope),
    Peer(#[expect(dead_code, reason = "its drop ends the peer")] Box<Running>),
    Echo(#[expect(dead_code, reason = "its drop ends the server")] echo::Echo),
}

impl Provided {
    /// Everything that a program needs, fresh, in a network.
    pub(super) async fn fresh(
        lab: &Lab,
        place: &Path,
        subject: &Subject,
        network: Network,
    ) -> Result<Self, Unstartable> {
        let resources: BTreeMap<Name, Resource> = subject
            .needs
            .iter()
            .filter_map(|need| match &need.kind {
                DependencyKind::Resource(resource) => Some((need.name.clone(), resource.clone())),
                DependencyKind::Service(_) | DependencyKind::Echo => None,
            })
            .collect();
        let mut all = Vec::new();
        for need in &subject.needs {
            all.push(Attached::one(lab, place, need, &resources, &network).await?);
        }
        Ok(Self { network, all })
    }
}

impl Attached {
    async fn one(
        lab: &Lab,
        place: &Path,
        need: &Dependency,
        resources: &BTreeMap<Name, Resource>,
        network: &Network,
    ) -> Result<Self, Unstartable> {
        match &need.kind {
            DependencyKind::Resource(resource) => {
                Self::resource(lab, place, need, (resource, resources), network).await
            }
            DependencyKind::Service(peer) => Self::peer(lab, need, peer, network).await,
            DependencyKind::Echo => {
                let echo = echo::Echo::open().await?;
                let to = echo.address();
                let wire = Wire::open(&need.name, network, to.into(), Protocol::Opaque).await?;
                let url = format!("tcp://127.0.0.1:{}", wire.port());
                Ok(Self::new(need, url, Some(wire), Some(Alive::Echo(echo))))
            }
        }
    }

    async fn resource(
        lab: &Lab,
        place: &Path,
        need: &Dependency,
        (resource, resources): (&Resource, &BTreeMap<Name, Resource>),
        network: &Network,
    ) -> Result<Self, Unstartable> {
        let lost = |reason: String| Unstartable::Dependency(need.name.to_string(), reason);
        let directory = place.join("resources");
        std::fs::create_dir_all(&directory)?;
        let port = super::ports::Port::any().ok_or(Unstartable::NoPort)?;
        let plan = {
            let (resources, resource) = (resources.clone(), resource.clone());
            let number = port.number;
            tokio::task::spawn_blocking(move || {
                let attachments = Attachments::load(&directory).map_err(|e| e.to_string())?;
                let programs = Programs::of_this_machine();
                let planner = Planner {
                    resources: &resources,
                    directory: &directory,
                    attachments: &attachments,
                    programs: &programs,
                };
                planner.plan(&resource, number).map_err(|error| error.to_string())
            })
        };
        let plan = plan.await.map_err(|error| lost(error.to_string()))?.map_err(lost)?;
        let Some(mut server) = plan.server else {
            return Ok(Self::new(need, plan.url.expose().to_owned(), None, None));
        };
        if matches!(resource.kind, ResourceKind::Postgres { .. }) {
            // A server that is killed leaves its segments behind, but not those in its own files.
            let own = ["-c", "dynamic_shared_memory_type=mmap"].map(str::to_owned);
            server.run.argv.extend(own);
        }
        let label = format!("{}.{}", lab.label(place), need.name);
        let scope = {
            // Each cluster that is made wants a processor and many files for itself.
            let _turn = lab.0.preparing.lock().await;
            server::start(&lab.0.scopes, &label, &server).await.map_err(lost)?
        };
        let protocol = match resource.kind {
            ResourceKind::Postgres { .. } => Protocol::Postgres,
            ResourceKind::Redis { .. } => Protocol::Redis,
            _ => Protocol::Opaque,
        };
        let to = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port.number));
        let wire = Wire::open(&need.name, network, to.into(), protocol).await?;
        let url = plan.url.through(wire.port()).expose().to_owned();
        Ok(Self::new(need, url, Some(wire), Some(Alive::Server(scope))))
    }

    /// Another service, run as it is with what it needs in turn.
    async fn peer(
        lab: &Lab,
        need: &Dependency,
        peer: &Subject,
        network: &Network,
    ) -> Result<Self, Unstartable> {
        let setup = Setup::new(Shape::Child);
        let within = peer.startup * 4;
        let running = Box::pin(lab.start(peer, &setup, within)).await;
        let running = running
            .map_err(|error| Unstartable::Dependency(need.name.to_string(), error.to_string()))?;
        let wire = Wire::open(&need.name, network, running.address(), Protocol::Opaque).await?;
        let url = format!("http://127.0.0.1:{}", wire.port());
        Ok(Self::new(need, url, Some(wire), Some(Alive::Peer(Box::new(running)))))
    }

    fn new(need: &Dependency, url: String, wire: Option<Wire>, alive: Option<Alive>) -> Self {
        Self {
            name: need.name.clone(),
            variables: need.variables.clone(),
            url,
            wire: wire.map(Arc::new),
            is_peer: matches!(need.kind, DependencyKind::Service(_)),
            _alive: alive.map(Arc::new),
        }
    }

    /// The instrument on the wire to it.
    pub(crate) fn instrument(&self) -> Option<&Arc<Instrument>> {
        self.wire.as_ref().map(|wire| wire.instrument())
    }
}
