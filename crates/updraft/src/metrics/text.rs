//! The two text formats of Prometheus, as far as our own families need them: OpenMetrics 1.0,
//! and the older text format 0.0.4 that every scraper reads.

use std::fmt::{self, Display, Write as _};

use super::histogram::Snapshot;

/// The format of an exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0: with exemplars.
    OpenMetrics,
    /// The Prometheus text format 0.0.4.
    Prometheus,
}

impl Format {
    /// What a scraper that sent this `Accept` header can read.
    pub(crate) fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// The media type of the answer.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The kind of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// An exposition that is being written.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    out: &'a mut String,
    format: Format,
    written: fmt::Result,
}

impl<'a> Text<'a> {
    pub(crate) fn new(out: &'a mut String, format: Format) -> Self {
        Self { out, format, written: Ok(()) }
    }

    /// Whether all of it could be written.
    ///
    /// # Errors
    ///
    /// When a value could not be shown.
    pub(crate) fn finish(self) -> fmt::Result {
        self.written
    }

    /// Begins a family. The name of a counter has no `_total` here.
    pub(crate) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        // OpenMetrics names the family, the older format names its samples.
        let suffix = match (kind, self.format) {
            (Kind::Counter, Format::Prometheus) => "_total",
            _ => "",
        };
        let kind = kind.name();
        self.put(format_args!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n"));
    }

    /// One sample of a counter whose family has begun.
    pub(crate) fn counter(&mut self, name: &str, labels: &str, value: impl Display) {
        self.sample(name, "_total", labels, value);
    }

    /// One sample of a gauge whose family has begun.
    pub(crate) fn gauge(&mut self, name: &str, labels: &str, value: impl Display) {
        self.sample(name, "", labels, value);
    }

    /// One series of a histogram whose family has begun.
    pub(crate) fn histogram(&mut self, name: &str, labels: &str, snapshot: &Snapshot) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut below = 0;
        for (place, (bound, count)) in snapshot.buckets.iter().enumerate() {
            below += count;
            if bound.is_finite() {
                self.put(format_args!("{name}_bucket{{{labels}{comma}le=\"{bound:?}\"}} {below}"));
            } else {
                self.put(format_args!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {below}"));
            }
            if self.format == Format::OpenMetrics
                && let Some(Some(exemplar)) = snapshot.exemplars.get(place)
            {
                let (trace, span) = exemplar.ids();
                let value = exemplar.value();
                let ids = format_args!("trace_id=\"{trace}\",span_id=\"{span}\"");
                self.put(format_args!(" # {{{ids}}} {value:?}"));
            }
            self.out.push('\n');
        }
        self.sample(name, "_sum", labels, format_args!("{:?}", snapshot.sum));
        self.sample(name, "_count", labels, below);
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &str, value: impl Display) {
        if labels.is_empty() {
            self.put(format_args!("{name}{suffix} {value}\n"));
        } else {
            self.put(format_args!("{name}{suffix}{{{labels}}} {value}\n"));
        }
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        self.written = self.written.and(self.out.write_fmt(text));
    }
}

/// A value as both formats write it.
pub(super) fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

/// Label pairs as they are written between the braces, escaped.
pub(crate) fn labels<'l>(pairs: impl IntoIterator<Item = (&'l str, &'l str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for letter in value.chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                letter => text.push(letter),
            }
        }
        text.push('"');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_value_cannot_break_out_of_its_quotes() {
        let text = labels([("route", "/a\"} 1\n"), ("kind", "b\\")]);
        assert_eq!(text, r#"route="/a\"} 1\n",kind="b\\""#);
    }

    #[test]
    fn openmetrics_is_given_to_those_alone_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4,*/*";
        assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
        for other in [None, Some("*/*"), Some("text/plain;version=0.0.4"), Some("")] {
            assert_eq!(Format::accepted(other), Format::Prometheus, "{other:?}");
        }
    }
}
