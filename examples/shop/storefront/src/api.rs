//! The API of the page. Pricing may be down: then products have no price, and that is
//! said at once. Orders may be down: then the caller is told to come back.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use updraft::http::{
    HeaderMap, HeaderName, HeaderValue, IntoResponse, Json, Query, Response, Router, State,
    StatusCode, get, header, post,
};
use updraft::{CallError, Client, Problem, Reply, ServiceUrl};

use crate::catalogue::{PRODUCTS, Product};

/// A page without prices now is better than one with prices later.
const PRICES_TIME: Duration = Duration::from_millis(500);

const ORDERS_TIME: Duration = Duration::from_secs(5);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[derive(Clone)]
struct App {
    orders: Client,
    pricing: Client,
}

pub(crate) fn router(orders: &ServiceUrl, pricing: &ServiceUrl) -> Router {
    let orders = orders.client().timeout(ORDERS_TIME);
    let pricing = pricing.client().timeout(PRICES_TIME);
    Router::new()
        .route("/api/products", get(products))
        .route("/api/orders", post(place_order).get(list_orders))
        .with_state(App { orders, pricing })
}

/// What pricing answers.
#[derive(Deserialize)]
struct Prices {
    prices: HashMap<String, Price>,
}

#[derive(Clone, Deserialize, Serialize)]
struct Price {
    amount_minor: u32,
    currency: String,
    display: String,
}

#[derive(Serialize)]
struct Priced {
    #[serde(flatten)]
    product: Product,
    price: Option<Price>,
}

#[derive(Serialize)]
struct Products {
    products: Vec<Priced>,
    /// Some price is missing.
    degraded: bool,
}

async fn products(State(app): State<App>) -> Json<Products> {
    let mut prices = prices(&app.pricing).await.unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "showing products without prices");
        HashMap::new()
    });
    let price = |product: Product| Priced { price: prices.remove(product.sku), product };
    let products: Vec<_> = PRODUCTS.into_iter().map(price).collect();
    let degraded = products.iter().any(|product| product.price.is_none());
    Json(Products { products, degraded })
}

async fn prices(pricing: &Client) -> Result<HashMap<String, Price>, CallError> {
    let answer: Prices = pricing.get("/prices").send().await?.json()?;
    Ok(answer.prices)
}

/// The order is checked by the service that owns it; here it only passes through.
async fn place_order(
    State(app): State<App>,
    headers: HeaderMap,
    Json(order): Json<serde_json::Value>,
) -> Result<Response, Problem> {
    let mut call = app.orders.post("/orders").json(&order);
    if let Some(key) = headers.get(&IDEMPOTENCY_KEY) {
        call = call.header(IDEMPOTENCY_KEY, key.clone());
    }
    passed_on(call.send().await)
}

#[derive(Deserialize)]
struct Page {
    limit: Option<u32>,
}

async fn list_orders(
    State(app): State<App>,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let limit = page.limit.unwrap_or(12);
    passed_on(app.orders.get(&format!("/orders?limit={limit}")).send().await)
}

fn passed_on(reply: Result<Reply, CallError>) -> Result<Response, Problem> {
    let reply = reply.map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "orders gave no answer");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE)
            .detail("orders cannot be taken at the moment")
            .retry_after(2)
    })?;
    let status = reply.status();
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((status, headers, reply.into_body()).into_response())
}
