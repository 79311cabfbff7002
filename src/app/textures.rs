//! Pictures on their way to the screen: each is uploaded once, and forgotten at the next upload
//! after nothing shows it any more.

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
        let key = Arc::as_ptr(picture);
        // A picture that is held weakly keeps its address, so that no other can be taken for it.
        if let Some((_, texture)) = self.held.get(&key) {
            return texture.clone();
        }
        self.held.retain(|_, (picture, _)| picture.strong_count() > 0);
        let options =
            TextureOptions { magnification: eframe::egui::TextureFilter::Nearest, ..TextureOptions::LINEAR };
        let texture = ctx.load_texture("picture", to_color_image(picture), options);
        self.held.insert(key, (Arc::downgrade(picture), texture.clone()));
        texture
    }
}

/// As the screen takes it.
pub fn to_color_image(picture: &Picture) -> ColorImage {
    ColorImage::from_rgb([picture.width(), picture.height()], picture.to_rgb8().as_raw())
}
