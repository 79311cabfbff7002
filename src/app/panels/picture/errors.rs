//! The error map of a pair, which is cached, and its colour scale.

use std::sync::Arc;

use eframe::egui::{ColorImage, Context, Slider, TextureHandle, TextureId, TextureOptions, Ui, Vec2};

use super::PictureView;
use super::canvas::Pair;
use crate::app::panels::parts::gradient;
use residua_io::image_io::Picture;
use residua_io::image_io::present::{Shown, present};

/// A cached error map.
pub struct ErrorMap {
    picture: Arc<Picture>,
    original: Arc<Picture>,
    brightest: f32,
    texture: TextureHandle,
}

impl ErrorMap {
    fn is_of(&self, pair: &Pair, brightest: f32) -> bool {
        Arc::ptr_eq(&self.picture, &pair.picture)
            && Arc::ptr_eq(&self.original, pair.reference())
            && self.brightest == brightest
    }

    fn new(ctx: &Context, pair: &Pair, brightest: f32) -> Self {
        let (picture, original) = (pair.picture.clone(), pair.reference().clone());
        let size = [picture.height(), picture.width()];
        let colours = present(picture.data(), original.data(), size, size, Shown::Errors { brightest });
        let image = ColorImage::from_rgba_unmultiplied([size[1], size[0]], &colours);
        let texture = ctx.load_texture("errors", image, TextureOptions::NEAREST);
        Self { picture, original, brightest, texture }
    }
}

impl PictureView {
    /// Drops the texture of a lost graphics context.
    pub fn forget_textures(&mut self) {
        self.errors = None;
    }

    /// The error map of a pair.
    pub(super) fn errors_of(&mut self, ctx: &Context, pair: &Pair, brightest: f32) -> TextureId {
        let held = self.errors.take().filter(|map| map.is_of(pair, brightest));
        self.errors.insert(held.unwrap_or_else(|| ErrorMap::new(ctx, pair, brightest))).texture.id()
    }
}

/// Shows the colour scale, with a slider for `brightest`.
pub fn scale(ui: &mut Ui, brightest: &mut u8) {
    ui.horizontal_wrapped(|ui| {
        ui.label("0");
        gradient(ui, Vec2::new(80.0, 12.0));
        ui.spacing_mut().slider_width = 72.0;
        ui.add(Slider::new(brightest, 1..=255).logarithmic(true).suffix(" of 255").text("Brightest error"));
    });
}
