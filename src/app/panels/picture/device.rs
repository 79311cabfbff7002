//! Draws pictures from the models' buffers on the window's own device, without a copy.

use std::sync::Arc;

use eframe::egui::{PaintCallback, PaintCallbackInfo, Rect};
use eframe::egui_wgpu::{Callback, CallbackResources, CallbackTrait, RenderState};

use residua_io::image_io::present::Shown;
use residua_kernels::present::{DeviceImage, Place, Presenter};
use residua_protocol::{OnDevice, SeenOnDevice};

/// Prepares the window's renderer to draw these pictures.
pub fn register(render: &RenderState) {
    let presenter = Presenter::new(&render.device, render.target_format);
    render.renderer.write().callback_resources.insert(presenter);
}

/// A callback that draws a picture and its original in `rect`. `None` if they would be scaled down, since a
/// smoothed texture looks better then, or if they are not on this window's device.
pub fn drawing(
    seen: &SeenOnDevice,
    shown: Shown,
    rect: Rect,
    pixels_per_point: f32,
) -> Option<PaintCallback> {
    let image = |image: &OnDevice| image.clone().downcast::<DeviceImage>().ok();
    let picture = image(&seen.picture)?;
    let original = seen.original.as_ref().and_then(image).unwrap_or_else(|| picture.clone());
    let place = place(rect, pixels_per_point);
    let [height, width] = picture.size();
    let enlarged = place.columns as usize >= width && place.rows as usize >= height;
    (enlarged && original.size() == picture.size())
        .then(|| Callback::new_paint_callback(rect, Drawing { picture, original, shown }))
}

/// A rectangle in pixels, rounded as the window rounds its viewport.
fn place(rect: Rect, pixels_per_point: f32) -> Place {
    let round = |points: f32| (points * pixels_per_point).round() as i32;
    let (left, top) = (round(rect.left()), round(rect.top()));
    let size = |from: i32, to: f32| round(to).saturating_sub(from).max(1) as u32;
    Place { left, top, columns: size(left, rect.right()), rows: size(top, rect.bottom()) }
}

struct Drawing {
    picture: Arc<DeviceImage>,
    original: Arc<DeviceImage>,
    shown: Shown,
}

impl CallbackTrait for Drawing {
    fn paint(
        &self,
        info: PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        resources: &CallbackResources,
    ) {
        if let Some(presenter) = resources.get::<Presenter>() {
            let place = place(info.viewport, info.pixels_per_point);
            presenter.draw(pass, &self.picture, &self.original, place, self.shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eframe::egui::pos2;

    #[test]
    fn places_are_rounded_to_pixels() {
        let rect = Rect::from_min_max(pos2(-10.2, 3.3), pos2(20.3, 3.4));
        assert_eq!(place(rect, 2.0), Place { left: -20, top: 7, columns: 61, rows: 1 });
    }
}
