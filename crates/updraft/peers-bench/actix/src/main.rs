//! actix-web with tracing-actix-web and actix-web-prom.

use actix_web::web::{Data, Json, Path};
use actix_web::{App, HttpServer, Result, error, get};
use actix_web_prom::PrometheusMetricsBuilder;
use items::Item;
use tracing_actix_web::TracingLogger;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

#[get("/")]
async fn hello() -> &'static str {
    "hello"
}

#[get("/items/{id}")]
async fn item(pool: Data<Pool>, id: Path<i64>) -> Result<Json<Item>> {
    let item = items::find(&pool.0, *id).await;
    item.map(Json).ok_or_else(|| error::ErrorNotFound("no such item"))
}

struct Pool(items::Pool);

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    // One line for each request: when its span closes.
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::new("info"))
        .with_span_events(FmtSpan::CLOSE)
        .init();
    let metrics = PrometheusMetricsBuilder::new("peer").endpoint("/metrics").build().unwrap();
    let pool = Data::new(Pool(items::pool()));
    HttpServer::new(move || {
        App::new()
            .wrap(metrics.clone())
            .wrap(TracingLogger::default())
            .app_data(pool.clone())
            .service(hello)
            .service(item)
    })
    .bind(("127.0.0.1", items::port()))?
    .run()
    .await
}
