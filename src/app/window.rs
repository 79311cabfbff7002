//! The desktop window, and the graphics device that it shares with the models.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::{Arc, Once};
use std::time::Instant;

use burn::tensor::Device;
use eframe::egui::{Context, Ui, ViewportBuilder};
use eframe::egui_wgpu::{RenderState, WgpuSetup, WgpuSetupCreateNew};
use eframe::{NativeOptions, UserEvent};
use winit::event_loop::EventLoop;

use super::display::no_window;
use super::resizing::Resizing;
use super::{Start, Studio, fonts};
use residua_core::error::Result;
use residua_engine::start::{GpuKernels, distrust, faster};
use residua_kernels::device::{self, DeviceChoice};
use residua_protocol::Ready;

/// Opens the studio and returns once it is closed.
///
/// # Errors
/// The window or the models' device cannot be opened.
pub fn open(start: Start, choice: DeviceChoice, kernels: GpuKernels) -> Result<()> {
    let begun = Instant::now();
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
        instance_descriptor: device::instance(wgpu::Backends::PRIMARY | wgpu::Backends::GL),
        device_descriptor: Arc::new(device::descriptor),
        native_adapter_selector: Some(Arc::new(select)),
        ..WgpuSetupCreateNew::without_display_handle()
    });
    // eframe cannot return these: the models' device, or why the studio did not start.
    let (models, refused) = (Rc::new(OnceCell::new()), Rc::new(Cell::new(None)));
    let (opened, why) = (models.clone(), refused.clone());
    let create = move |context: &eframe::CreationContext| match studio(context, start, choice) {
        Ok((studio, device)) => {
            report_opening(&context.egui_ctx, begun);
            opened.get_or_init(|| device);
            Ok(Box::new(studio) as Box<dyn eframe::App>)
        }
        Err(error) => {
            let text = error.to_string();
            why.set(Some(error));
            Err(text.into())
        }
    };
    let refused_by_winit = |error| no_window(eframe::Error::WinitEventLoop(error));
    let event_loop = EventLoop::<UserEvent>::with_user_event().build().map_err(refused_by_winit)?;
    let window = eframe::create_native("residua", options, Box::new(create), &event_loop);
    let mut window = Resizing { window, models };
    event_loop.run_app(&mut window).map_err(refused_by_winit)?;
    match (refused.take(), window.models.get()) {
        (Some(error), _) => Err(error),
        (None, Some(_)) => Ok(()),
        // eframe has logged the reason.
        (None, None) => Err(no_window(eframe::Error::AppCreation("no graphics adapter can draw it".into()))),
    }
}

/// Reports once how long it took until the first frame was drawn, from when on the window can be used.
fn report_opening(ctx: &Context, begun: Instant) {
    let once = Once::new();
    let report = move |ui: &mut Ui| {
        if ui.ctx().cumulative_frame_nr() > 0 {
            once.call_once(|| tracing::info!("the window opened in {} ms", begun.elapsed().as_millis()));
        }
    };
    ctx.on_begin_pass("opening", Arc::new(report));
}

/// Closes the window on SIGTERM, SIGINT and SIGHUP as the user would, so that a training run writes its checkpoint
/// first. A second Ctrl-C ends the program at once; a second SIGHUP does not, because a closing terminal may send
/// several.
#[cfg(unix)]
fn close_on_signals(ctx: Context) {
    use signal_hook::consts::SIGINT;
    let signals = crate::signals::stopping(false).into_iter().chain([SIGINT]);
    let signals = signal_hook::iterator::Signals::new(signals);
    let Ok(mut signals) = signals
        .inspect_err(|error| tracing::warn!("signals will end the program without a checkpoint: {error}"))
    else {
        return;
    };
    std::thread::spawn(move || {
        for (earlier, signal) in signals.forever().enumerate() {
            if earlier > 0 && signal == SIGINT {
                // Ends the process.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            ctx.send_viewport_cmd(eframe::egui::ViewportCommand::Close);
        }
    });
}

/// Closes the window on Ctrl-C or when its console closes, as the user would: a training run first writes its checkpoint.
/// A second Ctrl-C ends the program at once.
#[cfg(windows)]
fn close_on_signals(ctx: Context) {
    let close = move || ctx.send_viewport_cmd(eframe::egui::ViewportCommand::Close);
    let (on_end, mut pressed) = (close.clone(), false);
    let caught = ctrlc::set_handler(move || {
        if std::mem::replace(&mut pressed, true) {
            std::process::exit(130);
        }
        close();
    });
    if let Err(error) = caught {
        tracing::warn!("Ctrl-C will end the program without a checkpoint: {error}");
    }
    if let Err(error) = crate::signals::before_end(on_end) {
        tracing::warn!("closing the console will end the program without a checkpoint: {error}");
    }
}

/// Creates the studio; also returns its models' device.
fn studio(context: &eframe::CreationContext, start: Start, choice: DeviceChoice) -> Result<(Studio, Device)> {
    let window = context.wgpu_render_state.as_ref().filter(|render| can_share(render));
    let (device, said) = match window {
        Some(render) => models_device(choice, render)?,
        None => own_device(choice)?,
    };
    let kind = device::kind(&device);
    let shared = !device::is_cpu(&device);
    #[cfg(any(unix, windows))]
    close_on_signals(context.egui_ctx.clone());
    let ctx = context.egui_ctx.clone();
    let engine = residua_engine::studio::start(device.clone(), move || ctx.request_repaint());
    fonts::install(&context.egui_ctx);
    let mut studio = Studio::new(&context.egui_ctx, engine, kind, start, context.storage);
    let log = studio.state.log.sender();
    residua_core::warnings::listen(move |line| {
        // Fails only if the studio has closed.
        let _ = log.send(line);
    });
    studio.state.ready(Ready { device: kind.into(), said, lacking: false });
    if let Some(render) = window.filter(|_| shared) {
        studio.draw_on_device(render);
    }
    Ok((studio, device))
}

/// Chooses an adapter as the command line does, among those that can draw on `surface`.
fn select(adapters: &[wgpu::Adapter], surface: Option<&wgpu::Surface<'_>>) -> Result<wgpu::Adapter, String> {
    let draws =
        |adapter: &&wgpu::Adapter| surface.is_none_or(|surface| adapter.is_surface_supported(surface));
    let drawing: Vec<wgpu::Adapter> = adapters.iter().filter(draws).cloned().collect();
    device::choose(&drawing)
        .cloned()
        .ok_or_else(|| "no graphics adapter can draw a window; install a graphics driver".into())
}

/// Whether the models may share the window's device. They never run on OpenGL, which draws the window where a driver for
/// Vulkan cannot.
fn can_share(render: &RenderState) -> bool {
    render.adapter.get_info().backend != wgpu::Backend::Gl
}

/// Opens a device for the models alone, as the command line does, and says which.
///
/// # Errors
/// A GPU was requested, but there is none or it could not be opened.
fn own_device(choice: DeviceChoice) -> Result<(Device, String)> {
    let device = device::open(choice)?;
    let said = if device::is_cpu(&device) {
        "the window's graphics device can't run models".into()
    } else {
        format!("{}; the window has another device", device::adapter())
    };
    Ok((device, said))
}

/// Chooses the models' device, and says why. They share the window's device if a GPU was requested, or by default if
/// it is faster than the CPU and not a software rasterizer.
///
/// # Errors
/// A GPU was requested, but it cannot run the models.
fn models_device(choice: DeviceChoice, render: &RenderState) -> Result<(Device, String)> {
    let hardware = render.adapter.get_info().device_type != wgpu::DeviceType::Cpu;
    let share = || {
        let RenderState { instance, adapter, device, queue, .. } = render;
        device::share(instance.clone(), adapter.clone(), device.clone(), queue.clone())
    };
    Ok(match choice {
        DeviceChoice::Cpu => (device::cpu(), "the CPU was requested".into()),
        DeviceChoice::Gpu => (share()?, device::adapter().into()),
        DeviceChoice::Auto if hardware => match share() {
            Ok(gpu) => {
                let (device, trial) = faster(gpu);
                (device, format!("{}; {trial}", device::adapter()))
            }
            Err(error) => (device::cpu(), error.to_string()),
        },
        DeviceChoice::Auto => {
            (device::cpu(), "the only GPU is a software rasterizer, which is slower".into())
        }
    })
}
