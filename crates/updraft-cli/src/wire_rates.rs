//! What happens on each edge right now: two reports of the gateway, some time apart.

use std::time::Duration;

use updraft_system::mesh::{BreakerState, EdgeRates, EdgeReport, EdgeSide, rate_between};

use crate::control::{Client, ControlError};

/// From one report to the next.
pub(crate) const APART: Duration = Duration::from_secs(1);

/// One edge with its rates.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) report: EdgeReport,
    pub(crate) rates: EdgeRates,
}

/// Two reports, a second apart.
pub(crate) async fn now(client: &Client) -> Result<Vec<Edge>, ControlError> {
    let older = client.edges().await?;
    tokio::time::sleep(APART).await;
    Ok(between(&older, client.edges().await?))
}

/// The edges of the newer report. A call that passes one gateway twice, on its way out and
/// on its way in, is shown once: as its caller sees it.
pub(crate) fn between(older: &[EdgeReport], newer: Vec<EdgeReport>) -> Vec<Edge> {
    let ends = |report: &EdgeReport| (report.from.clone(), report.to.clone());
    let of_clients: Vec<_> =
        newer.iter().filter(|report| report.side == EdgeSide::Client).map(ends).collect();
    let seen_twice =
        |report: &EdgeReport| report.side == EdgeSide::Server && of_clients.contains(&ends(report));
    let with_rates = |report: EdgeReport| {
        let before = older.iter().find(|older| {
            (&older.from, &older.to, older.side) == (&report.from, &report.to, report.side)
        });
        // An edge that is new has no rates yet.
        let rates = before.map(|before| rate_between(before, &report)).unwrap_or_default();
        Edge { report, rates }
    };
    newer.into_iter().filter(|report| !seen_twice(report)).map(with_rates).collect()
}

impl Edge {
    /// Bytes per second of everything that is carried.
    pub(crate) fn bytes_per_s(&self) -> f64 {
        let rates = &self.rates;
        rates.request_bytes_per_s + rates.response_bytes_per_s + rates.tunnel_bytes_per_s
    }

    /// Whether anything was ever carried.
    pub(crate) fn was_used(&self) -> bool {
        self.report.totals.classes.all() > 0 || self.report.tunnels.opened > 0
    }

    /// The state that most deserves a look, of all endpoints, and how many are in it.
    pub(crate) fn worst(&self) -> (Standing, usize) {
        let standing = |endpoint: &updraft_system::mesh::EndpointReport| match endpoint.breaker {
            BreakerState::Open => Standing::Open,
            _ if endpoint.ejected => Standing::Ejected,
            BreakerState::HalfOpen => Standing::HalfOpen,
            BreakerState::Closed => Standing::Closed,
        };
        let all: Vec<Standing> = self.report.endpoints.iter().map(standing).collect();
        let worst = all.iter().copied().max().unwrap_or(Standing::NoEndpoint);
        (worst, all.iter().filter(|standing| **standing == worst).count())
    }
}

/// How an endpoint stands, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    Closed,
    HalfOpen,
    Ejected,
    Open,
    NoEndpoint,
}

impl Standing {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Ejected => "ejected",
            Self::Open => "open",
            Self::NoEndpoint => "no endpoint",
        }
    }
}
