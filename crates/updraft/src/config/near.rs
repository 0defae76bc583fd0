//! Variables that are set and that nothing reads, but that are nearly one that is declared
//! and not set: slips of the pen. What nothing reads is otherwise none of our business.

use std::fmt;

use strsim::osa_distance;

use super::declared::Outcome;
use super::{Config, Declared};

/// The shortest name that is taken for a slip.
const SHORTEST: usize = 3;

/// Names that are usual in the environment of a process, whoever reads them.
const USUAL: [&str; 36] = [
    "CI",
    "COLUMNS",
    "CONTAINER",
    "DEBUG",
    "DISPLAY",
    "EDITOR",
    "HOME",
    "HOSTNAME",
    "HOSTTYPE",
    "IFS",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LANG",
    "LANGUAGE",
    "LINES",
    "LOGNAME",
    "LS_COLORS",
    "MACHTYPE",
    "MAIL",
    "MANPATH",
    "NOTIFY_SOCKET",
    "NO_COLOR",
    "OLDPWD",
    "OSTYPE",
    "PAGER",
    "PATH",
    "PPID",
    "PS1",
    "PWD",
    "SHELL",
    "SHLVL",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "VISUAL",
];

/// How such names begin.
const USUAL_BEGINNINGS: [&str; 9] =
    ["CARGO_", "DBUS_", "KUBERNETES_", "LC_", "LD_", "LISTEN_", "RUST_", "SSH_", "XDG_"];

/// A variable that nothing reads, and the one that was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NearMiss {
    pub(crate) found: String,
    pub(crate) meant: &'static str,
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, meant } = self;
        write!(f, "{found} is set and nothing reads it; did you mean {meant}?")
    }
}

impl Config {
    /// What is set under a name that is nearly that of a declared variable which is not set.
    pub(crate) fn near_misses(&self) -> Vec<NearMiss> {
        let is_set = |declared: &Declared| {
            let by_file = format!("{}_FILE", declared.variable);
            self.environment.get(declared.variable).is_some()
                || self.environment.get(&by_file).is_some()
        };
        let unset: Vec<_> = self.declared().iter().filter(|it| !is_set(it)).collect();
        let known = |name: &str| {
            let plain = name.strip_suffix("_FILE").unwrap_or(name);
            self.declared().iter().any(|it| it.variable == plain || it.variable == name)
        };
        let names = self.environment.names().filter(|name| {
            let value = self.environment.get(name).and_then(|value| value.to_str());
            is_a_name(name) && !known(name) && !is_usual(name) && !is_service_link(name, value)
        });
        let near = names.filter_map(|name| {
            let nearest = unset.iter().filter_map(|it| Some((distance(name, it.variable)?, it)));
            let (_, declared) =
                nearest.min_by_key(|(distance, it)| (*distance, is_needless(it)))?;
            Some(NearMiss { found: name.to_owned(), meant: declared.variable })
        });
        near.collect()
    }
}

/// Of two that are as near, the one that is missing was meant.
fn is_needless(declared: &Declared) -> bool {
    declared.outcome != Outcome::Wrong
}

/// Names of another form may hold anything, and are not repeated to a terminal.
fn is_a_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    SHORTEST <= name.len() && name.len() <= 128 && name.chars().all(letter)
}

fn is_usual(name: &str) -> bool {
    USUAL.contains(&name) || USUAL_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// What Kubernetes says of each service of a namespace: `X_SERVICE_HOST`, `X_SERVICE_PORT`,
/// `X_SERVICE_PORT_HTTP`, `X_PORT`, `X_PORT_80_TCP_ADDR`.
fn is_service_link(name: &str, value: Option<&str>) -> bool {
    let link = |value: &str| ["tcp://", "udp://", "sctp://"].iter().any(|it| value.starts_with(it));
    let ports = |protocol: &str| name.contains("_PORT_") && name.contains(protocol);
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT") && value.is_some_and(link)
        || ["_TCP", "_UDP", "_SCTP"].into_iter().any(ports)
}

/// How far a name is from a variable, where it is near enough to be a slip.
fn distance(name: &str, variable: &str) -> Option<usize> {
    let plain = name.to_ascii_uppercase().replace(['-', '.'], "_");
    let plain =
        plain.strip_suffix("_FILE").filter(|_| !variable.ends_with("_FILE")).unwrap_or(&plain);
    if variable.strip_suffix("_URL") == Some(plain) {
        return Some(1);
    }
    let most = (variable.len() / 4).clamp(1, 3);
    // A digit tells one of several apart: it is no slip.
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let distance = osa_distance(plain, variable);
    (distance <= most && digits(plain) == digits(variable)).then_some(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(variables: &[(&str, &str)]) -> Vec<(String, &'static str)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut config = Config::from_variables(variables.iter().map(own));
        for variable in
            ["DATABASE_URL", "PORT", "HOST", "MAIL_KEY", "ORDERS_URL", "USERS", "CARGO_HOLE"]
        {
            drop(config.optional::<String>(variable, "a text"));
        }
        config.near_misses().into_iter().map(|near| (near.found, near.meant)).collect()
    }

    #[test]
    fn slips_of_the_pen_are_found() {
        for (name, meant) in [
            ("DATABSE_URL", "DATABASE_URL"),
            ("DATABASE_UR", "DATABASE_URL"),
            ("database_url", "DATABASE_URL"),
            ("DATABASE-URL", "DATABASE_URL"),
            ("DATABASE", "DATABASE_URL"),
            ("DATABSE_URL_FILE", "DATABASE_URL"),
            ("PROT", "PORT"),
            ("MAIL_KYE", "MAIL_KEY"),
            ("MAIL_KEYS_FILE", "MAIL_KEY"),
        ] {
            assert_eq!(near(&[(name, "x")]), [(name.to_owned(), meant)], "{name}");
        }
    }

    #[test]
    fn what_belongs_to_somebody_else_is_left_alone() {
        for (name, value) in [
            ("PATH", "/bin"),
            ("HOSTNAME", "web-1"),
            ("HOME", "/root"),
            ("USER", "root"),
            ("CARGO_HOME", "/root/.cargo"),
            ("LC_ALL", "C"),
            ("ORDERS_SERVICE_HOST", "10.0.0.1"),
            ("ORDERS_SERVICE_PORT", "80"),
            ("ORDERS_SERVICE_PORT_HTTP", "80"),
            ("POT_PORT", "tcp://10.0.0.1:80"),
            ("MAIL_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("DATABASE_URL_FILE", "/run/x"),
            ("DATABASE2_URL", "x"),
            ("SOMETHING_ELSE", "x"),
            ("POR\u{1b}", "x"),
            ("PO", "x"),
        ] {
            assert_eq!(near(&[(name, value)]), [], "{name}");
        }
    }

    #[test]
    fn a_variable_that_is_set_was_not_missed() {
        assert_eq!(near(&[("DATABASE_URL", "x"), ("DATABSE_URL", "x")]), []);
        assert_eq!(near(&[("DATABASE_URL_FILE", "/x"), ("DATABSE_URL", "x")]), []);
    }
}
