//! Memory for large results: on Linux in huge pages where the system has them.

/// `len` zeros.
///
/// A tensor of a 256x256 image is some 30 MB, too large for the allocator to keep from one operation to the next: the
/// faults of its 8,192 fresh pages cost several times what a normalization does. Huge pages of 2 MiB cost an eighth.
pub(super) fn zeros(len: usize) -> Vec<f32> {
    let mut values = vec![0.0; len];
    prefer_huge_pages(values.as_mut_ptr(), len);
    values
}

/// Room for `len` values that will be read again and again: a linear layer of one row reads weights a tenth to a quarter
/// faster from huge pages.
pub(crate) fn room<T>(len: usize) -> Vec<T> {
    let mut values = Vec::with_capacity(len);
    prefer_huge_pages(values.as_mut_ptr(), len);
    values
}

/// Tells Linux, which by default uses huge pages only where a program asks for them, of `len` values from `start`.
#[cfg(target_os = "linux")]
fn prefer_huge_pages<T>(start: *mut T, len: usize) {
    const PAGE: usize = 4096;
    const HUGE: usize = 2 << 20;
    let bytes = len * size_of::<T>();
    if bytes < 2 * HUGE {
        return;
    }
    let start = start.cast::<u8>();
    let skipped = start.align_offset(PAGE);
    // SAFETY: whole pages of memory that one vector alone owns; the advice does not change what they hold. That the
    // system does not follow it is no failure.
    unsafe { libc::madvise(start.add(skipped).cast(), (bytes - skipped) / PAGE * PAGE, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn prefer_huge_pages<T>(_: *mut T, _: usize) {}

#[cfg(test)]
mod tests {
    use super::zeros;

    #[test]
    fn zeros_are_zeros_whatever_their_number() {
        for len in [0, 1, 1 << 20, (1 << 20) + 1, 3_000_001] {
            let values = zeros(len);
            assert!(values.len() == len && values.iter().all(|&value| value == 0.0));
        }
    }
}
