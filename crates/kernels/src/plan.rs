//! The kernels of a computation, without running them. They are recorded where kernels are launched, by the code that
//! chooses variants and counts workgroups, so a plan can't differ from what runs.

use std::cell::RefCell;

thread_local! {
    /// Launches that this thread has planned; `None` while it runs its kernels.
    static PLANNED: RefCell<Option<Vec<Launch>>> = const { RefCell::new(None) };
}

/// Most multiply-adds of one launch of a convolution or a matrix product; larger ones take several launches. While a
/// launch runs, nothing else is drawn, and a driver that waits for seconds gives up. On an integrated GPU that computes
/// 200 billion operations per second, this many take 100 ms. In this crate's tests, small launches are split too.
pub const MOST_MULTIPLY_ADDS: u64 = if cfg!(test) { 10_000_000 } else { 10_000_000_000 };

/// One launch of a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The name of its shader.
    pub kernel: &'static str,
    /// Number of workgroups.
    pub workgroups: u32,
    /// Threads of each workgroup.
    pub threads: u32,
    /// Bytes of the model's weights that it needs.
    pub weights: u64,
    /// Bytes of all other values that it reads or writes, each counted once.
    pub values: u64,
    /// Multiply-adds of a convolution or a matrix product; 0 for other kernels.
    pub multiply_adds: u64,
}

/// Does `work` on this thread without running any hand-written kernel, and returns the kernels that would run, in order.
/// Burn's own operations run as usual and are not among them. What is computed is meaningless, so `work` may look at
/// the shapes of its results only.
pub fn planned<T>(work: impl FnOnce() -> T) -> (T, Vec<Launch>) {
    PLANNED.set(Some(Vec::new()));
    let result = work();
    (result, PLANNED.take().expect("only this function ends the plan"))
}

/// Whether this thread plans.
pub(crate) fn is_planning() -> bool {
    PLANNED.with_borrow(Option::is_some)
}

/// Adds a launch to this thread's plan.
pub(crate) fn add(launch: Launch) {
    PLANNED.with_borrow_mut(|planned| planned.as_mut().expect("a plan in progress").push(launch));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu;
    use crate::layer_norm::layer_norm;
    use crate::{noise, values};

    /// 16 rows of 48 numbers, in and out, with a scale and a shift each as wide as a row.
    #[test]
    fn a_plan_names_what_would_run_and_runs_nothing() {
        let device = gpu();
        let (x, gamma, beta) =
            (noise([16, 48], 1, &device), noise([48], 2, &device), noise([48], 3, &device));
        let norm = || layer_norm(x.clone(), &gamma, &beta, 1e-5);
        let before = values(norm());
        let (y, launches) = planned(norm);
        assert_eq!(y.dims(), [16, 48]);
        let (weights, of_values) = (2 * 48 * 4, 2 * 16 * 48 * 4);
        let launch = Launch {
            kernel: "layer_norm",
            workgroups: 16,
            threads: 256,
            weights,
            values: of_values,
            multiply_adds: 0,
        };
        assert_eq!(launches, [launch]);
        assert_eq!(values(norm()), before, "kernels run again after a plan");
    }
}
