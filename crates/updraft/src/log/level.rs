//! How much is logged: `LOG_LEVEL`, and what somebody changes for a while in a running process.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Filter};

use super::REQUESTS;
use crate::config::Variable;
use crate::trace::ENTRY;

/// Directives in one text.
const DIRECTIVES_MOST: usize = 64;

/// The longest time for which the level is changed in a running process.
const CHANGE_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// What is logged of which module: `info`, or `info,my_crate=debug,hyper=off`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Directives {
    text: String,
    targets: Targets,
}

/// The directives, or the time, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLogLevel {
    /// The text is no list of directives.
    #[error("the log level {0}")]
    Directives(String),
    /// Nobody remembers for how long that would be.
    #[error("a log level may be changed for at most {CHANGE_MOST:?}")]
    TooLong,
}

impl Directives {
    fn read(text: &str) -> Result<Self, String> {
        let mut targets = Targets::new();
        let mut names: Vec<&str> = Vec::new();
        for directive in text.split(',').map(str::trim) {
            let (name, level) = match directive.split_once('=') {
                Some((name, level)) => (name.trim(), level.trim()),
                None => ("", directive),
            };
            let level = level_of(level).ok_or("has a directive that is not a level")?;
            if names.contains(&name) {
                return Err("has two directives for one module".to_owned());
            }
            let of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte);
            if directive.contains('=') && (name.is_empty() || !name.bytes().all(of_path)) {
                return Err("has a directive whose name is not that of a module".to_owned());
            }
            names.push(name);
            if DIRECTIVES_MOST < names.len() {
                return Err(format!("has more than {DIRECTIVES_MOST} directives"));
            }
            targets = match name {
                "" => targets.with_default(level),
                name => targets.with_target(name, level),
            };
        }
        if !names.contains(&"") {
            targets = targets.with_default(LevelFilter::INFO);
        }
        Ok(Self { text: text.to_owned(), targets })
    }

    /// Errors, and nothing else.
    pub(crate) fn of_errors() -> Self {
        let targets = Targets::new().with_default(LevelFilter::ERROR);
        Self { text: "error".to_owned(), targets }
    }

    /// Whether the lines of requests are among what is logged.
    fn has_requests(&self) -> bool {
        self.targets.would_enable(REQUESTS, &Level::INFO)
    }

    fn most(&self) -> LevelFilter {
        let named = self.targets.iter().map(|(_, level)| level).max();
        named.max(self.targets.default_level()).unwrap_or(LevelFilter::OFF)
    }
}

fn level_of(name: &str) -> Option<LevelFilter> {
    let levels = [
        ("off", LevelFilter::OFF),
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    levels.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, level)| level)
}

impl Default for Directives {
    /// `info`.
    fn default() -> Self {
        let targets = Targets::new().with_default(LevelFilter::INFO);
        Self { text: "info".to_owned(), targets }
    }
}

impl Variable for Directives {
    const EXPECTED: &'static str = "one of off, error, warn, info, debug, trace, with levels of \
         modules behind it if need be, such as info,my_crate=debug";

    fn parse(text: &str) -> Result<Self, String> {
        Self::read(text)
    }

    fn show(&self) -> String {
        self.text.clone()
    }
}

/// What is logged now, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLevel {
    /// The directives that hold now.
    pub directives: String,
    /// Those of `LOG_LEVEL`, which hold again afterwards.
    pub configured: String,
    /// How long until then; none where nothing was changed.
    pub changes_back_in: Option<Duration>,
}

/// Changes how much a running process logs, for a while. Clones are the same control.
#[derive(Clone)]
pub struct LogControl {
    shared: Arc<Shared>,
}

struct Shared {
    configured: Directives,
    now: RwLock<Directives>,
    until: Mutex<Option<Instant>>,
    /// What each request asks.
    has_requests: AtomicBool,
    /// Wakes who [expires](LogControl::expire) changes.
    nudge: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogControl").field("level", &self.level()).finish()
    }
}

impl LogControl {
    pub(crate) fn new(configured: Directives, nudge: impl Fn() + Send + Sync + 'static) -> Self {
        let now = RwLock::new(configured.clone());
        let has_requests = AtomicBool::new(configured.has_requests());
        let shared = Shared {
            configured,
            now,
            until: Mutex::default(),
            has_requests,
            nudge: Box::new(nudge),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether there is a line for each request now.
    pub(super) fn has_requests(&self) -> bool {
        self.shared.has_requests.load(Ordering::Relaxed)
    }

    /// What holds now.
    #[must_use]
    pub fn level(&self) -> LogLevel {
        let until = *self.until();
        LogLevel {
            directives: self.now(|now| now.text.clone()),
            configured: self.shared.configured.text.clone(),
            changes_back_in: until.map(|at| at.saturating_duration_since(Instant::now())),
        }
    }

    /// Logs by these directives (`debug`, `info,my_crate=trace`), at once and for this time;
    /// after it `LOG_LEVEL` holds again. A later change takes the place of an earlier one.
    ///
    /// # Errors
    ///
    /// [`InvalidLogLevel`]: the directives are none, or the time is longer than a day. Nothing
    /// is changed then.
    pub fn set(&self, directives: &str, time: Duration) -> Result<(), InvalidLogLevel> {
        let directives = Directives::read(directives).map_err(InvalidLogLevel::Directives)?;
        if CHANGE_MOST < time {
            return Err(InvalidLogLevel::TooLong);
        }
        let shown = directives.text.clone();
        {
            let mut until = self.until();
            self.put(directives);
            *until = Some(Instant::now() + time);
        }
        tracing::warn!(directives = shown, seconds = time.as_secs(), "the log level is changed");
        (self.shared.nudge)();
        Ok(())
    }

    /// Logs by `LOG_LEVEL` again.
    pub fn reset(&self) {
        if self.until().take().is_some() {
            self.put(self.shared.configured.clone());
            tracing::warn!(
                directives = self.shared.configured.text,
                "the log level is the configured one again"
            );
        }
    }

    /// Ends a change whose time is over. Says how long the one that holds still has.
    pub(crate) fn expire(&self) -> Option<Duration> {
        let until = (*self.until())?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.reset();
            return None;
        }
        Some(left)
    }

    pub(crate) fn filter(&self) -> LevelControl {
        LevelControl(self.clone())
    }

    fn put(&self, directives: Directives) {
        let has_requests = directives.has_requests();
        {
            let mut now = self.shared.now.write().unwrap_or_else(PoisonError::into_inner);
            *now = directives;
            self.shared.has_requests.store(has_requests, Ordering::Relaxed);
        }
        // What every place in the code remembers of the old level is forgotten.
        tracing::callsite::rebuild_interest_cache();
    }

    fn now<T>(&self, read: impl FnOnce(&Directives) -> T) -> T {
        read(&self.shared.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.shared.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets through what the directives of the moment say. Spans of requests, jobs and calls pass
/// at any level: an error inside of one is to have its trace.
pub(crate) struct LevelControl(LogControl);

impl LevelControl {
    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        let entry = metadata.is_span() && metadata.target() == ENTRY;
        entry || self.0.now(|now| now.targets.would_enable(metadata.target(), metadata.level()))
    }
}

impl<S> Filter<S> for LevelControl {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.passes(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.passes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.now(Directives::most).max(LevelFilter::from_level(Level::INFO)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_a_level_and_levels_of_modules() {
        for (text, target, level, passes) in [
            ("info", "a::b", Level::INFO, true),
            ("INFO", "a::b", Level::DEBUG, false),
            ("info,a=debug", "a::b", Level::DEBUG, true),
            ("info, a=debug", "b", Level::DEBUG, false),
            ("a=debug", "b", Level::INFO, true),
            ("debug,a::b=off", "a::b::c", Level::ERROR, false),
            ("off", "a", Level::ERROR, false),
        ] {
            let directives = Directives::parse(text).unwrap();
            assert_eq!(directives.targets.would_enable(target, &level), passes, "{text} {target}");
        }
        let many = vec!["a=info"; 65].join(",");
        for text in ["", "loud", "info,loud", "a=loud", "=info", "info,warn", "a b=info", &many] {
            assert!(Directives::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_change_ends_by_itself_and_a_wrong_one_changes_nothing() {
        let control = LogControl::new(Directives::default(), || {});
        assert!(control.set("loud", Duration::from_secs(1)).is_err());
        assert_eq!(control.set("debug", CHANGE_MOST * 2), Err(InvalidLogLevel::TooLong));
        assert_eq!(control.level().directives, "info");
        assert_eq!(control.expire(), None);

        control.set("debug", Duration::from_secs(1000)).unwrap();
        assert_eq!(control.level().directives, "debug");
        assert!(control.expire().is_some_and(|left| Duration::from_secs(900) < left));

        control.set("trace", Duration::ZERO).unwrap();
        assert_eq!(control.level().directives, "trace");
        assert_eq!(control.expire(), None);
        let level = control.level();
        assert_eq!((level.directives, level.changes_back_in), ("info".to_owned(), None));
    }
}
