//! Programs of others beside the gateway: each is started by the test that needs it, in a
//! directory of its own, and ends with it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::DEADLINE;

/// A program that is running.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    name: &'static str,
}

/// The command for a program; says which package of Debian has it if it is not here.
pub(crate) fn command(name: &str, package: &str) -> Command {
    let folders = ["/usr/bin", "/usr/sbin", "/usr/local/bin"];
    let found = folders.iter().map(|folder| Path::new(folder).join(name)).find(|it| it.exists());
    let Some(path) = found else {
        panic!("`{name}` is missing: apt-get install {package}");
    };
    let mut command = Command::new(path);
    command.stdin(Stdio::null());
    command
}

impl Program {
    /// Starts a server and waits until it listens.
    pub(crate) async fn serve(
        name: &'static str,
        mut command: Command,
        listens: SocketAddr,
    ) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::inherit());
        let mut program = Self { child: command.spawn().unwrap(), name };
        let end = Instant::now() + DEADLINE;
        while TcpStream::connect(listens).await.is_err() {
            assert!(program.child.try_wait().unwrap().is_none(), "{name} has ended");
            assert!(Instant::now() < end, "{name} does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        program
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            println!("{}: {error}", self.name);
        }
    }
}

/// Runs a program to its end, at most for `most`, while the tasks of the test go on.
pub(crate) async fn run(command: Command, most: Duration) -> Output {
    let mut bounded = Command::new("timeout");
    bounded.arg("--kill-after=2").arg(most.as_secs().to_string());
    bounded.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    if let Some(folder) = command.get_current_dir() {
        bounded.current_dir(folder);
    }
    tokio::task::spawn_blocking(move || bounded.output().unwrap()).await.unwrap()
}

/// What a program said, for the message of a test.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
