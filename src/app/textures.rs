//! Textures of pictures. Each picture is uploaded once; its texture is freed at the first upload after the picture
//! is dropped.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

use eframe::egui::{ColorImage, Context, TextureHandle, TextureOptions};

use residua_io::image_io::Picture;

/// The textures of pictures.
#[derive(Default)]
pub struct Textures {
    held: RefCell<HashMap<*const Picture, (Weak<Picture>, TextureHandle)>>,
}

impl Textures {
    /// The texture of `picture`; its pixels stay square when enlarged.
    pub fn get(&self, ctx: &Context, picture: &Arc<Picture>) -> TextureHandle {
        let key = Arc::as_ptr(picture);
        // The weak reference keeps the address in use, so no other picture can get the same key.
        let mut held = self.held.borrow_mut();
        if let Some((_, texture)) = held.get(&key) {
            return texture.clone();
        }
        held.retain(|_, (picture, _)| picture.strong_count() > 0);
        let options =
            TextureOptions { magnification: eframe::egui::TextureFilter::Nearest, ..TextureOptions::LINEAR };
        let texture = ctx.load_texture("picture", to_color_image(picture), options);
        held.insert(key, (Arc::downgrade(picture), texture.clone()));
        texture
    }
}

/// Converts a picture to 8-bit RGB for egui.
pub fn to_color_image(picture: &Picture) -> ColorImage {
    ColorImage::from_rgb([picture.width(), picture.height()], picture.to_rgb8().as_raw())
}
