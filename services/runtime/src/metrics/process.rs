//! What the process itself uses, under the names that every Prometheus client gives these numbers.
//!
//! Read from `/proc` when asked; elsewhere than on Linux there is nothing to read and the numbers are left
//! out rather than invented.

use std::sync::LazyLock;

/// One number.
pub(crate) struct Reading {
    pub name: &'static str,
    pub help: &'static str,
    pub counter: bool,
    pub value: f64,
}

/// When the process first asked, which the binary does as it starts, in seconds since 1970.
static STARTED: LazyLock<f64> = LazyLock::new(|| crate::now_ns() as f64 / 1e9);

/// Notes when the process started.
pub(crate) fn started() {
    LazyLock::force(&STARTED);
}

/// The numbers at this moment.
pub(crate) fn readings() -> Vec<Reading> {
    let mut readings = vec![Reading {
        name: "process_start_time_seconds",
        help: "When the process started, in seconds since 1970.",
        counter: false,
        value: *STARTED,
    }];
    if let Some(kib) = status_kib("VmRSS:") {
        readings.push(Reading {
            name: "process_resident_memory_bytes",
            help: "Memory of the process that is in RAM, in bytes.",
            counter: false,
            value: kib * 1024.0,
        });
    }
    if let Some(seconds) = cpu_seconds() {
        readings.push(Reading {
            name: "process_cpu_seconds_total",
            help: "Processor time of the process, in seconds.",
            counter: true,
            value: seconds,
        });
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        readings.push(Reading {
            name: "process_open_fds",
            help: "Open files and sockets.",
            counter: false,
            value: open.count() as f64,
        });
    }
    readings
}

fn status_kib(field: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Processor time in user and kernel mode. The kernel counts in hundredths of a second towards programs.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name stands in parentheses and may hold spaces; what follows begins with field 3.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks = |field: usize| rest.split_whitespace().nth(field - 3)?.parse::<f64>().ok();
    Some((ticks(14)? + ticks(15)?) / 100.0)
}
