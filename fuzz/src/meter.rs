//! An allocator that counts, so that a reader that believes a size in a file is caught.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Bytes that may be in use at a time for each byte of input: one opcode of a pickle, or one number of a
/// safetensors shape, is a value of some 32 bytes in a list that doubles as it grows.
const FACTOR: usize = 128;
/// What small inputs may use: buffers of a fixed size.
const CONSTANT: usize = 8 << 20;

thread_local! {
    static USED: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Meter;

#[global_allocator]
static METER: Meter = Meter;

fn count(change: isize) {
    // A thread that ends has no counters any more.
    let _ = USED.try_with(|used| {
        used.set(used.get() + change);
        PEAK.with(|peak| peak.set(peak.get().max(used.get())));
    });
}

// SAFETY: the system's allocator does the work, with the same arguments; counting allocates nothing.
unsafe impl GlobalAlloc for Meter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Runs `read` on an input of `len` bytes.
///
/// # Panics
/// If this thread had far more memory in use at a time than the input could be worth.
pub fn within_bounds<T>(len: usize, read: impl FnOnce() -> T) -> T {
    let before = USED.get();
    PEAK.set(before);
    let result = read();
    let used = (PEAK.get() - before) as usize;
    assert!(used <= len * FACTOR + CONSTANT, "{used} bytes in use for an input of {len} bytes");
    result
}
