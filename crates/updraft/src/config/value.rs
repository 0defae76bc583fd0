//! The types that a variable can have: how its text is read, and how a person is told
//! what it should be.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// A type that can be read from an environment variable.
pub trait Variable: Sized {
    /// What the text must be, to end the sentence "set it to …".
    const EXPECTED: &'static str;

    /// Reads the text.
    ///
    /// # Errors
    ///
    /// What is wrong, to follow the variable's name. It must never repeat the text,
    /// which may be a secret or hold one.
    fn parse(text: &str) -> Result<Self, String>;

    /// How a default is shown in the help text.
    fn show(&self) -> String;
}

impl Variable for String {
    const EXPECTED: &'static str = "a text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Variable for bool {
    const EXPECTED: &'static str = "`true` or `false`";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_not_bool| "is neither `true` nor `false`".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Variable for u16 {
    const EXPECTED: &'static str = "a whole number from 0 to 65535, such as 8080";

    fn parse(text: &str) -> Result<Self, String> {
        whole_number(text)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Variable for NonZeroU32 {
    const EXPECTED: &'static str = "a whole number from 1 to 4294967295, such as 100";

    fn parse(text: &str) -> Result<Self, String> {
        Self::new(whole_number(text)?).ok_or_else(|| "is out of range".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Variable for Duration {
    const EXPECTED: &'static str = "a time span such as 250ms, 45s or 1h30m";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "is not a time span".to_owned();
        let span: jiff::SignedDuration = text.parse().ok().ok_or_else(wrong)?;
        Self::try_from(span).ok().ok_or_else(wrong)
    }

    fn show(&self) -> String {
        if self.subsec_millis() == 0 {
            format!("{}s", self.as_secs())
        } else {
            format!("{}ms", self.as_millis())
        }
    }
}

impl Variable for IpAddr {
    const EXPECTED: &'static str = "an IP address such as 127.0.0.1, 0.0.0.0 or ::";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_not_ip| "is not an IP address".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(pub(crate) tracing::Level);

impl Variable for Level {
    const EXPECTED: &'static str = "one of error, warn, info, debug, trace";

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

fn whole_number<T: std::str::FromStr<Err = std::num::ParseIntError>>(
    text: &str,
) -> Result<T, String> {
    use std::num::IntErrorKind;
    text.parse().map_err(|error: std::num::ParseIntError| {
        match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "is out of range",
            _ => "is not a whole number",
        }
        .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_spans_need_their_unit_and_are_never_negative() {
        let read = <Duration as Variable>::parse;
        assert_eq!(read("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(read("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(read("0s"), Ok(Duration::ZERO));
        for wrong in ["5", "-5s", "soon", "5 parsecs"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_told_from_no_numbers() {
        assert_eq!(<u16 as Variable>::parse("65536"), Err("is out of range".to_owned()));
        assert_eq!(<NonZeroU32 as Variable>::parse("0"), Err("is out of range".to_owned()));
        assert_eq!(<u16 as Variable>::parse("web"), Err("is not a whole number".to_owned()));
    }
}
