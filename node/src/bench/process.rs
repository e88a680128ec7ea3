//! What the system knows of a process: its memory, its computing time, and how many files it may open.

/// Resident bytes of a process by its id, or of `self`; none where the system does not tell.
pub fn resident(process: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024.0)
}

/// Computing time of all threads of this process so far, s; none where the system does not tell.
pub fn cpu_s() -> Option<f64> {
    #[cfg(unix)]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Some(time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9)
    }
    #[cfg(not(unix))]
    None
}

/// Lets this process open as many files as the system allows it to: a hundred peers have thousands of sockets.
pub fn allow_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // With fewer files a large swarm says which one it could not open.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_a_stranger_none() {
        assert!(resident("self").is_some_and(|bytes| bytes > 100_000.0));
        assert_eq!(resident("0"), None);
    }
}
