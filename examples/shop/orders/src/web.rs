//! The orders over HTTP. What each operation reads, answers and refuses is its contract:
//! `orders contract print`.

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use updraft::http::{Created, Json, Path, Query, Valid};
use updraft::{Ctx, Error, Idempotency, Problem, Recorded, get, post};

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

/// Why an order was not placed.
#[derive(Problem)]
pub(crate) enum PlaceError {
    /// This product is not sold here
    #[problem(422)]
    UnknownProduct { sku: String },
    #[problem(500)]
    Internal(#[from] Error),
}

/// Places an order
///
/// The order, the job that fulfils it and the answer come into being together.
#[post("/orders", idempotent = "optional")]
pub(crate) async fn place(
    app: Ctx<Orders>,
    key: Idempotency,
    Valid(new): Valid<NewOrder>,
) -> Result<Recorded<Created<Order>>, PlaceError> {
    let mut tx = app.db.begin().await?;
    if !store::has_product(&mut tx, &new.sku).await? {
        return Err(PlaceError::UnknownProduct { sku: new.sku });
    }
    let id = store::insert(&mut tx, &new.sku, new.quantity).await?;
    app.jobs.enqueue(&mut tx, Fulfil { order_id: id.clone() }).await?;
    let order = store::by_id(&mut tx, &id).await?.ok_or(Error::new("the new order is gone"))?;
    let place = format!("/orders/{id}");
    let answer = key.record(&mut tx, Created::at(place, order)).await?;
    tx.commit().await?;
    Ok(answer)
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
