//! The devices that a browser gives.

use burn::tensor::Device;
use wgpu::{DeviceLostReason, PowerPreference, RequestAdapterOptions};

use super::{DeviceChoice, cpu, descriptor, share};
use crate::error::{Error, Result};

/// A device, and what the page is told of it.
pub struct Opened {
    /// The device.
    pub device: Device,
    /// The graphics adapter's name and limits, or why it is the CPU.
    pub said: String,
    /// Whether a GPU was wanted in vain.
    pub lacking: bool,
}

/// The device that `choice` stands for. `lost` is told if the browser takes it away.
///
/// # Errors
/// A GPU is wanted, and there is none or it refuses.
pub async fn open(choice: DeviceChoice, lost: impl Fn(String) + Send + 'static) -> Result<Opened> {
    let on_cpu = |why: &str| Opened { device: cpu(), said: why.into(), lacking: false };
    if choice == DeviceChoice::Cpu {
        return Ok(on_cpu("the CPU was asked for"));
    }
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let wanted =
        RequestAdapterOptions { power_preference: PowerPreference::HighPerformance, ..Default::default() };
    let adapter = instance.request_adapter(&wanted).await.map_err(|_| {
        Error::invalid(
            "this browser gives no WebGPU adapter: update it or its graphics driver, and open the page by https",
        )
    })?;
    let info = adapter.get_info();
    if info.device_type == wgpu::DeviceType::Cpu && choice == DeviceChoice::Auto {
        return Ok(on_cpu("this browser's WebGPU is a software one, slower than the CPU itself"));
    }
    let (device, queue) = adapter.request_device(&descriptor(&adapter)).await.map_err(|error| {
        let why = without_place(&error.to_string());
        Error::invalid(format!("the graphics adapter {} refused ({why}): restart the browser", name(&info)))
    })?;
    device.set_device_lost_callback(move |reason, message| {
        if reason != DeviceLostReason::Destroyed {
            lost(message);
        }
    });
    let largest = device.limits().max_storage_buffer_binding_size >> 20;
    let said = format!("{}, buffers up to {largest} MB", name(&info));
    Ok(Opened { device: share(instance, adapter, device, queue)?, said, lacking: false })
}

/// What JavaScript says of an error, in one line, without where in its code that was.
fn without_place(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    line.replacen("JsValue(", "", 1).trim_end_matches(')').into()
}

/// Browsers may keep an adapter's name to themselves.
fn name(info: &wgpu::AdapterInfo) -> &str {
    if info.name.is_empty() { "WebGPU" } else { &info.name }
}
