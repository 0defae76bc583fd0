//! A process that is measured: bound to one processor, and gone when the measurement is, also
//! by Ctrl-C, since the kernel ends it together with the thread that started it.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The longest until a process listens, and until it answers.
pub const START: Duration = Duration::from_secs(10);
/// From one look whether it does to the next.
pub const TRY_AGAIN: Duration = Duration::from_millis(10);
/// The longest that a process may take to end before it is killed.
const END: Duration = Duration::from_secs(2);

/// The processor of the loader and the upstream.
pub const LOADER: usize = 0;
/// The processor of the proxies.
pub const PROXY: usize = 1;

/// A running process and its children. It must be started by the main thread, whose end ends it.
pub struct Child {
    process: std::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts a program on one processor; what it prints goes to `log`.
    pub fn start(
        processor: usize,
        program: &Path,
        arguments: &[&str],
        log: PathBuf,
    ) -> Result<Self> {
        let output = File::create(&log)?;
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "taskset", "-c", &processor.to_string()])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("setpriv and taskset are needed (util-linux)")?;
        Ok(Self { process, log })
    }

    /// Waits until it accepts connections.
    pub fn wait_for(&mut self, address: SocketAddr) -> Result<()> {
        self.wait_until(|| TcpStream::connect(address).is_ok())
    }

    /// Waits until it is ready in another way.
    pub fn wait_until(&mut self, ready: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + START;
        while !ready() {
            if self.process.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("it does not start: {}", fs::read_to_string(&self.log)?.trim_end());
            }
            std::thread::park_timeout(TRY_AGAIN);
        }
        Ok(())
    }

    /// Nanoseconds that it and its children have run, in user space and in the kernel.
    pub fn processor_time(&self) -> u64 {
        let tasks =
            self.tree().into_iter().flat_map(|process| entries(&format!("/proc/{process}/task")));
        let run = |task: PathBuf| {
            let line = fs::read_to_string(task.join("schedstat")).ok()?;
            line.split(' ').next()?.parse::<u64>().ok()
        };
        tasks.filter_map(run).sum()
    }

    /// Bytes of it and its children that are in memory.
    pub fn resident(&self) -> u64 {
        let of_one = |process: u32| {
            let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok()
        };
        self.tree().into_iter().filter_map(of_one).sum::<u64>() * 1024
    }

    fn tree(&self) -> Vec<u32> {
        let own = self.process.id();
        let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let children = children.unwrap_or_default();
        children.split_whitespace().filter_map(|id| id.parse().ok()).chain([own]).collect()
    }

    fn ends_by(&mut self, deadline: Instant) -> bool {
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
        true
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let id = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        // A master process ends its workers when it is asked, not when it is killed.
        let asked = id.map(|id| rustix::process::kill_process(id, rustix::process::Signal::TERM));
        if !(matches!(asked, Some(Ok(()))) && self.ends_by(Instant::now() + END)) {
            drop(self.process.kill());
            drop(self.process.wait());
        }
    }
}

/// A port on loopback that nobody listens on.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn entries(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
