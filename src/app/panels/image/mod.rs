//! The panel "Image": the picture that is open beside what its codes make of it, and the part of a larger picture that
//! is encoded.

mod canvas;
#[cfg(not(target_family = "wasm"))]
pub(in crate::app) mod device;
mod framing;
mod heat;

use std::sync::Arc;

use eframe::egui::{ScrollArea, Sense, Slider, Ui, Vec2};

use crate::app::choose::{self, Wanted};
use crate::app::document::{Document, Mode};
use crate::app::files;
use crate::app::state::State;
use crate::image_io::Picture;
use crate::image_io::present::Shown;
use canvas::Pair;
use framing::Draft;
use heat::Heat;

/// What the panel shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Original and reconstruction.
    #[default]
    SideBySide,
    /// The original left of a line, the reconstruction right of it.
    Overlaid,
    /// How far they are apart.
    Errors,
    /// What is encoded of the whole picture.
    Crop,
}

/// Each view with its name.
const VIEWS: [(View, &str); 4] = [
    (View::SideBySide, "Side by side"),
    (View::Overlaid, "Overlay"),
    (View::Errors, "Errors"),
    (View::Crop, "Crop"),
];

/// Points of the screen's raster for a pixel of the picture, by name; 0 where the picture fills its room.
const ZOOMS: [(f32, &str); 3] = [(0.0, "Fit"), (1.0, "1:1"), (4.0, "4:1")];

/// How the panel shows the picture.
pub struct ImageView {
    /// What of it.
    pub view: View,
    /// Points of the screen's raster for a pixel of the picture; 0 where it fills its room.
    pub zoom: f32,
    /// Where the wipe stands, from 0 at the left to 1.
    pub wipe: f32,
    /// The error that has the brightest colour, in levels of 255.
    pub brightest: u8,
    draft: Option<Draft>,
    heat: Option<Heat>,
}

impl Default for ImageView {
    fn default() -> Self {
        Self { view: View::default(), zoom: 0.0, wipe: 0.5, brightest: 64, draft: None, heat: None }
    }
}

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &mut State) {
    files_bar(ui, state);
    let Some(document) = &state.document else {
        ui.label("Drop a picture here, paste one, or open one.");
        return;
    };
    let pair = document.shown().map(|picture| pair(document, picture, state.draws_on_device));
    let quality = quality(document);
    // A picture may be large: none is kept that is no longer open.
    state
        .image_view
        .draft
        .take_if(|draft| document.source.as_ref().is_none_or(|source| !draft.is_of(source)));
    views_bar(ui, state);
    match (state.image_view.view, pair) {
        (View::Crop, _) => framing::show(ui, state),
        (_, None) => {
            ui.label("The picture appears as soon as its codes are decoded.");
        }
        (view, Some(pair)) => {
            ui.horizontal_wrapped(|ui| {
                for (zoom, name) in ZOOMS {
                    ui.selectable_value(&mut state.image_view.zoom, zoom, name);
                }
                ui.label(quality);
            });
            compare(ui, state, view, &pair);
        }
    }
}

/// What is compared of a document.
fn pair(document: &Document, picture: &Arc<Picture>, draws_on_device: bool) -> Pair {
    let original = document.original.clone().filter(|original| same_size(original, picture));
    let whole = document.seen.as_ref().filter(|seen| Arc::ptr_eq(&seen.picture, picture));
    let on_device = whole.and_then(|seen| seen.on_device.clone()).filter(|_| draws_on_device);
    Pair { picture: picture.clone(), original, on_device }
}

fn same_size(a: &Picture, b: &Picture) -> bool {
    (a.width(), a.height()) == (b.width(), b.height())
}

fn files_bar(ui: &mut Ui, state: &mut State) {
    ui.horizontal_wrapped(|ui| {
        if ui.button("Open picture…").clicked() {
            choose::open(state, Wanted::Picture);
        }
        let seen = state.document.as_ref().is_some_and(|document| document.seen.is_some());
        ui.add_enabled_ui(seen, |ui| {
            if ui.button("Save picture…").clicked() {
                files::save_picture(state);
            }
        });
        if let Some(document) = &state.document {
            ui.label(&document.name);
        }
    });
}

fn views_bar(ui: &mut Ui, state: &mut State) {
    let image_view = &mut state.image_view;
    ui.horizontal_wrapped(|ui| {
        for (view, name) in VIEWS {
            ui.selectable_value(&mut image_view.view, view, name);
        }
    });
}

/// How good the shown picture is, in one line.
fn quality(document: &Document) -> String {
    let (depth, of) = (document.depth + 1, document.stack().depth());
    let whole = depth == of && document.mode == Mode::Add;
    match (&document.seen, &document.layers) {
        (Some(seen), _) if whole => {
            let quality = match seen.quality {
                Some((psnr, ssim)) => format!("PSNR {psnr:.2} dB, SSIM {ssim:.3}, "),
                None => String::new(),
            };
            format!("{quality}{:.3} bits/pixel", seen.bits_per_pixel)
        }
        (_, Some(layers)) if document.mode == Mode::Add => match layers.rate_distortion.get(document.depth) {
            Some((rate, psnr)) => {
                format!("Codes 1 to {depth} of {of}: PSNR {psnr:.2} dB, {rate:.3} bits/pixel")
            }
            None => String::new(),
        },
        _ => format!("Code {depth} of {of} alone"),
    }
}

fn compare(ui: &mut Ui, state: &mut State, view: View, pair: &Pair) {
    if pair.original.is_none() && view != View::SideBySide {
        ui.label("There is no original: these codes were opened without a picture.");
        return;
    }
    match view {
        View::Overlaid => wipe_slider(ui, state),
        View::Errors => heat::scale(ui, &mut state.image_view.brightest),
        View::SideBySide | View::Crop => (),
    }
    let room = ui.available_size();
    ScrollArea::both().auto_shrink(false).show(ui, |ui| match view {
        View::Overlaid => overlaid(ui, state, pair, room),
        View::Errors => {
            let brightest = f32::from(state.image_view.brightest) / 255.0;
            canvas::show(ui, state, pair, Shown::Errors { brightest }, "Errors of the reconstruction", room);
        }
        View::SideBySide | View::Crop => side_by_side(ui, state, pair, room),
    });
}

fn wipe_slider(ui: &mut Ui, state: &mut State) {
    let mut percent = state.image_view.wipe * 100.0;
    let slider = Slider::new(&mut percent, 0.0..=100.0).suffix(" %").fixed_decimals(0).text("Wipe");
    if ui.add(slider).on_hover_text("The original on the left, the reconstruction on the right").changed() {
        state.image_view.wipe = percent / 100.0;
    }
}

fn overlaid(ui: &mut Ui, state: &mut State, pair: &Pair, room: Vec2) {
    let shown = Shown::Wipe { place: state.image_view.wipe };
    let picture = canvas::show(ui, state, pair, shown, "Original and reconstruction", room);
    let picture = picture.interact(Sense::click_and_drag());
    if let Some(pointer) = picture.interact_pointer_pos() {
        let place = (pointer.x - picture.rect.left()) / picture.rect.width();
        state.image_view.wipe = place.clamp(0.0, 1.0);
    }
    let x = picture.rect.left() + state.image_view.wipe * picture.rect.width();
    canvas::line(ui, x, picture.rect.y_range());
}

/// The two pictures, whichever way they are larger.
fn side_by_side(ui: &mut Ui, state: &mut State, pair: &Pair, room: Vec2) {
    let titles: &[(Shown, &str)] = match pair.original {
        Some(_) => &[(Shown::Original, "Original"), (Shown::Picture, "Reconstruction")],
        None => &[(Shown::Picture, "Reconstruction")],
    };
    let title = ui.text_style_height(&eframe::egui::TextStyle::Body) + 2.0 * ui.spacing().item_spacing.y;
    let count = titles.len() as f32;
    let gap = ui.spacing().item_spacing * (count - 1.0);
    let beside = Vec2::new((room.x - gap.x) / count, room.y - title);
    let below = Vec2::new(room.x, (room.y - gap.y) / count - title);
    let beside_is_larger = beside.min_elem() >= below.min_elem();
    let each = if beside_is_larger { beside } else { below };
    let mut one = |ui: &mut Ui, shown: Shown, title: &str| {
        ui.vertical(|ui| {
            ui.label(title);
            canvas::show(ui, state, pair, shown, &format!("{title} picture"), each);
        });
    };
    let all = |ui: &mut Ui| titles.iter().for_each(|&(shown, title)| one(ui, shown, title));
    if beside_is_larger { ui.horizontal_top(all).inner } else { ui.vertical(all).inner }
}

/// The picture that `image` is of, if no side is too long for a texture; else a thinner one.
fn showable(image: &Arc<Picture>, longest: usize) -> Arc<Picture> {
    match image.width().max(image.height()) <= longest {
        true => image.clone(),
        false => Arc::new(image.thinned(longest)),
    }
}
