//! A service on the chassis, with everything that it has on: log, metrics, trace ids, limits,
//! deadlines, problems, contract.

use schemars::JsonSchema;
use serde::Serialize;
use updraft::http::{Json, Path};
use updraft::sql::{self, Record};
use updraft::{App, Ctx, Error, Exit, Problem, Sql, get};

/// What every peer answers from.
#[derive(App)]
struct Peer {
    /// Where the items are
    items: Sql,
}

#[derive(Record, Serialize, JsonSchema)]
struct Item {
    id: i64,
    name: String,
    price_minor: i64,
    on_hand: i64,
}

#[derive(Problem)]
enum Unfound {
    /// No item has the number {id}
    #[problem(404)]
    NoSuchItem { id: i64 },
    #[problem(500)]
    Internal(#[from] Error),
}

/// Greets
#[get("/")]
fn hello() -> &'static str {
    "hello"
}

/// Shows an item
#[get("/items/{id}")]
async fn item(app: Ctx<Peer>, Path(id): Path<i64>) -> Result<Json<Item>, Unfound> {
    let find = "SELECT id, name, price_minor, on_hand FROM items WHERE id = $1";
    let item = sql::query(find).bind(id).fetch_optional(&app.items).await?;
    item.map(Json).ok_or(Unfound::NoSuchItem { id })
}

fn main() -> Exit {
    updraft::service!(Peer).api(updraft::api![hello, item]).main()
}
