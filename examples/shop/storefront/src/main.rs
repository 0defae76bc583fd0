//! The storefront: the page that people see, and the API behind it. It keeps nothing in
//! memory, so every replica gives the same answers.

mod api;
mod catalogue;

use std::process::ExitCode;

use updraft::http::{Html, Router, get};
use updraft::{BoxError, Config, Context, Invalid, ServiceUrl};

/// The page with its style and script: it loads nothing from elsewhere.
const PAGE: &str = include_str!("page.html");

/// What this service reads from the environment.
struct Settings {
    orders: ServiceUrl,
    pricing: ServiceUrl,
}

impl Settings {
    fn read(config: &mut Config) -> Result<Self, Invalid> {
        let orders = config.require("ORDERS_URL", "the service that takes orders");
        let pricing = config.require("PRICING_URL", "the service that knows prices");
        Ok(Self { orders: orders?, pricing: pricing? })
    }
}

async fn web(settings: Settings, _context: Context) -> Result<Router, BoxError> {
    // Neither is called here: the shop opens even when they are late.
    let api = api::router(&settings.orders, &settings.pricing);
    Ok(api.route("/", get(|| async { Html(PAGE) })))
}

fn main() -> ExitCode {
    updraft::service("storefront", Settings::read).web("web", web).main()
}
