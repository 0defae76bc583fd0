//! The data form of a backoff, read from values in memory.

use std::time::Duration;

use serde::Deserialize;
use serde::de::value::{Error, MapDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};

use super::*;

/// As much of a data format as a backoff needs.
#[derive(Clone)]
enum Value {
    Text(&'static str),
    Number(f64),
    Table(Vec<(&'static str, Value)>),
}

impl<'de> Deserializer<'de> for Value {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Text(text) => visitor.visit_str(text),
            Self::Number(number) => visitor.visit_f64(number),
            Self::Table(entries) => visitor.visit_map(MapDeserializer::new(entries.into_iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self {
            Self::Text(text) => text.into_deserializer().deserialize_enum(name, variants, visitor),
            other => other.deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl IntoDeserializer<'_> for Value {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn read(entries: &[(&'static str, Value)]) -> Result<Backoff, String> {
    Backoff::deserialize(Value::Table(entries.to_vec())).map_err(|error| error.to_string())
}

fn table(entries: &[(&'static str, Value)]) -> Value {
    Value::Table(entries.to_vec())
}

#[test]
fn every_form_is_read() {
    let ms = Duration::from_millis;
    let text = Value::Text;
    let forms = [
        (vec![], Backoff::default()),
        (vec![("jitter", text("equal"))], Backoff::default().jitter(Jitter::Equal)),
        (vec![("exponential", table(&[]))], Backoff::default()),
        (vec![("min", text("20ms"))], Backoff::default().min(ms(20))),
        (
            vec![
                (
                    "exponential",
                    table(&[
                        ("first", text("50ms")),
                        ("factor", Value::Number(3.0)),
                        ("max", text("2s")),
                    ]),
                ),
                ("jitter", text("decorrelated")),
            ],
            Backoff::exponential(ms(50), ms(2000)).factor(3.0).jitter(Jitter::Decorrelated),
        ),
        (
            vec![("linear", table(&[("first", text("1s")), ("step", text("500ms"))]))],
            Backoff::linear(ms(1000), ms(500)),
        ),
        (vec![("constant", table(&[("wait", text("1s"))]))], Backoff::constant(ms(1000))),
        (
            vec![("fibonacci", table(&[("unit", text("1s")), ("max", text("1m"))]))],
            Backoff::fibonacci(ms(1000)).max(ms(60_000)),
        ),
    ];
    for (data, expected) in forms {
        assert_eq!(read(&data).unwrap(), expected);
    }
}

#[test]
fn what_is_no_backoff_is_refused_with_the_reason() {
    let wait = table(&[("wait", Value::Text("1s"))]);
    let unit = table(&[("unit", Value::Text("1s"))]);
    let two = read(&[("constant", wait), ("fibonacci", unit)]).unwrap_err();
    assert!(two.contains("one of `constant`"), "{two}");
    let function = read(&[("function", Value::Text("x"))]).unwrap_err();
    assert!(function.contains("a function cannot be"), "{function}");
    let unknown = read(&[("quadratic", Value::Text("x"))]).unwrap_err();
    assert!(unknown.contains("quadratic"), "{unknown}");
    let inner = read(&[("exponential", table(&[("base", Value::Text("1s"))]))]).unwrap_err();
    assert!(inner.contains("base"), "{inner}");
}
