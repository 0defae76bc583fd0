//! `updraft config recipients`: who can read the values of this system's deploys.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use updraft_release::{InvalidKey, Recipient, RecipientEntry, StoreError};

use crate::deploys::{Deploys, author};
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::output;
use crate::table::{Cell, Table};

/// Say who can read the values of the deploys
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft config recipients key          your own public key, to be sent to your team
  updraft config recipients add age1…
  updraft config recipients ls

Values are encrypted with age for each recipient. Your secret key is in `updraft/age.key` in your
configuration folder (~/.config), or in the file that UPDRAFT_KEY_FILE names: keep a copy of it.")]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct RecipientsArgs {
    #[command(subcommand)]
    verb: RecipientsVerb,
}

/// The verbs below `config recipients`.
#[derive(Debug, Subcommand)]
enum RecipientsVerb {
    /// List who can read the values
    #[command(after_help = "\
Examples:
  updraft config recipients ls
  updraft config recipients ls --json | jq -r '.[].key'")]
    Ls,
    /// Print your own public key; it is made where there is none
    #[command(after_help = "\
Examples:
  updraft config recipients key")]
    Key,
    /// Let somebody read all values, those of earlier releases too
    #[command(after_help = "\
Examples:
  updraft config recipients add age1… --note \"Bob, deploys\"")]
    Add {
        /// The public key
        #[arg(value_name = "AGE1")]
        key: String,
        /// Whose it is
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Encrypt everything anew without somebody
    #[command(after_help = "\
Examples:
  updraft config recipients remove age1…

What somebody could read they may have kept: set the secrets anew that they must not have.")]
    Remove {
        /// The public key
        #[arg(value_name = "AGE1")]
        key: String,
    },
}

pub(super) fn run(global: &Global, args: RecipientsArgs) -> Outcome {
    let deploys = Deploys::find(global)?;
    let store = &deploys.store;
    match args.verb {
        RecipientsVerb::Ls => {
            let list = store.recipients()?;
            if global.json {
                output::json_result(&list)?;
            } else if list.is_empty() {
                output::say("none yet: the first value that is set is encrypted for you");
            } else {
                output::result(table(&list))?;
            }
        }
        RecipientsVerb::Key => {
            let key = store.key_file().own_recipient(author().now).map_err(StoreError::from)?;
            if global.json {
                output::json_result(&json!({ "key": key.to_string() }))?;
            } else {
                output::result(key)?;
            }
        }
        RecipientsVerb::Add { key, note } => {
            let key = recipient(&key)?;
            store.add_recipient(key, note.as_deref(), &author())?;
            told(global, store.recipients()?, &format!("{key} reads all values from now on"))?;
        }
        RecipientsVerb::Remove { key } => {
            let key = recipient(&key)?;
            store.remove_recipient(key, &author())?;
            let message = "what it could read may have been kept: set anew what must be secret";
            told(global, store.recipients()?, &format!("{key} reads nothing new; {message}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The parser of the command line would repeat the word, and it may be a secret key.
fn recipient(text: &str) -> Result<Recipient, Failure> {
    text.parse().map_err(|invalid: InvalidKey| Failure::usage(invalid.to_string()))
}

fn told(global: &Global, list: Vec<RecipientEntry>, message: &str) -> Result<(), Failure> {
    if global.json {
        return output::json_result(&list);
    }
    output::say(message);
    Ok(())
}

fn table(list: &[RecipientEntry]) -> Table {
    let mut table = Table::new(&["KEY", "NOTE", ""], &[]);
    for entry in list {
        let note = entry.note.clone().unwrap_or_default();
        let own = if entry.own { "your own" } else { "" };
        table.row([Cell::new(entry.key.clone()), note.into(), own.into()]);
    }
    table
}
