//! Decides what computes an operation.

use burn::tensor::Device;
use residua_core::trust::Variant;

use super::{plan, verdicts};
use crate::device::{differentiates, is_cpu};

/// What computes an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Its hand-written kernel.
    Kernel,
    /// Burn's own operations.
    Composed,
}

/// The devices on which a kernel has its own gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gradient {
    /// None.
    Nowhere,
    /// CPUs.
    OnCpu,
    /// CPUs and GPUs.
    Everywhere,
}

/// The variants of a GPU kernel that may compute an operation.
pub trait Variants {
    /// Whether one of them computes it on `device`, a GPU.
    fn serve(self, device: &Device) -> bool;
}

/// The variant for a shape, which Burn's own operations replace if it is wrong. `None` without a GPU kernel.
impl Variants for Option<Variant> {
    fn serve(self, device: &Device) -> bool {
        self.is_some_and(|variant| is_right(variant, device))
    }
}

/// The best variant, and the one that the kernel uses in its place in a browser. A browser has nothing else for a
/// convolution or a matrix product: Burn's own would be nearly half of its download.
impl Variants for [Variant; 2] {
    fn serve(self, device: &Device) -> bool {
        let [best, spare] = self;
        let in_browser = cfg!(target_family = "wasm");
        let is_best_right = is_right(best, device);
        if in_browser && !is_best_right {
            verdicts::settle(spare, device);
        }
        is_best_right || in_browser
    }
}

/// What computes an operation on `device`. Each operation has a CPU kernel; `variants` are those of its GPU kernel.
/// If gradients are needed, kernels need a `gradient` there.
pub fn route(device: &Device, variants: impl Variants, gradient: Gradient) -> Route {
    let serves = if is_cpu(device) {
        !differentiates(device) || gradient != Gradient::Nowhere
    } else {
        (!differentiates(device) || gradient == Gradient::Everywhere) && variants.serve(device)
    };
    if serves { Route::Kernel } else { Route::Composed }
}

/// Whether `variant` of a kernel handles tensors on `device`, which is a GPU or needs gradients.
pub fn has_gpu_kernel(variant: impl Into<Variant>, device: &Device) -> bool {
    !differentiates(device) && is_right(variant.into(), device)
}

/// Whether `variant` is on. Each variant is checked when it is first used, so that opening a window does not wait
/// and unused variants cost nothing. A browser can't wait here and checks it before its result is read.
fn is_right(variant: Variant, device: &Device) -> bool {
    // A plan computes nothing that could be checked.
    if plan::is_planning() {
        return true;
    }
    verdicts::settle(variant, &device.clone().without_autodiff());
    variant.is_on()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GpuKernel;
    use crate::device::cpu;
    use crate::gpu;

    /// For each kind of gradient: on a CPU, on a GPU, and the same with gradients.
    #[test]
    fn a_kernel_serves_only_devices_whose_gradient_it_has() {
        let (cpu, gpu) = (cpu(), gpu());
        let devices = [cpu.clone(), gpu.clone(), cpu.autodiff(), gpu.autodiff()];
        let variant = Some(GpuKernel::LayerNorm.into());
        let served = |gradient| devices.each_ref().map(|on| route(on, variant, gradient) == Route::Kernel);
        assert_eq!(served(Gradient::Nowhere), [true, true, false, false]);
        assert_eq!(served(Gradient::OnCpu), [true, true, true, false]);
        assert_eq!(served(Gradient::Everywhere), [true, true, true, true]);
    }

    /// Only a browser uses the second variant instead.
    #[test]
    fn burns_operations_replace_a_wrong_variant() {
        // Of no shader, so that other tests are not affected.
        let [wrong, right] = [62, 63].map(|number| GpuKernel::Matmul.variant(number));
        wrong.switch(false);
        right.switch(true);
        let gpu = gpu();
        assert_eq!(route(&gpu, Some(wrong), Gradient::Nowhere), Route::Composed);
        assert_eq!(route(&gpu, [wrong, right], Gradient::Nowhere), Route::Composed);
        assert_eq!(route(&gpu, [right, wrong], Gradient::Nowhere), Route::Kernel);
    }

    #[test]
    fn without_a_variant_only_a_cpu_has_a_kernel() {
        assert_eq!(route(&cpu(), None, Gradient::Nowhere), Route::Kernel);
        let gpu = gpu();
        assert_eq!(route(&gpu, None, Gradient::Everywhere), Route::Composed);
    }
}
