//! Time spans inside configuration files: text such as `"250ms"`.

use std::time::Duration;

use serde::{Deserialize as _, Deserializer, Serializer, de};

use crate::duration;

pub(super) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&duration::format(*span))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration::parse(&text).map_err(de::Error::custom)
}

pub(super) mod optional {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    #[expect(clippy::ref_option, reason = "serde asks for this shape")]
    pub(in crate::mesh) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => serializer.serialize_str(&crate::duration::format(*span)),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::mesh) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| crate::duration::parse(&text).map_err(de::Error::custom)).transpose()
    }
}
