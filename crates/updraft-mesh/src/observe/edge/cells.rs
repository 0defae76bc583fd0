//! The cells themselves.

use std::sync::atomic::{AtomicU64, Ordering};

use updraft_system::mesh::{CallCounts, ClassCounts, Latencies, OperationReport};

use crate::observe::histogram::Histogram;
use crate::observe::outcome::{CodeClass, Refused, RetryReason};
use crate::tunnel::TunnelCounters;

const CLASSES: usize = CodeClass::ALL.len();

/// What is counted for each operation.
#[derive(Debug)]
pub(super) struct OperationCells {
    pub(super) name: Box<str>,
    pub(super) classes: [AtomicU64; CLASSES],
    pub(super) duration: Histogram,
}

/// What [`OperationCells`] held at one moment.
pub(in crate::observe) struct OperationCounts {
    /// By number of the class.
    pub(in crate::observe) classes: [u64; CLASSES],
    pub(in crate::observe) latencies: Latencies,
}

/// What is counted for an edge as a whole.
#[derive(Debug)]
pub(super) struct EdgeCells {
    pub(super) first_byte: Histogram,
    pub(super) retries: [AtomicU64; RetryReason::ALL.len()],
    pub(super) refusals: [AtomicU64; Refused::ALL.len()],
    pub(super) undeclared: AtomicU64,
    pub(super) request_bytes: AtomicU64,
    pub(super) response_bytes: AtomicU64,
    pub(super) active_requests: AtomicU64,
    pub(super) open_connections: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) active_tunnels: AtomicU64,
    pub(super) tunnels: AtomicU64,
    pub(super) tunnel_bytes: TunnelCounters,
}

impl Default for EdgeCells {
    fn default() -> Self {
        Self {
            first_byte: Histogram::new(),
            retries: Default::default(),
            refusals: Default::default(),
            undeclared: AtomicU64::default(),
            request_bytes: AtomicU64::default(),
            response_bytes: AtomicU64::default(),
            active_requests: AtomicU64::default(),
            open_connections: AtomicU64::default(),
            connections: AtomicU64::default(),
            active_tunnels: AtomicU64::default(),
            tunnels: AtomicU64::default(),
            tunnel_bytes: TunnelCounters::default(),
        }
    }
}

impl OperationCells {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.into(), classes: Default::default(), duration: Histogram::new() }
    }

    pub(super) fn counts(&self) -> OperationCounts {
        OperationCounts {
            classes: std::array::from_fn(|at| read(&self.classes[at])),
            latencies: self.duration.latencies(),
        }
    }

    /// None before its first call.
    pub(super) fn report(&self) -> Option<OperationReport> {
        let counts = self.counts();
        let class = |class: CodeClass| counts.classes[class.index()];
        let classes = ClassCounts {
            informational: class(CodeClass::Informational),
            success: class(CodeClass::Success),
            redirect: class(CodeClass::Redirect),
            client_error: class(CodeClass::ClientError),
            server_error: class(CodeClass::ServerError),
            refused: class(CodeClass::Refused),
            error: class(CodeClass::Error),
        };
        let calls = CallCounts { classes, latencies: counts.latencies };
        let operation = self.name.to_string();
        (classes.all() > 0).then_some(OperationReport { operation, calls })
    }
}

/// All operations together.
pub(super) fn total(operations: &[OperationReport]) -> CallCounts {
    let mut all = CallCounts::default();
    for own in operations {
        let (sum, classes) = (&mut all.classes, &own.calls.classes);
        sum.informational += classes.informational;
        sum.success += classes.success;
        sum.redirect += classes.redirect;
        sum.client_error += classes.client_error;
        sum.server_error += classes.server_error;
        sum.refused += classes.refused;
        sum.error += classes.error;
        all.latencies = all.latencies.plus(&own.calls.latencies);
    }
    all
}

#[inline]
pub(super) fn add(cells: &[AtomicU64], index: usize) {
    if let Some(cell) = cells.get(index) {
        cell.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) fn read(cell: &AtomicU64) -> u64 {
    cell.load(Ordering::Relaxed)
}
