//! What a process is and how it takes signals, from `/proc` (`proc_pid_status(5)`): the kernel
//! knows at once what an outcome would only show after a grace period.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use updraft_engine::ProcessId;

use crate::verdict::Shape;

/// From one look at threads to the next.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How a process takes signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Masks {
    caught: u64,
    ignored: u64,
    /// By any of its threads.
    blocked: u64,
    pending: u64,
}

/// What becomes of a signal that is sent to a process now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reception {
    /// A handler of the program gets it, or it waits for the program to ask.
    Handled,
    /// It does to the process what the kernel does by default.
    Default,
    /// The program ignores it.
    Ignored,
    /// The kernel drops it: the first process of a namespace gets no signal that it has no
    /// handler for (`pid_namespaces(7)`).
    Dropped,
    /// The process is gone.
    Gone,
}

impl Masks {
    /// Those of a process; `None`: it is gone.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let mut masks = Self::parse(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)?;
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let text = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            if let Some(of_thread) = Self::parse(&text) {
                masks.blocked |= of_thread.blocked;
                masks.pending |= of_thread.pending;
            }
        }
        Some(masks)
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        Some(Self {
            caught: field("SigCgt:")?,
            ignored: field("SigIgn:")?,
            blocked: field("SigBlk:")?,
            pending: field("ShdPnd:")? | field("SigPnd:")?,
        })
    }

    /// What becomes of a signal; `first`: the process is the first of its namespace.
    pub(crate) fn reception(self, signal: Signal, first: bool) -> Reception {
        let has = |mask: u64| mask & bit(signal) != 0;
        if has(self.caught) || has(self.blocked) {
            Reception::Handled
        } else if has(self.ignored) {
            Reception::Ignored
        } else if first {
            Reception::Dropped
        } else {
            Reception::Default
        }
    }

    /// The first of these signals that waits for the process.
    pub(crate) fn waiting(self, signals: &[Signal]) -> Option<Signal> {
        signals.iter().copied().find(|signal| self.pending & bit(*signal) != 0)
    }
}

impl Reception {
    /// Of a signal to a process in a trial.
    pub(crate) fn of(process: ProcessId, shape: Shape, signal: Signal) -> Self {
        match Masks::of(process.pid) {
            Some(masks) if process.is_alive() => masks.reception(signal, shape == Shape::Pid1),
            _ => Self::Gone,
        }
    }

    /// Why a process that is asked this way never ends by it; `None`: it may.
    pub(crate) fn never(self) -> Option<&'static str> {
        match self {
            Self::Dropped => Some(
                "it has no handler for SIGTERM, and the first process of a container gets no signal without one",
            ),
            Self::Ignored => Some("it ignores SIGTERM"),
            Self::Handled | Self::Default | Self::Gone => None,
        }
    }
}

fn bit(signal: Signal) -> u64 {
    u32::try_from(signal.as_raw() - 1).map_or(0, |place| 1_u64.checked_shl(place).unwrap_or(0))
}

/// The words of a command, empty for a process that is gone.
pub(crate) fn command(process: ProcessId) -> Vec<String> {
    let text = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
    let words = text.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// A command as it is typed, shortened.
pub(crate) fn line(process: ProcessId) -> String {
    const CHARS_MAX: usize = 80;
    let words = command(process);
    // A title that a program has given itself is one word with blanks.
    let line = if words.len() == 1 { words.concat() } else { shell_words::join(words) };
    if line.chars().count() <= CHARS_MAX {
        return line;
    }
    line.chars().take(CHARS_MAX).chain(['…']).collect()
}

/// Its parent and its state, as `proc_pid_stat(5)` has them.
pub(crate) fn parent_and_state(pid: u32) -> Option<(u32, char)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((fields.next()?.parse().ok()?, state))
}

/// Waits until every thread of these processes is stopped by a signal, or gone; `false`: some
/// still runs after `within`. A thread that runs on takes the signals that come meanwhile, and
/// of two that wait the one with the lower number first.
pub(crate) async fn stand_still(processes: &[ProcessId], within: Duration) -> bool {
    let still = async {
        while processes.iter().any(|process| has_running_thread(process.pid)) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(within, still).await.is_ok()
}

fn has_running_thread(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut states = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("stat")).ok()?;
        text.get(text.rfind(')')? + 1..)?.trim_start().chars().next()
    });
    states.any(|state| !matches!(state, 'T' | 'Z' | 'X'))
}

/// The most memory that processes have had, in bytes, each for itself.
pub(crate) fn memory_peak(processes: &[ProcessId]) -> u64 {
    let peak = |process: &ProcessId| {
        let text = fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    processes.iter().filter_map(peak).map(|kilobytes| kilobytes * 1024).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(caught: u64, ignored: u64, blocked: u64) -> Masks {
        Masks { caught, ignored, blocked, pending: 0 }
    }

    #[test]
    fn what_becomes_of_sigterm_follows_from_the_masks() {
        const TERM: u64 = 1 << 14;
        let table = [
            (masks(TERM, 0, 0), true, Reception::Handled),
            (masks(TERM, 0, 0), false, Reception::Handled),
            (masks(0, 0, TERM), true, Reception::Handled),
            (masks(0, TERM, TERM), false, Reception::Handled),
            (masks(0, TERM, 0), false, Reception::Ignored),
            (masks(0, 0, 0), false, Reception::Default),
            (masks(0, 0, 0), true, Reception::Dropped),
            (masks(TERM << 1, 0, 0), true, Reception::Dropped),
        ];
        for (masks, first, expected) in table {
            assert_eq!(masks.reception(Signal::TERM, first), expected, "{masks:?} {first}");
        }
    }

    #[test]
    fn the_masks_of_this_process_are_those_of_its_kernel() {
        let reception = || Masks::of(std::process::id()).unwrap().reception(Signal::USR2, false);
        // While a thread is made, as the one of this test was, its maker blocks every signal.
        while reception() == Reception::Handled {
            std::thread::yield_now();
        }
        assert_eq!(reception(), Reception::Default);
        let _watched = signal_hook::iterator::Signals::new([signal_hook::consts::SIGUSR2]).unwrap();
        assert_eq!(reception(), Reception::Handled);
        let own = Masks::of(std::process::id()).unwrap();
        assert_eq!(own.waiting(&[Signal::TERM]), None);
    }
}
