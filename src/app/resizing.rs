//! Passes events to the window, and pauses the models while it resizes: wgpu refuses to configure a surface while
//! another thread submits work to its device.

use std::cell::OnceCell;
use std::rc::Rc;

use burn::tensor::Device;
use eframe::{EframeWinitApplication, UserEvent};
use winit::application::ApplicationHandler;
use winit::event::{DeviceEvent, DeviceId, StartCause, WindowEvent};
use winit::event_loop::ActiveEventLoop;
use winit::window::WindowId;

use residua_kernels::device::hold;

/// Forwards all events to `window`.
pub struct Resizing<'a> {
    /// Handles the events.
    pub window: EframeWinitApplication<'a>,
    /// The models' device, once known.
    pub models: Rc<OnceCell<Device>>,
}

impl ApplicationHandler<UserEvent> for Resizing<'_> {
    fn window_event(&mut self, event_loop: &ActiveEventLoop, id: WindowId, event: WindowEvent) {
        let Self { window, models } = self;
        match (&event, models.get()) {
            (WindowEvent::Resized(_), Some(device)) => {
                hold(device, || window.window_event(event_loop, id, event));
            }
            _ => window.window_event(event_loop, id, event),
        }
    }

    fn new_events(&mut self, event_loop: &ActiveEventLoop, cause: StartCause) {
        self.window.new_events(event_loop, cause);
    }

    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        self.window.resumed(event_loop);
    }

    fn user_event(&mut self, event_loop: &ActiveEventLoop, event: UserEvent) {
        self.window.user_event(event_loop, event);
    }

    fn device_event(&mut self, event_loop: &ActiveEventLoop, id: DeviceId, event: DeviceEvent) {
        self.window.device_event(event_loop, id, event);
    }

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        self.window.about_to_wait(event_loop);
    }

    fn suspended(&mut self, event_loop: &ActiveEventLoop) {
        self.window.suspended(event_loop);
    }

    fn exiting(&mut self, event_loop: &ActiveEventLoop) {
        self.window.exiting(event_loop);
    }

    fn memory_warning(&mut self, event_loop: &ActiveEventLoop) {
        self.window.memory_warning(event_loop);
    }
}
