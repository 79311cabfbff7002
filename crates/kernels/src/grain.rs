//! How finely kernels split their work into workgroups.

use std::cell::Cell;

use crate::device;

/// How finely kernels split their work. Results are the same within rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grain {
    /// A few large workgroups, for a software rasterizer: a workgroup costs it time, and it has few cores.
    Coarse,
    /// Many small workgroups, for a GPU: it needs some for each of its dozens of units.
    Fine,
}

thread_local! {
    /// The grain that this thread asks for.
    static ASKED: Cell<Option<Grain>> = const { Cell::new(None) };
}

impl Grain {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Coarse, Self::Fine];

    /// The grain that suits the adapter in use, unless this thread asks for another.
    pub(crate) fn current() -> Self {
        ASKED.get().unwrap_or_else(device::grain)
    }

    /// Does `work` on this thread with this grain, for tests and plans.
    pub fn during<T>(self, work: impl FnOnce() -> T) -> T {
        let before = ASKED.replace(Some(self));
        let result = work();
        ASKED.set(before);
        result
    }
}
