//! What tokio knows of its runtime. Only what is stable there: no flag of the compiler is
//! needed to see it.

use tokio::runtime::Handle;

use super::{Exposed, Kind, Text};

/// The metrics of the runtime that does the work of the process.
#[derive(Clone, Debug)]
pub(crate) struct RuntimeMetrics(Handle);

impl RuntimeMetrics {
    pub(crate) fn of(handle: Handle) -> Self {
        Self(handle)
    }
}

impl Exposed for RuntimeMetrics {
    fn write(&self, text: &mut Text<'_>) {
        let metrics = self.0.metrics();
        let workers = metrics.num_workers();
        let mut gauge = |name, help, value| {
            text.family(name, Kind::Gauge, help);
            text.gauge(name, "", value);
        };
        gauge("updraft_runtime_workers", "Threads that run tasks.", workers);
        let help = "Tasks that have not ended.";
        gauge("updraft_runtime_alive_tasks", help, metrics.num_alive_tasks());
        let help = "Tasks that wait for any worker: long when the workers cannot keep up.";
        gauge("updraft_runtime_global_queue_depth", help, metrics.global_queue_depth());
        #[cfg(target_has_atomic = "64")]
        {
            let name = "updraft_runtime_busy_seconds";
            let help =
                "Time in which workers ran tasks; divided by the number of workers, the share.";
            text.family(name, Kind::Counter, help);
            let busy = (0..workers).map(|worker| metrics.worker_total_busy_duration(worker));
            text.counter(name, "", busy.sum::<std::time::Duration>().as_secs_f64());
            let name = "updraft_runtime_parks";
            text.family(name, Kind::Counter, "How often workers found nothing to do.");
            let parks = (0..workers).map(|worker| metrics.worker_park_count(worker));
            text.counter(name, "", parks.sum::<u64>());
        }
    }
}
