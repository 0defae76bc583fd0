//! What this process uses of the machine. Tests that measure it run alone.

/// Runs the test of this name in a process of its own, unless this is it: whether the caller
/// is to go on.
pub(crate) fn alone(test: &str) -> bool {
    if std::env::var_os("NEXTEST").is_some() || std::env::var_os("COMPOSED_ALONE").is_some() {
        return true;
    }
    let own = std::env::current_exe().unwrap();
    let status = std::process::Command::new(own)
        .args(["--exact", test, "--nocapture"])
        .env("COMPOSED_ALONE", "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test}: {status}");
    false
}

/// Open file descriptors.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Resident memory in bytes.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}
