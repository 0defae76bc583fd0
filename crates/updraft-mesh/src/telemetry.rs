//! Where single requests are told of: the access log and the spans, as the present
//! configuration has it.

use std::fmt;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use updraft_system::Name;
use updraft_system::mesh::TelemetryConfig;

use crate::observe::{AccessLog, EventSink, Registry, SpanQueue, exporter};

/// Who wants to know of single requests.
#[derive(Default)]
pub(crate) struct Telemetry {
    config: TelemetryConfig,
    /// `None`: requests are not logged.
    pub(crate) log: Option<AccessLog>,
    /// `None`: nobody receives spans.
    pub(crate) spans: Option<SpanQueue>,
}

/// The task that sends spans.
#[derive(Debug)]
pub(crate) struct Exporting {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Telemetry {
    /// As `config` has it. `sink` takes the lines of the access log.
    ///
    /// # Errors
    ///
    /// Why spans cannot be sent to the receiver that is named.
    pub(crate) fn new(
        config: &TelemetryConfig,
        system: &Name,
        registry: &Registry,
        sink: Option<&Arc<dyn EventSink>>,
        runtime: &Handle,
    ) -> Result<(Self, Option<Exporting>), String> {
        let log = sink
            .filter(|_| config.access_log)
            .map(|sink| AccessLog::new(Arc::clone(sink), Arc::clone(registry.log_dropped())));
        let telemetry = Self { config: config.clone(), log, spans: None };
        let Some(receiver) = &config.otlp else { return Ok((telemetry, None)) };
        let made = exporter(receiver, system, registry.span_counts());
        let (spans, exporter) = made.map_err(|invalid| format!("telemetry.otlp: {invalid}"))?;
        let (stop, stopped) = oneshot::channel::<()>();
        // A sender that is gone means the same as its word.
        let task = runtime.spawn(exporter.run(async move { drop(stopped.await) }));
        let telemetry = Self { spans: Some(spans), ..telemetry };
        Ok((telemetry, Some(Exporting { stop, task })))
    }

    /// Whether it is what `config` asks for.
    pub(crate) fn is_of(&self, config: &TelemetryConfig) -> bool {
        self.config == *config
    }
}

impl Exporting {
    /// Lets it send what it has, for a bounded time; the task ends then.
    pub(crate) fn end(self) -> JoinHandle<()> {
        // It may have ended by itself.
        let _ = self.stop.send(());
        self.task
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("config", &self.config).finish_non_exhaustive()
    }
}
