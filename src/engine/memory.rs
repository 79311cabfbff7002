//! The resident memory of this process, where the system tells.

/// Forgets the peak so far, so that the next one is of what follows.
pub fn reset_peak() {
    // Linux alone has this; elsewhere the peak stays that of the whole process, or unknown.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The peak in bytes since [`reset_peak`].
pub fn peak() -> Option<u64> {
    status("VmHWM:")
}

/// Bytes at present.
pub fn resident() -> Option<u64> {
    status("VmRSS:")
}

#[cfg(target_family = "wasm")]
fn status(_: &str) -> Option<u64> {
    // Pages of 64 KiB that the module was given; it never gives any back.
    Some(core::arch::wasm32::memory_size::<0>() as u64 * (64 << 10))
}

/// A size of this process by its name on Linux, in bytes.
#[cfg(not(target_family = "wasm"))]
fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
