//! How values are bound on PostgreSQL: in its binary formats.

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo};
use sqlx::{Arguments, Encode, Postgres, Type};
use uuid::Uuid;

use super::{Value, ValueType, time};
use crate::sql::error::{SqlError, SqlErrorKind};

/// `pg_type.oid`, which is the same on every server.
pub(crate) mod oid {
    pub(crate) const JSONB: u32 = 3802;
    pub(crate) const DATE: u32 = 1082;
    pub(crate) const TIMESTAMPTZ: u32 = 1184;
}

/// The version that JSONB begins with.
const JSONB_VERSION: u8 = 1;

/// The arguments of a statement.
///
/// # Errors
///
/// When the driver refuses one.
pub(crate) fn arguments(values: &[Value<'_>]) -> Result<PgArguments, SqlError> {
    let mut arguments = PgArguments::default();
    for value in values {
        add(&mut arguments, value).map_err(|_value| {
            SqlError::new(SqlErrorKind::Value).detail("a parameter cannot be sent")
        })?;
    }
    Ok(arguments)
}

fn add(arguments: &mut PgArguments, value: &Value<'_>) -> Result<(), BoxDynError> {
    match value {
        Value::Null(kind) => null(arguments, *kind),
        Value::Bool(it) => arguments.add(*it),
        Value::I16(it) => arguments.add(*it),
        Value::I32(it) => arguments.add(*it),
        Value::I64(it) => arguments.add(*it),
        Value::F32(it) => arguments.add(*it),
        Value::F64(it) => arguments.add(*it),
        Value::Text(it) => arguments.add(&**it),
        Value::Bytes(it) => arguments.add(&**it),
        Value::Uuid(it) => arguments.add(*it),
        Value::Timestamp(it) => arguments.add(Moment(*it)),
        Value::Date(it) => arguments.add(Day(*it)),
        Value::Json(it) => arguments.add(Document(it)),
    }
}

fn null(arguments: &mut PgArguments, kind: ValueType) -> Result<(), BoxDynError> {
    match kind {
        ValueType::Bool => arguments.add(None::<bool>),
        ValueType::I16 => arguments.add(None::<i16>),
        ValueType::I32 => arguments.add(None::<i32>),
        ValueType::I64 => arguments.add(None::<i64>),
        ValueType::F32 => arguments.add(None::<f32>),
        ValueType::F64 => arguments.add(None::<f64>),
        ValueType::Text => arguments.add(None::<&str>),
        ValueType::Bytes => arguments.add(None::<&[u8]>),
        ValueType::Uuid => arguments.add(None::<Uuid>),
        ValueType::Timestamp => arguments.add(None::<Moment>),
        ValueType::Date => arguments.add(None::<Day>),
        ValueType::Json => arguments.add(None::<Document<'_>>),
    }
}

struct Moment(Timestamp);
struct Day(Date);
struct Document<'d>(&'d str);

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(oid::TIMESTAMPTZ))
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&time::postgres_us(self.0).to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Type<Postgres> for Day {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(oid::DATE))
    }
}

impl Encode<'_, Postgres> for Day {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&time::postgres_days(self.0).to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Type<Postgres> for Document<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(oid::JSONB))
    }
}

impl Encode<'_, Postgres> for Document<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.push(JSONB_VERSION);
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}
