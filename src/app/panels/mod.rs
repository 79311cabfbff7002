//! The panels, and their default layout.

pub mod codebook;
mod explain;
mod gallery;
mod generate;
pub mod image;
pub mod log;
pub mod models;
mod parts;
pub mod stack;
#[cfg(not(target_family = "wasm"))]
pub mod train;

pub use gallery::GalleryView;
pub use generate::GenerateView;

use eframe::egui::{Id, Ui, WidgetText};
use egui_tiles::{Behavior, SimplificationOptions, TileId, Tiles, Tree, UiResponse};
use serde::{Deserialize, Serialize};

use super::state::State;

/// A panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Panel {
    /// The loaded model, and others to load.
    Models,
    /// The picture and its reconstruction.
    Image,
    /// The codes.
    Stack,
    /// Sampling of new pictures.
    Generate,
    /// The transformer's distribution over codes.
    Explain,
    /// The codebook.
    Codebook,
    /// All pictures.
    Gallery,
    /// Training runs.
    #[cfg(not(target_family = "wasm"))]
    Train,
    /// The log and the device.
    Log,
}

/// A panel, its title, and the function that shows it.
type Entry = (Panel, &'static str, fn(&mut Ui, &mut State));

/// All panels. There is no training in a browser.
pub const PANELS: &[Entry] = &[
    (Panel::Models, "Models", models::show),
    (Panel::Image, "Image", image::show),
    (Panel::Stack, "Code stack", stack::show),
    (Panel::Generate, "Generate", generate::show),
    (Panel::Explain, "Explain", explain::show),
    (Panel::Codebook, "Codebook", codebook::show),
    (Panel::Gallery, "Gallery", gallery::show),
    #[cfg(not(target_family = "wasm"))]
    (Panel::Train, "Train", train::show),
    (Panel::Log, "Log and device", log::show),
];

impl Panel {
    fn entry(self) -> &'static Entry {
        PANELS.iter().find(|entry| entry.0 == self).expect("the table has every panel")
    }

    /// Its title in the interface.
    pub fn title(self) -> &'static str {
        self.entry().1
    }

    /// Shows its contents.
    pub fn show(self, ui: &mut Ui, state: &mut State) {
        (self.entry().2)(ui, state);
    }
}

/// The default layout: picture and codes side by side, Generate and Models on the left, the rest below.
pub fn first_layout() -> Tree<Panel> {
    let mut tiles = Tiles::default();
    let tabs = |tiles: &mut Tiles<Panel>, panels: &[Panel]| {
        let children = panels.iter().map(|&panel| tiles.insert_pane(panel)).collect();
        tiles.insert_tab_tile(children)
    };
    let left = tabs(&mut tiles, &[Panel::Generate, Panel::Models]);
    let image = tabs(&mut tiles, &[Panel::Image]);
    let stack = tabs(&mut tiles, &[Panel::Stack]);
    let below = [
        Panel::Gallery,
        Panel::Explain,
        Panel::Codebook,
        #[cfg(not(target_family = "wasm"))]
        Panel::Train,
        Panel::Log,
    ];
    let below = tabs(&mut tiles, &below);
    let upper = tiles.insert_horizontal_tile(vec![image, stack]);
    let right = tiles.insert_vertical_tile(vec![upper, below]);
    let root = tiles.insert_horizontal_tile(vec![left, right]);
    share(&mut tiles, root, &[(left, 0.26), (right, 0.74)]);
    share(&mut tiles, right, &[(upper, 0.68), (below, 0.32)]);
    share(&mut tiles, upper, &[(image, 0.42), (stack, 0.58)]);
    Tree::new(Id::unique("panels"), root, tiles)
}

fn share(tiles: &mut Tiles<Panel>, parent: TileId, shares: &[(TileId, f32)]) {
    if let Some(egui_tiles::Tile::Container(egui_tiles::Container::Linear(linear))) = tiles.get_mut(parent) {
        shares.iter().for_each(|&(tile, share)| linear.shares.set_share(tile, share));
    }
}

/// Shows the panels in their tiles.
pub struct Panes<'a> {
    /// What the panels show.
    pub state: &'a mut State,
}

impl Behavior<Panel> for Panes<'_> {
    fn pane_ui(&mut self, ui: &mut Ui, _: TileId, panel: &mut Panel) -> UiResponse {
        eframe::egui::Frame::central_panel(ui.style()).show(ui, |ui| {
            ui.expand_to_include_rect(ui.max_rect());
            panel.show(ui, self.state);
        });
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, panel: &Panel) -> WidgetText {
        panel.title().into()
    }

    fn simplification_options(&self) -> SimplificationOptions {
        // Even a lone panel keeps its tab, which names it and lets the user drag it.
        SimplificationOptions { all_panes_must_have_tabs: true, ..Default::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_layout_has_every_panel_once() {
        let tree = first_layout();
        for &(panel, title, _) in PANELS {
            assert_eq!(
                tree.tiles.iter().filter(|(_, tile)| **tile == egui_tiles::Tile::Pane(panel)).count(),
                1,
                "{title}"
            );
        }
    }
}
