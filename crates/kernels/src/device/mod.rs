//! Chooses and creates devices. No other module does.

pub mod failure;
mod fence;
#[cfg(not(target_family = "wasm"))]
mod hold;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod page;
mod request;

use std::sync::OnceLock;

use burn::backend::DispatchDevice;
use burn::tensor::Device;
use burn::tensor::wgpu::WgpuSetup;

pub use fence::Fence;
#[cfg(not(target_family = "wasm"))]
pub use hold::hold;
#[cfg(target_os = "linux")]
pub use native::quiet_without_desktop;
#[cfg(not(target_family = "wasm"))]
pub use native::{adapters, choose, instance, memory_share, open, take_turn};
#[cfg(target_family = "wasm")]
pub use page::{Opened, open};
pub use request::descriptor;

use crate::grain::Grain;
use residua_core::error::{Error, Result};

/// Where to compute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum DeviceChoice {
    /// A hardware GPU if there is one, else the CPU.
    #[default]
    Auto,
    /// The CPU, with Burn's `flex` backend and our own kernels.
    Cpu,
    /// A GPU, or a software rasterizer if there is no GPU.
    Gpu,
}

/// One graphics adapter.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Name reported by the driver.
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
    /// False for a software rasterizer.
    pub hardware: bool,
}

/// The CPU.
pub fn cpu() -> Device {
    Device::flex()
}

/// Uses an existing graphics device, such as a window's, as the GPU, so that results can be drawn without a
/// copy.
///
/// # Errors
/// The adapter lacks something that models need, or the process has already opened another device.
pub fn share(
    instance: wgpu::Instance,
    adapter: wgpu::Adapter,
    device: wgpu::Device,
    queue: wgpu::Queue,
) -> Result<Device> {
    let info = adapter.get_info();
    let mut lacking = request::lacking(&adapter.limits());
    // The command line would not find such an adapter: both must choose the same device.
    if info.backend == wgpu::Backend::Gl {
        lacking.push("a driver for Vulkan, Metal or DirectX 12".into());
    }
    if !lacking.is_empty() {
        let lacking = lacking.join(", ");
        return Err(Error::invalid(format!(
            "the graphics adapter {} can't run the models: it lacks {lacking}; use the CPU",
            info.name
        )));
    }
    let backend = info.backend;
    ADAPTER.get_or_init(|| format!("{}, {backend}, {} {}", info.name, info.driver, info.driver_info));
    GRAIN.get_or_init(|| match info.device_type {
        wgpu::DeviceType::Cpu => Grain::Coarse,
        _ => Grain::Fine,
    });
    LARGEST_BINDING.get_or_init(|| device.limits().max_storage_buffer_binding_size);
    let setup = WgpuSetup { instance, adapter, device, queue, backend };
    let opened = init(&setup)?;
    SETUP.get_or_init(|| setup);
    Ok(opened)
}

fn init(setup: &WgpuSetup) -> Result<Device> {
    let opened = Device::wgpu_options().setup(setup.clone()).init().map_err(|e| {
        let name = setup.adapter.get_info().name;
        Error::invalid(format!("could not open the graphics adapter {name}: {e}; use the CPU"))
    })?;
    // Called last because this replaces CubeCL's own error handler.
    failure::watch(&opened, &setup.device);
    Ok(opened)
}

/// Replaces `device` if work on it has failed: returns the same graphics device with a new memory pool. The
/// old pool contains buffers whose allocation failed, and CubeCL would keep handing them out. Tensors on the
/// old `device` must not be used afterwards.
///
/// # Errors
/// The graphics device can't be opened again.
pub async fn renew(device: &Device) -> Result<Option<Device>> {
    let Some(setup) = SETUP.get().filter(|_| !is_cpu(device)) else { return Ok(None) };
    // Let the queued work finish. It is already known to have failed.
    let _ = Fence::new(device).await.wait().await;
    if !failure::forget(device) {
        return Ok(None);
    }
    device.memory_cleanup();
    init(setup).map(Some)
}

/// Name, API and driver of the adapter in use; empty if no adapter is open yet.
pub fn adapter() -> &'static str {
    ADAPTER.get().map_or("", String::as_str)
}

static ADAPTER: OnceLock<String> = OnceLock::new();

static GRAIN: OnceLock<Grain> = OnceLock::new();

/// The grain of work that suits the adapter in use.
pub(crate) fn grain() -> Grain {
    GRAIN.get().copied().unwrap_or(Grain::Fine)
}

/// Setup of the shared device.
static SETUP: OnceLock<WgpuSetup> = OnceLock::new();

/// Largest storage buffer binding of the shared device, in bytes.
static LARGEST_BINDING: OnceLock<u64> = OnceLock::new();

/// The largest tensor that fits on `device`, in bytes, if known.
pub fn largest_tensor(device: &Device) -> Option<u64> {
    LARGEST_BINDING.get().copied().filter(|_| !is_cpu(device))
}

/// Whether `device` is the CPU, with or without gradients.
pub fn is_cpu(device: &Device) -> bool {
    matches!(device.clone().without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}

/// Whether operations on `device` are recorded for gradients.
pub fn differentiates(device: &Device) -> bool {
    device.is_autodiff()
}

/// `cpu` or `gpu`. Together with the seed and the weights, the kind of device determines the samples.
pub fn kind(device: &Device) -> &'static str {
    if is_cpu(device) { "cpu" } else { "gpu" }
}

/// Waits until `device` has finished all queued work.
///
/// # Errors
/// The device failed.
#[cfg(not(target_family = "wasm"))]
pub fn wait(device: &Device) -> Result<()> {
    let done = device.sync();
    failure::check(device)?;
    done.map_err(|e| Error::invalid(format!("the device failed: {e:?}")))
}
