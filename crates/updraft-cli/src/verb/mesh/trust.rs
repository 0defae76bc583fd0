//! Certificates: what is served, and new ones. And the gateway's whole configuration.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Args;
use clap_complete::ArgValueCandidates;
use jiff::Timestamp;
use updraft_system::Name;
use updraft_system::mesh::{RotateRequest, Served};

use crate::completion;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::names;
use crate::output;
use crate::quantity;
use crate::running::Addressed;
use crate::table::{Cell, Table};

const TITLES: [&str; 8] =
    ["SERVICE", "ID", "SERIAL", "NOT AFTER", "LEFT", "RENEWALS", "FAILURES", "LAST ERROR"];
const RIGHT: &[usize] = &[4, 5, 6];
/// A certificate that ends sooner should have been renewed: it lives for an hour and is
/// renewed after half of it.
const SOON_S: u64 = 15 * 60;

/// Get new certificates
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft mesh rotate                 of every service, now
  updraft mesh rotate pricing
  updraft mesh rotate --root          a new root of trust

Certificates are renewed by themselves at half of their life. No connection is dropped. With
--root, both roots are trusted until every certificate of the old one has ended.")]
pub(super) struct RotateArgs {
    /// Only of this service
    #[arg(conflicts_with = "root")]
    #[arg(add = ArgValueCandidates::new(completion::services))]
    service: Option<Name>,
    /// Begin a rotation of the root of trust
    #[arg(long)]
    root: bool,
}

pub(super) async fn identity(global: &Global) -> Outcome {
    let addressed = Addressed::find(&global.directory)?;
    let served = addressed.running().await?.identities().await?;
    if global.json {
        output::json_result(&served)?;
    } else {
        output::result(table(&addressed.name, &served, Timestamp::now()))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn rotate(global: &Global, args: RotateArgs) -> Outcome {
    let client = Addressed::find(&global.directory)?.running().await?;
    let RotateArgs { service, root } = args;
    if let Some(service) = &service {
        let graph = client.graph().await?;
        names::service(&graph, service).map_err(|error| Failure::usage(error.to_string()))?;
    }
    let answer = client.rotate(&RotateRequest { service: service.clone(), root }).await?;
    if global.json {
        output::json_result(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::say(match (answer.root_begun, service) {
        (Some(true), _) => "a rotation of the root has begun".to_owned(),
        (Some(false), _) => "a rotation of the root goes on already".to_owned(),
        (None, Some(service)) => format!("a new certificate of {service} is on its way"),
        (None, None) => "new certificates of all services are on their way".to_owned(),
    });
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn config(global: &Global) -> Outcome {
    let client = Addressed::find(&global.directory)?.running().await?;
    output::json_result(&client.wire_config().await?)?;
    Ok(ExitCode::SUCCESS)
}

fn table(system: &Name, served: &[Served], now: Timestamp) -> Table {
    let mut table = Table::new(&TITLES, RIGHT);
    for one in served {
        let dash = || Cell::new("-");
        let left = one.not_after.map(|end| i128::from(end) - i128::from(now.as_second()));
        let left = left.map(|left| u64::try_from(left).unwrap_or(0));
        let red = AnsiColor::Red.on_default().bold();
        let left_style = if left.is_some_and(|left| left < SOON_S) { red } else { Style::new() };
        let end = one.not_after.and_then(|end| Timestamp::from_second(end.try_into().ok()?).ok());
        table.row([
            one.service.as_str().into(),
            format!("spiffe://{system}/{}", one.service).into(),
            one.serial.clone().map_or_else(dash, Cell::new),
            end.map_or_else(dash, |end| end.to_string().into()),
            left.map_or_else(dash, |left| Cell::styled(quantity::span(left), left_style)),
            one.renewals.to_string().into(),
            one.failures.to_string().into(),
            Cell::styled(one.last_error.clone().unwrap_or_default(), red),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ends_soon_stands_out() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        let end = u64::try_from(now.as_second()).unwrap();
        let fresh = Served {
            service: "cart".parse().unwrap(),
            serial: Some("0a1b".to_owned()),
            not_after: Some(end + 3000),
            issued: Some(end - 600),
            renewals: 3,
            failures: 0,
            last_error: None,
        };
        let late = Served {
            service: "pricing".parse().unwrap(),
            not_after: Some(end + 30),
            failures: 12,
            last_error: Some("the control socket cannot be reached".to_owned()),
            ..fresh.clone()
        };
        let none = Served {
            service: "new".parse().unwrap(),
            serial: None,
            not_after: None,
            issued: None,
            renewals: 0,
            ..fresh.clone()
        };
        let system = "shop".parse().unwrap();
        let text = table(&system, &[fresh, late, none], now).to_string();
        assert!(text.contains("\u{1b}[31m30s"), "{text:?}");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }
}
