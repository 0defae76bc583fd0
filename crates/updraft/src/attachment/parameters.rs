//! The parameters of an attachment's URL. They are ours: they never reach a driver, and an
//! error never repeats their values.

use std::time::Duration;

use url::Url;

use crate::config::{ByteSize, Variable as _};

/// The parameters of a URL, each to be taken once.
#[derive(Debug)]
pub(crate) struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// Takes them off the URL.
    pub(crate) fn take(url: &mut Url) -> Self {
        let pairs = url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned()));
        let pairs = pairs.collect();
        url.set_query(None);
        Self { pairs }
    }

    /// A text.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        let found = self.pairs.iter().position(|(own, _)| own == key)?;
        Some(self.pairs.swap_remove(found).1)
    }

    /// A whole number above 0.
    pub(crate) fn positive(&mut self, key: &str) -> Result<Option<u32>, String> {
        let read = |text: String| text.parse().ok().filter(|number| 0 < *number);
        let wrong = || format!("has a `{key}` that is not a whole number above 0");
        self.text(key).map(|text| read(text).ok_or_else(wrong)).transpose()
    }

    /// A time span above 0.
    pub(crate) fn span(&mut self, key: &str) -> Result<Option<Duration>, String> {
        let read = |text: String| Duration::parse(&text).ok().filter(|span| !span.is_zero());
        let wrong = || format!("has a `{key}` that is not a time span above 0, such as 500ms");
        self.text(key).map(|text| read(text).ok_or_else(wrong)).transpose()
    }

    /// A size above 0.
    pub(crate) fn bytes(&mut self, key: &str) -> Result<Option<u64>, String> {
        let read = |text: String| ByteSize::parse(&text).ok().map(ByteSize::bytes);
        let wrong = || format!("has a `{key}` that is not a size above 0, such as 64MiB");
        let size = |text| read(text).filter(|bytes| 0 < *bytes).ok_or_else(wrong);
        self.text(key).map(size).transpose()
    }

    /// That nothing is left.
    pub(crate) fn end(self, what: &str) -> Result<(), String> {
        match self.pairs.first() {
            // Not the key either: a secret may have been put into the wrong place.
            Some(_) => Err(format!("has a parameter that {what} does not know")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_and_never_overflow() {
        let table = [
            ("1", Some(1)),
            ("512B", Some(512)),
            ("64KiB", Some(65_536)),
            ("3MiB", Some(3 << 20)),
            ("2GiB", Some(2 << 30)),
            ("0", None),
            ("", None),
            ("MiB", None),
            ("1MB", Some(1_000_000)),
            ("1mb", None),
            ("-1", None),
            ("18446744073709551615GiB", None),
        ];
        for (text, expected) in table {
            let pairs = vec![("max".to_owned(), text.to_owned())];
            let size = Parameters { pairs }.bytes("max");
            assert_eq!(size.ok().flatten(), expected, "{text}");
        }
    }

    #[test]
    fn what_nobody_takes_is_refused_without_being_repeated() {
        let mut url = Url::parse("redis://host/?prefix=shop&canary=canary").unwrap();
        let mut parameters = Parameters::take(&mut url);
        assert_eq!(url.query(), None);
        assert_eq!(parameters.text("prefix").as_deref(), Some("shop"));
        let error = parameters.end("a cache").unwrap_err();
        assert!(!error.contains("canary"), "{error}");
    }
}
