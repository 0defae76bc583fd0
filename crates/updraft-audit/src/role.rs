//! The roles that this executable takes inside of an audit: the one that prepares a program's
//! surroundings and becomes it, and the programs that probes judge first.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::{control, launch};

/// The first argument that gives this executable a role.
pub(crate) const VERB: &str = "__audit";

/// Whether a command of these words is this executable on its way to become a program, or beside
/// one. Controls are programs.
pub(crate) fn is_starter(words: &[String]) -> bool {
    matches!(words, [_, verb, role, ..] if verb == VERB && role != "control")
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_starts_programs_is_a_starter() {
        for (line, expected) in [
            ("/bin/updraft __audit launch /tmp/t1/status.spec", true),
            ("/proc/self/exe __audit init /tmp/t1/status.spec", true),
            ("/bin/updraft __audit control good", false),
            ("/bin/updraft up", false),
            ("orders worker", false),
            ("", false),
        ] {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(is_starter(&words), expected, "{line}");
        }
    }
}
