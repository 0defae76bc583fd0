//! The server of a control.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

use super::journal::Journal;
use super::site::Site;
use super::{Behaviour, begin, say, surroundings};
use crate::role::VERB;

/// How long a control waits for what is under way.
const GRACE: Duration = Duration::from_secs(5);

/// What the threads of a control share.
#[derive(Default)]
struct State {
    ending: AtomicBool,
    under_way: AtomicUsize,
    open: AtomicUsize,
    turn: Mutex<()>,
    changed: Condvar,
    site: Site,
    /// What it answers to everything, where it is not its site that answers.
    body: Option<String>,
    behaviours: Vec<Behaviour>,
}

/// Serves until it is told to end.
pub(super) fn run(behaviours: &[Behaviour]) -> io::Result<ExitCode> {
    let has = |behaviour| behaviours.contains(&behaviour);
    if has(Behaviour::Wrapped) {
        return wrapped();
    }
    if has(Behaviour::Daemon) {
        return begin::daemon();
    }
    if let Some(code) = surroundings::begin(behaviours)? {
        return Ok(code);
    }
    let mut signals = Signals::new([SIGTERM])?;
    if let Some(code) = begin::begin(behaviours, &mut signals)? {
        return Ok(code);
    }
    let host = if has(Behaviour::Loopback) { "127.0.0.1" } else { "0.0.0.0" };
    let port: u16 = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(0);
    let port = if has(Behaviour::OtherPort) { 0 } else { port };
    let listener = TcpListener::bind((host, port))?;
    let site = match Site::open(behaviours) {
        Ok(site) => site,
        Err(wrong) => {
            drop(writeln!(io::stderr(), "{wrong}"));
            return Ok(ExitCode::FAILURE);
        }
    };
    let state = Arc::new(State {
        site,
        body: surroundings::body(behaviours),
        behaviours: behaviours.to_vec(),
        ..State::default()
    });
    let journal = Arc::new(Journal::open(behaviours)?);
    let (traces, serving) = (has(Behaviour::LogsTrace), Arc::clone(&state));
    say("listening");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), state) = (stream, Arc::clone(&serving)) else { continue };
            if state.ending.load(Ordering::SeqCst) {
                continue;
            }
            let journal = Arc::clone(&journal);
            std::thread::spawn(move || {
                state.open.fetch_add(1, Ordering::SeqCst);
                drop(serve(&state, &stream, &journal, traces));
                state.open.fetch_sub(1, Ordering::SeqCst);
                state.changed.notify_all();
            });
        }
    });
    for _term in signals.forever() {
        if has(Behaviour::IgnoresTerm) {
            continue;
        }
        if !has(Behaviour::DropsRequests) {
            state.drain(has(Behaviour::WaitsForIdle));
        }
        break;
    }
    begin::end(behaviours)?;
    Ok(ExitCode::SUCCESS)
}

/// A parent that waits for its child and passes nothing on, as `sh -c "…; echo"` is.
fn wrapped() -> io::Result<ExitCode> {
    let mut child = Command::new("/proc/self/exe").args([VERB, "control", "good"]).spawn()?;
    child.wait()?;
    Ok(ExitCode::SUCCESS)
}

/// Serves the requests of one connection.
fn serve(state: &State, stream: &TcpStream, journal: &Journal, traces: bool) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(head) = Head::read(&mut reader)? {
        state.under_way.fetch_add(1, Ordering::SeqCst);
        journal.line(&head.line);
        if let Some(trace) = head.trace.as_deref().filter(|_| traces) {
            journal.line(trace);
        }
        let answered = answer(state, stream, &mut reader, &head);
        state.under_way.fetch_sub(1, Ordering::SeqCst);
        state.changed.notify_all();
        if !answered? {
            break;
        }
    }
    stream.shutdown(Shutdown::Write)
}

/// Whether the connection is kept.
fn answer(
    state: &State,
    mut stream: &TcpStream,
    reader: &mut BufReader<&TcpStream>,
    head: &Head,
) -> io::Result<bool> {
    let mut body = vec![0; head.length];
    reader.read_exact(&mut body)?;
    let kept = head.keeps && !state.ending.load(Ordering::SeqCst);
    let connection = if kept { "keep-alive" } else { "close" };
    let (status, body) = match &state.body {
        _ if surroundings::is_unready(&state.behaviours, &head.line) => (503, String::new()),
        Some(body) => (200, body.clone()),
        None => state.site.respond(&head.line, &body),
    };
    let text = format!(
        "HTTP/1.1 {status} .\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: {connection}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes())?;
    Ok(kept)
}

/// What a control understands of a request.
struct Head {
    line: String,
    length: usize,
    keeps: bool,
    trace: Option<String>,
}

impl Head {
    /// `None`: the connection has ended between two requests.
    fn read(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut head = Self { line: line.trim().to_owned(), length: 0, keeps: true, trace: None };
        loop {
            let mut field = String::new();
            if reader.read_line(&mut field)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let field = field.trim().to_ascii_lowercase();
            match field.split_once(':') {
                None if field.is_empty() => return Ok(Some(head)),
                Some(("content-length", value)) => head.length = value.trim().parse().unwrap_or(0),
                Some(("connection", value)) => head.keeps = value.trim() != "close",
                Some(("traceparent", value)) => head.trace = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
}

impl State {
    /// Waits until nothing is under way; `open`: until nobody is connected.
    fn drain(&self, open: bool) {
        self.ending.store(true, Ordering::SeqCst);
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (counted, grace) =
            if open { (&self.open, GRACE * 6) } else { (&self.under_way, GRACE) };
        let busy = |_: &mut ()| counted.load(Ordering::SeqCst) > 0;
        drop(self.changed.wait_timeout_while(turn, grace, busy));
    }
}
