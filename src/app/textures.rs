//! Pictures on their way to the screen: each is uploaded once, and forgotten when nothing shows it any more.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use eframe::egui::{ColorImage, Context, TextureHandle, TextureOptions};

use crate::image_io::Picture;

/// The textures of pictures.
#[derive(Default)]
pub struct Textures {
    held: HashMap<*const Picture, (Weak<Picture>, TextureHandle)>,
}

impl Textures {
    /// The texture of `picture`; enlarged, its pixels stay squares.
    pub fn get(&mut self, ctx: &Context, picture: &Arc<Picture>) -> TextureHandle {
        self.held.retain(|_, (picture, _)| picture.strong_count() > 0);
        let held = self.held.entry(Arc::as_ptr(picture)).or_insert_with(|| {
            let options = TextureOptions {
                magnification: eframe::egui::TextureFilter::Nearest,
                ..TextureOptions::LINEAR
            };
            (Arc::downgrade(picture), ctx.load_texture("picture", to_color_image(picture), options))
        });
        held.1.clone()
    }
}

/// As the screen takes it.
pub fn to_color_image(picture: &Picture) -> ColorImage {
    ColorImage::from_rgb([picture.width(), picture.height()], picture.to_rgb8().as_raw())
}
