//! Builds the settings of the wire of the whole system, `[mesh]`.

use super::report::Report;
use super::tree::Tree;
use crate::mesh::{Limits, MeshSettings, TelemetryConfig};

/// The settings; what is absent has its default.
pub(super) fn settings(mesh: Tree<'_>, report: &mut Report<'_>) -> MeshSettings {
    let port = |key| mesh.whole(key).and_then(|port| u16::try_from(port).ok());
    let (ingress, admin) = (port("ingress"), port("admin"));
    if let (Some(ingress), true) = (ingress, ingress == admin) {
        let spans = ["ingress", "admin"].map(|key| mesh.value(key).map(toml::Spanned::span));
        let later = spans.into_iter().flatten().max_by_key(|span| span.start).unwrap_or_default();
        let message = format!("`ingress` and `admin` cannot both listen on port {ingress}");
        let help = "choose another port for one of them, or leave it out".to_owned();
        report.add("manifest::name_clash", later, message, "the same port", help);
    }
    MeshSettings {
        authorization: mesh.read("authorization").unwrap_or_default(),
        mtls: mesh.read("mtls").unwrap_or_default(),
        telemetry: TelemetryConfig {
            otlp: mesh.text("otlp").map(|(address, _)| address.to_owned()),
            access_log: mesh.flag("access_log").unwrap_or_default(),
        },
        limits: limits(mesh.table("limits")),
        ingress,
        proxy_protocol: mesh.flag("proxy_protocol").unwrap_or_default(),
        admin,
    }
}

fn limits(table: Tree<'_>) -> Limits {
    let plain = Limits::default();
    let whole = |key, default| table.whole(key).unwrap_or(default);
    let span = |key, default| table.duration(key).unwrap_or(default);
    Limits {
        connections: whole("connections", plain.connections),
        head_bytes: whole("head_bytes", plain.head_bytes),
        head_fields: whole("head_fields", plain.head_fields),
        head_timeout: span("head_timeout", plain.head_timeout),
        keep_alive: span("keep_alive", plain.keep_alive),
        upstream_idle: span("upstream_idle", plain.upstream_idle),
        connect_timeout: span("connect_timeout", plain.connect_timeout),
        streams: whole("streams", plain.streams),
        replay_bytes: whole("replay_bytes", plain.replay_bytes),
        tunnel_idle: span("tunnel_idle", plain.tunnel_idle),
        tunnel_linger: span("tunnel_linger", plain.tunnel_linger),
        drain: span("drain", plain.drain),
    }
}
