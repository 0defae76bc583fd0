//! `updraft config set`: gives values to a deploy.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use updraft_release::{Changes, Setting};
use updraft_system::{ConfigType, System};

use super::pair::{self, Given, Pair};
use super::unset::tell;
use crate::deploys::{DeployArg, Deploys, author};
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::output;

/// Set values of a deploy, all of them or none
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft config set orders.PAGE_SIZE=20 orders.LEVEL=debug
  pass show stripe | updraft config set -e production orders.STRIPE_SECRET=-
  pass show shop/db | updraft config set -e production db=-      the address of a resource
  updraft config set -e production --file production.values

A file has a line `service.KEY=value` for each. Arguments are seen by everybody on the machine:
give secrets by stdin or a file. What the manifest's `config` refuses is told at once, and then
nothing is set.")]
pub(super) struct SetArgs {
    #[command(flatten)]
    deploy: DeployArg,
    /// A value, or the address of a resource; `-` as value: from stdin
    #[arg(value_name = "SERVICE.KEY=VALUE", required_unless_present = "file")]
    pairs: Vec<String>,
    /// A file of such lines; `-`: stdin
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
}

pub(super) fn run(global: &Global, args: SetArgs) -> Outcome {
    let deploys = Deploys::find(global)?;
    let system = deploys.system()?;
    let changes = Changes { set: given(&system, &args)?, unset: Vec::new() };
    let deploy = &args.deploy.deploy;
    let configured = deploys.store.configure(deploy, &system, &changes, &author())?;
    tell(global, deploy, &configured, "set")?;
    Ok(ExitCode::SUCCESS)
}

/// All values, wherever they are.
fn given(system: &System, args: &SetArgs) -> Result<Vec<(Setting, SecretString)>, Failure> {
    let pairs = pair::words(&args.pairs)?;
    let from_stdin = pairs.iter().filter(|it| matches!(it.value, Given::Stdin)).count();
    let file_is_stdin = args.file.as_deref() == Some(Path::new("-"));
    if from_stdin + usize::from(file_is_stdin) > 1 {
        return Err(Failure::usage("stdin holds one value: only one `-` can be given")
            .help("give the others by `--file`"));
    }
    let mut all = Vec::new();
    for Pair { setting, value } in &pairs {
        let value = match value {
            Given::Here(value) => {
                warn_of_secret(system, setting, value);
                value.clone()
            }
            Given::Stdin => {
                let text = pair::read(std::io::stdin().lock(), "stdin")?;
                // The end of the line is its writer's, not the value's.
                let value = text.strip_suffix('\n').unwrap_or(&text);
                SecretString::from(value.strip_suffix('\r').unwrap_or(value).to_owned())
            }
        };
        all.push((setting.clone(), value));
    }
    if let Some(file) = &args.file {
        let shown = if file_is_stdin { "stdin".to_owned() } else { file.display().to_string() };
        let text = if file_is_stdin {
            pair::read(std::io::stdin().lock(), &shown)?
        } else {
            let opened = File::open(file)
                .map_err(|error| Failure::usage(format!("cannot read {shown}")).because(&error))?;
            pair::read(opened, &shown)?
        };
        all.extend(pair::lines(&text, &shown)?);
    }
    Ok(all)
}

fn warn_of_secret(system: &System, setting: &Setting, value: &SecretString) {
    let password =
        || url::Url::parse(value.expose_secret()).is_ok_and(|url| url.password().is_some());
    let secret = match setting {
        Setting::Value { service, key } => {
            let key = system.services.get(service).and_then(|service| service.config.get(key));
            match key.map(|key| &key.shape) {
                Some(ConfigType::Secret) => true,
                Some(ConfigType::Url) => password(),
                _ => false,
            }
        }
        Setting::Address { .. } => password(),
    };
    if secret {
        output::say(format!(
            "note: everybody on this machine could see the value of {setting}; `{setting}=-` reads it from stdin"
        ));
    }
}
