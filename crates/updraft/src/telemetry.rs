//! Logs and traces of one process, put together: the subscriber of all events and spans, and
//! what lives and ends with it.

use std::sync::Arc;

use tokio::time::Instant;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Config, Invalid};
use crate::log::{self, Directives, EventLayer, Identity, LogControl, Logs};
use crate::metrics::{LogLines, Metrics};
use crate::release::Release;
use crate::trace::{self, Exporter, ExporterHandle, OnDemand, Resource, SpanLayer};

/// What the environment says about logs and traces.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    level: Directives,
    lines_per_second: u32,
    output: log::Output,
    traces: trace::Settings,
}

impl Settings {
    pub(crate) fn read(config: &mut Config) -> Result<Self, Invalid> {
        let level = config.or("LOG_LEVEL", Directives::default(), "how much is logged");
        let rate = config.or(
            "LOG_RATE_LIMIT",
            log::LOG_RATE,
            "lines that one place in the code may write in a second; 0: no limit",
        );
        let traces = trace::Settings::read(config);
        let output = log::Output::Stdout;
        Ok(Self { level: level?, lines_per_second: rate?, output, traces: traces? })
    }
}

impl Settings {
    /// As they are, and only errors are logged, on standard error: for what answers on
    /// standard output.
    pub(crate) fn of_errors(self) -> Self {
        Self { level: Directives::of_errors(), output: log::Output::Stderr, ..self }
    }
}

/// The logs and traces of this process, until it is dropped.
#[derive(Debug)]
pub(crate) struct Telemetry {
    logs: Logs,
    exporter: Option<Exporter>,
}

/// What the parts of a process need of it. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct TelemetryHandle {
    control: LogControl,
    log_counts: log::LogCounts,
    log_lines: LogLines,
    exporter: Option<ExporterHandle>,
}

/// What was kept for a test, and the subscriber that keeps it.
#[cfg(feature = "testing")]
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    pub(crate) dispatch: tracing::Dispatch,
    pub(crate) lines: log::Lines,
    pub(crate) spans: trace::Spans,
}

impl Telemetry {
    /// Takes over the events, spans and panics of this process.
    pub(crate) fn start(
        release: &Release,
        process: &'static str,
        settings: Settings,
    ) -> std::io::Result<Self> {
        let Settings { level, lines_per_second, output, traces } = settings;
        let identity = Identity::new(release.service(), process, release.id());
        let (logs, events) = Logs::start(identity, level, lines_per_second, output)?;
        let exporter = traces
            .export
            .map(|export| {
                let resource = resource(release, process, &export);
                Exporter::start(export, resource)
            })
            .transpose()?;
        let spans = SpanLayer::new(traces.sampler, exporter.as_ref().map(Exporter::queue));
        let subscriber = subscriber(spans, events, logs.control());
        // A second chassis in one process (tests) keeps the first one's events.
        drop(subscriber.try_init());
        std::panic::set_hook(Box::new(log::log_panic));
        Ok(Self { logs, exporter })
    }

    /// Keeps events and spans for a test, and leaves those of the rest of this program alone:
    /// the subscriber is for the threads of the test's service.
    #[cfg(feature = "testing")]
    pub(crate) fn kept(release: &Release, settings: Settings) -> (Self, Captured) {
        let Settings { level, lines_per_second, traces, .. } = settings;
        let identity = Identity::new(release.service(), "test", release.id());
        let (logs, events, lines) = Logs::kept(identity, level, lines_per_second);
        let (ended, queue) = trace::Spans::queue();
        let spans = SpanLayer::new(traces.sampler, Some(queue));
        let subscriber = subscriber(spans, events, logs.control());
        let captured = Captured { dispatch: subscriber.into(), lines, spans: ended };
        (Self { logs, exporter: None }, captured)
    }

    pub(crate) fn handle(&self) -> TelemetryHandle {
        TelemetryHandle {
            control: self.logs.control().clone(),
            log_counts: self.logs.counts().clone(),
            log_lines: self.logs.lines().clone(),
            exporter: self.exporter.as_ref().map(Exporter::handle),
        }
    }
}

impl TelemetryHandle {
    /// How much is logged, to be changed in the running process.
    pub(crate) fn log_control(&self) -> &LogControl {
        &self.control
    }

    /// Counts lines and spans in these metrics.
    pub(crate) fn show_in(&self, metrics: &Metrics) {
        self.log_counts.show_in(metrics);
        metrics.expose(Arc::new(self.log_lines.clone()));
        if let Some(exporter) = &self.exporter {
            exporter.counts().show_in(metrics);
        }
    }

    /// Sends the spans that have ended, as far as there is time before `deadline`.
    pub(crate) async fn flush(&self, deadline: Instant) {
        if let Some(exporter) = &self.exporter {
            exporter.flush(deadline).await;
        }
    }
}

/// The layers as one subscriber.
pub(crate) fn subscriber(spans: SpanLayer, events: EventLayer, control: &LogControl) -> OnDemand {
    let (policy, access) = (spans.policy(), events.access(control));
    let (of_spans, of_events) = (spans.filter(), control.filter());
    let layers = tracing_subscriber::registry()
        .with(spans.with_filter(of_spans))
        .with(events.with_filter(of_events));
    OnDemand::new(layers, policy, access)
}

/// Who sends spans, by the semantic conventions for resources.
fn resource(release: &Release, process: &str, export: &trace::ExportSettings) -> Resource {
    let mut resource = Resource::default();
    resource.set("service.name", release.service());
    resource.set("service.version", release.version());
    resource.set("service.instance.id", &uuid::Uuid::now_v7().to_string());
    resource.set("telemetry.sdk.name", env!("CARGO_PKG_NAME"));
    resource.set("telemetry.sdk.language", "rust");
    resource.set("telemetry.sdk.version", env!("CARGO_PKG_VERSION"));
    resource.set("updraft.process", process);
    resource.set("updraft.release", release.id());
    export.describe(&mut resource);
    resource
}
