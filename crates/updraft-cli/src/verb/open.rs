//! `updraft open`: the address of a service, and its page in a browser.

use std::process::{Command, ExitCode, Stdio};

use clap::Args;
use serde_json::json;
use updraft_system::{Name, Route};

use crate::control::Client;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::names;
use crate::output;
use crate::running::Addressed;

/// Print the address of a service, and open it in a browser
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft open                      the service at route /
  updraft open orders
  curl $(updraft open --print)      a browser is opened on a terminal only")]
pub(crate) struct OpenArgs {
    /// The service; the one at `/` when it is left out
    service: Option<Name>,
    /// Open no browser
    #[arg(long)]
    print: bool,
}

pub(crate) async fn run(global: &Global, args: OpenArgs) -> Outcome {
    let client = Addressed::find(&global.directory)?.running().await?;
    let route = match &args.service {
        Some(service) => of_service(&client, service).await?,
        None => of_system(&client).await?,
    };
    if global.json {
        output::json_result(&json!({ "service": route.service, "url": route.url }))?;
        return Ok(ExitCode::SUCCESS);
    }
    output::result(&route.url)?;
    if !args.print && output::stdout_is_terminal() {
        browse(&route.url)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn of_system(client: &Client) -> Result<Route, Failure> {
    let routes = client.system().await?.routes;
    // The shortest path is `/`, where there is one.
    let first = routes.into_iter().min_by_key(|route| path_length(&route.url));
    first.ok_or_else(|| {
        Failure::finding("no service of this system has a public route")
            .help("give a service a `route = \"/\"`, or name a service")
    })
}

async fn of_service(client: &Client, service: &Name) -> Result<Route, Failure> {
    let graph = client.graph().await?;
    names::service(&graph, service).map_err(|error| Failure::usage(error.to_string()))?;
    let routes = client.system().await?.routes;
    if let Some(route) = routes.into_iter().find(|route| route.service == *service) {
        return Ok(route);
    }
    let rows = client.processes().await?;
    let url = rows.into_iter().filter(|row| row.service == *service).find_map(|row| row.url);
    match url {
        Some(url) => Ok(Route { service: service.clone(), url }),
        None => Err(Failure::finding(format!("{service} serves nothing over HTTP right now"))),
    }
}

fn path_length(url: &str) -> usize {
    url::Url::parse(url).map_or(usize::MAX, |url| url.path().len())
}

fn browse(url: &str) -> Result<(), Failure> {
    let print = "`updraft open --print` only prints the address";
    let mut opener = Command::new("xdg-open");
    let opener = opener.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let opened = opener.status().map_err(|error| {
        Failure::environment("cannot run xdg-open to open a browser")
            .because(&error)
            .help(format!("install xdg-utils; {print}"))
    })?;
    if opened.success() {
        return Ok(());
    }
    Err(Failure::environment(format!("xdg-open could not open a browser: {opened}")).help(print))
}
