//! `postgres://user:password@host:5432/database?sslmode=verify-full`.

use std::path::PathBuf;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use super::{SqlLimits, UNKNOWN};
use crate::attachment::Location;

/// What the driver is told, part by part: it never sees the URL, so it cannot log it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PostgresUrl {
    url: Url,
    ssl_mode: SslMode,
    ssl_root_cert: Option<PathBuf>,
    ssl_cert: Option<PathBuf>,
    ssl_key: Option<PathBuf>,
    password_file: Option<PathBuf>,
    socket: Option<PathBuf>,
    pub(crate) application_name: Option<String>,
    pub(crate) schema: Option<String>,
}

/// As `libpq` calls them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// The password file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the file that `password_file` names")]
pub(crate) struct PasswordFileError(#[source] std::io::Error);

impl PostgresUrl {
    pub(super) fn parse(text: &str, limits: &mut SqlLimits) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_not_url| "is not a URL".to_owned())?;
        let mut parsed = Self {
            url,
            ssl_mode: SslMode::Prefer,
            ssl_root_cert: None,
            ssl_cert: None,
            ssl_key: None,
            password_file: None,
            socket: None,
            application_name: None,
            schema: None,
        };
        let pairs: Vec<_> = parsed
            .url
            .query_pairs()
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        for (key, value) in pairs {
            if !limits.take(&key, &value)? {
                parsed.take(&key, value)?;
            }
        }
        if parsed.url.host_str().is_none_or(str::is_empty) && parsed.socket.is_none() {
            return Err("names no host".to_owned());
        }
        if parsed.url.path().trim_matches('/').is_empty() {
            return Err("names no database".to_owned());
        }
        if parsed.url.path().trim_start_matches('/').contains('/') {
            return Err("has a path that is more than the name of a database".to_owned());
        }
        if parsed.url.username().is_empty() {
            return Err("names no user".to_owned());
        }
        if parsed.url.password().is_some() && parsed.password_file.is_some() {
            return Err("has a password and a `password_file`".to_owned());
        }
        if parsed.ssl_cert.is_some() != parsed.ssl_key.is_some() {
            return Err("has only one of `sslcert` and `sslkey`".to_owned());
        }
        Ok(parsed)
    }

    fn take(&mut self, key: &str, value: String) -> Result<(), String> {
        match key {
            "sslmode" => {
                self.ssl_mode = match value.as_str() {
                    "disable" => SslMode::Disable,
                    "allow" => SslMode::Allow,
                    "prefer" => SslMode::Prefer,
                    "require" => SslMode::Require,
                    "verify-ca" => SslMode::VerifyCa,
                    "verify-full" => SslMode::VerifyFull,
                    _ => {
                        return Err("has a `sslmode` that is none of disable, allow, prefer, \
                                    require, verify-ca and verify-full"
                            .to_owned());
                    }
                }
            }
            "sslrootcert" => self.ssl_root_cert = Some(value.into()),
            "sslcert" => self.ssl_cert = Some(value.into()),
            "sslkey" => self.ssl_key = Some(value.into()),
            "password_file" => self.password_file = Some(value.into()),
            "application_name" => self.application_name = Some(value),
            "host" if value.starts_with('/') => self.socket = Some(value.into()),
            "host" => {
                return Err("has a `host` that is not the folder of a Unix socket".to_owned());
            }
            "schema" => self.schema = Some(schema_name(value)?),
            _ => return Err(UNKNOWN.to_owned()),
        }
        Ok(())
    }

    /// Scheme, host, port and database; nothing else has a place here.
    pub(super) fn location(&self) -> Location {
        match &self.socket {
            Some(socket) => {
                Location::new("postgres", format!("//{}{}", socket.display(), self.url.path()))
            }
            None => Location::of_url("postgres", &self.url),
        }
    }

    /// What a connection needs. The password file is read each time, so a rotated password
    /// holds from the next connection on.
    ///
    /// # Errors
    ///
    /// [`PasswordFileError`].
    pub(crate) fn options(&self) -> Result<PgConnectOptions, PasswordFileError> {
        let mut options = PgConnectOptions::new_without_pgpass()
            .username(&decoded(self.url.username()))
            .database(&decoded(self.url.path().trim_start_matches('/')))
            .ssl_mode(self.ssl_mode.into())
            .port(self.url.port().unwrap_or(5432));
        options = match &self.socket {
            Some(socket) => options.socket(socket),
            // Of an IPv6 address the resolver wants no brackets.
            None => {
                let host = self.url.host_str().unwrap_or_default();
                options.host(host.trim_start_matches('[').trim_end_matches(']'))
            }
        };
        if let Some(password) = self.url.password() {
            options = options.password(&decoded(password));
        }
        if let Some(file) = &self.password_file {
            let text = std::fs::read_to_string(file).map_err(PasswordFileError)?;
            options = options.password(text.trim_end_matches(['\r', '\n']));
        }
        if let Some(path) = &self.ssl_root_cert {
            options = options.ssl_root_cert(path);
        }
        if let Some(path) = &self.ssl_cert {
            options = options.ssl_client_cert(path);
        }
        if let Some(path) = &self.ssl_key {
            options = options.ssl_client_key(path);
        }
        if let Some(name) = &self.application_name {
            options = options.application_name(name);
        }
        if let Some(schema) = &self.schema {
            options = options.options([("search_path", schema)]);
        }
        Ok(options)
    }
}

/// A name that needs no quotes, so that it cannot be anything but a name.
fn schema_name(name: String) -> Result<String, String> {
    let plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    let begins = name.starts_with(|it: char| it.is_ascii_lowercase() || it == '_');
    if begins && name.len() <= 63 && name.chars().all(plain) {
        Ok(name)
    } else {
        Err("has a `schema` that is not a name of a-z, 0-9 and _".to_owned())
    }
}

/// A part of the URL without its percent signs.
fn decoded(part: &str) -> String {
    // The query decoder of `url` would be the only other one at hand; it needs its plus signs.
    let pair = format!("v={}", part.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

impl From<SslMode> for PgSslMode {
    fn from(mode: SslMode) -> Self {
        match mode {
            SslMode::Disable => Self::Disable,
            SslMode::Allow => Self::Allow,
            SslMode::Prefer => Self::Prefer,
            SslMode::Require => Self::Require,
            SslMode::VerifyCa => Self::VerifyCa,
            SslMode::VerifyFull => Self::VerifyFull,
        }
    }
}
