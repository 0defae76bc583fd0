//! What the kernel knows of this process, by the names that Prometheus clients share. What
//! it does not tell (there is no `/proc`) is left out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Exposed, Kind, Text};

/// Ticks of `/proc/self/stat` in a second: `USER_HZ`, which Linux keeps at 100 for programs
/// whatever its own clock does.
const TICKS: f64 = 100.0;

/// The metrics of the process itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlatformMetrics {
    /// Seconds of Unix time.
    started: f64,
}

impl PlatformMetrics {
    /// Of this process, which has started just now.
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { started: since.as_secs_f64() }
    }
}

impl Exposed for PlatformMetrics {
    fn write(&self, text: &mut Text<'_>) {
        let mut gauge = |name, help, value: Option<f64>| {
            let Some(value) = value else { return };
            text.family(name, Kind::Gauge, help);
            text.gauge(name, "", value);
        };
        let read = |file: &str| std::fs::read_to_string(format!("/proc/self/{file}"));
        let status = read("status").unwrap_or_default();
        let kilobytes = |key| Some(number_after(&status, key)? * 1024.0);
        gauge("process_resident_memory_bytes", "Memory that is in RAM.", kilobytes("VmRSS:"));
        gauge("process_virtual_memory_bytes", "Memory that is mapped.", kilobytes("VmSize:"));
        gauge("process_threads", "Threads of the process.", number_after(&status, "Threads:"));
        let open = std::fs::read_dir("/proc/self/fd").map(|files| files.count()).ok();
        // The folder itself is open while it is read.
        let open = open.map(|count| count.saturating_sub(1) as f64);
        gauge("process_open_fds", "File descriptors that are open.", open);
        let limits = read("limits").unwrap_or_default();
        let most = number_after(&limits, "Max open files");
        gauge("process_max_fds", "File descriptors that may be open.", most);
        let help = "When the process started, in seconds of Unix time.";
        gauge("process_start_time_seconds", help, Some(self.started));
        if let Some(seconds) = read("stat").ok().as_deref().and_then(processor_seconds) {
            let name = "process_cpu_seconds";
            text.family(name, Kind::Counter, "Processor time, of the program and of the kernel.");
            text.counter(name, "", seconds);
        }
    }
}

/// The first number behind `key` on its line.
fn number_after(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time of a `/proc/PID/stat`.
fn processor_seconds(stat: &str) -> Option<f64> {
    // The name of the program may hold anything, also brackets and spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    #[test]
    fn a_program_may_be_called_anything() {
        let stat = "7 (a) b 1 2) S 1 7 7 0 -1 4194560 171 0 0 0 250 150 0 0 20 0 1 0 123";
        assert_eq!(processor_seconds(stat), Some(4.0));
        assert_eq!(processor_seconds("7 (x"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_values_of_this_process_are_sound() {
        let mut out = String::new();
        PlatformMetrics::now().write(&mut Text::new(&mut out, Format::Prometheus));
        let value = |name: &str| number_after(&out, &format!("{name} ")).unwrap();
        assert!(1_000_000.0 < value("process_resident_memory_bytes"), "{out}");
        assert!(value("process_resident_memory_bytes") < value("process_virtual_memory_bytes"));
        assert!(
            3.0 <= value("process_open_fds")
                && value("process_open_fds") <= value("process_max_fds")
        );
        assert!(1.0 <= value("process_threads"));
        assert!(0.0 <= value("process_cpu_seconds_total"));
        assert!(1_700_000_000.0 < value("process_start_time_seconds"));
    }
}
