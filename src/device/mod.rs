//! The only place where a device is chosen or created.

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod page;

use std::sync::OnceLock;

use burn::backend::DispatchDevice;
use burn::tensor::Device;

#[cfg(not(target_family = "wasm"))]
pub use native::{adapters, open};
#[cfg(target_family = "wasm")]
pub use page::{Opened, open, wait};

use crate::error::{Error, Result};

/// What `--device` can ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(not(target_family = "wasm"), derive(clap::ValueEnum))]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU, by Burn's `flex` and our own kernels.
    Cpu,
    /// A GPU; a software rasterizer where there is no other.
    Gpu,
}

/// One graphics adapter.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// The driver's name for it.
    pub name: String,
    /// The graphics API.
    pub api: String,
    /// `DiscreteGpu`, `IntegratedGpu`, `VirtualGpu`, `Cpu` (a software rasterizer) or `Other`.
    pub kind: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Largest buffer that a shader may bind, in bytes.
    pub max_binding: u64,
    /// Whether shaders may use f16.
    pub shader_f16: bool,
    /// Whether it is made of silicon.
    pub hardware: bool,
}

/// The CPU.
pub fn cpu() -> Device {
    Device::flex()
}

/// A graphics device with all that the adapter has, for models and a window together: models' buffers are larger than
/// what a window needs.
pub fn descriptor(adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
    wgpu::DeviceDescriptor {
        label: Some("residua"),
        required_features: adapter.features() - wgpu::Features::MAPPABLE_PRIMARY_BUFFERS,
        required_limits: adapter.limits(),
        ..Default::default()
    }
}

/// The GPU on a graphics device that exists already, such as a window's: what is computed can then be drawn without a copy.
///
/// # Errors
/// The device cannot compute, or the process has opened another one.
pub fn share(
    instance: wgpu::Instance,
    adapter: wgpu::Adapter,
    device: wgpu::Device,
    queue: wgpu::Queue,
) -> Result<Device> {
    let backend = adapter.get_info().backend;
    LARGEST_BINDING.get_or_init(|| device.limits().max_storage_buffer_binding_size);
    let setup = burn::tensor::wgpu::WgpuSetup { instance, adapter, device, queue, backend };
    let opened = Device::wgpu_options().setup(setup).init();
    opened.map_err(|e| {
        Error::invalid(format!("the window's graphics device cannot compute: {e}; use --device cpu"))
    })
}

/// Of the shared device, in bytes.
static LARGEST_BINDING: OnceLock<u64> = OnceLock::new();

/// The largest tensor that `device` takes, in bytes, where that is known.
pub fn largest_tensor(device: &Device) -> Option<u64> {
    LARGEST_BINDING.get().copied().filter(|_| !is_cpu(device))
}

/// Whether `device` is the CPU, with gradients or without.
pub fn is_cpu(device: &Device) -> bool {
    matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}

/// Whether operations on `device` are remembered for gradients.
pub fn differentiates(device: &Device) -> bool {
    device.is_autodiff()
}

/// `cpu` or `gpu`: the kind of device, which together with seed and weights determines what is sampled.
pub fn kind(device: &Device) -> &'static str {
    if is_cpu(device) { "cpu" } else { "gpu" }
}

/// Waits until `device` has done all that it was asked.
///
/// # Errors
/// It failed.
#[cfg(not(target_family = "wasm"))]
pub async fn wait(device: &Device) -> Result<()> {
    wait_here(device)
}

/// [`wait`], for those who cannot do anything else meanwhile.
///
/// # Errors
/// It failed.
#[cfg(not(target_family = "wasm"))]
pub fn wait_here(device: &Device) -> Result<()> {
    device.sync().map_err(|e| Error::invalid(format!("the device failed: {e:?}")))
}
