//! S3 as the Python package `moto` plays it, as long as a test lasts.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use updraft::Blobs;

use super::support::open;

/// It ends with its input, so also when the test is killed. Requests are answered one at a
/// time, because `moto` compares and replaces in two steps, which S3 does not.
const SERVER: &str = "
import os, sys, threading
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
moto, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()
def one_at_a_time(environ, start_response):
    with turn:
        return list(moto(environ, start_response))
server = make_server('127.0.0.1', int(sys.argv[1]), one_at_a_time, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.port, flush=True)
sys.stdin.read()
os._exit(0)
";

/// The Python with moto that `cargo xtask setup` makes, or the one of this machine.
fn python() -> PathBuf {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../s3/bin/python3");
    if made.is_file() { made } else { PathBuf::from("python3") }
}

pub(super) struct Moto {
    child: Child,
    port: u16,
}

impl Moto {
    /// A server on this port, or any with 0, with one bucket.
    pub(super) fn start(port: u16) -> Self {
        let mut child = Command::new(python())
            .args(["-c", SERVER, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs `python3`");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse();
        let port = port.expect("this test needs moto: cargo xtask setup");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let request = "PUT /bucket HTTP/1.1\r\nHost: s3\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status).unwrap();
        assert!(status.contains(" 200 "), "{status}");
        Self { child, port }
    }

    pub(super) fn place(&self, prefix: &str, parameters: &str) -> Blobs {
        open(&format!(
            "s3://bucket/{prefix}?region=eu-west-1&endpoint=http://127.0.0.1:{}{parameters}",
            self.port
        ))
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
