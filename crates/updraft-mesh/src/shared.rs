//! What all data threads of a gateway share, whatever the configuration.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use updraft_resilience::{Clock, Instant};
use updraft_system::Name;
use updraft_system::mesh::{EdgeReport, EndpointReport, Protocol};

use crate::attest::Attest;
use crate::edge::{Caller, Edge, EdgeKey};
use crate::gate::{Pseudonym, Rule};
use crate::identities::Identities;
use crate::identity::{Alpn, SpiffeId};
use crate::observe::{EdgeMetrics, EdgeSpec, Format, Registry, Sampling};
use crate::pool::{self, Pool, TargetTls};
use crate::replay::ReplayBody;
use crate::telemetry::Telemetry;

/// Shared by the threads.
pub(crate) struct Shared {
    pub(crate) system: Name,
    /// Fine enough for latencies.
    pub(crate) clock: Clock,
    /// The clock of the policies, and so of deadlines.
    pub(crate) coarse: Clock,
    pub(crate) registry: Registry,
    /// `None`: whoever connects to the port of an edge is taken for its caller.
    pub(crate) attest: Option<Arc<dyn Attest>>,
    pub(crate) identities: Identities,
    /// What this gateway is called in `Via`.
    pub(crate) pseudonym: Pseudonym,
    /// Who wants to know of single requests.
    pub(crate) telemetry: ArcSwap<Telemetry>,
    /// How many of the traces that begin here are recorded.
    pub(crate) sampling: Sampling,
    /// The edges of the present configuration.
    edges: ArcSwap<Vec<Arc<Edge>>>,
    /// Those of the data threads.
    pools: Mutex<Vec<Arc<Pool<ReplayBody>>>>,
    /// Whether TCP edges are carried message by message, so that instruments can act.
    pub(crate) instruments: bool,
}

/// The share of the traces that begin at a gateway that is recorded: 10 %.
const SAMPLING: Sampling = Sampling::per_million(100_000);

/// The names of the gate's rules, by their number.
static RULES: [&str; Rule::ALL.len()] = {
    let mut names = [""; Rule::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Rule::ALL[at].name();
        at += 1;
    }
    names
};

impl Shared {
    pub(crate) fn new(
        system: Name,
        attest: Option<Arc<dyn Attest>>,
        identities: Identities,
        pseudonym: Pseudonym,
        instruments: bool,
    ) -> Self {
        Self {
            system,
            clock: Clock::tokio(),
            coarse: Clock::system(),
            registry: Registry::new(&RULES),
            attest,
            identities,
            pseudonym,
            telemetry: ArcSwap::default(),
            sampling: SAMPLING,
            edges: ArcSwap::default(),
            pools: Mutex::default(),
            instruments,
        }
    }

    /// The moment, fine enough for latencies.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The counters of these edges, in their order.
    pub(crate) fn metrics(&self, version: u64, specs: Vec<EdgeSpec>) -> Vec<Arc<EdgeMetrics>> {
        self.registry.set_edges(version, &specs)
    }

    /// These are the edges from now on.
    pub(crate) fn set_present(&self, edges: Vec<Arc<Edge>>) {
        self.edges.store(Arc::new(edges));
    }

    /// What is known of each edge.
    pub(crate) fn reports(&self) -> Vec<EdgeReport> {
        let mut reports = self.registry.reports(&|metrics| self.endpoints(metrics));
        let edges = self.edges.load();
        for report in &mut reports {
            let side = report.side;
            let ours = |edge: &&Arc<Edge>| {
                edge.caller == report.from
                    && edge.key.to == report.to
                    && edge.metrics.side() == side
            };
            if let Some(edge) = edges.iter().find(ours) {
                report.connections.endpoint = self.open_to(edge);
            }
        }
        reports
    }

    /// Open connections to the endpoints of an edge; other edges may use them too.
    fn open_to(&self, edge: &Edge) -> u64 {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let targets = edge.targets.load();
        let open = |pool: &Arc<Pool<ReplayBody>>| {
            targets.all().map(|target| pool.open(target)).sum::<usize>()
        };
        u64::try_from(pools.iter().map(open).sum::<usize>()).unwrap_or(u64::MAX)
    }

    /// The connections of one more data thread.
    pub(crate) fn add_pool(&self, pool: Arc<Pool<ReplayBody>>) {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).push(pool);
    }

    /// The metrics of everything.
    pub(crate) fn render(&self, format: Format) -> String {
        let served = self.identities.served();
        let ends = served
            .into_iter()
            .filter_map(|served| Some((served.service, i64::try_from(served.not_after?).ok()?)));
        self.registry.set_certificates(ends.collect());
        self.registry.render(format, &|metrics| self.endpoints(metrics))
    }

    fn endpoints(&self, metrics: &EdgeMetrics) -> Vec<EndpointReport> {
        let edges = self.edges.load();
        let edge = edges.iter().find(|edge| std::ptr::eq(&*edge.metrics, metrics));
        edge.map(|edge| edge.endpoints(self.now())).unwrap_or_default()
    }

    /// How the endpoints of an edge are reached by mutual TLS; `None`: there is no identity to
    /// show.
    pub(crate) fn client_tls(
        &self,
        key: &EdgeKey,
        protocol: Protocol,
        spoken: pool::Protocol,
    ) -> Option<TargetTls> {
        let Caller::Service(from) = &key.from else { return None };
        let alpn = match (protocol, spoken) {
            (Protocol::Tcp, _) => Alpn::Tcp,
            (_, pool::Protocol::Http1) => Alpn::Http1,
            (_, pool::Protocol::Http2) => Alpn::H2,
        };
        let peer = SpiffeId::new(self.system.clone(), key.to.clone());
        self.identities.client(from, peer, alpn)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("system", &self.system).finish_non_exhaustive()
    }
}
