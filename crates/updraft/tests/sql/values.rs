//! What is put in comes out again, the same from each kind of database.

use jiff::Timestamp;
use jiff::civil::Date;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use updraft::Sql;
use updraft::sql::{Json, Record, SqlErrorKind, query};
use uuid::Uuid;

use crate::{Bench, each};

const SQLITE: &str = "CREATE TABLE v (id INTEGER PRIMARY KEY, b INTEGER, s INTEGER, i INTEGER,
    l INTEGER, f REAL, d REAL, t TEXT, y BLOB, u TEXT, m TEXT, c TEXT, j TEXT) STRICT";
const POSTGRES: &str = "CREATE TABLE v (id BIGINT PRIMARY KEY, b BOOLEAN, s SMALLINT, i INTEGER,
    l BIGINT, f REAL, d DOUBLE PRECISION, t TEXT, y BYTEA, u UUID, m TIMESTAMPTZ, c DATE, j JSONB)";

/// One of everything, which may be missing.
#[derive(Clone, Debug, PartialEq, Record)]
struct Values {
    b: Option<bool>,
    s: Option<i16>,
    i: Option<i32>,
    l: Option<i64>,
    f: Option<f32>,
    d: Option<f64>,
    t: Option<String>,
    y: Option<Vec<u8>>,
    u: Option<Uuid>,
    m: Option<Timestamp>,
    #[column(name = "c")]
    day: Option<Date>,
    j: Option<serde_json::Value>,
}

fn maybe<T: std::fmt::Debug>(it: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(0.8, it)
}

fn moment() -> impl Strategy<Value = Timestamp> {
    // The year 1 to the year 9998.
    (-62_135_596_800_000_000_i64..253_370_764_800_000_000)
        .prop_map(|us| Timestamp::from_microsecond(us).unwrap())
}

fn day() -> impl Strategy<Value = Date> {
    (1_i16..=9999, 1_i8..=12, 1_i8..=28).prop_map(|(y, m, d)| Date::new(y, m, d).unwrap())
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "[^\0]{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn values() -> impl Strategy<Value = Values> {
    let numbers = (
        maybe(any::<bool>()),
        maybe(any::<i16>()),
        maybe(any::<i32>()),
        maybe(any::<i64>()),
        maybe(any::<f32>().prop_filter("SQLite has no NaN", |it| !it.is_nan())),
        maybe(any::<f64>().prop_filter("SQLite has no NaN", |it| !it.is_nan())),
    );
    let others = (
        // PostgreSQL has no U+0000 in a text.
        maybe("[^\0]{0,20}"),
        maybe(prop::collection::vec(any::<u8>(), 0..20)),
        maybe(any::<u128>().prop_map(Uuid::from_u128)),
        maybe(moment()),
        maybe(day()),
        maybe(json()),
    );
    (numbers, others).prop_map(|((b, s, i, l, f, d), (t, y, u, m, day, j))| Values {
        b,
        s,
        i,
        l,
        f,
        d,
        t,
        y,
        u,
        m,
        day,
        j,
    })
}

async fn round_trip(sql: &Sql, id: i64, it: &Values) -> Values {
    query("INSERT INTO v VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)")
        .bind(id)
        .bind(it.b)
        .bind(it.s)
        .bind(it.i)
        .bind(it.l)
        .bind(it.f)
        .bind(it.d)
        .bind(it.t.as_deref())
        .bind(it.y.as_deref())
        .bind(it.u)
        .bind(it.m)
        .bind(it.day)
        .bind(it.j.as_ref())
        .execute(sql)
        .await
        .unwrap();
    query("SELECT * FROM v WHERE id = $1").bind(id).fetch_one(sql).await.unwrap()
}

#[test]
fn every_value_that_can_be_bound_is_read_as_it_was() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let benches = runtime.block_on(each(""));
    runtime.block_on(benches[0].run(SQLITE));
    runtime.block_on(benches[1].run(POSTGRES));
    let mut runner =
        TestRunner::new(Config { cases: 96, failure_persistence: None, ..Config::default() });
    let mut id = 0;
    let id = std::cell::RefCell::new(&mut id);
    runner
        .run(&values(), |values| {
            **id.borrow_mut() += 1;
            for Bench { sql, kind, .. } in &benches {
                let read = runtime.block_on(round_trip(sql, **id.borrow(), &values));
                prop_assert_eq!(&read, &values, "{}", kind);
            }
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn moments_sort_as_their_stored_form_and_are_cut_to_microseconds() {
    for bench in each("").await {
        let column = if bench.kind == "sqlite" { "TEXT" } else { "TIMESTAMPTZ" };
        bench.run(&format!("CREATE TABLE m (at {column} NOT NULL)")).await;
        let texts = [
            "1970-01-01T00:00:00.1Z",
            "0001-01-01T00:00:00Z",
            "1969-12-31T23:59:59.999999999Z",
            "9998-01-01T00:00:00Z",
        ];
        let mut moments: Vec<Timestamp> = texts.iter().map(|text| text.parse().unwrap()).collect();
        for moment in &moments {
            query("INSERT INTO m VALUES ($1)").bind(moment).execute(&bench.sql).await.unwrap();
        }
        moments.sort();
        moments[1] = "1969-12-31T23:59:59.999999Z".parse().unwrap();
        let read = query("SELECT at FROM m ORDER BY at").fetch_all::<Timestamp>(&bench.sql).await;
        assert_eq!(read.unwrap(), moments, "{}", bench.kind);
        let early: Timestamp = "-000001-01-01T00:00:00Z".parse().unwrap();
        let error = query("INSERT INTO m VALUES ($1)").bind(early).execute(&bench.sql).await;
        assert_eq!(*error.unwrap_err().kind(), SqlErrorKind::Value);
    }
}

#[tokio::test]
async fn what_functions_of_the_database_give_is_read_alike() {
    for bench in each("").await {
        bench.run("CREATE TABLE n (x BIGINT NOT NULL)").await;
        bench.run("INSERT INTO n VALUES (9007199254740993), (-1), (5)").await;
        let sql = &bench.sql;
        // NUMERIC on PostgreSQL.
        let sum = query("SELECT sum(x) FROM n").fetch_one::<i64>(sql).await.unwrap();
        assert_eq!(sum, 9_007_199_254_740_997, "{}", bench.kind);
        let count: (u32, Option<i64>) =
            query("SELECT count(*), max(x) FROM n WHERE x < 0").fetch_one(sql).await.unwrap();
        assert_eq!(count, (1, Some(-1)));
        let average = query("SELECT avg(x) FROM n WHERE x < 100").fetch_one::<f64>(sql).await;
        assert!((average.unwrap() - 2.0).abs() < 1e-9);
        let now = query("SELECT CURRENT_TIMESTAMP").fetch_one::<Timestamp>(sql).await.unwrap();
        assert!(now.duration_since(Timestamp::now()).abs() < jiff::SignedDuration::from_mins(5));
        let none = query("SELECT max(x) FROM n WHERE x > 9007199254740993");
        assert_eq!(none.fetch_one::<Option<i64>>(sql).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_column_of_another_type_is_told_by_name_and_never_by_value() {
    for bench in each("").await {
        let row = "SELECT 'canary' AS t, 70000 AS n, NULL AS z";
        let read = async |column: &str| {
            #[derive(Debug, Record)]
            struct Text {
                #[expect(dead_code, reason = "only read from the row")]
                t: i64,
            }
            #[derive(Debug, Record)]
            struct Number {
                #[expect(dead_code, reason = "only read from the row")]
                n: u16,
            }
            #[derive(Debug, Record)]
            struct Null {
                #[expect(dead_code, reason = "only read from the row")]
                z: String,
            }
            #[derive(Debug, Record)]
            struct Missing {
                #[expect(dead_code, reason = "only read from the row")]
                canary_column: String,
            }
            match column {
                "t" => query(row).fetch_one::<Text>(&bench.sql).await.map(drop),
                "n" => query(row).fetch_one::<Number>(&bench.sql).await.map(drop),
                "z" => query(row).fetch_one::<Null>(&bench.sql).await.map(drop),
                _ => query(row).fetch_one::<Missing>(&bench.sql).await.map(drop),
            }
        };
        for column in ["t", "n", "z"] {
            let error = read(column).await.unwrap_err();
            let text = format!("{error} {error:?}");
            assert_eq!(*error.kind(), SqlErrorKind::Value, "{text}");
            assert!(text.contains(&format!("`{column}`")), "{text}");
            assert!(!text.contains("canary") && !text.contains("70000"), "{text}");
        }
        let error = read("missing").await.unwrap_err();
        assert_eq!(*error.kind(), SqlErrorKind::Statement);
    }
}

#[tokio::test]
async fn a_type_of_ones_own_is_kept_as_json() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Point {
        x: i32,
        label: Option<String>,
    }
    for bench in each("").await {
        let column = if bench.kind == "sqlite" { "TEXT" } else { "JSONB" };
        bench.run(&format!("CREATE TABLE p (at {column})")).await;
        let point = Point { x: -3, label: Some("é\"".into()) };
        query("INSERT INTO p VALUES ($1)").bind(Json(&point)).execute(&bench.sql).await.unwrap();
        let Json(read) =
            query("SELECT at FROM p").fetch_one::<Json<Point>>(&bench.sql).await.unwrap();
        assert_eq!(read, point);
    }
}
