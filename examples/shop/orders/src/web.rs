//! The orders over HTTP.

use serde::{Deserialize, Serialize};
use updraft::http::{
    HeaderMap, IntoResponse, Json, Path, Query, Response, Router, State, StatusCode, get, header,
    post,
};
use updraft::{Problem, Queue, Sql};

use crate::fulfil::{Fulfil, KIND};
use crate::store::{self, Order};

const QUANTITY_MOST: u32 = 100;
const LIST_MOST: u32 = 100;
const LIST_DEFAULT: u32 = 20;
const KEY_MOST: usize = 200;

#[derive(Clone)]
struct App {
    db: Sql,
    jobs: Queue,
}

pub(crate) fn router(db: Sql, jobs: Queue) -> Router {
    Router::new()
        .route("/orders", post(place).get(list))
        .route("/orders/{id}", get(show))
        .with_state(App { db, jobs })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOrder {
    sku: String,
    quantity: u32,
}

/// Places an order. The order and the job that fulfils it come into being together, and
/// the same `Idempotency-Key` gives the same order, however often the client asks.
async fn place(
    State(app): State<App>,
    headers: HeaderMap,
    Json(new): Json<NewOrder>,
) -> Result<Response, Problem> {
    let key = idempotency_key(&headers)?;
    if !(1..=QUANTITY_MOST).contains(&new.quantity) {
        return Err(unfit(format!("`quantity` must be from 1 to {QUANTITY_MOST}")));
    }
    let mut tx = app.db.begin().await?;
    if let Some(key) = key
        && let Some(order) = store::by_key(&mut tx, key).await?
    {
        if (&order.sku, order.quantity) != (&new.sku, new.quantity) {
            return Err(unfit("the Idempotency-Key was used for another order"));
        }
        return Ok(created(order));
    }
    if !store::has_product(&mut tx, &new.sku).await? {
        return Err(unfit("`sku` is not a product of this shop"));
    }
    let id = store::insert(&mut tx, &new.sku, new.quantity, key).await?;
    app.jobs.enqueue(&mut tx, KIND, &Fulfil { order_id: id.clone() }).await?;
    let order = store::by_id(&mut tx, &id).await?;
    tx.commit().await?;
    order.map(created).ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR))
}

#[derive(Deserialize)]
struct Page {
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Orders {
    orders: Vec<Order>,
}

async fn list(State(app): State<App>, Query(page): Query<Page>) -> Result<Json<Orders>, Problem> {
    let limit = page.limit.unwrap_or(LIST_DEFAULT);
    if !(1..=LIST_MOST).contains(&limit) {
        return Err(unfit(format!("`limit` must be from 1 to {LIST_MOST}")));
    }
    let orders = store::latest(app.db.read(), limit).await?;
    Ok(Json(Orders { orders }))
}

async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Order>, Problem> {
    let mut connection = app.db.read().acquire().await?;
    let order = store::by_id(&mut connection, &id).await?;
    order
        .map(Json)
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND).detail("there is no order of this id"))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=KEY_MOST).contains(&key.len()));
    let wrong = || unfit(format!("the Idempotency-Key must be 1 to {KEY_MOST} ASCII characters"));
    key.ok_or_else(wrong).map(Some)
}

fn created(order: Order) -> Response {
    let place = format!("/orders/{}", order.id);
    (StatusCode::CREATED, [(header::LOCATION, place)], Json(order)).into_response()
}

fn unfit(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail(detail)
}
