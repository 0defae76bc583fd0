//! A pseudo terminal for a program that talks with a person (`pty(7)`).

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::net::unix::pipe;
use updraft_system::TerminalSize;

/// Our end of a terminal; the program has the other.
///
/// The kernel treats it as a pipe in both directions, so it is watched as one.
#[derive(Debug)]
pub(crate) struct Terminal {
    seen: pipe::Receiver,
    typed: pipe::Sender,
    ours: OwnedFd,
}

impl Terminal {
    /// Makes a terminal. Gives the path of the program's end too.
    pub(crate) fn open(size: TerminalSize) -> io::Result<(Self, PathBuf)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let path = ptsname(&ours, Vec::new())?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let seen = pipe::Receiver::from_file_unchecked(ours.try_clone()?.into())?;
        let typed = pipe::Sender::from_file_unchecked(ours.try_clone()?.into())?;
        let terminal = Self { seen, typed, ours };
        terminal.resize(size)?;
        Ok((terminal, PathBuf::from(OsString::from_vec(path.into_bytes()))))
    }

    /// Tells the program that the terminal has another size now.
    pub(crate) fn resize(&self, size: TerminalSize) -> io::Result<()> {
        let TerminalSize { columns, rows } = size;
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        Ok(tcsetwinsize(&self.ours, size)?)
    }

    /// Reads what the program has written; 0: nobody has the other end any more.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.seen.readable().await?;
            match self.seen.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // How Linux says that it has been closed.
                Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                    return Ok(0);
                }
                other => return other,
            }
        }
    }

    /// Writes what a person has typed.
    pub(crate) async fn write(&self, mut typed: &[u8]) -> io::Result<()> {
        while !typed.is_empty() {
            self.typed.writable().await?;
            match self.typed.try_write(typed) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => typed = typed.get(written?..).unwrap_or_default(),
            }
        }
        Ok(())
    }
}

/// Makes a terminal what this process reads and writes, and the one that controls its new
/// session, so that Ctrl-C and a change of its size reach the program.
pub(super) fn take(path: &Path) -> io::Result<()> {
    let no_control = OFlags::NOCTTY.bits().cast_signed();
    let terminal = File::options().read(true).write(true).custom_flags(no_control).open(path)?;
    rustix::stdio::dup2_stdin(&terminal)?;
    rustix::stdio::dup2_stdout(&terminal)?;
    rustix::stdio::dup2_stderr(&terminal)?;
    rustix::process::ioctl_tiocsctty(&terminal)?;
    Ok(())
}
