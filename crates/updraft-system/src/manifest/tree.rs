//! Lenient access to the tree of values: what has the wrong type is as good as
//! absent here, because the check against the table of keys has reported it.

use std::str::FromStr;
use std::time::Duration;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use toml::de::{DeTable, DeValue};

use super::check::Value;
use super::scalar;
use crate::Span;

/// A table of the manifest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree<'a>(Option<&'a DeTable<'a>>);

impl<'a> Tree<'a> {
    pub(super) fn new(table: &'a DeTable<'a>) -> Self {
        Self(Some(table))
    }

    /// The table that `value` is; an empty one where it is none.
    pub(super) fn of(value: &'a Value<'a>) -> Self {
        Self(value.get_ref().as_table())
    }

    /// The keys, each with its place and its value.
    pub(super) fn entries(self) -> impl Iterator<Item = (&'a str, Span, &'a Value<'a>)> {
        self.0.into_iter().flatten().map(|(key, value)| (&**key.get_ref(), key.span(), value))
    }

    /// The keys that are names, each with its value.
    pub(super) fn named<N: FromStr>(self) -> impl Iterator<Item = (N, &'a Value<'a>)> {
        self.entries().filter_map(|(key, _, value)| Some((key.parse().ok()?, value)))
    }

    pub(super) fn value(self, key: &str) -> Option<&'a Value<'a>> {
        self.0?.get(key)
    }

    pub(super) fn key_span(self, key: &str) -> Option<Span> {
        self.0?.get_key_value(key).map(|(key, _)| key.span())
    }

    /// The table under `key`; an empty one where there is none.
    pub(super) fn table(self, key: &str) -> Self {
        self.value(key).map_or(Self(None), Self::of)
    }

    pub(super) fn text(self, key: &str) -> Option<(&'a str, Span)> {
        self.value(key).and_then(text)
    }

    /// The texts in the list under `key`.
    pub(super) fn texts(self, key: &str) -> impl Iterator<Item = (&'a str, Span)> {
        let items = self.value(key).and_then(|value| value.get_ref().as_array());
        items.into_iter().flat_map(|items| items.iter()).filter_map(text)
    }

    pub(super) fn duration(self, key: &str) -> Option<Duration> {
        crate::duration::parse(self.text(key)?.0).ok()
    }

    pub(super) fn flag(self, key: &str) -> Option<bool> {
        self.value(key)?.get_ref().as_bool()
    }

    /// What the text under `key` stands for.
    pub(super) fn read<T: DeserializeOwned>(self, key: &str) -> Option<T> {
        self::read(self.text(key)?.0)
    }

    /// The text under `key`, or the texts in the list there.
    pub(super) fn one_or_more(self, key: &str) -> impl Iterator<Item = (&'a str, Span)> {
        self.text(key).into_iter().chain(self.texts(key))
    }

    pub(super) fn whole(self, key: &str) -> Option<u32> {
        whole(self.value(key)?)
    }
}

/// The text that `value` is.
pub(super) fn text<'a>(value: &'a Value<'a>) -> Option<(&'a str, Span)> {
    Some((value.get_ref().as_str()?, value.span()))
}

/// What a text stands for, by the names that the type has for its values.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Option<T> {
    let text: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    T::deserialize(text).ok()
}

/// The whole number that `value` is.
pub(super) fn whole(value: &Value<'_>) -> Option<u32> {
    match value.get_ref() {
        DeValue::Integer(number) => scalar::integer(number)?.try_into().ok(),
        _ => None,
    }
}
