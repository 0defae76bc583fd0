//! The names of measured values: what the probes write, `--derive` and the reports read.
//!
//! A name ends in the unit of its value, where it is a number.

/// The 95th percentile of the time from exec to the first good answer.
pub const START_P95_SECONDS: &str = "start_p95_seconds";
/// From SIGTERM to the end of the whole process tree, with a request held for a part of it.
pub const DRAIN_SECONDS: &str = "drain_seconds";
/// For how long after SIGTERM new connections were still accepted.
pub const ACCEPTING_AFTER_TERM_SECONDS: &str = "accepting_after_term_seconds";
/// The most resident memory of the whole process tree at one time.
pub const MEMORY_PEAK_BYTES: &str = "memory_peak_bytes";
/// The files, or folders of files, that the program wrote: a list.
pub const WRITTEN_PATHS: &str = "written_paths";
/// The peers it dialled, as `HOST:PORT`: a list.
pub const EGRESS: &str = "egress";
/// Where a static finding is, as `PATH` or `PATH:LINE`, relative to the folder: a list.
pub const FILE: &str = "file";
