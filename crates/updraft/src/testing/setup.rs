//! What a test says of its service before it starts: the kinds of what is attached, and
//! variables.

use super::fail;
use super::isolated::{Isolated, Missing, Places};
use crate::app::App;
use crate::config::{Config, Group};
use crate::process::{Kind, Platform};

/// What every service is told in a test, unless the test says otherwise.
const VARIABLES: [(&str, &str); 3] =
    [("PORT", "0"), ("DRAIN_DELAY", "0s"), ("LOG_RATE_LIMIT", "0")];

/// How the service of a test is set up. Nothing of the environment of the test's own process
/// reaches the service: it is told what stands here, and what it is attached to.
///
/// ```
/// let setup = updraft::testing::Setup::on("postgres+redis").variable("PACKING_TIME", "1ms");
/// # drop(setup);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Setup {
    kind: String,
    variables: Vec<(String, String)>,
}

/// A service that can be started.
pub(super) struct Ready<A: App> {
    pub(super) platform: Platform,
    pub(super) parsed: A::Parsed,
    pub(super) isolated: Isolated,
}

impl Setup {
    /// Everything that is attached is of the kind that needs no server.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is attached is of these kinds, joined by `+`:
    ///
    /// | word | what is there |
    /// |---|---|
    /// | `sqlite` | databases, in files of the test's own; so it is without `postgres` |
    /// | `postgres` | databases |
    /// | `redis` | caches, and queues unless `nats` is there too |
    /// | `nats` | queues |
    ///
    /// Without a word for them, caches are in memory and queues in the database of the
    /// service (`same:`), or in a file where it has none. Blobs are in a folder.
    #[must_use]
    pub fn on(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), ..Self::default() }
    }

    /// A variable of the service, or of the chassis. An empty text is as good as none: an
    /// optional attachment is left out by it.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Reads the variables, with what the test is attached to among them.
    ///
    /// # Errors
    ///
    /// [`Missing`]: a server that is not installed.
    #[track_caller]
    pub(super) fn ready<A: App>(self) -> Result<Ready<A>, Missing> {
        let places = match Places::of(&self.kind) {
            Ok(places) => places,
            Err(wrong) => fail(wrong),
        };
        let given = |name: &str| self.variables.iter().any(|(given, _)| given == name);
        let own = VARIABLES.iter().filter(|(name, _)| !given(name));
        let mut variables: Vec<(String, String)> =
            own.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        variables.extend(self.variables.iter().cloned());

        let (first, ..) = read::<A>(&variables);
        self.refuse_unknown(&first);
        let mut isolated = Isolated::new();
        let attached = first.declared().iter().filter(|it| it.group == Group::Attachment);
        for declared in attached.filter(|it| !given(it.variable)) {
            if given(&format!("{}_FILE", declared.variable)) {
                continue;
            }
            if let Some(url) = isolated.url(&places, declared, first.declared())? {
                variables.push((declared.variable.to_owned(), url));
            }
        }
        let (config, platform, parsed) = read::<A>(&variables);
        if let Some(report) = config.report() {
            fail(format_args!("the service of this test cannot start: {report}"));
        }
        match (platform, parsed) {
            (Ok(platform), Ok(parsed)) => Ok(Ready { platform, parsed, isolated }),
            // `Invalid` comes only from `Config`, which then has a report.
            _ => fail("the service of this test cannot start"),
        }
    }

    /// A variable that nobody reads is a slip of the pen.
    #[track_caller]
    fn refuse_unknown(&self, config: &Config) {
        let known = |name: &str| {
            let base = name.strip_suffix("_FILE").unwrap_or(name);
            config.declared().iter().any(|it| it.variable == name || it.variable == base)
        };
        let unknown = self.variables.iter().map(|(name, _)| name).filter(|name| !known(name));
        let unknown: Vec<&str> = unknown.map(String::as_str).collect();
        if !unknown.is_empty() {
            let known: Vec<_> = config.declared().iter().map(|it| it.variable).collect();
            fail(format_args!(
                "no part of this service reads {}; it reads {}",
                unknown.join(", "),
                known.join(", ")
            ));
        }
    }
}

type Read<A> =
    (Config, Result<Platform, crate::Invalid>, Result<<A as App>::Parsed, crate::Invalid>);

fn read<A: App>(variables: &[(String, String)]) -> Read<A> {
    let mut config = Config::from_variables(variables.iter().cloned());
    let platform = Platform::read(&mut config, Kind::Web);
    let parsed = A::read(&mut config);
    (config, platform, parsed)
}
