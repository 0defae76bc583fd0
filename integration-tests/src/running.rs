//! An `updraft` that goes on: `up` in the foreground, or `logs -f`.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::system::Reaped;
use crate::{TestSystem, eventually, processes, until};

/// A started verb; it is killed when this is dropped.
#[derive(Debug)]
pub struct Running<'a> {
    system: &'a TestSystem,
    child: Reaped,
    out: PathBuf,
    err: PathBuf,
}

impl<'a> Running<'a> {
    /// Starts `command`, its output in files of the system.
    pub fn start(system: &'a TestSystem, mut command: Command) -> Result<Self> {
        let (out, err) = (system.next_file("out")?, system.next_file("err")?);
        command.stdout(File::create(&out)?).stderr(File::create(&err)?);
        let child = Reaped(command.spawn().context("updraft cannot be started")?);
        Ok(Self { system, child, out, err })
    }

    /// Starts a verb of the system whose standard output nobody reads yet.
    pub fn start_unread(system: &'a TestSystem, words: &[&str]) -> Result<(Self, ChildStdout)> {
        let (out, err) = (system.next_file("out")?, system.next_file("err")?);
        File::create(&out)?;
        let mut command = system.command()?;
        command.args(words).stdout(Stdio::piped()).stderr(File::create(&err)?);
        let mut child = Reaped(command.spawn().context("updraft cannot be started")?);
        let stdout = child.0.stdout.take().context("there is a pipe")?;
        Ok((Self { system, child, out, err }, stdout))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// What it wrote so far, standard output first.
    pub fn said(&self) -> Result<String> {
        Ok(format!("{}\n{}", self.stdout()?, String::from_utf8_lossy(&fs::read(&self.err)?)))
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.out)?).into_owned())
    }

    /// Waits until it has written `text`.
    pub fn says(&self, text: &str, within: Duration) -> Result<()> {
        let said =
            eventually(&format!("the words {text:?}"), within, || Ok(self.said()?.contains(text)));
        said.with_context(|| format!("it said:\n{}", self.said().unwrap_or_default()))
    }

    /// Waits until every process of the system is ready, as scripts do.
    pub fn wait_ready(&self, within: Duration) -> Result<()> {
        let answering = eventually("a supervisor that answers", within, || {
            ensure!(processes::read(self.pid()).is_some(), "updraft has ended");
            Ok(!self.system.ps()?.is_empty())
        });
        answering.with_context(|| format!("it said:\n{}", self.said().unwrap_or_default()))?;
        let limit = format!("{}s", within.as_secs());
        let outcome = self.system.run(&["wait", "--ready", &limit])?.expect(0);
        outcome.with_context(|| format!("up said:\n{}", self.said().unwrap_or_default()))?;
        Ok(())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        processes::signal(self.pid(), signal)
    }

    /// Waits for its end.
    pub fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        let ended = until("the end of updraft", within, || Ok(self.child.0.try_wait()?));
        ended.with_context(|| format!("it said:\n{}", self.said().unwrap_or_default()))
    }

    /// `kill -9` of the supervisor alone.
    pub fn kill9(mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.ended(Duration::from_secs(10))?;
        Ok(())
    }
}
