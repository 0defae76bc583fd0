//! What the environment says about traces: the variables of the OpenTelemetry specification,
//! as far as they have a meaning here.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use updraft_trace::Sampling;
use url::Url;

use super::export::Resource;
use super::layer::Sampler;
use crate::config::{Config, Invalid, Variable};

/// Names with values in one variable.
const PAIRS_MOST: usize = 64;

/// How long one attempt to send spans may take, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says
/// otherwise, in milliseconds.
const TIMEOUT_MS: NonZeroU32 = NonZeroU32::new(10_000).expect("it is above 0");

/// How long spans wait for others, unless `OTEL_BSP_SCHEDULE_DELAY` says otherwise, in
/// milliseconds.
const SCHEDULE_DELAY_MS: NonZeroU32 = NonZeroU32::new(5_000).expect("it is above 0");

/// What is traced, and where spans go.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) sampler: Sampler,
    /// None: nothing is exported.
    pub(crate) export: Option<ExportSettings>,
}

/// Where spans go.
#[derive(Clone, Debug)]
pub(crate) struct ExportSettings {
    pub(super) url: Url,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) timeout: Duration,
    pub(super) schedule_delay: Duration,
    pub(super) service: Option<String>,
    pub(super) resource: Vec<(String, String)>,
}

impl ExportSettings {
    /// What the environment says of the service goes before what the build says.
    pub(crate) fn describe(&self, resource: &mut Resource) {
        for (name, value) in &self.resource {
            resource.set(name, value);
        }
        if let Some(service) = &self.service {
            resource.set("service.name", service);
        }
    }
}

impl Settings {
    pub(crate) fn read(config: &mut Config) -> Result<Self, Invalid> {
        let off = config.or("OTEL_SDK_DISABLED", false, "whether no spans are exported");
        let exporter = config.or("OTEL_TRACES_EXPORTER", TracesExporter::Otlp, "how spans leave");
        let protocol =
            config.or("OTEL_EXPORTER_OTLP_PROTOCOL", Protocol, "what collectors are sent");
        let base: Result<Option<CollectorUrl>, _> = config
            .optional("OTEL_EXPORTER_OTLP_ENDPOINT", "the collector; spans go to /v1/traces of it");
        let traces: Result<Option<CollectorUrl>, _> = config
            .optional("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "where spans go, in place of that");
        let headers: Result<Option<Headers>, _> =
            config.optional("OTEL_EXPORTER_OTLP_HEADERS", "what the collector asks for; secret");
        let timeout =
            config.or("OTEL_EXPORTER_OTLP_TIMEOUT", TIMEOUT_MS, "how long sending may take, in ms");
        let delay = config.or(
            "OTEL_BSP_SCHEDULE_DELAY",
            SCHEDULE_DELAY_MS,
            "how long spans wait for others, in ms",
        );
        let service: Result<Option<String>, _> =
            config.optional("OTEL_SERVICE_NAME", "service.name of exported spans");
        let resource: Result<Option<Pairs>, _> =
            config.optional("OTEL_RESOURCE_ATTRIBUTES", "further attributes of the service");
        let name = config.or(
            "OTEL_TRACES_SAMPLER",
            SamplerName::PARENT_BASED_ALWAYS_ON,
            "which traces are recorded",
        );
        let argument: Result<Option<Ratio>, _> =
            config.optional("OTEL_TRACES_SAMPLER_ARG", "the share of them, where it is a ratio");

        let (base, traces, _protocol) = (base?, traces?, protocol?);
        let url = traces.map(|CollectorUrl(url)| url).or(base.map(CollectorUrl::of_traces));
        let (off, exporter) = (off?, exporter?);
        let url = url.filter(|_| !off && exporter == TracesExporter::Otlp);
        let millis = |number: NonZeroU32| Duration::from_millis(number.get().into());
        let (headers, timeout, delay) = (headers?, millis(timeout?), millis(delay?));
        let (service, resource) = (service?, resource?);
        Ok(Self {
            sampler: name?.sampler(argument?),
            export: url.map(|url| ExportSettings {
                url,
                headers: headers.map_or_else(Vec::new, |Headers(list)| list),
                timeout,
                schedule_delay: delay,
                service,
                resource: resource.map_or_else(Vec::new, |Pairs(list)| list),
            }),
        })
    }
}

/// `OTEL_TRACES_EXPORTER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TracesExporter {
    Otlp,
    None,
}

impl Variable for TracesExporter {
    const EXPECTED: &'static str = "otlp or none";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "otlp" => Ok(Self::Otlp),
            "none" => Ok(Self::None),
            _ => Err("is an exporter that this build does not have".to_owned()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Otlp => "otlp".to_owned(),
            Self::None => "none".to_owned(),
        }
    }
}

/// `OTEL_EXPORTER_OTLP_PROTOCOL`: there is one.
#[derive(Clone, Copy, Debug)]
struct Protocol;

impl Variable for Protocol {
    const EXPECTED: &'static str = "http/protobuf";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "http/protobuf" => Ok(Self),
            _ => Err("is a protocol that is not spoken here".to_owned()),
        }
    }

    fn show(&self) -> String {
        Self::EXPECTED.to_owned()
    }
}

/// Where a collector is.
#[derive(Clone, Debug)]
struct CollectorUrl(Url);

impl CollectorUrl {
    /// The path for traces below a base URL.
    fn of_traces(self) -> Url {
        let mut url = self.0;
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }
}

impl Variable for CollectorUrl {
    const EXPECTED: &'static str = "the URL of an OTLP collector, such as http://127.0.0.1:4318";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| Err(what.to_owned());
        let url = Url::parse(text).map_err(|_not_url| "is not a URL".to_owned())?;
        match url.scheme() {
            "http" => {}
            "https" if cfg!(feature = "tls") => {}
            "https" => return wrong("is https, for which the feature `tls` is not built in"),
            _ => return wrong("is not an http URL"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("holds a user or password, which OTEL_EXPORTER_OTLP_HEADERS is for");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("has a query or fragment");
        }
        Ok(Self(url))
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// `name=value,name=value`, percent-encoded where need be (W3C Baggage).
#[derive(Clone, Debug)]
struct Pairs(Vec<(String, String)>);

impl Variable for Pairs {
    const EXPECTED: &'static str = "names with values, such as region=eu,team=billing";

    fn parse(text: &str) -> Result<Self, String> {
        let mut pairs = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or("has a name without a value")?;
            let (name, value) = (decoded(name.trim()), decoded(value.trim()));
            let name = name.filter(|name| !name.is_empty()).ok_or("has a value without a name")?;
            pairs.push((name, value.ok_or("has a value that is not percent-encoded UTF-8")?));
            if PAIRS_MOST < pairs.len() {
                return Err(format!("has more than {PAIRS_MOST} names"));
            }
        }
        Ok(Self(pairs))
    }

    fn show(&self) -> String {
        let shown: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        shown.join(",")
    }
}

/// Headers for the collector. Their values are secret.
#[derive(Clone)]
struct Headers(Vec<(HeaderName, HeaderValue)>);

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(crate::log::REDACTED)
    }
}

impl Variable for Headers {
    const EXPECTED: &'static str =
        "headers with values, such as x-tenant=a,authorization=Bearer%20b";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        let Pairs(pairs) = Pairs::parse(text)?;
        let headers = pairs.into_iter().map(|(name, value)| {
            let name = HeaderName::try_from(name).ok().ok_or("has a name that no header has")?;
            let value = HeaderValue::try_from(value).ok();
            let mut value = value.ok_or("has a value that no header can have")?;
            value.set_sensitive(true);
            Ok((name, value))
        });
        headers.collect::<Result<_, String>>().map(Self)
    }

    fn show(&self) -> String {
        crate::config::SECRET.to_owned()
    }
}

/// A text without its percent-encoding (RFC 3986, §2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push(u8::try_from(digit(high)? << 4 | digit(low)?).ok()?);
                after
            }
            (b'%', _) => return None,
            (byte, after) => {
                bytes.push(*byte);
                after
            }
        };
    }
    String::from_utf8(bytes).ok()
}

/// `OTEL_TRACES_SAMPLER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SamplerName {
    of_traces: OfTraces,
    parent_based: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OfTraces {
    All,
    None,
    Ratio,
}

impl SamplerName {
    const PARENT_BASED_ALWAYS_ON: Self = Self { of_traces: OfTraces::All, parent_based: true };

    fn sampler(self, ratio: Option<Ratio>) -> Sampler {
        let share = match self.of_traces {
            OfTraces::All => Sampling::ALL,
            OfTraces::None => Sampling::NONE,
            OfTraces::Ratio => {
                ratio.map_or(Sampling::ALL, |Ratio(parts)| Sampling::per_million(parts))
            }
        };
        Sampler { share, parent_based: self.parent_based }
    }
}

impl Variable for SamplerName {
    const EXPECTED: &'static str = "always_on, always_off or traceidratio, or one of them with \
         parentbased_ before it";

    fn parse(text: &str) -> Result<Self, String> {
        let (parent_based, name) = match text.strip_prefix("parentbased_") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let of_traces = match name {
            "always_on" => OfTraces::All,
            "always_off" => OfTraces::None,
            "traceidratio" => OfTraces::Ratio,
            _ => return Err("is not the name of a sampler".to_owned()),
        };
        Ok(Self { of_traces, parent_based })
    }

    fn show(&self) -> String {
        let name = match self.of_traces {
            OfTraces::All => "always_on",
            OfTraces::None => "always_off",
            OfTraces::Ratio => "traceidratio",
        };
        format!("{}{name}", if self.parent_based { "parentbased_" } else { "" })
    }
}

/// A share from 0 to 1, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ratio(u32);

impl Variable for Ratio {
    const EXPECTED: &'static str = "a share from 0 to 1, such as 0.25";

    fn parse(text: &str) -> Result<Self, String> {
        let ratio: f64 = text.parse().map_err(|_not_number| "is not a number".to_owned())?;
        if !(0.0..=1.0).contains(&ratio) {
            return Err("is out of range".to_owned());
        }
        // Rounded by being written, since a cast would round in silence.
        format!("{:.0}", ratio * 1e6).parse().map(Self).map_err(|_odd| "is out of range".to_owned())
    }

    fn show(&self) -> String {
        (f64::from(self.0) / 1e6).to_string()
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
