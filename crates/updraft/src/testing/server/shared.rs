//! The server that the tests of one build share. Each test's process holds a shared lock on a
//! file while it uses the server; a shell, the keeper, started the server as its child and ends
//! it once it gets that lock for itself. The system lets a lock go when its process is gone, so
//! nobody has to say goodbye.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use super::ask::{PATIENCE, until};
use super::folder::{base, folder, fresh, lock, lock_file, log, log_tail, write_private};
use super::site::{Access, Site, plain_command};
use super::{Kind, ServerError};

/// How long the server stays without a user: from one test to the next.
pub(super) const LINGER: Duration = Duration::from_secs(5);

/// How often a server that ends just now, or a port that is taken just now, is got over.
const TRIES: usize = 5;

/// `flock` and `setpriv` are of util-linux. The second ends the server when its keeper is
/// killed; where it is missing, the keeper had better not be.
const KEEP: &str = r#"
users=$1 folder=$2 linger=$3 signal=$4; shift 4
command -v flock >/dev/null || {
    echo 'the program `flock` is missing: install util-linux (apt, dnf) or flock (brew)' >&2
    exit 127
}
exec 8<"$folder/keeper" && flock -x 8 || exit 1
command -v setpriv >/dev/null && set -- setpriv --pdeathsig KILL "$@"
"$@" </dev/null 8<&- &
server=$!
(
    exec 8<&- 9<"$users" || exit 1
    while flock -x 9 && flock -u 9; do
        sleep "$linger"
        flock -x -n 9 && break
    done
    kill -s "$signal" "$server"
    # Who comes now waits for the lock, and then finds no server.
    while kill -0 "$server" 2>/dev/null; do sleep 0.02; done
) &
waiting=$!
wait "$server"
kill "$waiting" 2>/dev/null
rm -rf -- "$folder"
"#;

/// A test's share in a server.
#[derive(Debug)]
pub(super) struct Shared {
    /// Locked for as long as the server is used.
    _used: File,
}

impl Shared {
    /// Joins the running server, or starts it.
    pub(super) fn join(
        kind: Kind,
        group: &str,
        linger: Duration,
    ) -> Result<(Site, Self), ServerError> {
        let place = place(kind, group)?;
        // One at a time looks and starts.
        let starting = lock(&place.join("start"))?;
        let used = lock_file(&place.join("users"))?;
        // Only a keeper that ends its server holds this lock alone, and not for long.
        if until(PATIENCE, || used.try_lock_shared().ok()).is_none() {
            let wrong = ServerError::file("lock", place.join("users"));
            return Err(wrong(std::io::ErrorKind::TimedOut.into()));
        }
        let site = match running(kind, &place) {
            Some(site) => site,
            None => start(kind, &place, linger)?,
        };
        drop(starting);
        Ok((site, Self { _used: used }))
    }
}

/// The folder of the servers of this kind, of the build that this program is of.
fn place(kind: Kind, group: &str) -> Result<PathBuf, ServerError> {
    let program =
        std::env::current_exe().map_err(ServerError::file("find", "the program of this test"))?;
    let build = program.parent().unwrap_or(&program);
    let mut key = blake3::Hasher::new();
    for part in [build.as_os_str().as_encoded_bytes(), KEEP.as_bytes(), group.as_bytes()] {
        key.update(part).update(&[0]);
    }
    let key = key.finalize().to_hex();
    let name = format!("shared-{}-{}", kind.word(), key.get(..16).unwrap_or_default());
    let base = base()?;
    let place = base.join(name);
    // As open as the base: the keeper of PostgreSQL may be another user than root.
    folder(&place, 0o755)?;
    Ok(place)
}

/// The server that the last to start one has left, if it answers.
fn running(kind: Kind, place: &Path) -> Option<Site> {
    let folder = PathBuf::from(fs::read_to_string(place.join("current")).ok()?);
    let access = fs::read(folder.join("access.json")).ok()?;
    let Access { port, password } = serde_json::from_slice(&access).ok()?;
    let site = Site { kind, folder, port, password };
    // A keeper that is gone has let its lock go, and would never end the server.
    (is_kept(&site.folder) && site.is_ready()).then_some(site)
}

/// Whether the keeper of this folder lives.
fn is_kept(folder: &Path) -> bool {
    File::open(folder.join("keeper")).is_ok_and(|file| file.try_lock_shared().is_err())
}

fn start(kind: Kind, place: &Path, linger: Duration) -> Result<Site, ServerError> {
    sweep(place);
    let mut tries = 1;
    loop {
        let mut site = Site::new(kind, place);
        let folder = fresh(place, "run-", site.user())?;
        site.folder = folder.path().to_owned();
        site.prepare()?;
        write_private(&site.folder.join("keeper"), "", site.user())?;
        let access = Access { port: site.port, password: site.password.clone() };
        let access = serde_json::to_string(&access).map_err(|error| {
            ServerError::file("write", site.folder.join("access.json"))(error.into())
        })?;
        write_private(&site.folder.join("access.json"), &access, None)?;
        match launch(&site, place, linger) {
            Ok(()) => {
                // The keeper removes it.
                let path = folder.keep();
                let current = place.join("current");
                write_private(&current, &path.to_string_lossy(), None)?;
                return Ok(site);
            }
            Err(ServerError::Ended { .. }) if tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Removes what keepers left that were killed.
fn sweep(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("run-") && !is_kept(&entry.path()) {
            // What cannot be removed now is left to the next.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

/// Starts keeper and server, and waits until the server is ready.
fn launch(site: &Site, place: &Path, linger: Duration) -> Result<(), ServerError> {
    let shell = || PathBuf::from("/bin/sh");
    let wrong = |source| ServerError::Run { program: shell(), source };
    let log = log(&site.folder)?;
    let errors = log.try_clone().map_err(wrong)?;
    let signal = match site.kind {
        // An "immediate" shutdown, of all its processes.
        Kind::Postgres => "QUIT",
        Kind::Redis | Kind::Nats => "KILL",
    };
    let linger = format!("{}.{:03}", linger.as_secs(), linger.subsec_millis());
    let mut command = plain_command(shell(), site.user());
    command.args(["-c", KEEP, "keeper"]).arg(place.join("users")).arg(&site.folder);
    command.args([linger.as_str(), signal]).args(site.command()?);
    // It inherits nothing that somebody could wait for the end of, and no terminal's signals.
    command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
    let mut keeper = command.current_dir(&site.folder).spawn().map_err(wrong)?;
    let ready = until(PATIENCE, || {
        has_ended(site, &mut keeper).or_else(|| site.is_ready().then_some(Ok(())))
    });
    match ready {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(error),
        None => {
            let said = log_tail(&site.folder);
            drop(keeper.kill());
            drop(keeper.wait());
            Err(ServerError::NotReady { kind: site.kind, waited: PATIENCE, said })
        }
    }
}

fn has_ended(site: &Site, keeper: &mut Child) -> Option<Result<(), ServerError>> {
    let status = keeper.try_wait().ok()??;
    let said = log_tail(&site.folder);
    Some(Err(ServerError::Ended { kind: site.kind, status, said }))
}
