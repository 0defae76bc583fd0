//! Other places to listen on than a port: a Unix socket, and a socket of a supervisor.

use std::net::{Shutdown, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{PATIENCE, Process, command, wait_until};
use crate::wire::{Wire, ask, tcp};

fn unix(path: &std::path::Path) -> std::io::Result<Wire<UnixStream>> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(Wire::new(stream))
}

#[test]
fn a_unix_socket_is_served_replaced_when_dead_and_removed_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    // What a process that was killed leaves.
    drop(UnixListener::bind(&path).unwrap());
    let listen = format!("unix:{}", path.display());
    let variables = [("LISTEN", listen.as_str()), ("LISTEN_MODE", "600"), ("DRAIN_DELAY", "0s")];
    let mut process = Process::start("web", &variables);
    assert_eq!(process.wait_for("listening")["address"], listen);
    process.wait_for("ready");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let answer = unix(&path).unwrap().ask("GET", "/peer", &[], b"").unwrap();
    assert_eq!((answer.status, answer.text()), (200, "nobody false None".to_owned()));
    // A second process does not take it away.
    let (status, lines) = Process::start("web", &variables).end();
    assert_eq!(status.code(), Some(1));
    let said = lines.iter().any(|line| line.to_string().contains("another process listens"));
    assert!(said, "{lines:#?}");
    assert_eq!(unix(&path).unwrap().ask("GET", "/", &[], b"").unwrap().status, 200);
    process.signal(Signal::TERM);
    assert_eq!(process.end().0.code(), Some(0));
    assert!(!path.exists());
}

const UNTIL_STOP: &str = "GET /until-stop HTTP/1.1\r\nhost: test\r\n\r\n";

#[test]
fn who_goes_away_from_a_unix_socket_while_a_handler_works_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let listen = format!("unix:{}", path.display());
    let variables = [("LISTEN", listen.as_str()), ("LOG_LEVEL", "debug")];
    let mut process = Process::start("web", &variables);
    process.wait_for("ready");
    let mut connection = unix(&path).unwrap();
    connection.send(UNTIL_STOP).unwrap();
    process.wait_for("waiting for the stop");
    drop(connection);
    process.wait_for("the client went away");
}

#[test]
fn who_has_sent_more_and_then_no_more_is_still_there_and_is_answered() {
    let (mut process, address) = Process::web(&[("LOG_LEVEL", "debug")]);
    let mut connection = tcp(&address);
    connection.send(UNTIL_STOP).unwrap();
    process.wait_for("waiting for the stop");
    connection.send(UNTIL_STOP).unwrap();
    connection.0.get_ref().shutdown(Shutdown::Write).unwrap();
    process.signal(Signal::TERM);
    assert_eq!(connection.answer().unwrap().text(), "asked");
    assert_eq!(process.end().0.code(), Some(0));
}

#[test]
fn who_leaves_a_stream_in_which_nothing_happens_is_noticed() {
    let variables = [("PORT", "0"), ("ADMIN_PORT", "0"), ("DRAIN_DELAY", "0s")];
    let mut process = Process::start("web", &variables);
    let admin = process.wait_for("admin listening")["address"].as_str().unwrap().to_owned();
    let address = process.wait_for("listening")["address"].as_str().unwrap().to_owned();
    process.wait_for("ready");
    let shows = |sample: &str| ask(&admin, "/metrics", &[]).text().lines().any(|is| is == sample);
    let mut events = tcp(&address);
    events.send("GET /events HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
    events.head().unwrap();
    events.chunk().unwrap();
    assert!(shows("http_server_active_requests{http_request_method=\"GET\"} 1"));
    drop(events);
    wait_until("nothing is answered any more", || {
        shows("http_server_active_requests{http_request_method=\"GET\"} 0")
            && shows("updraft_http_connections_open 0")
    });
    process.signal(Signal::TERM);
    assert_eq!(process.end().0.code(), Some(0));
}

/// Starts the specimen as systemd does: with the socket as file descriptor 3.
fn activated(socket: OwnedFd, pid: &str) -> Child {
    let specimen = command("web", &[]);
    let hand_over = format!("exec 3<&0 </dev/null; LISTEN_PID={pid} LISTEN_FDS=1 exec \"$0\" web");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &hand_over]).arg(specimen.get_program());
    shell.env_clear().env("DRAIN_DELAY", "0s");
    shell.stdin(Stdio::from(socket)).stdout(Stdio::null()).stderr(Stdio::piped());
    shell.spawn().unwrap()
}

#[test]
fn a_socket_of_the_supervisor_is_served_and_stays_open_for_the_next_process() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    for _ in 0..2 {
        // Asked before anybody is there to answer: the kernel keeps it.
        let asked = {
            let address = address.clone();
            std::thread::spawn(move || ask(&address, "/livez", &[]))
        };
        let mut child = activated(listener.try_clone().unwrap().into(), "$$");
        assert_eq!(asked.join().unwrap().status, 200);
        wait_until("it is ready", || ask(&address, "/", &[]).status == 200);
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let mut child = activated(listener.try_clone().unwrap().into(), "$$");
    let answer = unix(&path).unwrap().ask("GET", "/livez", &[], b"").unwrap();
    assert_eq!(answer.status, 200);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(path.exists(), "it is the supervisor's");
}

#[test]
fn a_socket_that_was_meant_for_another_process_is_not_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = activated(listener.into(), "1").wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("PORT is not set"), "{said}");
}
