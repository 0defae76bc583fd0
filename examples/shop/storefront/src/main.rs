//! The storefront: the page that people see, and the API behind it. It keeps nothing in
//! memory, so every replica gives the same answers.

mod api;
mod catalogue;

use updraft::http::Html;
use updraft::{App, Client, Exit, get};

/// The page with its style and script: it loads nothing from elsewhere.
const PAGE: &str = include_str!("page.html");

/// What this service calls. Neither is called at the start: the shop opens even when they are
/// late.
#[derive(App)]
struct Storefront {
    /// The service that takes orders
    orders: Client,
    /// The service that knows prices
    pricing: Client,
}

/// The page of the shop
#[get("/")]
fn page() -> Html<&'static str> {
    Html(PAGE)
}

fn main() -> Exit {
    let api = updraft::api![page, api::products, api::place_order, api::list_orders];
    updraft::service!(Storefront).api(api).main()
}
