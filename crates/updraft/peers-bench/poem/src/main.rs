//! poem with its own tracing and metrics middleware.

use items::{Item, Pool};
use poem::error::NotFoundError;
use poem::listener::TcpListener;
use poem::middleware::Tracing;
use poem::web::{Data, Json, Path};
use poem::{EndpointExt, Route, Server, get, handler};
use tracing_subscriber::EnvFilter;

#[handler]
fn hello() -> &'static str {
    "hello"
}

#[handler]
async fn item(pool: Data<&Pool>, Path(id): Path<i64>) -> poem::Result<Json<Item>> {
    let item = items::find(pool.0, id).await;
    Ok(Json(item.ok_or(NotFoundError)?))
}

#[tokio::main]
async fn main() -> Result<(), std::io::Error> {
    tracing_subscriber::fmt().json().with_env_filter(EnvFilter::new("info")).init();
    let app = Route::new()
        .at("/", get(hello))
        .at("/items/:id", get(item))
        .data(items::pool())
        .with(Tracing);
    Server::new(TcpListener::bind(("127.0.0.1", items::port()))).run(app).await
}
