//! The resident memory of this process, on systems that report it, and whether it can get more.

/// Whether `bytes` more can be allocated at once. A failed allocation would end the program.
pub fn can_hold(bytes: u64) -> bool {
    // Linux promises more memory than it has.
    let is_free = available().is_none_or(|available| bytes <= available);
    let mut space = Vec::<u8>::new();
    is_free
        && usize::try_from(bytes).is_ok_and(|bytes| space.try_reserve_exact(bytes).is_ok())
        // Otherwise the compiler may leave out the allocation.
        && !std::hint::black_box(space.as_ptr()).is_null()
}

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

#[cfg(not(target_family = "wasm"))]
fn status(name: &str) -> Option<u64> {
    field("/proc/self/status", name)
}

/// Memory that programs can still get, in bytes, if the system reports it.
fn available() -> Option<u64> {
    Some(field("/proc/meminfo", "MemAvailable:")? + field("/proc/meminfo", "SwapFree:")?)
}

/// A field of a table on Linux, in bytes.
fn field(table: &str, name: &str) -> Option<u64> {
    let table = std::fs::read_to_string(table).ok()?;
    let line = table.lines().find(|line| line.starts_with(name))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_memory_than_any_machine_has_is_refused() {
        assert!(can_hold(0) && can_hold(1 << 20));
        assert!(!can_hold(1 << 60) && !can_hold(u64::MAX));
    }
}
