//! A service that is nothing but its configuration: one of each way to declare a variable.
//! The tests of this crate run it, and it is what `docs/reference/configuration.md` shows.

use std::time::Duration;

use updraft::{App, BoxError, ByteSize, Client, Ctx, Exit, Secret, Stop, Variable};
use url::Url;

/// What invoices are made with.
#[derive(App)]
struct Settings {
    /// Days until an unpaid invoice counts as overdue
    #[env(default = 30, range = 1..=365)]
    overdue_days: u16,
    /// The currency of new invoices
    #[env(one_of = ["EUR", "USD"])]
    currency: String,
    /// Key of the mail provider
    #[env(example = "mk-0123")]
    mail_key: Secret,
    /// Where invoices are kept
    #[env(default = "eu-west")]
    region: Region,
    /// The countries that invoices are sent to
    #[env(default = "LV,EE")]
    countries: Vec<String>,
    /// The largest document
    #[env(default = "1MiB", range = "1KiB"..="64MiB")]
    document_size: ByteSize,
    /// How long the mail provider may take
    #[env(default = "5s", range = "10ms"..)]
    patience: Duration,
    /// Where reports are sent
    report_url: Option<Url>,
    /// The service that knows prices
    pricing: Option<Client>,
}

#[derive(Variable)]
enum Region {
    EuWest,
    UsEast,
}

/// Logs one line with what is configured.
async fn tell(app: Ctx<Settings>, _: NoArguments, _stop: Stop) -> Result<(), BoxError> {
    tracing::info!(
        overdue_days = app.overdue_days,
        currency = app.currency,
        mail_key = %app.mail_key.current()?,
        region = app.region.show(),
        countries = app.countries.len(),
        document_size = app.document_size.bytes(),
        patience = ?app.patience,
        report_url = app.report_url.as_ref().map(Variable::show),
        pricing = app.pricing.is_some(),
        "told"
    );
    Ok(())
}

#[derive(clap::Args)]
struct NoArguments {}

async fn idle(_app: Ctx<Settings>, stop: Stop) -> Result<(), BoxError> {
    stop.requested().await;
    Ok(())
}

fn main() -> Exit {
    updraft::service!(Settings).background("idle", idle).task("tell", tell).main()
}
