//! Work distributed over the thread pool: numbered tasks with one scratch per thread, and disjoint writes.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

/// Runs `body(scratch, task)` for each task below `count`. A free thread takes the next task. It creates its
/// scratch once with `scratch()` and reuses it, so there is never more than one scratch per thread.
pub(super) fn for_each_task<S>(
    count: usize,
    scratch: impl Fn() -> S + Sync,
    body: impl Fn(&mut S, usize) + Sync,
) {
    (0..count)
        .par_bridge()
        .for_each_init(|| None, |kept, task| body(kept.get_or_insert_with(&scratch), task));
}

/// Number of blocks to split `count` output channels into: about `wanted`, but no block has a single channel
/// unless there is only one, because the matrix library computes single channels differently and rounds
/// differently.
pub(super) fn blocks(count: usize, wanted: usize) -> usize {
    wanted.min(count / 2).max(1)
}

/// The `index`th of `blocks` blocks of `count` items. Their sizes differ by at most one.
pub(super) fn block(count: usize, blocks: usize, index: usize) -> Range<usize> {
    count * index / blocks..count * (index + 1) / blocks
}

/// A slice that several threads write to, each to parts that are not contiguous.
pub(super) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: the slice is borrowed mutably for `'a`, and the methods require their callers to keep parts
// disjoint.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), owner: PhantomData }
    }

    /// The `len` values from `first` on.
    ///
    /// # Safety
    /// No two overlapping parts may exist at the same time, on any threads.
    ///
    /// # Panics
    /// If the part is not inside the slice.
    #[expect(clippy::mut_from_ref, reason = "the caller guarantees disjointness")]
    #[inline(always)]
    pub unsafe fn part(&self, first: usize, len: usize) -> &mut [T] {
        // SAFETY: `span` checks that the part is inside the borrowed slice, and the caller guarantees that
        // parts are disjoint.
        unsafe { std::slice::from_raw_parts_mut(self.span(first, len), len) }
    }

    /// A pointer to the `len` values from `first` on, some of which may belong to other threads.
    ///
    /// # Panics
    /// If they are not inside the slice.
    #[inline(always)]
    pub fn span(&self, first: usize, len: usize) -> *mut T {
        assert!(first <= self.len && len <= self.len - first, "a part ends past the slice");
        self.start.wrapping_add(first)
    }
}
