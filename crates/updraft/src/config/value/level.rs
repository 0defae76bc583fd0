//! How much is logged.

use super::Variable;

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(pub(crate) tracing::Level);

impl Variable for Level {
    const EXPECTED: &'static str = "one of error, warn, info, debug, trace";
    const EXAMPLE: &'static str = "info";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(Self(tracing::Level::ERROR)),
            "warn" => Ok(Self(tracing::Level::WARN)),
            "info" => Ok(Self(tracing::Level::INFO)),
            "debug" => Ok(Self(tracing::Level::DEBUG)),
            "trace" => Ok(Self(tracing::Level::TRACE)),
            _ => Err("is not a level".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.as_str().to_ascii_lowercase()
    }
}
