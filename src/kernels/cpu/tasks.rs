//! Work shared among the threads of the pool: numbered tasks with one scratch a thread, and disjoint writes.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

/// Runs `body(scratch, task)` for each task below `count`. A thread takes the next task when it is free and keeps
/// its scratch, made by `scratch()`, from task to task, so that no more than one scratch a thread ever exists.
pub(super) fn for_each_task<S>(
    count: usize,
    scratch: impl Fn() -> S + Sync,
    body: impl Fn(&mut S, usize) + Sync,
) {
    (0..count)
        .par_bridge()
        .for_each_init(|| None, |kept, task| body(kept.get_or_insert_with(&scratch), task));
}

/// In how many blocks to cut `count` output channels so that there are about `wanted` of them, but none of a single
/// channel unless it is the only one: the matrix library takes another way there, and rounds differently.
pub(super) fn blocks(count: usize, wanted: usize) -> usize {
    wanted.min(count / 2).max(1)
}

/// The `index`th of `blocks` blocks of `count` things, whose sizes differ by one at most.
pub(super) fn block(count: usize, blocks: usize, index: usize) -> Range<usize> {
    count * index / blocks..count * (index + 1) / blocks
}

/// A slice whose parts are written by several threads, where the parts of one thread are not contiguous.
pub(super) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: the slice is borrowed mutably for `'a`, and the methods make their callers promise that parts are disjoint.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), owner: PhantomData }
    }

    /// The `len` values from `first` on.
    ///
    /// # Safety
    /// No two parts that overlap may be alive at once, on whatever threads.
    ///
    /// # Panics
    /// If the part does not lie inside the slice.
    #[expect(clippy::mut_from_ref, reason = "disjointness is the caller's promise")]
    #[inline(always)]
    pub unsafe fn part(&self, first: usize, len: usize) -> &mut [T] {
        // SAFETY: inside the borrowed slice, which `span` checks, and disjoint from other parts by the contract.
        unsafe { std::slice::from_raw_parts_mut(self.span(first, len), len) }
    }

    /// A pointer to the `len` values from `first` on, some of which may be other threads'.
    ///
    /// # Panics
    /// If they do not lie inside the slice.
    #[inline(always)]
    pub fn span(&self, first: usize, len: usize) -> *mut T {
        assert!(first <= self.len && len <= self.len - first, "a part ends past the slice");
        self.start.wrapping_add(first)
    }
}
