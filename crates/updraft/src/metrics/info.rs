//! Which release this is, beside its metrics.

use super::{Exposed, Kind, Text, labels};
use crate::release::Release;

/// `updraft_build_info`, and `target_info` as OpenTelemetry names the resource.
#[derive(Clone, Debug)]
pub(crate) struct BuildInfo {
    build: String,
    target: String,
}

impl BuildInfo {
    pub(crate) fn of(release: &Release) -> Self {
        let (service, version) = (release.service(), release.version());
        Self {
            build: labels([
                ("service", service),
                ("version", version),
                ("commit", release.commit().unwrap_or_default()),
                ("release", release.id()),
            ]),
            target: labels([("service_name", service), ("service_version", version)]),
        }
    }
}

impl Exposed for BuildInfo {
    fn write(&self, text: &mut Text<'_>) {
        let name = "updraft_build_info";
        text.family(name, Kind::Gauge, "The release that runs; always 1.");
        text.gauge(name, &self.build, 1);
        let name = "target_info";
        text.family(name, Kind::Gauge, "The resource of OpenTelemetry; always 1.");
        text.gauge(name, &self.target, 1);
    }
}
