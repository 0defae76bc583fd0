//! Reading what PostgreSQL sends, in its binary formats (`src/backend/utils/adt/*send`).

mod numeric;

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::postgres::{PgValueFormat, PgValueRef};
use sqlx::{TypeInfo, ValueRef};
use uuid::Uuid;

use super::Unreadable;
use crate::sql::value::time;

/// The name of the value's type and its bytes.
fn parts<'r>(value: &PgValueRef<'r>) -> Result<(String, &'r [u8]), Unreadable> {
    if value.is_null() {
        return Err(Unreadable::new("NULL"));
    }
    let name = value.type_info().name().to_owned();
    if value.format() == PgValueFormat::Text {
        return Err(Unreadable::new(format!("{name} in text format")));
    }
    match value.as_bytes() {
        Ok(bytes) => Ok((name, bytes)),
        Err(_no_bytes) => Err(Unreadable::new(name)),
    }
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Unreadable> {
    bytes.try_into().map_err(|_length| Unreadable::new("a value of another length"))
}

pub(super) fn integer(value: PgValueRef<'_>) -> Result<i64, Unreadable> {
    let (name, bytes) = parts(&value)?;
    match name.as_str() {
        "INT2" => exact(bytes).map(|it| i16::from_be_bytes(it).into()),
        "INT4" => exact(bytes).map(|it| i32::from_be_bytes(it).into()),
        "OID" => exact(bytes).map(|it| u32::from_be_bytes(it).into()),
        "INT8" => exact(bytes).map(i64::from_be_bytes),
        "NUMERIC" => numeric::whole(bytes)
            .ok_or_else(|| Unreadable::new("a NUMERIC that is no integer of 64 bits")),
        _ => Err(Unreadable::new(name)),
    }
}

pub(super) fn boolean(value: PgValueRef<'_>) -> Result<bool, Unreadable> {
    match parts(&value)? {
        (name, [truth]) if name == "BOOL" => Ok(*truth != 0),
        (name, _) => Err(Unreadable::new(name)),
    }
}

#[expect(clippy::cast_precision_loss, reason = "as SQLite makes a REAL of an INTEGER")]
pub(super) fn float(value: PgValueRef<'_>) -> Result<f64, Unreadable> {
    let (name, bytes) = parts(&value)?;
    match name.as_str() {
        "FLOAT4" => exact(bytes).map(|it| f32::from_be_bytes(it).into()),
        "FLOAT8" => exact(bytes).map(f64::from_be_bytes),
        "NUMERIC" => numeric::decimal(bytes)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Unreadable::new("a NUMERIC of another form")),
        _ => integer(value).map(|whole| whole as f64),
    }
}

pub(super) fn text(value: PgValueRef<'_>) -> Result<String, Unreadable> {
    let (name, bytes) = parts(&value)?;
    match name.as_str() {
        "TEXT" | "VARCHAR" | "CHAR" | "BPCHAR" | "NAME" | "UNKNOWN" | "\"CHAR\"" => {}
        // An enumeration, a domain or `citext`: sent as a text too.
        _ if value.type_info().kind().is_textual() || name.eq_ignore_ascii_case("citext") => {}
        _ => return Err(Unreadable::new(name)),
    }
    utf8(bytes)
}

fn utf8(bytes: &[u8]) -> Result<String, Unreadable> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_other) => Err(Unreadable::new("a text that is not UTF-8")),
    }
}

/// Whether values of the kind are sent as their text.
trait Textual {
    fn is_textual(&self) -> bool;
}

impl Textual for sqlx::postgres::PgTypeKind {
    fn is_textual(&self) -> bool {
        match self {
            Self::Enum(_) => true,
            Self::Domain(of) => matches!(of.name(), "TEXT" | "VARCHAR") || of.kind().is_textual(),
            _ => false,
        }
    }
}

pub(super) fn bytes(value: PgValueRef<'_>) -> Result<Vec<u8>, Unreadable> {
    match parts(&value)? {
        (name, bytes) if name == "BYTEA" => Ok(bytes.to_vec()),
        (name, _) => Err(Unreadable::new(name)),
    }
}

pub(super) fn uuid(value: PgValueRef<'_>) -> Result<Uuid, Unreadable> {
    let (name, bytes) = parts(&value)?;
    let uuid = match name.as_str() {
        "UUID" => Uuid::from_slice(bytes).ok(),
        _ => text(value)?.parse().ok(),
    };
    uuid.ok_or_else(|| Unreadable::new("no UUID"))
}

pub(super) fn timestamp(value: PgValueRef<'_>) -> Result<Timestamp, Unreadable> {
    let (name, bytes) = parts(&value)?;
    match name.as_str() {
        "TIMESTAMPTZ" | "TIMESTAMP" => time::of_postgres_us(i64::from_be_bytes(exact(bytes)?))
            .ok_or_else(|| Unreadable::new("an infinite moment")),
        _ => Err(Unreadable::new(name)),
    }
}

pub(super) fn date(value: PgValueRef<'_>) -> Result<Date, Unreadable> {
    match parts(&value)? {
        (name, bytes) if name == "DATE" => {
            time::of_postgres_days(i32::from_be_bytes(exact(bytes)?))
                .ok_or_else(|| Unreadable::new("an infinite date"))
        }
        (name, _) => Err(Unreadable::new(name)),
    }
}

pub(super) fn json_text(value: PgValueRef<'_>) -> Result<String, Unreadable> {
    match parts(&value)? {
        (name, [1, document @ ..]) if name == "JSONB" => utf8(document),
        (name, document) if name == "JSON" => utf8(document),
        (_, _) => text(value),
    }
}

pub(super) fn shown(value: PgValueRef<'_>) -> Result<serde_json::Value, Unreadable> {
    let (name, raw) = parts(&value)?;
    Ok(match name.as_str() {
        "BOOL" => boolean(value)?.into(),
        "INT2" | "INT4" | "INT8" | "OID" => integer(value)?.into(),
        "FLOAT4" | "FLOAT8" => float(value)?.into(),
        "NUMERIC" => numeric::decimal(raw).unwrap_or_else(|| "NaN".to_owned()).into(),
        "UUID" => uuid(value)?.to_string().into(),
        "TIMESTAMPTZ" | "TIMESTAMP" => timestamp(value)?.to_string().into(),
        "DATE" => date(value)?.to_string().into(),
        "JSON" | "JSONB" => {
            let document = json_text(value)?;
            serde_json::from_str(&document).unwrap_or(serde_json::Value::String(document))
        }
        "BYTEA" => super::hexadecimal(raw).into(),
        _ => match text(value) {
            Ok(text) => text.into(),
            Err(unreadable) => format!("({unreadable})").into(),
        },
    })
}
