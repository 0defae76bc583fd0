//! The API of the page. Pricing may be down: then products have no price, and that is
//! said at once. Orders may be down: then the caller is told to come back.

use std::collections::HashMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use updraft::http::{
    HeaderName, HeaderValue, Headers, IntoResponse, Json, Query, Raw, Response, header,
};
use updraft::{CallError, Client, Ctx, Error, Problem, Reply, get, post};

use crate::Storefront;
use crate::catalogue::{PRODUCTS, Product};

/// A page without prices now is better than one with prices later.
const PRICES_TIME: Duration = Duration::from_millis(500);

const ORDERS_TIME: Duration = Duration::from_secs(5);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What pricing answers.
#[derive(Deserialize)]
struct Prices {
    prices: HashMap<String, Price>,
}

#[derive(Clone, Deserialize, JsonSchema, Serialize)]
struct Price {
    amount_minor: u32,
    currency: String,
    display: String,
}

#[derive(JsonSchema, Serialize)]
struct Priced {
    #[serde(flatten)]
    product: Product,
    price: Option<Price>,
}

#[derive(JsonSchema, Serialize)]
pub(crate) struct Products {
    products: Vec<Priced>,
    /// Some price is missing.
    degraded: bool,
}

/// Lists what is sold, with prices where they are known
#[get("/api/products", tag = "shop")]
pub(crate) async fn products(app: Ctx<Storefront>) -> Json<Products> {
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
    let answer: Prices = pricing.get("/prices").timeout(PRICES_TIME).send().await?.json()?;
    Ok(answer.prices)
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Retried {
    /// The same key gives the same order, however often it is asked for
    idempotency_key: Option<String>,
}

/// Why there is no answer from orders.
#[derive(Problem)]
pub(crate) enum OrdersError {
    /// Orders cannot be taken at the moment
    #[problem(503, retry_after = 2)]
    OrdersAway(CallError),
    #[problem(500)]
    Internal(#[from] Error),
}

/// Places an order
///
/// It is checked by the service that owns orders; here it only passes through.
#[post("/api/orders", tag = "shop")]
pub(crate) async fn place_order(
    app: Ctx<Storefront>,
    Headers(retried): Headers<Retried>,
    Json(order): Json<serde_json::Value>,
) -> Result<Raw<Response>, OrdersError> {
    let mut call = app.orders.post("/orders").timeout(ORDERS_TIME).json(&order);
    if let Some(key) = retried.idempotency_key {
        call = call.header(IDEMPOTENCY_KEY, HeaderValue::try_from(key)?);
    }
    passed_on(call.send().await)
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Page {
    /// How many orders; 12 unless it is given
    limit: Option<u32>,
}

/// Lists the latest orders
#[get("/api/orders", tag = "shop")]
pub(crate) async fn list_orders(
    app: Ctx<Storefront>,
    Query(page): Query<Page>,
) -> Result<Raw<Response>, OrdersError> {
    let limit = page.limit.unwrap_or(12);
    passed_on(app.orders.get(&format!("/orders?limit={limit}")).timeout(ORDERS_TIME).send().await)
}

fn passed_on(reply: Result<Reply, CallError>) -> Result<Raw<Response>, OrdersError> {
    let reply = reply.map_err(OrdersError::OrdersAway)?;
    let status = reply.status();
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok(Raw((status, headers, reply.into_body()).into_response()))
}
