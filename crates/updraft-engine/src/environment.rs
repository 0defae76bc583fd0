//! The environment of a program: exactly what is declared, plus a documented base.
//!
//! Nothing else of the caller's environment gets through, so a system behaves the
//! same whoever starts it (factors III and X).

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use updraft_system::{ConfigKey, Name, ResourceKind, Service, System, Target};

/// What is taken over from the caller: where programs, home and zone are.
const BASE: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR"];

/// Everything about the values of a system's configuration that is wrong.
#[derive(Debug)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not complete")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}

/// The values of each service's configuration: defaults, then `.env` beside the
/// manifest, then `.env` in the service's folder.
pub(crate) fn configure(
    system: &System,
    directory: &Path,
) -> Result<BTreeMap<Name, BTreeMap<String, String>>, ConfigError> {
    let mut problems = Vec::new();
    let mut configured = BTreeMap::new();
    for (name, service) in &system.services {
        let own = directory.join(&service.path).join(".env");
        let given = read_given(directory, &own, &mut problems);
        match ConfigKey::resolve(&service.config, &given) {
            Ok(values) => drop(configured.insert(name.clone(), values)),
            Err(broken) => problems.extend(broken.into_iter().map(|problem| {
                let (variable, message) = (problem.variable, problem.message);
                format!("{name}: {variable} {message}; set it in {}", own.display())
            })),
        }
    }
    // What is shared is read for each service, and its faults are told once.
    problems.dedup();
    if problems.is_empty() { Ok(configured) } else { Err(ConfigError(problems)) }
}

/// The values that files give to a service: `.env` beside the manifest, then the service's own.
///
/// # Errors
///
/// [`ConfigError`] with every line that is no assignment.
pub fn given_values(
    directory: &Path,
    service: &Service,
) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut problems = Vec::new();
    let own = directory.join(&service.path).join(".env");
    let given = read_given(directory, &own, &mut problems);
    if problems.is_empty() { Ok(given) } else { Err(ConfigError(problems)) }
}

fn read_given(
    directory: &Path,
    own: &Path,
    problems: &mut Vec<String>,
) -> BTreeMap<String, String> {
    let shared = directory.join(".env");
    let mut given = read_env_file(&shared, problems);
    if own != shared {
        given.extend(read_env_file(own, problems));
    }
    given
}

fn read_env_file(path: &Path, problems: &mut Vec<String>) -> BTreeMap<String, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => {
            problems.push(format!("cannot read {}: {error}", path.display()));
            return BTreeMap::new();
        }
    };
    let mut values = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match assignment(line) {
            Some((variable, value)) => drop(values.insert(variable, value)),
            // The line is not repeated: it may hold a secret.
            None => problems.push(format!(
                "{}:{}: not an assignment; write NAME=value",
                path.display(),
                index + 1
            )),
        }
    }
    values
}

fn assignment(line: &str) -> Option<(String, String)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (variable, value) = line.split_once('=')?;
    let variable = variable.trim();
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if variable.is_empty() || !variable.chars().all(sound) {
        return None;
    }
    let value = value.trim();
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote));
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    Some((variable.to_owned(), value.to_owned()))
}

/// What the environment of one service's programs is made of.
#[derive(Debug)]
pub struct Environment<'a> {
    /// The system.
    pub system: &'a System,
    /// The service.
    pub service: &'a Service,
    /// Values of its configuration.
    pub config: &'a BTreeMap<String, String>,
    /// Folders that come first in `PATH`.
    pub path_prefix: &'a [PathBuf],
    /// Where the resources and services of this run are, by name.
    pub addresses: &'a BTreeMap<Name, String>,
}

impl Environment<'_> {
    /// The environment of one process or task; `port` where it gets one.
    pub fn of(&self, process: &Name, replica: u32, port: Option<u16>) -> BTreeMap<String, String> {
        let mut variables = base();
        let path = variables.entry("PATH".to_owned()).or_default();
        for folder in self.path_prefix.iter().rev() {
            path.insert_str(0, &format!("{}:", folder.display()));
        }
        // The address of a service leaves a replica out before it is asked to end, so
        // there is nothing for it to wait for; and a line is to be seen when it is written.
        let habits = [("DRAIN_DELAY", "0s"), ("PYTHONUNBUFFERED", "1")];
        variables.extend(habits.map(|(name, value)| (name.to_owned(), value.to_owned())));
        variables.extend(self.config.clone());
        variables.extend(self.needs());
        let own = [
            ("HOST", "127.0.0.1".to_owned()),
            ("UPDRAFT_SYSTEM", self.system.name.to_string()),
            ("UPDRAFT_SERVICE", self.service.name.to_string()),
            ("UPDRAFT_PROCESS", process.to_string()),
            ("UPDRAFT_REPLICA", replica.to_string()),
        ];
        variables.extend(own.map(|(name, value)| (name.to_owned(), value)));
        variables.extend(port.map(|port| ("PORT".to_owned(), port.to_string())));
        variables
    }

    /// `<NAME>_URL` of each need, and `DATABASE_URL` where there is one database.
    fn needs(&self) -> BTreeMap<String, String> {
        let mut urls = BTreeMap::new();
        let mut databases = Vec::new();
        for need in &self.service.needs {
            let name = need.target.name();
            let Some(address) = self.addresses.get(name) else { continue };
            urls.insert(format!("{}_URL", name.to_env()), address.clone());
            if is_database(self.system, &need.target) {
                databases.push(address.clone());
            }
        }
        if let [only] = databases.as_slice() {
            urls.insert("DATABASE_URL".to_owned(), only.clone());
        }
        urls
    }
}

/// Whether a target is a relational database.
pub fn is_database(system: &System, target: &Target) -> bool {
    let Target::Resource(name) = target else { return false };
    let kind = system.resources.get(name).map(|resource| &resource.kind);
    matches!(kind, Some(ResourceKind::Sql | ResourceKind::Postgres { .. }))
}

/// The documented base, taken from the caller.
pub fn base() -> BTreeMap<String, String> {
    let taken =
        BASE.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    taken.collect()
}

/// The words of a command line; a shell reads those that ask for one.
pub fn argv(run: &str) -> Vec<String> {
    let for_a_shell = |c: char| "|&;<>()$`\\*?[]#~=%!{}\n".contains(c);
    match shell_words::split(run) {
        Ok(words) if !run.contains(for_a_shell) && !words.is_empty() => words,
        _ => ["/bin/sh", "-c", run].map(str::to_owned).to_vec(),
    }
}

/// The words of a command line with `arguments` behind them.
pub(crate) fn argv_with(run: &str, arguments: Vec<String>) -> Vec<String> {
    let mut argv = argv(run);
    if argv.first().is_some_and(|program| program == "/bin/sh") && !arguments.is_empty() {
        // The shell's own arguments would become `$0`, `$1`, …; the last command is meant.
        let quoted = shell_words::join(&arguments);
        return ["/bin/sh".to_owned(), "-c".to_owned(), format!("{run} {quoted}")].to_vec();
    }
    argv.extend(arguments);
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_get_a_shell_only_when_they_need_one() {
        for (run, expected) in [
            ("orders web", vec!["orders", "web"]),
            ("python3 -m 'price list'", vec!["python3", "-m", "price list"]),
            ("serve --port $PORT", vec!["/bin/sh", "-c", "serve --port $PORT"]),
            ("A=1 serve", vec!["/bin/sh", "-c", "A=1 serve"]),
            ("it's", vec!["/bin/sh", "-c", "it's"]),
        ] {
            assert_eq!(argv(run), expected, "{run}");
        }
    }

    #[test]
    fn env_files_are_read_and_their_faults_never_repeat_a_value() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        fs::write(&path, "# a\nexport A=1\nB = \"two words\"\nC='x'\nsecret-sauce\n").unwrap();
        let mut problems = Vec::new();
        let values = read_env_file(&path, &mut problems);
        let expected = [("A", "1"), ("B", "two words"), ("C", "x")];
        assert_eq!(values, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains(".env:5") && !problems[0].contains("sauce"), "{problems:?}");
    }
}
