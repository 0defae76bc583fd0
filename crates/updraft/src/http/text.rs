//! Values that come as text: parameters of a path, of a query, of headers. A parameter that
//! is repeated is a list.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

/// One parameter: its name, and all texts that were given for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter<'a> {
    pub(crate) name: Cow<'a, str>,
    texts: Given<'a>,
}

/// Nearly always one text, which needs no list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given<'a> {
    One([Cow<'a, str>; 1]),
    Many(Vec<Cow<'a, str>>),
}

impl<'a> Parameter<'a> {
    fn new(name: Cow<'a, str>, text: Cow<'a, str>) -> Self {
        Self { name, texts: Given::One([text]) }
    }

    pub(crate) fn texts(&self) -> &[Cow<'a, str>] {
        match &self.texts {
            Given::One(one) => one,
            Given::Many(many) => many,
        }
    }

    fn push(&mut self, text: Cow<'a, str>) {
        match &mut self.texts {
            Given::One([first]) => {
                let first = std::mem::take(first);
                self.texts = Given::Many(vec![first, text]);
            }
            Given::Many(many) => many.push(text),
        }
    }
}

/// Parameters with their texts put together, in the order in which names first came.
pub(crate) fn gathered<'a>(
    pairs: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
) -> Vec<Parameter<'a>> {
    let mut all: Vec<Parameter<'a>> = Vec::new();
    for (name, text) in pairs {
        match all.iter_mut().find(|known| known.name == name) {
            Some(known) => known.push(text),
            None => all.push(Parameter::new(name, text)),
        }
    }
    all
}

/// Which parameter is wrong, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextError {
    pub(crate) name: Option<String>,
    pub(crate) detail: String,
}

impl TextError {
    fn new(detail: impl Into<String>) -> Self {
        Self { name: None, detail: detail.into() }
    }

    fn of(self, name: &str) -> Self {
        Self { name: self.name.or_else(|| Some(name.to_owned())), ..self }
    }
}

impl Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for TextError {}

impl de::Error for TextError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(format!("is wrong: {message}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("is missing").of(field)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let known = expected.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        Self::new(format!("is unknown; known are {}", known.join(", "))).of(field)
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("must be one of {}", expected.join(", ")))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new("is given twice").of(field)
    }
}

/// All parameters of one place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameters<'a> {
    pub(crate) all: &'a [Parameter<'a>],
    /// By `-` instead of `_`, as headers are named.
    pub(crate) by_field: bool,
}

impl<'a> Parameters<'a> {
    /// The only one, for what is no struct.
    fn only(self) -> Result<Texts<'a>, TextError> {
        match self.all {
            [only] => Ok(Texts(only.texts())),
            all => {
                Err(TextError::new(format!("must be one parameter, and there are {}", all.len())))
            }
        }
    }

    fn map(self) -> Entries<'a> {
        Entries { rest: self.all.iter(), current: None }
    }
}

/// The name of the header of a field.
pub(crate) fn header_name(field: &str) -> String {
    field.replace('_', "-").to_ascii_lowercase()
}

macro_rules! of_the_only_one {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
            let name = self.all.first().map_or("", |it| &it.name);
            self.only()?.$method(visitor).map_err(|error| error.of(name))
        }
    )*};
}

impl<'de> Deserializer<'de> for Parameters<'de> {
    type Error = TextError;

    of_the_only_one! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string deserialize_bytes deserialize_byte_buf deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_map(self.map())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        if self.all.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_seq(Each(self.all.iter()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_map(self.map())
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        if self.by_field {
            return visitor.visit_map(Fields {
                fields: fields.iter(),
                all: self.all,
                current: None,
            });
        }
        visitor.visit_map(self.map())
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        let parameter = self.all.first().map_or("", |it| &it.name);
        let value = self.only()?.deserialize_enum(name, variants, visitor);
        value.map_err(|error| error.of(parameter))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_unit()
    }
}

/// The first text of each parameter, for tuples.
struct Each<'a>(std::slice::Iter<'a, Parameter<'a>>);

impl<'de> SeqAccess<'de> for Each<'de> {
    type Error = TextError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, TextError> {
        let Some(parameter) = self.0.next() else { return Ok(None) };
        let value = seed.deserialize(Texts(parameter.texts()));
        value.map(Some).map_err(|error| error.of(&parameter.name))
    }
}

/// Each parameter that was given.
struct Entries<'a> {
    rest: std::slice::Iter<'a, Parameter<'a>>,
    current: Option<&'a Parameter<'a>>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = TextError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, TextError> {
        self.current = self.rest.next();
        let Some(parameter) = self.current else { return Ok(None) };
        seed.deserialize(parameter.name.as_ref().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, TextError> {
        value_of(self.current.take(), seed)
    }
}

/// Each field for which something was given.
struct Fields<'a> {
    fields: std::slice::Iter<'static, &'static str>,
    all: &'a [Parameter<'a>],
    current: Option<&'a Parameter<'a>>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = TextError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, TextError> {
        for field in self.fields.by_ref() {
            let name = header_name(field);
            self.current = self.all.iter().find(|it| it.name == name);
            if self.current.is_some() {
                return seed.deserialize((*field).into_deserializer()).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, TextError> {
        value_of(self.current.take(), seed)
    }
}

fn value_of<'de, V: DeserializeSeed<'de>>(
    parameter: Option<&'de Parameter<'de>>,
    seed: V,
) -> Result<V::Value, TextError> {
    let parameter = parameter.ok_or_else(|| TextError::new("is asked for before its name"))?;
    seed.deserialize(Texts(parameter.texts())).map_err(|error| error.of(&parameter.name))
}

/// All that was given for one parameter.
#[derive(Clone, Copy)]
struct Texts<'a>(&'a [Cow<'a, str>]);

impl<'a> Texts<'a> {
    fn one(self) -> Result<&'a str, TextError> {
        match self.0 {
            [text] => Ok(text),
            [] => Err(TextError::new("is missing")),
            texts => Err(TextError::new(format!("is given {} times", texts.len()))),
        }
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $number:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
            let wrong = || {
                let (least, most) = (<$number>::MIN, <$number>::MAX);
                TextError::new(format!("must be a whole number from {least} to {most}"))
            };
            visitor.$visit(self.one()?.parse::<$number>().ok().ok_or_else(wrong)?)
        }
    )*};
}

macro_rules! as_text {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
            visitor.visit_borrowed_str(self.one()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Texts<'de> {
    type Error = TextError;

    whole_numbers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_i128 visit_i128 i128;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_u128 visit_u128 u128;
    }

    as_text! { deserialize_any deserialize_str deserialize_string deserialize_identifier }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        match self.one()? {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(TextError::new("must be true or false")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        let number = self.one()?.parse::<f64>().ok().filter(|number| number.is_finite());
        visitor.visit_f64(number.ok_or_else(|| TextError::new("must be a number"))?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        let mut characters = self.one()?.chars();
        match (characters.next(), characters.next()) {
            (Some(only), None) => visitor.visit_char(only),
            _ => Err(TextError::new("must be one character")),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_borrowed_bytes(self.one()?.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        if self.0.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_seq(List(self.0.chunks(1)))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, _: V) -> Result<V::Value, TextError> {
        Err(TextError::new("is text, and an object was meant to be read from it"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_enum(Word(self.one()?))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_unit()
    }
}

/// The texts of a list, one by one.
struct List<'a>(std::slice::Chunks<'a, Cow<'a, str>>);

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = TextError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, TextError> {
        self.0.next().map(|one| seed.deserialize(Texts(one))).transpose()
    }
}

/// The name of a variant.
struct Word<'a>(&'a str);

impl<'de> EnumAccess<'de> for Word<'de> {
    type Error = TextError;
    type Variant = Bare;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Bare), TextError> {
        Ok((seed.deserialize(self.0.into_deserializer())?, Bare))
    }
}

/// A variant that holds nothing: text can say no more.
struct Bare;

impl<'de> VariantAccess<'de> for Bare {
    type Error = TextError;

    fn unit_variant(self) -> Result<(), TextError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, TextError> {
        Err(TextError::new("names a variant that text cannot hold"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, TextError> {
        Err(TextError::new("names a variant that text cannot hold"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, TextError> {
        Err(TextError::new("names a variant that text cannot hold"))
    }
}
