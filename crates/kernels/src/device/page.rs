//! Devices in a browser.

use burn::tensor::Device;
use wgpu::{DeviceLostReason, PowerPreference, RequestAdapterOptions};

use super::{DeviceChoice, cpu, descriptor, share};
use crate::verdicts;
use residua_core::error::{Error, Result};

/// A device and the description shown on the page.
pub struct Opened {
    /// The device.
    pub device: Device,
    /// The graphics adapter's name and limits, or the reason for using the CPU.
    pub said: String,
    /// True if a GPU was requested but unavailable.
    pub lacking: bool,
}

/// Opens the device for `choice`. `lost` is called with the reason if the browser takes the device away.
///
/// # Errors
/// A GPU is requested, but there is none or it could not be opened.
pub async fn open(choice: DeviceChoice, lost: impl Fn(String) + Send + 'static) -> Result<Opened> {
    let on_cpu = |why: &str| Opened { device: cpu(), said: why.into(), lacking: false };
    if choice == DeviceChoice::Cpu {
        return Ok(on_cpu("the CPU was requested"));
    }
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let wanted =
        RequestAdapterOptions { power_preference: PowerPreference::HighPerformance, ..Default::default() };
    let adapter = instance.request_adapter(&wanted).await.map_err(|_| {
        Error::invalid(
            "this browser has no WebGPU adapter: update it or the graphics driver, and open the page over HTTPS",
        )
    })?;
    let info = adapter.get_info();
    if info.device_type == wgpu::DeviceType::Cpu && choice == DeviceChoice::Auto {
        return Ok(on_cpu(
            "this browser's WebGPU runs in software, which is slower than using the CPU directly",
        ));
    }
    let (device, queue) = adapter.request_device(&descriptor(&adapter)).await.map_err(|error| {
        let why = without_place(&error.to_string());
        Error::invalid(format!(
            "could not open the graphics adapter {} ({why}): restart the browser",
            name(&info)
        ))
    })?;
    device.set_device_lost_callback(move |reason, message| {
        if reason != DeviceLostReason::Destroyed {
            lost(message);
        }
    });
    let largest = device.limits().max_storage_buffer_binding_size >> 20;
    let said = format!("{}, buffers up to {largest} MB", name(&info));
    let device = share(instance, adapter, device, queue)?;
    verdicts::restore().await;
    Ok(Opened { device, said, lacking: false })
}

/// The first line of a JavaScript error, without its location in the source.
fn without_place(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    line.replacen("JsValue(", "", 1).trim_end_matches(')').into()
}

/// The adapter's name, which browsers may hide.
fn name(info: &wgpu::AdapterInfo) -> &str {
    if info.name.is_empty() { "WebGPU" } else { &info.name }
}
