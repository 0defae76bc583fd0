//! What one test is attached to, which no other test sees: files of its own, and parts of the
//! servers that the tests share.

use std::any::type_name;
use std::path::Path;

use tempfile::TempDir;

use super::fail;
use super::server::{Database, Kind, Server, ServerError};
use crate::config::Declared;
use crate::{BlobsUrl, CacheUrl, QueueUrl, SqlUrl};

/// A server that is not installed, and what to do about it.
#[derive(Debug)]
pub(super) struct Missing(pub(super) String);

/// Which kinds a test is attached to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    postgres: bool,
    redis: bool,
    nats: bool,
}

impl Places {
    /// Reads `postgres+redis` and the like.
    pub(super) fn of(words: &str) -> Result<Self, String> {
        let mut places = Self::default();
        for word in words.split('+').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "sqlite" => {}
                "postgres" => places.postgres = true,
                "redis" => places.redis = true,
                "nats" => places.nats = true,
                _ => {
                    return Err(format!(
                        "`{word}` is no kind of what a test can be attached to: those are \
                         sqlite, postgres, redis and nats, joined by `+`"
                    ));
                }
            }
        }
        Ok(places)
    }
}

/// What is there for one test. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct Isolated {
    folder: TempDir,
    /// One for each field that is a database.
    databases: Vec<Database>,
    redis: Option<Database>,
    nats: Option<Database>,
}

impl Isolated {
    #[track_caller]
    pub(super) fn new() -> Self {
        match tempfile::Builder::new().prefix("updraft-test-").tempdir() {
            Ok(folder) => Self { folder, databases: Vec::new(), redis: None, nats: None },
            Err(error) => fail(format_args!("cannot make a temporary folder: {error}")),
        }
    }

    /// The URL for one variable; `None`: its default will do, or it is another service.
    ///
    /// # Errors
    ///
    /// [`Missing`].
    #[track_caller]
    pub(super) fn url(
        &mut self,
        places: &Places,
        declared: &Declared,
        all: &[Declared],
    ) -> Result<Option<String>, Missing> {
        let is = |name: &str| declared.type_name == name;
        let field = declared.field.unwrap_or(declared.variable);
        if is(type_name::<SqlUrl>()) {
            self.sql(places, field).map(Some)
        } else if is(type_name::<QueueUrl>()) {
            self.queue(places, declared, all)
        } else if is(type_name::<CacheUrl>()) {
            if !places.redis {
                return Ok(Some("memory:".to_owned()));
            }
            Ok(Some(format!("{}?prefix={field}", self.redis()?)))
        } else if is(type_name::<BlobsUrl>()) {
            let folder = self.folder.path().join(format!("{field}.blobs"));
            if let Err(error) = std::fs::create_dir(&folder) {
                fail(format_args!("cannot make {}: {error}", folder.display()));
            }
            Ok(Some(format!("file://{}/", path_of(&folder))))
        } else {
            Ok(None)
        }
    }

    #[track_caller]
    fn sql(&mut self, places: &Places, field: &str) -> Result<String, Missing> {
        if !places.postgres {
            let file = self.folder.path().join(format!("{field}.sqlite3"));
            return Ok(format!("sqlite://{}", path_of(&file)));
        }
        let database = database(Kind::Postgres)?;
        let url = database.url();
        self.databases.push(database);
        Ok(url)
    }

    #[track_caller]
    fn queue(
        &mut self,
        places: &Places,
        declared: &Declared,
        all: &[Declared],
    ) -> Result<Option<String>, Missing> {
        let default = declared.source_default.as_deref().unwrap_or_default();
        let (place, query) = default.split_once('?').unwrap_or((default, ""));
        let same = place.strip_prefix("same:");
        let server = match places {
            Places { nats: true, .. } => self.nats()?,
            Places { redis: true, .. } => self.redis()?,
            _ if same.is_some() => return Ok(None),
            _ => {
                let database = all.iter().find(|it| it.type_name == type_name::<SqlUrl>());
                let field = declared.field.unwrap_or(declared.variable);
                return Ok(Some(match database.and_then(|it| it.field) {
                    Some(database) => format!("same:{database}?queue={field}"),
                    None => self.sql(&Places::default(), field)?,
                }));
            }
        };
        // What the default says of the queue holds wherever it is.
        let outbox = same.map(|field| format!("outbox={field}"));
        let field = declared.field.map(|field| format!("queue={field}"));
        let name = field.filter(|_| !query.contains("queue="));
        let given = (!query.is_empty()).then(|| query.to_owned());
        let parts: Vec<String> = given.into_iter().chain(name).chain(outbox).collect();
        Ok(Some(format!("{server}?{}", parts.join("&"))))
    }

    #[track_caller]
    fn redis(&mut self) -> Result<String, Missing> {
        part(&mut self.redis, Kind::Redis)
    }

    #[track_caller]
    fn nats(&mut self) -> Result<String, Missing> {
        part(&mut self.nats, Kind::Nats)
    }
}

/// The URL of the test's part of a server, which is taken when it is first asked for.
#[track_caller]
fn part(own: &mut Option<Database>, kind: Kind) -> Result<String, Missing> {
    let taken = match own.take() {
        Some(taken) => taken,
        None => database(kind)?,
    };
    Ok(own.insert(taken).url())
}

#[track_caller]
fn database(kind: Kind) -> Result<Database, Missing> {
    match Server::shared(kind).and_then(|server| server.database()) {
        Ok(database) => Ok(database),
        Err(error @ ServerError::NotInstalled { .. }) => Err(Missing(error.to_string())),
        Err(error) => fail(crate::testing::logs::chain(&error)),
    }
}

/// The path as it stands in a URL.
fn path_of(path: &Path) -> String {
    match url::Url::from_file_path(path) {
        Ok(url) => url.path().to_owned(),
        Err(()) => path.display().to_string(),
    }
}
