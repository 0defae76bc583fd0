//! `migrate`: brings the schema to what this release needs. Never a side effect of a start.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::app::App;
use crate::process::{Kind, Start};
use crate::service::boot::{self, Booted};
use crate::service::{Service, boxed};
use crate::sql::Sql;
use crate::{BoxError, Migration, SchemaState};

/// Exit code of `--check`: migrations are missing.
const EXIT_BEHIND: u8 = 3;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Apply,
    Plan,
    Check,
}

pub(in crate::service) fn command<A: App>(service: &Service<A>) -> Option<Command> {
    let plan = Arg::new("plan").long("plan").action(ArgAction::SetTrue);
    let check = Arg::new("check").long("check").action(ArgAction::SetTrue);
    (!service.migrations.is_empty()).then(|| {
        Command::new("migrate")
            .about("Applies the changes of the schema that are missing")
            .arg(plan.help("Only prints what would be applied").conflicts_with("check"))
            .arg(check.help("Only says whether the schema can be used: exit code 0, or 3 if not"))
    })
}

pub(in crate::service) fn run<A: App>(service: Service<A>, matches: &ArgMatches) -> ExitCode {
    let what = match (matches.get_flag("plan"), matches.get_flag("check")) {
        (true, _) => What::Plan,
        (_, true) => What::Check,
        _ => What::Apply,
    };
    let kind = if what == What::Apply { Kind::Task } else { Kind::Question };
    let Booted { telemetry, runtime, platform, parsed, release } =
        match boot::boot::<A>(&service.release, "migrate", kind) {
            Ok(booted) => booted,
            Err(code) => return code,
        };
    let behind = Arc::new(AtomicBool::new(false));
    let said = Arc::clone(&behind);
    let code = boot::run(release, telemetry, runtime, platform, move |context| {
        Start::Task(boxed(async move {
            let attaching = service.attaching(&context);
            let _app = A::attach(parsed, &attaching).await?;
            let Some(sql) = service.migrated(&attaching)? else {
                return match service.migrations {
                    [] => Ok(()),
                    _ => Err("migrations need one field of type Sql, and it has no value".into()),
                };
            };
            match what {
                What::Plan => plan(&sql, service.migrations).await,
                What::Check => {
                    said.store(check(&sql, service.migrations).await?, Ordering::Relaxed);
                    Ok(())
                }
                What::Apply => {
                    let stop = context.stop();
                    tokio::select! {
                        // Dropped, it is rolled back and its lock is free.
                        () = stop.requested() => Err("it was stopped".into()),
                        done = sql.migrate(service.migrations) => Ok(done.map(drop)?),
                    }
                }
            }
        }))
    });
    if behind.load(Ordering::Relaxed) { ExitCode::from(EXIT_BEHIND) } else { code }
}

/// Prints what would be applied, as SQL.
async fn plan(sql: &Sql, migrations: &[Migration]) -> Result<(), BoxError> {
    let missing = sql.plan(migrations).await?;
    let mut out = std::io::stdout().lock();
    for migration in missing {
        writeln!(out, "-- {}\n{}\n", migration.name(), migration.text(sql).trim_end())?;
    }
    Ok(())
}

/// Prints how the schema is; whether it is behind.
async fn check(sql: &Sql, migrations: &[Migration]) -> Result<bool, BoxError> {
    sql.plan(migrations).await?;
    let (lines, behind) = match sql.schema_state(migrations).await {
        SchemaState::Current => (vec!["current"], false),
        SchemaState::Ahead => (vec!["ahead"], false),
        SchemaState::Behind { missing } => {
            (std::iter::once("behind").chain(missing).collect(), true)
        }
        SchemaState::Unknown(error) => return Err(error.into()),
    };
    writeln!(std::io::stdout().lock(), "{}", lines.join("\n"))?;
    Ok(behind)
}
