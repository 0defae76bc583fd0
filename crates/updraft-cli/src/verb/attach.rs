//! `updraft attach`: uses a resource that runs elsewhere, or the local one again.

use std::io::Read as _;
use std::process::ExitCode;

use clap::Args;
use clap_complete::ArgValueCandidates;
use serde_json::json;
use updraft_engine::{AttachError, Attachments};
use updraft_system::Name;

use crate::completion;
use crate::failure::{Class, Failure, Outcome};
use crate::global::Global;
use crate::names;
use crate::output;
use crate::running::{Addressed, Presence};

/// The longest URL that is read from stdin.
const URL_BYTES_MAX: u64 = 16 * 1024;

/// Use a resource that runs elsewhere, or the local one again
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft attach db postgres://shop@db.example/shop
  pass show shop/db | updraft attach db -    a URL with a password, from stdin
  updraft attach db --local                  the local one again

The URL is kept in the system's state directory, readable by you alone. Arguments
are seen by everybody on the machine: give a URL with a password through stdin.
Services that need the resource are restarted. A stopped system uses it at the next `up`.")]
pub(crate) struct AttachArgs {
    /// The resource
    #[arg(add = ArgValueCandidates::new(completion::resources))]
    resource: Name,
    /// Where it runs; `-`: the URL is read from stdin
    #[arg(required_unless_present = "local", conflicts_with = "local")]
    url: Option<String>,
    /// The local one again
    #[arg(long)]
    local: bool,
}

pub(crate) async fn run(global: &Global, args: AttachArgs) -> Outcome {
    let addressed = Addressed::find(&global.directory)?;
    let url = match args.url.as_deref() {
        Some("-") => Some(from_stdin()?),
        Some(url) => {
            warn_of_password(url);
            Some(url.to_owned())
        }
        None => None,
    };
    let attached = url.is_some();
    match addressed.presence().await? {
        Presence::Running(client) => client.attach(&args.resource, url).await?,
        // The lock keeps an `up` from reading the file while it is written.
        Presence::Stopped(_lock) => keep(&addressed, &args.resource, url.as_deref())?,
    }
    if global.json {
        output::json_result(&json!({ "resource": args.resource, "attached": attached }))?;
    } else {
        let what = if attached { "is attached" } else { "is the local one again" };
        output::say(format!("{} {what}", args.resource));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes down what the next `up` will find.
fn keep(addressed: &Addressed, name: &Name, url: Option<&str>) -> Result<(), Failure> {
    let refused = |error: AttachError| Failure::from_error(Class::Usage, &error);
    let system = addressed.dir.system()?;
    let resource = names::resource(&system, name);
    let resource = resource.map_err(|error| Failure::usage(error.to_string()))?;
    let mut attachments = Attachments::load(addressed.state.root()).map_err(refused)?;
    match url {
        Some(url) => attachments.attach(resource, url).map_err(refused),
        None => attachments.detach(name).map(drop).map_err(refused),
    }
}

fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(URL_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::usage("cannot read the URL from stdin").because(&error))?;
    let url = text.trim();
    if url.is_empty() {
        return Err(Failure::usage("no URL came from stdin"));
    }
    Ok(url.to_owned())
}

fn warn_of_password(url: &str) {
    if url::Url::parse(url).is_ok_and(|url| url.password().is_some()) {
        output::say(
            "note: everybody on this machine could see that password; `-` reads the URL from stdin",
        );
    }
}
