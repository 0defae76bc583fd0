//! Controls with a queue: jobs are files in folders of their resource, so that to take one is
//! one `rename(2)`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use signal_hook::consts::SIGTERM;

use super::Behaviour;

/// The variable with the address of the folder.
pub(crate) const QUEUE: &str = "FILES_URL";
/// How long a worker may hold a job.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// How long a job takes.
const WORK: Duration = Duration::from_millis(150);
/// From one look at the queue to the next.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The folders of a queue.
pub(super) struct Queue {
    waiting: PathBuf,
    leased: PathBuf,
    done: PathBuf,
}

impl Queue {
    pub(super) fn open() -> io::Result<Self> {
        let url = std::env::var(QUEUE).map_err(io::Error::other)?;
        let root = Path::new(url.strip_prefix("file://").unwrap_or(&url));
        let folder = |name: &str| {
            let folder = root.join(name);
            fs::create_dir_all(&folder).map(|()| folder)
        };
        Ok(Self { waiting: folder("waiting")?, leased: folder("leased")?, done: folder("done")? })
    }

    pub(super) fn enqueue(&self, name: &str) -> io::Result<()> {
        File::create(self.waiting.join(name)).map(drop)
    }

    pub(super) fn is_done(&self, name: &str) -> bool {
        self.done.join(name).exists()
    }

    /// Does the next job; `false`: there is none.
    fn work(&self, forgets: bool) -> io::Result<bool> {
        let Some(entry) = fs::read_dir(&self.waiting)?.next().transpose()? else {
            return self.take_back().map(|()| false);
        };
        let leased = self.leased.join(entry.file_name());
        // The lease runs from the moment that it is taken.
        let touched =
            File::open(entry.path()).and_then(|file| file.set_modified(SystemTime::now()));
        if touched.and_then(|()| fs::rename(entry.path(), &leased)).is_err() {
            // Another one was faster.
            return Ok(true);
        }
        if forgets {
            fs::remove_file(&leased)?;
        }
        std::thread::park_timeout(WORK);
        File::create(self.done.join(entry.file_name()))?;
        if !forgets {
            // It may be somebody else's by now.
            drop(fs::remove_file(&leased));
        }
        Ok(true)
    }

    /// Puts back what a worker has held for too long.
    fn take_back(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.leased)? {
            let path = entry?.path();
            let since = fs::metadata(&path).and_then(|it| it.modified());
            let is_over = since.is_ok_and(|it| it.elapsed().is_ok_and(|held| LEASE < held));
            if let (true, Some(name)) = (is_over, path.file_name()) {
                drop(fs::rename(&path, self.waiting.join(name)));
            }
        }
        Ok(())
    }
}

/// The worker of a control, where its behaviour is one.
pub(super) fn run(behaviours: &[Behaviour]) -> Option<io::Result<ExitCode>> {
    let forgets = behaviours.contains(&Behaviour::WorksForgetful);
    (forgets || behaviours.contains(&Behaviour::Works)).then(|| worker(forgets))
}

fn worker(forgets: bool) -> io::Result<ExitCode> {
    let ends = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&ends))?;
    let queue = Queue::open()?;
    while !ends.load(Ordering::SeqCst) {
        if !queue.work(forgets)? {
            std::thread::park_timeout(LOOK_EVERY);
        }
    }
    Ok(ExitCode::SUCCESS)
}
