//! A system under test: its folder, its own state directory, and the command run on it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::processes::{self, Process};
use crate::{Running, binary, eventually, programs, until};

/// A verb that takes longer hangs; `up -d` of the shop may compile it first.
const VERB_WITHIN: Duration = Duration::from_secs(900);

/// How long leftovers of a failed test may take to go.
const CLEANED_WITHIN: Duration = Duration::from_secs(20);

/// A folder with a manifest and a state directory that no other test knows.
#[derive(Debug)]
pub struct TestSystem {
    root: TempDir,
    directory: PathBuf,
    program: &'static Path,
    runs: AtomicU32,
}

/// How a verb ended.
#[derive(Debug)]
pub struct Outcome {
    /// The words of the command, for messages.
    pub command: String,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// A row of `ps --json`: the fields that scripts rely on, and no fewer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of the documented output")]
pub struct Row {
    pub kind: String,
    pub service: String,
    pub process: String,
    pub replica: u32,
    pub pid: Option<u32>,
    pub port: Option<u16>,
    pub url: Option<String>,
    pub state: String,
    pub restarts: u32,
    pub uptime_s: u64,
    pub release: Value,
    pub last_exit: Option<String>,
    pub detail: Option<String>,
}

impl TestSystem {
    /// An own folder with this manifest and the test programs beside it; `{here}` in the
    /// manifest stands for that folder.
    pub fn new(manifest: &str) -> Result<Self> {
        let system = Self::empty()?;
        let here = system.directory.display().to_string();
        system.write("updraft.toml", &manifest.replace("{here}", &here))?;
        Ok(system)
    }

    /// The same below a folder that is not that of temporary files.
    pub fn within(folder: &Path, manifest: &str) -> Result<Self> {
        let system = Self::empty_in(scratch_in(folder)?)?;
        system.write("updraft.toml", manifest)?;
        Ok(system)
    }

    /// An own folder with the test programs and no manifest.
    pub fn empty() -> Result<Self> {
        Self::empty_in(scratch()?)
    }

    fn empty_in(root: TempDir) -> Result<Self> {
        let directory = root.path().join("system");
        fs::create_dir(&directory)?;
        programs::write_into(&directory)?;
        Ok(Self { root, directory, program: binary::updraft()?, runs: AtomicU32::new(0) })
    }

    /// A folder that exists already, with an own state directory.
    pub fn at(directory: &Path) -> Result<Self> {
        let (directory, program) = (directory.into(), binary::updraft()?);
        Ok(Self { root: scratch()?, directory, program, runs: AtomicU32::new(0) })
    }

    /// The same system, run by the command as users have it.
    pub fn optimised(mut self) -> Result<Self> {
        self.program = binary::optimised_updraft()?;
        Ok(self)
    }

    /// The command under test.
    pub fn program(&self) -> &Path {
        self.program
    }

    /// The folder of the manifest.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The folder that holds everything of this test, its state too.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// What `XDG_STATE_HOME` is for this system.
    pub fn state_home(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// The control socket of the one system that runs with this state directory.
    pub fn control_socket(&self) -> Result<PathBuf> {
        let mut sockets = processes::sockets_within(&self.state_home())?;
        let socket = sockets.pop_last().context("no system runs here")?;
        ensure!(sockets.is_empty(), "more than one system runs here");
        Ok(socket)
    }

    /// Writes a file of the system.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.directory.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The command, aimed at this system.
    pub fn command(&self) -> Result<Command> {
        self.command_in(&self.directory)
    }

    /// The command, aimed at another folder with the state directory of this system.
    pub fn command_in(&self, directory: &Path) -> Result<Command> {
        let mut command = self.bare(self.program);
        command.arg("-C").arg(directory);
        Ok(command)
    }

    /// Any program, with the state and configuration directories of this system.
    pub fn bare(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("XDG_STATE_HOME", self.state_home()).stdin(Stdio::null());
        command.env("XDG_CONFIG_HOME", self.root.path().join("config"));
        command
    }

    /// Runs a verb to its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Outcome> {
        let mut command = self.command()?;
        command.args(arguments);
        self.finish(command)
    }

    /// Runs a verb that must end with 0.
    pub fn ok<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Outcome> {
        self.run(arguments)?.expect(0)
    }

    /// Runs a command to its end, its output in files so that nothing can fill up.
    pub fn finish(&self, mut command: Command) -> Result<Outcome> {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let words = words.join(" ");
        let (out, err) = (self.next_file("out")?, self.next_file("err")?);
        command.stdout(File::create(&out)?).stderr(File::create(&err)?);
        let child = command.spawn().with_context(|| format!("cannot start: {words}"))?;
        let mut child = Reaped(child);
        let waited = until(&format!("end of: {words}"), VERB_WITHIN, || Ok(child.0.try_wait()?));
        let read = |path: &Path| fs::read(path).map(|text| String::from_utf8_lossy(&text).into());
        let (stdout, stderr): (String, String) = (read(&out)?, read(&err)?);
        let code = waited.with_context(|| format!("{stdout}\n{stderr}"))?.code();
        Ok(Outcome { command: words, code, stdout, stderr })
    }

    /// Starts `up` in the foreground.
    pub fn up(&self) -> Result<Running<'_>> {
        self.start(&["up"])
    }

    /// Starts a verb that goes on.
    pub fn start(&self, arguments: &[&str]) -> Result<Running<'_>> {
        let mut command = self.command()?;
        command.args(arguments);
        Running::start(self, command)
    }

    /// What `ps --json` tells.
    pub fn ps(&self) -> Result<Vec<Row>> {
        let outcome = self.ok(&["ps", "--json"])?;
        serde_json::from_str(&outcome.stdout).with_context(|| format!("ps: {}", outcome.stdout))
    }

    /// The rows of one process type, by replica.
    pub fn rows(&self, service: &str, process: &str) -> Result<Vec<Row>> {
        let mut rows = self.ps()?;
        rows.retain(|row| row.service == service && row.process == process);
        rows.sort_by_key(|row| row.replica);
        Ok(rows)
    }

    /// The first replica of a process type.
    pub fn row(&self, service: &str, process: &str) -> Result<Row> {
        let rows = self.rows(service, process)?;
        rows.into_iter().next().with_context(|| format!("ps has no row {service}.{process}"))
    }

    /// Waits until the first replica of a process type is as `wanted`.
    pub fn row_when(
        &self,
        (service, process): (&str, &str),
        within: Duration,
        wanted: impl Fn(&Row) -> bool,
    ) -> Result<Row> {
        let mut last = None;
        let found = until(&format!("{service}.{process} as wanted"), within, || {
            last = self.rows(service, process)?.into_iter().next();
            Ok(last.clone().filter(|row| wanted(row)))
        });
        found.with_context(|| format!("last seen: {last:?}"))
    }

    /// Everything of this system that still runs, `updraft` itself too.
    pub fn processes(&self) -> Result<Vec<Process>> {
        processes::within(self.root.path())
    }

    /// Nothing remains: no process, no listening port of those given, no socket. A process
    /// that dies loses its environment, by which it is found, before it closes its sockets;
    /// so all of it is waited for together.
    pub fn expect_nothing(&self, ports: &[u16], within: Duration) -> Result<()> {
        let mut left = Vec::new();
        let gone = eventually("nothing remains", within, || {
            left = self.processes()?.iter().map(|process| format!("{process:?}")).collect();
            for port in ports {
                if processes::is_listening(*port)? {
                    left.push(format!("somebody listens on {port}"));
                }
            }
            let sockets = processes::sockets_within(self.root.path())?;
            left.extend(sockets.iter().map(|socket| socket.display().to_string()));
            Ok(left.is_empty())
        });
        gone.with_context(|| format!("these remain: {left:#?}"))
    }

    pub(crate) fn next_file(&self, end: &str) -> Result<PathBuf> {
        let folder = self.root.path().join("output");
        fs::create_dir_all(&folder)?;
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        Ok(folder.join(format!("{number}.{end}")))
    }
}

impl Drop for TestSystem {
    /// A test that fails leaves no process behind either.
    fn drop(&mut self) {
        let swept = eventually("the sweep after a test", CLEANED_WITHIN, || {
            let left = self.processes()?;
            for process in &left {
                processes::signal(process.pid, Signal::KILL)?;
            }
            Ok(left.is_empty())
        });
        // Drop has nobody to tell; the next run of the test would.
        drop(swept);
    }
}

impl Outcome {
    /// This outcome if its exit code is `code`; else everything that it said.
    pub fn expect(self, code: i32) -> Result<Self> {
        ensure!(
            self.code == Some(code),
            "`updraft {}` ended with {:?} and not {code}\n{}\n{}",
            self.command,
            self.code,
            self.stdout,
            self.stderr
        );
        Ok(self)
    }

    /// Both outputs, for a look at words that may be in either.
    pub fn said(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Standard output as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("not JSON: {}", self.stdout))
    }
}

/// A child that does not outlive the test.
#[derive(Debug)]
pub(crate) struct Reaped(pub(crate) Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn scratch() -> Result<TempDir> {
    scratch_in(&std::env::temp_dir())
}

fn scratch_in(folder: &Path) -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("updraft-test-").tempdir_in(folder)?)
}
