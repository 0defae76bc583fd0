//! How a program ended, and in which words that is told.

use std::fmt;

use updraft_system::memory_in_words;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The kernel killed it for want of memory.
    OutOfMemory,
    /// The kernel killed it because it needed more than its limit, of so many bytes of memory.
    MemoryLimit(u64),
    /// Its guardian was killed, and the program with it.
    GuardLost,
}

impl Exit {
    pub(super) fn from_report(code: Option<i32>, signal: Option<i32>, out_of_memory: bool) -> Self {
        match (code, signal) {
            _ if out_of_memory => Self::OutOfMemory,
            (_, Some(signal)) => Self::Signal(signal),
            (Some(code), None) => Self::Code(code),
            (None, None) => Self::GuardLost,
        }
    }

    /// What a shell would have in `$?`: the code, or 128 and the number of the signal.
    pub fn shell_code(self) -> u8 {
        let killed = |signal: i32| u8::try_from(128 + signal).unwrap_or(u8::MAX);
        match self {
            Self::Code(code) => u8::try_from(code).unwrap_or(u8::MAX),
            Self::Signal(signal) => killed(signal),
            Self::OutOfMemory | Self::MemoryLimit(_) | Self::GuardLost => {
                killed(signal_hook::consts::SIGKILL)
            }
        }
    }

    /// Whether the program says that it has done its work.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(127) => f.write_str("exit code 127 (command not found)"),
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match signal_hook::low_level::signal_name(*number) {
                Some(name) => write!(f, "killed by {name}"),
                None => write!(f, "killed by signal {number}"),
            },
            Self::MemoryLimit(limit) => {
                let limit = memory_in_words(*limit);
                write!(f, "killed: out of memory, its limit is {limit}")
            }
            Self::OutOfMemory => f.write_str("killed by the kernel: out of memory"),
            Self::GuardLost => f.write_str("killed with its guardian process"),
        }
    }
}
