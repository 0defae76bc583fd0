//! Controls that are admin tasks.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{Behaviour, say};

/// How long a control waits for its resource.
const WITHIN: Duration = Duration::from_secs(2);

/// The task of a control, where its behaviour is one.
pub(super) fn run(behaviours: &[Behaviour]) -> Option<io::Result<ExitCode>> {
    behaviours.iter().find_map(|behaviour| match behaviour {
        Behaviour::Task => Some(ask().map(|()| ExitCode::SUCCESS)),
        Behaviour::TaskSwallows => {
            if let Err(error) = ask() {
                say(&format!("ignored: {error}"));
            }
            Some(Ok(ExitCode::SUCCESS))
        }
        Behaviour::TaskOnce => Some(once().map(|()| ExitCode::SUCCESS)),
        Behaviour::TaskAgain => Some(mark().map(|()| ExitCode::SUCCESS)),
        _ => None,
    })
}

/// Asks its resource for something.
fn ask() -> io::Result<()> {
    let url = std::env::var("CONTROL_URL").map_err(io::Error::other)?;
    let address = url.strip_prefix("tcp://").unwrap_or(&url);
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.write_all(b"migrate\n")?;
    let mut answer = String::new();
    match BufReader::new(stream).read_line(&mut answer)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Where a task leaves what it has done: in its resource, a folder.
fn done() -> io::Result<PathBuf> {
    let url = std::env::var("FILES_URL").map_err(io::Error::other)?;
    let folder = PathBuf::from(url.strip_prefix("file://").unwrap_or(&url));
    fs::create_dir_all(&folder)?;
    Ok(folder.join("done"))
}

fn once() -> io::Result<()> {
    File::options().write(true).create_new(true).open(done()?).map(drop)
}

fn mark() -> io::Result<()> {
    File::create(done()?).map(drop)
}
