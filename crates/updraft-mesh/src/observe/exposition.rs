//! The two text formats of Prometheus: text 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>) and OpenMetrics 1.0
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).

use updraft_system::mesh::Latencies;

use super::table::{Family, Kind};

/// Boundaries of exported histograms, in nanoseconds and as text in seconds: those that
/// OpenTelemetry recommends for `http.server.request.duration`, and below them three for calls
/// inside one machine.
pub(super) const BOUNDS: &[(u64, &str)] = &[
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (75_000_000, "0.075"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (750_000_000, "0.75"),
    (1_000_000_000, "1.0"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5.0"),
    (7_500_000_000, "7.5"),
    (10_000_000_000, "10.0"),
];

/// In which format metrics are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// What an `Accept` header asks for (RFC 9110 §12.5.1). Text unless OpenMetrics is
    /// named, in version 1.0.0 or in none, and wanted at least as much.
    #[must_use]
    pub(crate) fn negotiate(accept: Option<&str>) -> Self {
        let mut text = 0;
        let mut open = 0;
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let mut quality = 1000;
            let mut version = None;
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = thousandths(value.trim()),
                    "version" => version = Some(value.trim().trim_matches('"')),
                    _ => {}
                }
            }
            match (media.as_str(), version) {
                ("application/openmetrics-text", None | Some("1.0.0")) => open = open.max(quality),
                ("text/plain", None | Some("0.0.4")) => text = text.max(quality),
                _ => {}
            }
        }
        if open > 0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// The `Content-Type` of the answer.
    #[must_use]
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// `0.5` is 500; what is no quality is 0.
fn thousandths(quality: &str) -> u32 {
    let (whole, part) = quality.split_once('.').unwrap_or((quality, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if part.len() > 3 || !digits(part) || !digits(whole) {
        return 0;
    }
    let part = format!("{part:0<3}").parse().unwrap_or(0);
    match whole {
        "0" => part,
        "1" if part == 0 => 1000,
        _ => 0,
    }
}

/// An answer that is being written, family by family.
#[derive(Debug)]
pub(super) struct Exposition {
    format: Format,
    out: String,
}

impl Exposition {
    pub(super) fn new(format: Format) -> Self {
        Self { format, out: String::with_capacity(64 * 1024) }
    }

    /// Writes the head of a family, and its series by `write`.
    pub(super) fn family(&mut self, family: &'static Family, write: impl FnOnce(&mut Samples<'_>)) {
        let open = self.format == Format::OpenMetrics;
        let (suffix, kind) = match (family.kind, open) {
            (Kind::Counter, true) => ("", "counter"),
            (Kind::Counter, false) => ("_total", "counter"),
            (Kind::Gauge, _) => ("", "gauge"),
            (Kind::Histogram, _) => ("", "histogram"),
            (Kind::Info, true) => ("", "info"),
            (Kind::Info, false) => ("_info", "gauge"),
        };
        let (name, help) = (family.name, family.help);
        self.out.push_str(&format!("# HELP {name}{suffix} {help}\n"));
        self.out.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        if let (Some(unit), true) = (family.unit, open) {
            self.out.push_str(&format!("# UNIT {name} {unit}\n"));
        }
        write(&mut Samples { out: &mut self.out, family, open });
    }

    /// The whole text.
    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

/// The series of one family.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    out: &'a mut String,
    family: &'static Family,
    open: bool,
}

impl Samples<'_> {
    /// A sample with a whole value; `labels` are the values of the family's labels in order.
    pub(super) fn count(&mut self, labels: &[&str], value: u64) {
        self.head(self.suffix(), labels, None);
        self.out.push_str(&format!(" {value}\n"));
    }

    /// A sample with a value in seconds.
    pub(super) fn seconds(&mut self, labels: &[&str], value: f64) {
        self.head(self.suffix(), labels, None);
        self.out.push_str(&format!(" {value}\n"));
    }

    /// All samples of a histogram.
    pub(super) fn latencies(&mut self, labels: &[&str], latencies: &Latencies) {
        for (nanos, seconds) in BOUNDS {
            let text = if self.open { seconds } else { seconds.trim_end_matches(".0") };
            self.head("_bucket", labels, Some(text));
            self.out.push_str(&format!(" {}\n", latencies.at_most(*nanos)));
        }
        let count = latencies.count();
        self.head("_bucket", labels, Some("+Inf"));
        self.out.push_str(&format!(" {count}\n"));
        self.head("_sum", labels, None);
        self.out.push_str(&format!(" {}\n", latencies.sum_nanos as f64 / 1e9));
        self.head("_count", labels, None);
        self.out.push_str(&format!(" {count}\n"));
    }

    const fn suffix(&self) -> &'static str {
        match self.family.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        }
    }

    fn head(&mut self, suffix: &str, labels: &[&str], bound: Option<&str>) {
        self.out.push_str(self.family.name);
        self.out.push_str(suffix);
        let named = self.family.labels.iter().copied().zip(labels.iter().copied());
        let mut before = '{';
        for (name, value) in named.chain(bound.map(|bound| ("le", bound))) {
            self.out.push(before);
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(value, self.out);
            self.out.push('"');
            before = ',';
        }
        if before == ',' {
            self.out.push('}');
        }
    }
}

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
#[path = "exposition_tests.rs"]
mod tests;
