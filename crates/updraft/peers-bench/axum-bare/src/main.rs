//! axum as it comes: no log, no metrics, no limits. The floor.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use items::Item;

#[tokio::main]
async fn main() {
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/items/{id}",
            get(|State(pool), Path(id): Path<i64>| async move {
                let item: Option<Item> = items::find(&pool, id).await;
                item.map(Json).ok_or(StatusCode::NOT_FOUND)
            }),
        )
        .with_state(items::pool());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", items::port())).await.unwrap();
    axum::serve(listener, app).await.unwrap();
}
