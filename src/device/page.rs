//! The devices that a browser gives.

use burn::backend::DispatchDevice;
use burn::tensor::Device;
use wgpu::{DeviceLostReason, PowerPreference, RequestAdapterOptions};

use super::{DeviceChoice, cpu, descriptor, share};
use crate::error::{Error, Result};

/// A device, and what the page is told of it.
pub struct Opened {
    /// The device.
    pub device: Device,
    /// The graphics adapter's name and limits, or why there is none.
    pub said: String,
}

/// The device that `choice` stands for. `lost` is told if the browser takes it away.
///
/// # Errors
/// A GPU was asked for and there is none, or it refused.
pub async fn open(choice: DeviceChoice, lost: impl Fn(String) + Send + 'static) -> Result<Opened> {
    let on_cpu = |why: String| Opened { device: cpu(), said: why };
    match choice {
        DeviceChoice::Cpu => Ok(on_cpu("the CPU was asked for".into())),
        DeviceChoice::Gpu => gpu(true, lost).await,
        DeviceChoice::Auto => Ok(gpu(false, lost).await.unwrap_or_else(|error| on_cpu(error.to_string()))),
    }
}

async fn gpu(software: bool, lost: impl Fn(String) + Send + 'static) -> Result<Opened> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let wanted =
        RequestAdapterOptions { power_preference: PowerPreference::HighPerformance, ..Default::default() };
    let adapter = instance.request_adapter(&wanted).await.map_err(|_| {
        Error::invalid("this browser gives no WebGPU adapter: update it or its graphics driver")
    })?;
    let info = adapter.get_info();
    if info.device_type == wgpu::DeviceType::Cpu && !software {
        return Err(Error::invalid("this browser's WebGPU is a software one, slower than the CPU itself"));
    }
    let (device, queue) = adapter.request_device(&descriptor(&adapter)).await.map_err(|error| {
        Error::invalid(format!("the graphics adapter {} refused ({error}): restart the browser", info.name))
    })?;
    device.set_device_lost_callback(move |reason, message| {
        if reason != DeviceLostReason::Destroyed {
            lost(message);
        }
    });
    let name = if info.name.is_empty() { "WebGPU".into() } else { info.name };
    let largest = device.limits().max_storage_buffer_binding_size >> 20;
    let said = format!("{name}, buffers up to {largest} MB");
    Ok(Opened { device: share(instance, adapter, device, queue)?, said })
}

/// Waits until `device` has done all that it was asked; meanwhile the browser does other things.
///
/// # Errors
/// It failed.
pub async fn wait(device: &Device) -> Result<()> {
    let DispatchDevice::Cube(device) = device.as_dispatch() else { return Ok(()) };
    let done = device.client().sync().await;
    done.map_err(|e| Error::invalid(format!("the device failed: {e:?}")))
}
