//! Which release runs: the build, and a fingerprint of the configuration it runs with. The
//! twelve factors ask that each release has an id; two processes of one id do the same.

mod build;

use serde_json::{Value, json};

use crate::config::Config;

/// The identity of a release. [`service!`](crate::service!) and
/// [`release!`](crate::release!) make it of the package that is being compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    service: &'static str,
    version: &'static str,
    commit: Option<&'static str>,
    /// One `name version` on each line.
    dependencies: &'static str,
    build: Option<&'static str>,
    config: Option<&'static str>,
    id: &'static str,
}

impl Release {
    /// The release of a package of this name and version.
    pub const fn of_build(service: &'static str, version: &'static str) -> Self {
        Self {
            service,
            version,
            commit: None,
            dependencies: "",
            build: None,
            config: None,
            id: version,
        }
    }

    /// Of the commit that is the first of these: of those that are there and not empty.
    #[must_use]
    pub const fn commit_of(mut self, commits: &[Option<&'static str>]) -> Self {
        let mut at = commits.len();
        // From the last to the first, since a constant function has no iterators.
        while at > 0 {
            at -= 1;
            if let Some(commit) = commits[at]
                && !commit.is_empty()
            {
                self.commit = Some(commit);
            }
        }
        self
    }

    /// Built from these packages, one `name version` on each line.
    #[must_use]
    pub const fn dependencies_of(self, dependencies: &'static str) -> Self {
        Self { dependencies, ..self }
    }

    /// The release that this process is: with the id of its executable and the fingerprint of
    /// its configuration. Both are found out once, and kept for as long as the process lives.
    #[must_use]
    pub(crate) fn running(self, config: &Config) -> Self {
        let own = self.built();
        let config: &'static str = config.fingerprint().leak();
        let id = match own.build {
            Some(build) => format!("{}+{}.{config}", self.version, short(build)),
            None => format!("{}+{config}", self.version),
        };
        Self { config: Some(config), id: id.leak(), ..own }
    }

    /// The release with the id of its executable.
    #[must_use]
    pub(crate) fn built(self) -> Self {
        let build = build::id().map(|id| &*id.leak());
        Self { build, ..self }
    }

    /// The service's name.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// The version of its package.
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// The commit it was built from, where the build knew it.
    pub fn commit(&self) -> Option<&'static str> {
        self.commit
    }

    /// What tells it from every other release: `1.4.2+5f0c9d31.9e8d7c6b`, which is the version,
    /// the first 8 digits of the build's id, and 8 digits of the configuration. A secret that
    /// is exchanged leaves it as it is. Before the configuration is read it is the version.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// The id of the executable: its GNU build id, or the BLAKE3 hash of the file, both in
    /// hexadecimal digits.
    pub(crate) fn build(&self) -> Option<&'static str> {
        self.build
    }

    /// The fingerprint of the configuration: 8 hexadecimal digits.
    pub(crate) fn config(&self) -> Option<&'static str> {
        self.config
    }

    /// What it was built from: name and version of each package.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.dependencies.lines().filter_map(|line| line.split_once(' '))
    }

    /// All of it for programs; `full` with what it was built from.
    pub(crate) fn json(&self, full: bool) -> Value {
        let mut value = json!({
            "service": self.service,
            "version": self.version,
            "release": self.config.map(|_| self.id),
            "commit": self.commit,
            "build": self.build,
            "config": self.config,
        });
        if full {
            let each = self.dependencies();
            let list = each.map(|(name, version)| json!({ "name": name, "version": version }));
            value["dependencies"] = list.collect();
        }
        value
    }
}

/// The first 8 digits.
fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(variables: &[(&str, &str)]) -> Release {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut config = Config::from_variables(variables.iter().map(own));
        config.per_process(&["PORT"]);
        let _port = config.optional::<u16>("PORT", "the port");
        let _days = config.or::<u16>("DAYS", 30, "days");
        drop(config.optional::<crate::Secret>("KEY", "a key"));
        drop(config.optional::<url::Url>("PEER_URL", "a peer"));
        Release::of_build("orders", "1.2.3").running(&config)
    }

    #[test]
    fn the_same_build_and_configuration_are_the_same_release() {
        let plain = release(&[("DAYS", "5"), ("KEY", "one"), ("PEER_URL", "http://a/x")]);
        for same in [
            &[("DAYS", "5"), ("KEY", "two"), ("PEER_URL", "http://a/x")][..],
            &[("DAYS", "5"), ("KEY", "one"), ("PEER_URL", "http://u:canary@a/x?k=canary")],
            &[("DAYS", "5"), ("KEY", "one"), ("PEER_URL", "http://a/x"), ("PORT", "1")],
            &[("DAYS", "5"), ("KEY", "one"), ("PEER_URL", "http://a/x"), ("UNREAD", "1")],
        ] {
            assert_eq!(release(same).id(), plain.id(), "{same:?}");
        }
        for other in [
            &[("DAYS", "6"), ("KEY", "one"), ("PEER_URL", "http://a/x")][..],
            &[("DAYS", "5"), ("PEER_URL", "http://a/x")],
            &[("DAYS", "5"), ("KEY", "one"), ("PEER_URL", "http://b/x")],
            &[("DAYS", "5"), ("KEY", "one")],
        ] {
            assert_ne!(release(other).id(), plain.id(), "{other:?}");
        }
    }

    #[test]
    fn a_default_belongs_to_the_build() {
        let fingerprint = |default: u16| {
            let mut config = Config::from_variables([]);
            assert_eq!(config.or("DAYS", default, "days"), Ok(default));
            config.fingerprint()
        };
        assert_eq!(fingerprint(5), fingerprint(6));
    }

    #[test]
    fn an_id_is_the_version_and_two_times_eight_digits() {
        let id = release(&[]).id();
        let (version, rest) = id.split_once('+').unwrap();
        assert_eq!(version, "1.2.3");
        let (build, config) = rest.split_once('.').unwrap();
        for digits in [build, config] {
            assert!(digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        }
        assert_eq!(Release::of_build("orders", "1.2.3").id(), "1.2.3");
    }

    #[test]
    fn the_first_commit_that_is_there_and_not_empty_is_taken() {
        let release = Release::of_build("orders", "1.2.3");
        let commit = |commits: &[Option<&'static str>]| release.commit_of(commits).commit();
        assert_eq!(commit(&[None, Some(""), Some("a"), Some("b")]), Some("a"));
        assert_eq!(commit(&[None, Some("b")]), Some("b"));
        assert_eq!(commit(&[None, Some("")]), None);
    }
}
