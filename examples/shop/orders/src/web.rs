//! The orders over HTTP. What each operation reads, answers and refuses is its contract:
//! `orders contract print`.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use updraft::http::{Created, Headers, Json, Path, Query, Valid};
use updraft::{Ctx, Error, Problem, get, post};

use crate::Orders;
use crate::fulfil::Fulfil;
use crate::store::{self, Order};

const LIST_DEFAULT: u32 = 20;

/// What is ordered
#[derive(Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOrder {
    /// Which product
    #[garde(length(chars, min = 1, max = 40))]
    sku: String,
    /// How many of it
    #[garde(range(min = 1, max = 100))]
    quantity: u32,
}

#[derive(Deserialize, JsonSchema, Validate)]
pub(crate) struct Retried {
    /// The same key gives the same order, however often it is asked for
    #[garde(ascii, length(min = 1, max = 200))]
    idempotency_key: Option<String>,
}

/// Why an order was not placed.
#[derive(Problem)]
pub(crate) enum PlaceError {
    /// This product is not sold here
    #[problem(422)]
    UnknownProduct { sku: String },
    /// The Idempotency-Key was used for another order
    #[problem(422)]
    KeyReused,
    #[problem(500)]
    Internal(#[from] Error),
}

/// Places an order
///
/// The order and the job that fulfils it come into being together.
#[post("/orders")]
pub(crate) async fn place(
    app: Ctx<Orders>,
    headers: Valid<Headers<Retried>>,
    Valid(new): Valid<NewOrder>,
) -> Result<Created<Order>, PlaceError> {
    let key = headers.idempotency_key.as_deref();
    let mut tx = app.db.begin().await?;
    if let Some(key) = key
        && let Some(order) = store::by_key(&mut tx, key).await?
    {
        return again(order, &new);
    }
    if !store::has_product(&mut tx, &new.sku).await? {
        return Err(PlaceError::UnknownProduct { sku: new.sku });
    }
    let Some(id) = store::insert(&mut tx, &new.sku, new.quantity, key).await? else {
        let order = store::by_key(&mut tx, key.unwrap_or_default()).await?;
        return again(order.ok_or(Error::new("the order of the key is gone"))?, &new);
    };
    app.jobs.enqueue(&mut tx, Fulfil { order_id: id.clone() }).await?;
    let order = store::by_id(&mut tx, &id).await?.ok_or(Error::new("the new order is gone"))?;
    tx.commit().await?;
    Ok(created(order))
}

/// The order a key has placed, for who sends the same again.
fn again(order: Order, new: &NewOrder) -> Result<Created<Order>, PlaceError> {
    if (&order.sku, order.quantity) != (&new.sku, new.quantity) {
        return Err(PlaceError::KeyReused);
    }
    Ok(created(order))
}

#[derive(Deserialize, JsonSchema, Validate)]
pub(crate) struct Page {
    /// How many orders; 20 unless it is given
    #[garde(range(min = 1, max = 100))]
    limit: Option<u32>,
}

/// Orders, the latest first
#[derive(Serialize, JsonSchema)]
pub(crate) struct Latest {
    orders: Vec<Order>,
}

/// Lists the latest orders
#[get("/orders")]
pub(crate) async fn list(
    app: Ctx<Orders>,
    page: Valid<Query<Page>>,
) -> Result<Json<Latest>, Error> {
    let limit = page.limit.unwrap_or(LIST_DEFAULT);
    let orders = store::latest(&app.db, limit).await?;
    Ok(Json(Latest { orders }))
}

/// Shows an order
#[get("/orders/{id}")]
pub(crate) async fn show(
    app: Ctx<Orders>,
    Path(id): Path<String>,
) -> Result<Option<Json<Order>>, Error> {
    Ok(store::by_id(&app.db, &id).await?.map(Json))
}

fn created(order: Order) -> Created<Order> {
    Created::at(format!("/orders/{}", order.id), order)
}
