//! Small programs that systems under test are made of: good ones, and all the bad
//! ones that a supervisor meets. Python, because it is there and forks freely.

use std::fs;
use std::path::Path;

use anyhow::Result;

/// Serves HTTP on `PORT`: `/` tells who answers, `/env` its environment, `/readyz` 200.
/// On SIGTERM it ends with 0.
pub const WEB: (&str, &str) = ("web.py", include_str!("programs/web.py"));

/// Starts children and grandchildren that stay in its process group.
pub const FORKER: (&str, &str) = ("forker.py", include_str!("programs/forker.py"));

/// Leaves daemons behind: forked twice, own session, working directory `/`, one of them
/// another program with an empty environment.
pub const DAEMONS: (&str, &str) = ("daemons.py", include_str!("programs/daemons.py"));

/// Ignores every signal that can be ignored.
pub const STUBBORN: (&str, &str) = ("stubborn.py", include_str!("programs/stubborn.py"));

/// Says why, and ends with 3.
pub const CRASHER: (&str, &str) = ("crasher.py", include_str!("programs/crasher.py"));

/// Writes numbered lines as fast as it can, and measures the longest wait of a write.
pub const FLOOD: (&str, &str) = ("flood.py", include_str!("programs/flood.py"));

/// Serves HTTP on `PORT`: what is posted to `/` is Python, a JSON text, that it runs; it answers
/// the value of `result`, or the name of the error of the system, such as `EACCES`.
pub const CONFINED: (&str, &str) = ("confined.py", include_str!("programs/confined.py"));

/// Writes them all into a folder.
pub fn write_into(folder: &Path) -> Result<()> {
    for (name, text) in [WEB, FORKER, DAEMONS, STUBBORN, CRASHER, FLOOD, CONFINED] {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}
