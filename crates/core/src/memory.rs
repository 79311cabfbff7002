//! The resident memory of this process, on systems that report it.

/// Resets the peak, so that the next one covers only what follows.
pub fn reset_peak() {
    // Only Linux has this; elsewhere the peak covers the whole process, or is unknown.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The peak in bytes since [`reset_peak`].
pub fn peak() -> Option<u64> {
    status("VmHWM:")
}

/// Current size in bytes.
pub fn resident() -> Option<u64> {
    status("VmRSS:")
}

#[cfg(target_family = "wasm")]
fn status(_: &str) -> Option<u64> {
    // The module's memory in pages of 64 KiB; it never shrinks.
    Some(core::arch::wasm32::memory_size::<0>() as u64 * (64 << 10))
}

/// A field of this process's status on Linux, in bytes.
#[cfg(not(target_family = "wasm"))]
fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
