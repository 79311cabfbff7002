//! The only place where a device is chosen or created.

use std::sync::OnceLock;

use burn::backend::DispatchDevice;
use burn::tensor::{Device, DeviceKind};

use crate::error::{Error, Result};

/// What `--device` can ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::ValueEnum)]
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

/// All graphics adapters of this machine, hardware first.
pub fn adapters() -> Vec<Adapter> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    let mut adapters: Vec<Adapter> = found
        .iter()
        .map(|adapter| {
            let info = adapter.get_info();
            Adapter {
                name: info.name,
                api: info.backend.to_string(),
                kind: format!("{:?}", info.device_type),
                driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
                max_binding: adapter.limits().max_storage_buffer_binding_size,
                shader_f16: adapter.features().contains(wgpu::Features::SHADER_F16),
                hardware: info.device_type != wgpu::DeviceType::Cpu,
            }
        })
        .collect();
    adapters.sort_by_key(|adapter| !adapter.hardware);
    adapters
}

/// The device that `choice` stands for.
///
/// # Errors
/// A GPU was asked for and there is none, or it refused.
pub fn open(choice: DeviceChoice) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(cpu()),
        DeviceChoice::Gpu => gpu(),
        DeviceChoice::Auto if adapters().iter().any(|adapter| adapter.hardware) => gpu().or_else(|error| {
            tracing::warn!("{error}; going on with the CPU");
            Ok(cpu())
        }),
        DeviceChoice::Auto => Ok(cpu()),
    }
}

/// The CPU.
pub fn cpu() -> Device {
    Device::flex()
}

/// The GPU, created at the first call.
fn gpu() -> Result<Device> {
    static GPU: OnceLock<Result<Device, String>> = OnceLock::new();
    let opened = GPU.get_or_init(|| {
        let adapters = adapters();
        let kind = match adapters.first() {
            None => {
                return Err(
                    "no graphics adapter was found; install a Vulkan driver, or use --device cpu".into()
                );
            }
            Some(adapter) if adapter.hardware => DeviceKind::DefaultDevice,
            Some(_) => DeviceKind::Cpu,
        };
        let opened = Device::wgpu_options().device_kind(kind).init();
        opened
            .map_err(|e| format!("the graphics adapter {} refused: {e}; use --device cpu", adapters[0].name))
    });
    opened.clone().map_err(Error::Invalid)
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
    let setup = burn::tensor::wgpu::WgpuSetup { instance, adapter, device, queue, backend };
    let opened = Device::wgpu_options().setup(setup).init();
    opened.map_err(|e| {
        Error::invalid(format!("the window's graphics device cannot compute: {e}; use --device cpu"))
    })
}

/// Whether `device` is the CPU.
pub fn is_cpu(device: &Device) -> bool {
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

/// `cpu` or `gpu`: the kind of device, which together with seed and weights determines what is sampled.
pub fn kind(device: &Device) -> &'static str {
    if is_cpu(device) { "cpu" } else { "gpu" }
}
