//! A private PostgreSQL server: loopback TCP only, with a password, durable as by default.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use updraft_system::Name;

use super::installed::{version_meets, version_of};
use super::plan::{PASSWORD_FILE, ResourceError, ResourcePlan, ServerPlan, ServerRequest, text_of};
use super::ready::ServerReady;
use super::url::ResourceUrl;
use crate::scope::StopSignal;

const SERVER: &str = "PostgreSQL";
/// The role that owns the server, as everybody expects it.
const ROLE: &str = "postgres";
/// The data folder; it appears under this name only when it is complete.
const CLUSTER: &str = "cluster";
/// In the data folder while a server runs on it.
const LOCK: &str = "postmaster.pid";
/// A fast shutdown ends with a checkpoint.
const GRACE: Duration = Duration::from_secs(60);

/// Makes a cluster with its database under another name and then renames it, so that
/// being cut off at any point leaves nothing that looks complete. `initdb` syncs all
/// it wrote. The collation is by code point, for it is then the same on every machine
/// and after every upgrade of the C library.
const PREPARE: &str = r#"
set -e
bin=$1 password=$2 cluster=$3 database=$4
rm -rf "$cluster.new"
"$bin/initdb" --pgdata="$cluster.new" --username=postgres --pwfile="$password" \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C --lc-ctype="$5"
if [ "$database" != postgres ]; then
    printf 'CREATE DATABASE "%s"\n' "$database" |
        "$bin/postgres" --single -D "$cluster.new" -c exit_on_error=on postgres >/dev/null
fi
mv "$cluster.new" "$cluster"
"#;

/// So that letters beyond ASCII are letters.
const CHARACTER_TYPES: &str = if cfg!(target_os = "linux") { "C.UTF-8" } else { "C" };

pub(super) fn plan(request: &ServerRequest<'_>) -> Result<ResourcePlan, ResourceError> {
    let cluster = request.folder.join(CLUSTER);
    let data = data_version(&cluster)?;
    let programs = programs(request, data.as_deref())?;
    let password = request.password()?;
    let become_other = other_user(request.name)?;
    let in_user = |argv: Vec<String>| {
        request.command(become_other.iter().map(|&word| word.to_owned()).chain(argv).collect())
    };
    let (name, port) = (request.name, request.port);
    let database = database(name);

    let prepare = match data {
        Some(_) => {
            forget_stale_lock(&cluster)?;
            Vec::new()
        }
        None => vec![in_user(prepare(request, &programs, &cluster, database))],
    };
    let mut run = vec![text_of(&programs.join("postgres")), "-D".to_owned(), text_of(&cluster)];
    for setting in [
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        // A socket's path may be too long for the system; nobody needs one.
        "unix_socket_directories=".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
    ] {
        run.extend(["-c".to_owned(), setting]);
    }
    Ok(ResourcePlan {
        url: ResourceUrl::from_parts(format!(
            "postgresql://{ROLE}:{password}@127.0.0.1:{port}/{database}"
        )),
        server: Some(ServerPlan {
            prepare,
            run: in_user(run),
            // It asks for a password when it takes connections; before, it says that
            // it is starting up. A client that then leaves is not logged.
            ready: ServerReady {
                port,
                say: startup_message(database),
                expect: b"R",
                lock: Some(cluster.join(LOCK)),
            },
            stop: StopSignal::Int,
            grace: GRACE,
        }),
    })
}

fn prepare(
    request: &ServerRequest<'_>,
    programs: &Path,
    cluster: &Path,
    database: &str,
) -> Vec<String> {
    let password = request.folder.join(PASSWORD_FILE);
    let mut argv: Vec<String> = ["/bin/sh", "-c", PREPARE, "prepare"].map(str::to_owned).into();
    argv.extend([programs, &password, cluster].map(text_of));
    argv.extend([database, CHARACTER_TYPES].map(str::to_owned));
    argv
}

/// The database is named like the resource. Three names are taken in every cluster, and
/// the two templates among them must stay unused.
fn database(name: &Name) -> &str {
    match name.as_str() {
        "template0" | "template1" => ROLE,
        name => name,
    }
}

/// The major version that wrote the cluster; `None` if there is none yet.
fn data_version(cluster: &Path) -> Result<Option<String>, ResourceError> {
    if !cluster.exists() {
        return Ok(None);
    }
    match fs::read_to_string(cluster.join("PG_VERSION")) {
        Ok(text) if !text.trim().is_empty() => Ok(Some(text.trim().to_owned())),
        _ => Err(ResourceError::Damaged { server: SERVER, folder: text_of(cluster) }),
    }
}

/// The folder of the programs to use: of the version of the data, else of the version
/// asked for, else the newest.
fn programs(request: &ServerRequest<'_>, data: Option<&str>) -> Result<PathBuf, ResourceError> {
    let folders = request.programs.folders_with(&["postgres", "initdb"]);
    let mut found: Vec<(String, PathBuf)> = folders
        .into_iter()
        .filter_map(|folder| Some((version_of(&folder.join("postgres"))?, folder)))
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(numbers(version)));
    if let (Some(data), Some(wanted)) = (data, request.version)
        && major(data) != major(wanted)
    {
        return Err(ResourceError::WrongData {
            resource: request.name.clone(),
            server: SERVER,
            found: data.to_owned(),
            wanted: wanted.to_owned(),
            folder: text_of(&request.folder),
        });
    }
    let resource = request.name.clone();
    let Some(wanted) = request.version.or(data) else {
        return found.into_iter().next().map(|(_, folder)| folder).ok_or_else(|| {
            ResourceError::NotInstalled { resource, program: "postgres", packages: packages(None) }
        });
    };
    let packages = packages(Some(major(wanted)));
    match found.iter().find(|(version, _)| version_meets(version, wanted)) {
        Some((_, folder)) => Ok(folder.clone()),
        None if found.is_empty() => {
            Err(ResourceError::NotInstalled { resource, program: "postgres", packages })
        }
        None => Err(ResourceError::WrongVersion {
            resource,
            server: SERVER,
            wanted: wanted.to_owned(),
            found: found.iter().map(|(version, _)| version.as_str()).collect::<Vec<_>>().join(", "),
            packages,
        }),
    }
}

fn packages(major: Option<&str>) -> String {
    match major {
        None => {
            "the package `postgresql` (apt), `postgresql-server` (dnf) or `postgresql@17` (brew)"
                .to_owned()
        }
        Some(major) => format!(
            "the package `postgresql-{major}` (apt; from apt.postgresql.org if the system has another), `postgresql{major}-server` (dnf, from download.postgresql.org) or `postgresql@{major}` (brew)"
        ),
    }
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or_default()
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

/// PostgreSQL refuses to run as root. In a user namespace the same files and the same
/// process belong to somebody who is not. `unshare` replaces itself by the program, so
/// that a signal reaches it.
const OTHER_USER: [&str; 5] = ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"];

fn other_user(resource: &Name) -> Result<&'static [&'static str], ResourceError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(&[]);
    }
    let (program, arguments) = OTHER_USER.split_first().unwrap_or((&"", &[]));
    let refused = |reason| ResourceError::Root { resource: resource.clone(), reason };
    match Command::new(program).args(arguments).arg("true").output() {
        Ok(output) if output.status.success() => Ok(&OTHER_USER),
        Ok(output) => Err(refused(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        Err(problem) => Err(refused(format!("`unshare` of util-linux: {problem}"))),
    }
}

/// Removes the lock file of a killed server whose process id another program has by
/// now: PostgreSQL would take that program for a server on the same data. A lock of a
/// process that is gone it recognizes itself, and one of a real server must stay.
fn forget_stale_lock(cluster: &Path) -> Result<(), ResourceError> {
    let path = cluster.join(LOCK);
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let pid = text.lines().next().and_then(|line| line.trim().parse::<u32>().ok());
    let Some(pid) = pid else { return Ok(()) };
    let Ok(program) = fs::read_link(format!("/proc/{pid}/exe")) else { return Ok(()) };
    if program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("postgres")) {
        return Ok(());
    }
    fs::remove_file(&path).map_err(|source| ResourceError::file("remove", &path, source))
}

/// The first message of a client, protocol 3.0.
fn startup_message(database: &str) -> Vec<u8> {
    let mut body = 0x0003_0000_u32.to_be_bytes().to_vec();
    for word in ["user", ROLE, "database", database, "application_name", "updraft", ""] {
        body.extend_from_slice(word.as_bytes());
        body.push(0);
    }
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [length.to_be_bytes().as_slice(), &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_removed_only_when_another_program_has_its_process_id() {
        let cluster = tempfile::tempdir().unwrap();
        let path = cluster.path().join("postmaster.pid");
        let gone = Command::new("true").spawn().and_then(|mut child| {
            child.wait()?;
            Ok(child.id())
        });
        for (pid, stays) in [(std::process::id(), false), (gone.unwrap(), true)] {
            fs::write(&path, format!("{pid}\n/data\n")).unwrap();
            forget_stale_lock(cluster.path()).unwrap();
            assert_eq!(path.exists(), stays);
        }
    }

    #[test]
    fn the_newest_version_is_by_number() {
        let mut versions = ["9.6.24", "15.18", "17.1", "17.10"];
        versions.sort_by_key(|version| std::cmp::Reverse(numbers(version)));
        assert_eq!(versions, ["17.10", "17.1", "15.18", "9.6.24"]);
    }

    #[test]
    fn the_templates_are_never_used_as_databases() {
        for (name, expected) in [("shop", "shop"), ("template1", "postgres"), ("my-db", "my-db")] {
            assert_eq!(database(&name.parse().unwrap()), expected);
        }
    }
}
