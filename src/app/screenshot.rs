//! Saves a picture of the window once everything is drawn, then closes it.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use eframe::egui::{ColorImage, Context, ViewportCommand};

use super::state::State;
use residua_core::error::{Error, Result};
use residua_core::files;

/// Frames to show after the last job is done, so that layout and hover effects settle.
const FRAMES_OF_REST: u32 = 4;

/// A pending screenshot.
pub struct Screenshot {
    path: PathBuf,
    rested: u32,
    image: Option<Receiver<Result<()>>>,
}

impl Screenshot {
    /// Will be saved at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { path, rested: 0, image: None }
    }

    /// Requests the screenshot once nothing changes any more, and closes the window once it is saved.
    pub fn take(&mut self, ctx: &Context, state: &State) {
        if let Some(image) = &self.image {
            match image.try_recv() {
                Ok(saved) => close(ctx, saved),
                Err(_) => ctx.request_repaint(),
            }
            return;
        }
        ctx.request_repaint();
        self.rested = if state.is_busy() { 0 } else { self.rested + 1 };
        if self.rested >= FRAMES_OF_REST {
            let (sender, image) = channel();
            let (path, waker) = (self.path.clone(), ctx.clone());
            ctx.request_screenshot(move |image| {
                // The window's thread waits for this callback, so it must not wait for the file.
                thread::spawn(move || {
                    // Fails only if the window has closed.
                    let _ = sender.send(save(&image, &path));
                    waker.request_repaint();
                });
            });
            self.image = Some(image);
        }
    }
}

fn save(image: &ColorImage, path: &std::path::Path) -> Result<()> {
    let [width, height] = image.size;
    let pixels = image.pixels.iter().flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()]).collect();
    let image = image::RgbImage::from_raw(width as u32, height as u32, pixels)
        .ok_or_else(|| Error::invalid("the window returned a screenshot without its pixels"))?;
    files::save(path, &residua_io::image_io::png_text::encode_png(&image, &Default::default())?)
}

fn close(ctx: &Context, saved: Result<()>) {
    if let Err(error) = saved {
        tracing::error!("{error}");
    }
    ctx.send_viewport_cmd(ViewportCommand::Close);
}
