//! The desktop window, and the one graphics device that it shares with the models.

use std::sync::Arc;

use eframe::egui_wgpu::{RenderState, WgpuSetup, WgpuSetupCreateNew};
use eframe::{NativeOptions, egui::ViewportBuilder};

use super::display::no_window;
use super::{Start, Studio, fonts};
use crate::device::{self, DeviceChoice};
use crate::engine::start::{GpuKernels, distrust};
use crate::engine::studio::Engine;
use crate::error::Result;

/// Opens the studio and returns when it is closed.
///
/// # Errors
/// The system gives no window.
pub fn open(start: Start, choice: DeviceChoice, kernels: GpuKernels) -> Result<()> {
    if kernels == GpuKernels::Off {
        distrust();
    }
    let viewport = ViewportBuilder::default()
        .with_title("Residua")
        .with_app_id("residua")
        .with_inner_size([1280.0, 800.0])
        .with_min_inner_size([640.0, 400.0]);
    let mut options = NativeOptions { viewport, ..Default::default() };
    options.wgpu_options.wgpu_setup = WgpuSetup::CreateNew(WgpuSetupCreateNew {
        device_descriptor: Arc::new(device::descriptor),
        ..WgpuSetupCreateNew::without_display_handle()
    });
    let create = move |context: &eframe::CreationContext| -> Result<Box<dyn eframe::App>, Box<dyn std::error::Error + Send + Sync>> {
        let device = match &context.wgpu_render_state {
            Some(render) => models_device(choice, render)?,
            None => device::open(choice)?,
        };
        let kind = device::kind(&device);
        let shared = !device::is_cpu(&device);
        let ctx = context.egui_ctx.clone();
        let engine = Engine::start(device, move || ctx.request_repaint());
        fonts::install(&context.egui_ctx);
        let mut studio = Studio::new(&context.egui_ctx, engine, kind, start, context.storage);
        let log = studio.state.log.sender();
        super::listen(move |line| {
            // A studio that is closed reads no log.
            let _ = log.send(line);
        });
        if let Some(render) = context.wgpu_render_state.as_ref().filter(|_| shared) {
            studio.state.adapter = Some(adapter_name(render));
            studio.draw_on_device(render);
        }
        Ok(Box::new(studio))
    };
    eframe::run_native("residua", options, Box::new(create)).map_err(no_window)
}

/// The graphics adapter, its API and its driver.
fn adapter_name(render: &RenderState) -> String {
    let info = render.adapter.get_info();
    format!("{}, {}, {} {}", info.name, info.backend, info.driver, info.driver_info)
}

/// Where the models run: on the window's own device if that is asked for, or is made of silicon and nothing is asked for.
fn models_device(choice: DeviceChoice, render: &RenderState) -> Result<burn::tensor::Device> {
    let info = render.adapter.get_info();
    let hardware = info.device_type != wgpu::DeviceType::Cpu;
    match choice {
        DeviceChoice::Cpu => Ok(device::cpu()),
        DeviceChoice::Auto if !hardware => Ok(device::cpu()),
        DeviceChoice::Auto | DeviceChoice::Gpu => device::share(
            render.instance.clone(),
            render.adapter.clone(),
            render.device.clone(),
            render.queue.clone(),
        ),
    }
}
