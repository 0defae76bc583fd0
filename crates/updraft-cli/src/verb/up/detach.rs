//! `updraft up -d`: the half that goes into the background and the half that waits
//! for it. The one in the background writes a line to its stdout, a pipe, when it
//! can be talked to; from then on everything goes through the control API.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use jiff::Timestamp;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use updraft_engine::logs::{LogQuery, read_stored};
use updraft_system::{LogLine, LogSelector, SystemStatus};

use super::{Up, routes_in_words};
use crate::control::{Client, LogRequest};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::progress::Progress;
use crate::readiness::{Verdict, progress, until_decided};

/// Lines of the log that are shown of a start that failed.
const LAST: usize = 30;
/// Most that is shown of what the supervisor wrote before it died.
const LAST_WORDS_BYTES: u64 = 64 * 1024;

/// What the foreground half knows of the background half it started.
pub(super) struct Background {
    child: Child,
    /// Where it writes why it dies.
    words: PathBuf,
    since: Timestamp,
}

/// Starts the background half and waits for it.
pub(super) async fn start(up: &Up) -> Outcome {
    let words = up.addressed.state.root().join("supervisor.log");
    let since = Timestamp::now();
    let mut child = spawn(up, &words).map_err(|error| {
        Failure::environment("cannot start a supervisor in the background").because(&error)
    })?;
    let mut told = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        // It ends as soon as the child has told, or is gone.
        drop(stdout.take(1).read_to_end(&mut told).await);
    }
    let background = Background { child, words, since };
    match up.addressed.client().await? {
        Some(client) if !told.is_empty() => wait_until_ready(up, &client, Some(background)).await,
        _ => died(up, background).await,
    }
}

/// Returns when the start is decided, and tells how.
pub(super) async fn wait_until_ready(
    up: &Up,
    client: &Client,
    background: Option<Background>,
) -> Outcome {
    let name = &up.addressed.name;
    let mut line = Progress::start(up.json);
    let decided = async {
        let mut events = client.events().await?;
        until_decided(&mut events, |event| line.show(&progress(event))).await
    };
    let decided = tokio::select! {
        decided = decided => decided,
        _ = tokio::signal::ctrl_c() => {
            return Err(Failure::finding(format!("{name} goes on starting in the background"))
                .help("`updraft down` stops it"));
        }
    };
    line.clear();
    match (decided, background) {
        (Ok(Verdict::Ready(status)), _) => tell_ready(up, &status)?,
        (Ok(Verdict::CrashLoop(selector, reason)), _) => {
            show_last(client, &selector).await;
            return Err(Failure::finding(reason)
                .help("the other processes go on running; `updraft down` stops them"));
        }
        (Ok(verdict), Some(mut background)) => {
            // What it has to say is in the files when it is gone.
            drop(background.child.wait().await);
            show_stored(up, background.since);
            verdict.ready_or_failure(name)?;
        }
        (Ok(verdict), None) => drop(verdict.ready_or_failure(name)?),
        (Err(_), Some(background)) => return died(up, background).await,
        (Err(error), None) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Leaves the terminal behind. To be called before any socket or child is made.
pub(super) fn leave_terminal() -> Result<(), Failure> {
    rustix::process::setsid().map(drop).map_err(|error| {
        Failure::environment("cannot leave the terminal").because(&io::Error::from(error))
    })
}

/// Tells the foreground half that it can talk to the supervisor, and lets go of it.
pub(super) fn tell_foreground() -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let told = out.write_all(b"\n").and_then(|()| out.flush());
    let nothing = told.and_then(|()| OpenOptions::new().write(true).open("/dev/null"));
    let released = nothing.and_then(|nothing| Ok(rustix::stdio::dup2_stdout(nothing)?));
    released.map_err(|error| {
        Failure::environment("cannot tell the foreground that the system starts").because(&error)
    })
}

fn spawn(up: &Up, words: &Path) -> io::Result<Child> {
    let mut options = OpenOptions::new();
    let words = options.create(true).truncate(true).write(true).mode(0o600).open(words)?;
    let mut command = std::process::Command::new("/proc/self/exe");
    // `ps` shows the name that people know.
    command.arg0("updraft").args(["up", "--background"]);
    if up.args.new_ports {
        command.arg("--new-ports");
    }
    if up.args.fresh {
        command.arg("--fresh");
    }
    if let Some(number) = up.args.release {
        command.args(["--release", &number.to_string()]);
    }
    // Absolute, so it is taken for a folder and what follows for services.
    command.arg("--").arg(&up.addressed.dir.directory);
    command.args(up.only.iter().map(|name| name.as_str()));
    command.current_dir(&up.addressed.dir.directory);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(words);
    Command::from(command).spawn()
}

fn tell_ready(up: &Up, status: &SystemStatus) -> Result<(), Failure> {
    if up.json {
        return output::json_result(status);
    }
    output::say(format!("{} is ready", status.name));
    routes_in_words(&status.routes).iter().try_for_each(output::result)
}

/// The supervisor ended before it could be talked to, or without a word: what it
/// wrote is the reason, and its exit code is ours.
async fn died(up: &Up, mut background: Background) -> Outcome {
    let status =
        background.child.wait().await.map_err(|error| {
            Failure::environment("cannot wait for the supervisor").because(&error)
        })?;
    show_stored(up, background.since);
    let mut words = String::new();
    let read = File::open(&background.words)
        .and_then(|file| file.take(LAST_WORDS_BYTES).read_to_string(&mut words));
    if read.is_ok() {
        output::say(words.trim_end());
    }
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) if code != 0 => Ok(code.into()),
        _ => Err(Failure::finding(format!("the supervisor died: {status}"))),
    }
}

/// The end of the log of a supervisor that is gone.
fn show_stored(up: &Up, since: Timestamp) {
    let query = LogQuery { since: Some(since), last: Some(LAST), ..LogQuery::default() };
    let stored = read_stored(&up.addressed.state.logs(), &query);
    // The reason follows in any case; without the lines it only says less.
    stored.into_iter().flatten().flatten().for_each(|line| show(&line));
}

/// The end of the log of one process of a system that goes on.
async fn show_last(client: &Client, selector: &LogSelector) {
    let select = vec![selector.clone()];
    let request = LogRequest { select, last: Some(LAST), ..LogRequest::default() };
    if let Ok(mut lines) = client.logs(&request).await {
        while let Ok(Some(line)) = lines.next().await {
            show(&line);
        }
    }
}

fn show(line: &LogLine) {
    output::say(format!("{} | {}", line.source, line.line));
}
