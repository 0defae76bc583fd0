//! `sql`: one statement against the database of the service, with the service's own
//! configuration. It reads, unless writing is asked for.

mod table;

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::Value;

use crate::BoxError;
use crate::app::App;
use crate::process::{Kind, Start};
use crate::service::boot::{self, Booted};
use crate::service::{Service, boxed};
use crate::sql::{Record, Row, Sql, SqlError, query_of};
use table::Table;

/// Rows that are printed, unless `--limit` says otherwise.
const LIMIT: &str = "1000";

/// The longest statement that is read from standard input.
const TEXT_MOST: u64 = 1024 * 1024;

/// How the answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// For people.
    Table,
    /// One JSON object per line.
    Json,
    /// RFC 4180.
    Csv,
}

/// What is asked for.
struct Asked {
    text: Option<String>,
    field: Option<String>,
    form: Form,
    write: bool,
    limit: u32,
}

pub(in crate::service) fn command() -> Command {
    let flag = |name, help| Arg::new(name).long(name).help(help).action(ArgAction::SetTrue);
    Command::new("sql")
        .about("Runs one SQL statement against the database of the service; it only reads")
        .arg(Arg::new("statement").help("The statement; without it, standard input is read"))
        .arg(flag("json", "Prints one JSON object per row").conflicts_with("csv"))
        .arg(flag("csv", "Prints comma-separated values"))
        .arg(flag("write", "Allows the statement to write"))
        .arg(
            Arg::new("limit")
                .long("limit")
                .help("Prints at most so many rows")
                .default_value(LIMIT)
                .value_parser(value_parser!(u32).range(1..)),
        )
        .arg(Arg::new("db").long("db").help("Which field of type Sql, where there are several"))
}

pub(in crate::service) fn run<A: App>(service: Service<A>, matches: &ArgMatches) -> ExitCode {
    let asked = Asked {
        text: matches.get_one::<String>("statement").cloned(),
        field: matches.get_one::<String>("db").cloned(),
        form: match (matches.get_flag("json"), matches.get_flag("csv")) {
            (true, _) => Form::Json,
            (_, true) => Form::Csv,
            _ => Form::Table,
        },
        write: matches.get_flag("write"),
        limit: matches.get_one::<u32>("limit").copied().unwrap_or(1),
    };
    let Booted { telemetry, runtime, platform, parsed, release } =
        match boot::boot::<A>(&service.release, "sql", Kind::Question) {
            Ok(booted) => booted,
            Err(code) => return code,
        };
    boot::run(release, telemetry, runtime, platform, move |context| {
        Start::Task(boxed(async move {
            let attaching = service.attaching(&context);
            let _app = A::attach(parsed, &attaching).await?;
            let sql = attaching.sql(asked.field.as_deref()).ok_or(match asked.field {
                Some(_) => "there is no field of type Sql with this name",
                None => "there is not one field of type Sql: say which with --db",
            })?;
            answer(&sql, asked).await
        }))
    })
}

async fn answer(sql: &Sql, asked: Asked) -> Result<(), BoxError> {
    let text = match asked.text {
        Some(text) => text,
        None => tokio::task::spawn_blocking(standard_input).await??,
    };
    if asked.write && !gives_rows(&text) {
        let rows = query_of(text).execute(sql).await?;
        writeln!(std::io::stdout().lock(), "rows: {rows}")?;
        return Ok(());
    }
    let mut rows = if asked.write {
        query_of(text).fetch::<Shown>(sql.writer())
    } else {
        query_of(text).fetch::<Shown>(sql)
    };
    let mut table = Table::new(asked.form);
    let mut printed = 0;
    while let Some(row) = rows.next().await {
        if asked.limit <= printed {
            // Not in the answer, which programs read.
            writeln!(std::io::stderr().lock(), "there are more rows: see --limit")?;
            break;
        }
        table.add(row?.0)?;
        printed += 1;
    }
    Ok(table.end()?)
}

fn standard_input() -> std::io::Result<String> {
    let mut text = String::new();
    std::io::stdin().lock().take(TEXT_MOST + 1).read_to_string(&mut text)?;
    // What is cut off can make another statement: one without its WHERE.
    if u64::try_from(text.len()).is_ok_and(|length| TEXT_MOST < length) {
        return Err(std::io::Error::other("the statement is longer than 1 MiB"));
    }
    Ok(text)
}

/// Whether a statement that may write is asked for its rows.
fn gives_rows(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let first = text.split_ascii_whitespace().next().unwrap_or_default();
    let reads = ["select", "with", "values", "explain", "pragma", "show", "table"];
    reads.contains(&first)
        || text.split(|it: char| !it.is_alphanumeric()).any(|word| word == "returning")
}

/// The columns of a row with their names, whatever they are.
struct Shown(Vec<(String, Value)>);

impl Record for Shown {
    fn from_row(row: &Row) -> Result<Self, SqlError> {
        row.shown().map(Self)
    }
}
