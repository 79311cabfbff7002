//! The only place where a device is chosen or created.

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
pub use native::{adapters, choose, instance, open};
#[cfg(target_family = "wasm")]
pub use page::{Opened, open};
pub use request::descriptor;

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

/// The GPU on a graphics device that exists already, such as a window's: what is computed can then be drawn without a copy.
///
/// # Errors
/// The adapter lacks what models need, or the process has opened another device.
pub fn share(
    instance: wgpu::Instance,
    adapter: wgpu::Adapter,
    device: wgpu::Device,
    queue: wgpu::Queue,
) -> Result<Device> {
    let info = adapter.get_info();
    let lacking = request::lacking(&adapter.limits());
    if !lacking.is_empty() {
        let lacking = lacking.join(", ");
        return Err(Error::invalid(format!(
            "the graphics adapter {} can't run the models: it lacks {lacking}; use --device cpu",
            info.name
        )));
    }
    let backend = info.backend;
    ADAPTER.get_or_init(|| format!("{}, {backend}, {} {}", info.name, info.driver, info.driver_info));
    LARGEST_BINDING.get_or_init(|| device.limits().max_storage_buffer_binding_size);
    let setup = WgpuSetup { instance, adapter, device, queue, backend };
    let opened = init(&setup)?;
    SETUP.get_or_init(|| setup);
    Ok(opened)
}

fn init(setup: &WgpuSetup) -> Result<Device> {
    let opened = Device::wgpu_options().setup(setup.clone()).init().map_err(|e| {
        let name = setup.adapter.get_info().name;
        Error::invalid(format!("the graphics adapter {name} refused: {e}; use --device cpu"))
    })?;
    // After CubeCL's own watch, which it replaces.
    failure::watch(&setup.device);
    Ok(opened)
}

/// What takes the place of `device` if work on it has failed: the same graphics device with new memory. In the old one lie
/// buffers that could not be had, and CubeCL goes on to hand them out. Nothing on `device` may be used any more.
///
/// # Errors
/// The graphics device refuses.
pub async fn renew(device: &Device) -> Result<Option<Device>> {
    let Some(setup) = SETUP.get().filter(|_| !is_cpu(device)) else { return Ok(None) };
    // What is still queued runs out; that it fails is known.
    let _ = Fence::new(device).await.wait().await;
    if !failure::forget() {
        return Ok(None);
    }
    device.memory_cleanup();
    failure::forget();
    init(setup).map(Some)
}

/// The name, API and driver of the adapter in use; empty before there is one.
pub fn adapter() -> &'static str {
    ADAPTER.get().map_or("", String::as_str)
}

static ADAPTER: OnceLock<String> = OnceLock::new();

/// Of the shared device.
static SETUP: OnceLock<WgpuSetup> = OnceLock::new();

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
pub fn wait(device: &Device) -> Result<()> {
    let done = device.sync();
    failure::check()?;
    done.map_err(|e| Error::invalid(format!("the device failed: {e:?}")))
}
