//! The devices of a machine that the program runs on by itself.

use std::sync::OnceLock;

use burn::tensor::{Device, DeviceKind};

use super::{Adapter, DeviceChoice, cpu};
use crate::error::{Error, Result};

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
