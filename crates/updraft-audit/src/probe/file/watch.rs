//! Sees which files a program opens. It runs on an overlay, whose files cannot be watched from
//! outside; so it is shown copies of them, each at the place of its original, and those are
//! watched (`inotify(7)`).

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Room for events, in bytes.
const EVENTS_BYTES: usize = 4096;

/// Copies of files under watch.
#[derive(Debug)]
pub(super) struct Watch {
    events: OwnedFd,
    /// By their watch descriptors.
    files: HashMap<i32, PathBuf>,
    shown: Vec<(PathBuf, PathBuf)>,
}

impl Watch {
    /// Copies the files of a folder to `place` and watches the copies.
    pub(super) fn open(place: &Path, folder: &Path, files: &[PathBuf]) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let mut watch = Self { events, files: HashMap::new(), shown: Vec::new() };
        for (number, file) in files.iter().enumerate() {
            let (original, copy) = (folder.join(file), place.join(number.to_string()));
            fs::copy(&original, &copy)?;
            let watched = inotify::add_watch(&watch.events, &copy, WatchFlags::OPEN)?;
            watch.files.insert(watched, file.clone());
            watch.shown.push((copy, original));
        }
        Ok(watch)
    }

    /// What is to be shown where.
    pub(super) fn shown(&self) -> &[(PathBuf, PathBuf)] {
        &self.shown
    }

    /// Those that somebody has opened.
    pub(super) fn opened(&self) -> io::Result<Vec<PathBuf>> {
        let mut buffer = [MaybeUninit::uninit(); EVENTS_BYTES];
        let mut reader = Reader::new(&self.events, &mut buffer);
        let mut opened = BTreeSet::new();
        loop {
            match reader.next() {
                Ok(event) => opened.extend(self.files.get(&event.wd()).cloned()),
                Err(Errno::AGAIN) => return Ok(opened.into_iter().collect()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
