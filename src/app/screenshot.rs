//! `--screenshot`: a picture of the window once everything is drawn, and the end.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

use eframe::egui::{ColorImage, Context, ViewportCommand};

use super::state::State;
use crate::error::{Error, Result};
use crate::files;

/// Frames that are shown after the last work is done, so that layout and hover have come to rest.
const FRAMES_OF_REST: u32 = 4;

/// A picture of the window that is still to be taken.
pub struct Screenshot {
    path: PathBuf,
    rested: u32,
    image: Option<Receiver<Result<()>>>,
}

impl Screenshot {
    /// To be saved at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { path, rested: 0, image: None }
    }

    /// Asks for the picture when nothing moves any more, and closes the window when it is saved.
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
                // Nobody waits any more if the window is gone.
                let _ = sender.send(save(&image, &path));
                waker.request_repaint();
            });
            self.image = Some(image);
        }
    }
}

fn save(image: &ColorImage, path: &std::path::Path) -> Result<()> {
    let [width, height] = image.size;
    let pixels = image.pixels.iter().flat_map(|pixel| [pixel.r(), pixel.g(), pixel.b()]).collect();
    let image = image::RgbImage::from_raw(width as u32, height as u32, pixels)
        .ok_or_else(|| Error::invalid("the window gave a picture without its pixels"))?;
    files::save(path, &crate::image_io::png_text::encode_png(&image, &Default::default())?)
}

fn close(ctx: &Context, saved: Result<()>) {
    if let Err(error) = saved {
        tracing::error!("{error}");
    }
    ctx.send_viewport_cmd(ViewportCommand::Close);
}
