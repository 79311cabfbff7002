//! Textures of pictures, held by the context that draws them. Each picture is uploaded once; its texture is freed at the
//! first upload after the picture is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use eframe::egui::mutex::Mutex;
use eframe::egui::{ColorImage, Context, Id, TextureFilter, TextureHandle, TextureOptions};

use residua_io::image_io::Picture;

/// The textures of a context, by the addresses of their pictures. A weak reference keeps its address in use, so no other
/// picture can get the same key.
type Held = Arc<Mutex<HashMap<usize, (Weak<Picture>, TextureHandle)>>>;

/// The texture of `picture`; its pixels stay square when enlarged.
pub fn of(ctx: &Context, picture: &Arc<Picture>) -> TextureHandle {
    let held: Held = ctx.data_mut(|data| data.get_temp_mut_or_default::<Held>(Id::NULL).clone());
    let mut held = held.lock();
    let key = Arc::as_ptr(picture).addr();
    if let Some((_, texture)) = held.get(&key) {
        return texture.clone();
    }
    held.retain(|_, (picture, _)| picture.strong_count() > 0);
    let options = TextureOptions { magnification: TextureFilter::Nearest, ..TextureOptions::LINEAR };
    let texture = ctx.load_texture("picture", to_color_image(picture), options);
    held.insert(key, (Arc::downgrade(picture), texture.clone()));
    texture
}

/// Converts a picture to 8-bit RGB for egui.
fn to_color_image(picture: &Picture) -> ColorImage {
    ColorImage::from_rgb([picture.width(), picture.height()], picture.to_rgb8().as_raw())
}
