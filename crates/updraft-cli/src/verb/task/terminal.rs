//! The person's end of a task with a terminal: keys go there as they are typed, Ctrl-C too,
//! and what comes back is shown as it is.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use updraft_system::{
    Name, TaskEvent, TerminalFrame, TerminalFrames, TerminalRequest, TerminalSize,
};

use crate::control::{Client, ControlError};
use crate::failure::{Failure, Outcome};
use crate::output;

/// What is read at once.
const READ_BYTES: usize = 8 * 1024;
/// Pieces of what was typed that wait to be sent; then the keyboard waits.
const PIECES_WAITING: usize = 16;

/// Whether a person sits at both ends of this command.
pub(super) fn is_there() -> bool {
    isatty(rustix::stdio::stdin()) && isatty(rustix::stdio::stdout())
}

/// Runs a task at this terminal.
pub(super) async fn run(
    client: &Client,
    service: &Name,
    task: &Name,
    args: Vec<String>,
) -> Outcome {
    let request = TerminalRequest { args, size: size(), term: std::env::var("TERM").ok() };
    let connection = client.terminal(service, task, &request).await?;
    let signals = Signals::listen().map_err(|error| unusable(&error))?;
    let raw = RawMode::enter().map_err(|error| unusable(&error))?;
    let ended = carry(connection, signals).await;
    // Before anything is said: in raw mode lines do not begin at the left.
    drop(raw);
    match ended? {
        TaskEvent::Exit { code, reason } => {
            if code != 0 {
                output::say(format!("{service}.{task} failed: {reason}"));
            }
            Ok(ExitCode::from(code))
        }
        TaskEvent::Refused(problem) => Err(problem.into()),
        TaskEvent::Line(_) => Err(ControlError::Garbled(None).into()),
    }
}

/// Carries both ways until the task has ended, each by itself: a task that does not read may
/// still have something to show.
async fn carry(connection: Upgraded, signals: Signals) -> Result<TaskEvent, Failure> {
    let (from_task, to_task) = split(TokioIo::new(connection));
    tokio::select! {
        ended = watch(from_task) => ended,
        failed = type_on(to_task, signals) => Err(failed),
    }
}

/// Passes on what is typed and how large the terminal is; ends when that cannot go on.
async fn type_on(mut to_task: WriteHalf<TokioIo<Upgraded>>, mut signals: Signals) -> Failure {
    let mut keys = keys();
    let mut is_resized = false;
    loop {
        let frame = tokio::select! {
            biased;
            () = std::future::ready(()), if is_resized => TerminalFrame::Resize(size()),
            // Without a person the task goes on; it is theirs who can still see it.
            Some(typed) = keys.recv() => TerminalFrame::Data(typed),
            resized = signals.next() => match resized {
                true => TerminalFrame::Resize(size()),
                false => return Failure::finding("interrupted"),
            },
        };
        is_resized = false;
        let bytes = frame.encode();
        let mut sending = std::pin::pin!(to_task.write_all(&bytes));
        let sent = loop {
            tokio::select! {
                sent = &mut sending => break sent,
                // A task that reads nothing must not keep a person from leaving.
                resized = signals.next() => match resized {
                    true => is_resized = true,
                    false => return Failure::finding("interrupted"),
                },
            }
        };
        if sent.is_err() {
            // Its end is told on the other way.
            std::future::pending::<()>().await;
        }
    }
}

/// Shows what the task shows, until its end.
async fn watch(mut from_task: ReadHalf<TokioIo<Upgraded>>) -> Result<TaskEvent, Failure> {
    let mut seen = vec![0; READ_BYTES];
    let mut frames = TerminalFrames::default();
    loop {
        let count = from_task.read(&mut seen).await;
        let count = count.map_err(|error| Failure::from(ControlError::Gone(Some(error))))?;
        if count == 0 {
            return Err(ControlError::Gone(None).into());
        }
        frames.push(seen.get(..count).unwrap_or_default());
        if let Some(end) = show(&mut frames)? {
            return Ok(end);
        }
    }
}

/// What is typed, as it comes. Whoever reads a terminal blocks, so that has a thread of its
/// own, which ends with this process.
fn keys() -> mpsc::Receiver<Vec<u8>> {
    let (typed, keys) = mpsc::channel(PIECES_WAITING);
    std::thread::spawn(move || {
        let mut buffer = vec![0; READ_BYTES];
        while let Ok(count @ 1..) = io::stdin().lock().read(&mut buffer) {
            let piece = buffer.get(..count).unwrap_or_default().to_vec();
            if typed.blocking_send(piece).is_err() {
                return;
            }
        }
    });
    keys
}

/// Shows what has come; gives the end, where that has come too.
fn show(frames: &mut TerminalFrames) -> Result<Option<TaskEvent>, Failure> {
    let mut screen = io::stdout().lock();
    loop {
        match frames.next_frame() {
            Ok(Some(TerminalFrame::Data(data))) => {
                let shown = screen.write_all(&data).and_then(|()| screen.flush());
                shown.map_err(|error| output::unwritten(&error))?;
            }
            Ok(Some(TerminalFrame::End(end))) => return Ok(Some(end)),
            Ok(None) => return Ok(None),
            Ok(Some(TerminalFrame::Resize(_))) | Err(_) => {
                return Err(ControlError::Garbled(None).into());
            }
        }
    }
}

/// The size of this terminal.
fn size() -> TerminalSize {
    let size = tcgetwinsize(rustix::stdio::stdout()).ok();
    let size = size.map(|size| TerminalSize { columns: size.ws_col, rows: size.ws_row });
    size.filter(|size| size.columns != 0 && size.rows != 0).unwrap_or_default()
}

fn unusable(error: &io::Error) -> Failure {
    Failure::environment("this terminal cannot be used").because(error)
}

/// Hands every key on as it is, until it is dropped.
struct RawMode(Termios);

impl RawMode {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(rustix::stdio::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// What comes to this process beside keys.
struct Signals {
    size: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            size: signal(SignalKind::window_change())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next of them: whether it says that the terminal has another size, and not that
    /// this process is to end.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.size.recv() => true,
            _ = self.terminate.recv() => false,
            _ = self.hang_up.recv() => false,
        }
    }
}
