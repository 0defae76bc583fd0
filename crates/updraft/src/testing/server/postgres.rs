//! PostgreSQL: a cluster copied from a template, since making one takes a second.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use uuid::Uuid;

use super::folder::{base, folder, fresh, lock, write_private};
use super::site::{Site, plain_command};
use super::{Kind, ServerError, programs};

/// The role that owns everything.
pub(super) const ROLE: &str = "updraft";

/// What a template is made with; a part of its name, so that a change makes a new one.
const INITDB: [&str; 6] = [
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    "--username=updraft",
    // The log of a small cluster is most of its size, and of the time to copy it.
    "--wal-segsize=1",
];

/// For tests: nothing is forced to the disk, but what was acknowledged is with the system, so
/// it outlives the death of the server.
const SETTINGS: [&str; 8] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=400",
    "shared_buffers=32MB",
    "logging_collector=off",
    "log_destination=stderr",
];

/// The name of a database.
pub(super) fn database(number: u32) -> String {
    match number {
        0 => "postgres".to_owned(),
        number => format!("test_{number}"),
    }
}

/// Copies the template; its password is the copy's.
pub(super) fn prepare(site: &mut Site) -> Result<(), ServerError> {
    let user = site.user();
    let template = template(user)?;
    let password = template.join("password");
    site.password = fs::read_to_string(&password).map_err(ServerError::file("read", &password))?;
    let data = template.join("data");
    run(plain_command("cp", user).arg("-a").arg(data).arg(site.data())).map(drop)
}

/// The template of this version of PostgreSQL, made when it is missing.
fn template(user: Option<u32>) -> Result<PathBuf, ServerError> {
    let program = programs::find(Kind::Postgres, &["initdb"])?;
    let version = run(plain_command(&program, None).arg("--version"))?;
    let mut key = blake3::Hasher::new();
    for part in [&version, &program.to_string_lossy().into_owned()] {
        key.update(part.as_bytes());
    }
    for argument in INITDB {
        key.update(argument.as_bytes());
    }
    let key = key.finalize().to_hex();
    let templates = base()?.join("postgres-templates");
    folder(&templates, 0o755)?;
    let path = templates.join(key.get(..16).unwrap_or_default());
    if path.exists() {
        return Ok(path);
    }
    let held = lock(&templates.join("lock"))?;
    if !path.exists() {
        let making = fresh(&templates, "new-", user)?;
        let password = making.path().join("password");
        write_private(&password, &Uuid::now_v7().simple().to_string(), user)?;
        let mut command = plain_command(&program, user);
        command.args(INITDB).arg("--pwfile").arg(password);
        run(command.arg("--pgdata").arg(making.path().join("data")))?;
        // It appears under its name only when it is complete.
        fs::rename(making.path(), &path).map_err(ServerError::file("rename", making.path()))?;
    }
    drop(held);
    Ok(path)
}

pub(super) fn command(site: &Site) -> Result<Vec<OsString>, ServerError> {
    // Of a server that was killed. Its processes are gone, and another program may have got
    // the number that stands in here.
    let lock = site.data().join("postmaster.pid");
    if lock.exists() {
        fs::remove_file(&lock).map_err(ServerError::file("remove", lock))?;
    }
    let program = programs::find(Kind::Postgres, &["postgres"])?;
    let mut words = vec![program.into(), "-D".into(), site.data().into()];
    words.extend(["-p".into(), site.port.to_string().into()]);
    for setting in SETTINGS {
        words.extend(["-c".into(), setting.into()]);
    }
    Ok(words)
}

/// The server writes its state into the eighth line of its lock file, which is in its own
/// folder: another server on the same port is not taken for it.
pub(super) fn is_ready(site: &Site) -> bool {
    fs::read_to_string(site.data().join("postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|state| state.trim() == "ready"))
}

pub(super) fn create(site: &Site, number: u32) -> Result<(), ServerError> {
    let name = database(number);
    let create = format!("CREATE DATABASE {name} TEMPLATE template0");
    sql(site, "make a database", &[drop_statement(&name).as_str(), create.as_str()])
}

pub(super) fn drop_database(site: &Site, number: u32) -> Result<(), ServerError> {
    sql(site, "drop a database", &[drop_statement(&database(number)).as_str()])
}

fn drop_statement(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
}

fn sql(site: &Site, action: &'static str, statements: &[&str]) -> Result<(), ServerError> {
    let program = programs::find(Kind::Postgres, &["psql"])?;
    let mut command = plain_command(program, None);
    command.env("PGPASSWORD", &site.password).env("PGCONNECT_TIMEOUT", "10");
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", ROLE]);
    command.args(["-p", &site.port.to_string(), "-d", "postgres"]);
    for statement in statements {
        command.args(["-c", statement]);
    }
    run(&mut command).map(drop).map_err(|error| match error {
        ServerError::Failed { said, .. } => {
            ServerError::Refused { kind: Kind::Postgres, action, said }
        }
        other => other,
    })
}

/// Runs a program to its end; gives what it printed.
fn run(command: &mut Command) -> Result<String, ServerError> {
    let program = PathBuf::from(command.get_program());
    let output = command.stderr(Stdio::piped()).output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => Err(ServerError::Failed {
            program,
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        }),
        Err(source) => Err(ServerError::Run { program, source }),
    }
}
