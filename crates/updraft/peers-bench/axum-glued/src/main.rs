//! axum with what is usually glued around it: tower-http's trace layer with one line for each
//! response, axum-prometheus, and with `OTLP=1` tracing-opentelemetry that records one of ten.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use axum_prometheus::PrometheusMetricLayer;
use items::Item;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tower_http::trace::{DefaultOnResponse, TraceLayer};
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

#[tokio::main]
async fn main() {
    let traces = std::env::var_os("OTLP").map(|_| {
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(0.1)));
        let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
        tracing_opentelemetry::layer().with_tracer(provider.tracer("peer"))
    });
    let log = tracing_subscriber::fmt::layer().json().with_filter(EnvFilter::new("info"));
    tracing_subscriber::registry().with(traces).with(log).init();

    let (metrics, handle) = PrometheusMetricLayer::pair();
    let traced = TraceLayer::new_for_http()
        .make_span_with(|request: &Request| {
            tracing::info_span!("request", method = %request.method(), path = request.uri().path())
        })
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/items/{id}",
            get(|State(pool), Path(id): Path<i64>| async move {
                let item: Option<Item> = items::find(&pool, id).await;
                item.map(Json).ok_or(StatusCode::NOT_FOUND)
            }),
        )
        .route("/metrics", get(|| async move { handle.render() }))
        .layer(metrics)
        .layer(traced)
        .with_state(items::pool());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", items::port())).await.unwrap();
    let stopped = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, app).with_graceful_shutdown(stopped).await.unwrap();
}
