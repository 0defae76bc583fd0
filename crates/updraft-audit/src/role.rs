//! The roles that this executable takes inside of an audit: the one that prepares a program's
//! surroundings and becomes it, and the programs that probes judge first.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::{control, launch};

/// The first argument that gives this executable a role.
pub(crate) const VERB: &str = "__audit";

/// Takes a role when the arguments ask for one; `None`: they do not.
///
/// The command calls it first thing in `main`, before any thread exists.
#[must_use]
pub fn role_main() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != VERB {
        return None;
    }
    let role = arguments.next()?;
    let argument = arguments.next().unwrap_or_default();
    let outcome = match role.to_str()? {
        "launch" => launch::main(argument.as_ref()),
        "init" => launch::init_main(argument.as_ref()),
        "networks" => launch::hold_networks(argument.as_ref()),
        "traced" => launch::traced_main(argument.as_ref()),
        "control" => control::main(argument.to_str()?),
        _ => return None,
    };
    Some(outcome.unwrap_or_else(|error| {
        drop(writeln!(io::stderr(), "updraft: {error}"));
        ExitCode::from(launch::REFUSED)
    }))
}
