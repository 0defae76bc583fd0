//! Controls that are wrong in what they do to their surroundings, or want of them.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use super::{Behaviour, say};
use crate::role::VERB;

/// How long a control tries to reach what it cannot.
const DIAL_WITHIN: Duration = Duration::from_millis(200);
/// A network for documentation (RFC 5737): nobody is there.
const NOWHERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// What a control does before it serves; with an exit code it does not serve.
pub(super) fn begin(behaviours: &[Behaviour]) -> io::Result<Option<ExitCode>> {
    for behaviour in behaviours {
        match behaviour {
            Behaviour::Exits => return Ok(Some(ExitCode::SUCCESS)),
            Behaviour::WritesDatabase => fs::write("data.sqlite", b"SQLite format 3\0")?,
            Behaviour::WritesCode => fs::write("generated.py", "print(1)\n")?,
            Behaviour::NeedsFolder => fs::write("state", "1").inspect_err(|error| {
                say(&format!("cannot write 'state': {error}"));
            })?,
            Behaviour::NeedsUndeclared if std::env::var_os("PYTHONPATH").is_none() => {
                say("ModuleNotFoundError: No module named 'undeclared'");
                return Ok(Some(ExitCode::FAILURE));
            }
            Behaviour::Executes => run(Command::new("true"))?,
            Behaviour::Builds => {
                let mut compiler = Command::new("/proc/self/exe");
                compiler.arg0("cc").args([VERB, "control", "exits", "-c", "main.c"]);
                run(compiler)?;
            }
            Behaviour::Inspector => inspect()?,
            Behaviour::AsksPeer => ask_peer()?,
            Behaviour::Dials => {
                let nowhere = SocketAddr::from((NOWHERE, 443));
                drop(TcpStream::connect_timeout(&nowhere, DIAL_WITHIN));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// What a control answers to everything, where that is the point of it.
pub(super) fn body(behaviours: &[Behaviour]) -> Option<String> {
    let zone = || std::env::var("TZ").unwrap_or_else(|_| "UTC".to_owned());
    behaviours.contains(&Behaviour::TellsZone).then(zone)
}

/// Whether a control has to say that it is not ready.
pub(super) fn is_unready(behaviours: &[Behaviour], line: &str) -> bool {
    let asked = line.split(' ').nth(1) == Some("/readyz");
    asked && behaviours.contains(&Behaviour::Splits) && ask_peer().is_err()
}

fn run(mut command: Command) -> io::Result<()> {
    command.stdin(Stdio::null()).status().map(drop)
}

/// Sends a line to a server that gives it back.
fn ask_peer() -> io::Result<()> {
    let address = std::env::var("PEER").map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(address.trim_start_matches("tcp://"))?;
    stream.write_all(b"ask\n")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)
}

/// Listens as a debugger of Node.js does, and does nothing else.
fn inspect() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let body = r#"{"Browser":"node.js/v0","Protocol-Version":"1.1"}"#;
            let head = "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n";
            // Whoever goes away has seen enough.
            drop(stream.write_all(format!("{head}{body}").as_bytes()));
        }
    });
    Ok(())
}
