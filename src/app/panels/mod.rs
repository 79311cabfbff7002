//! The panels, and their default layout.

pub mod codebook;
pub mod codes;
mod condition;
mod explain;
mod gallery;
mod generate;
pub mod log;
pub mod models;
mod parts;
pub mod picture;
#[cfg(not(target_family = "wasm"))]
pub mod train;

use eframe::egui::{Id, Ui, WidgetText};
use egui_tiles::{Behavior, SimplificationOptions, Tile, TileId, Tiles, Tree, UiResponse};
use serde::{Deserialize, Serialize};

use super::action::{Action, apply};
use super::state::State;

/// What each panel shows, and what is being typed or drawn in it.
#[derive(Default)]
pub struct Views {
    /// Of "Models".
    pub models: models::ModelsView,
    /// Of "Picture".
    pub picture: picture::PictureView,
    /// Of "Codes".
    pub codes: codes::CodesView,
    /// Of "Generate".
    pub generate: generate::GenerateView,
    /// Of "Codebook".
    pub codebook: codebook::CodebookView,
    /// Of "Gallery".
    pub gallery: gallery::GalleryView,
    /// Of "Train".
    #[cfg(not(target_family = "wasm"))]
    pub train: train::TrainView,
    /// Of "Log and device".
    pub log: log::LogView,
}

/// A panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Panel {
    /// The loaded model, and others to load.
    Models,
    /// The open picture and its cells.
    Picture,
    /// The codes of the pinned cell, or of the selected cells.
    Codes,
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

/// Shows a panel, and adds what the user asks for in it.
type Show = fn(&mut Ui, &State, &mut Views, &mut Vec<Action>);

/// A panel, its title, and the function that shows it.
type Entry = (Panel, &'static str, Show);

/// All panels. There is no training in a browser.
pub const PANELS: &[Entry] = &[
    (Panel::Models, "Models", |ui, state, views, actions| {
        models::show(ui, state, &mut views.models, actions)
    }),
    (Panel::Picture, "Picture", |ui, state, views, actions| {
        picture::show(ui, state, &mut views.picture, actions)
    }),
    (Panel::Codes, "Codes", |ui, state, views, actions| codes::show(ui, state, &mut views.codes, actions)),
    (Panel::Generate, "Generate", |ui, state, views, actions| {
        generate::show(ui, state, &mut views.generate, actions)
    }),
    (Panel::Explain, "Explain", |ui, state, _, actions| explain::show(ui, state, actions)),
    (Panel::Codebook, "Codebook", |ui, state, views, actions| {
        codebook::show(ui, state, &mut views.codebook, actions)
    }),
    (Panel::Gallery, "Gallery", |ui, state, views, actions| {
        gallery::show(ui, state, &mut views.gallery, actions)
    }),
    #[cfg(not(target_family = "wasm"))]
    (Panel::Train, "Train", |ui, state, views, actions| train::show(ui, state, &mut views.train, actions)),
    (Panel::Log, "Log and device", |ui, state, views, actions| log::show(ui, state, &mut views.log, actions)),
];

impl Panel {
    fn entry(self) -> &'static Entry {
        PANELS.iter().find(|entry| entry.0 == self).expect("the table has every panel")
    }

    /// Its title in the interface.
    pub fn title(self) -> &'static str {
        self.entry().1
    }

    /// Shows its contents, and then does what the user asked for in it.
    pub fn show(self, ui: &mut Ui, state: &mut State, views: &mut Views) {
        let mut actions = Vec::new();
        (self.entry().2)(ui, state, views, &mut actions);
        apply(actions, state, ui.ctx());
    }
}

/// Panels that open in tabs beside "Gallery".
const BELOW: &[Panel] = &[
    Panel::Gallery,
    Panel::Explain,
    Panel::Codebook,
    #[cfg(not(target_family = "wasm"))]
    Panel::Train,
    Panel::Log,
];

/// Panels that open in tabs below the picture in a narrow window.
const BELOW_NARROW: &[Panel] = &[
    Panel::Codes,
    Panel::Generate,
    Panel::Gallery,
    Panel::Models,
    Panel::Explain,
    Panel::Codebook,
    #[cfg(not(target_family = "wasm"))]
    Panel::Train,
    Panel::Log,
];

/// The default layout: the picture in the middle, Generate and Models on the left, its codes on the right, the rest below.
pub fn first_layout() -> Tree<Panel> {
    let mut tiles = Tiles::default();
    let left = tabs(&mut tiles, &[Panel::Generate, Panel::Models]);
    let picture = tabs(&mut tiles, &[Panel::Picture]);
    let below = tabs(&mut tiles, BELOW);
    let codes = tabs(&mut tiles, &[Panel::Codes]);
    let middle = tiles.insert_vertical_tile(vec![picture, below]);
    let root = tiles.insert_horizontal_tile(vec![left, middle, codes]);
    share(&mut tiles, root, &[(left, 0.21), (middle, 0.57), (codes, 0.22)]);
    share(&mut tiles, middle, &[(picture, 0.69), (below, 0.31)]);
    Tree::new(Id::unique("panels"), root, tiles)
}

/// The picture above all other panels, for a window as narrow as a phone.
pub fn narrow_layout() -> Tree<Panel> {
    let mut tiles = Tiles::default();
    let picture = tabs(&mut tiles, &[Panel::Picture]);
    let below = tabs(&mut tiles, BELOW_NARROW);
    let root = tiles.insert_vertical_tile(vec![picture, below]);
    share(&mut tiles, root, &[(picture, 0.58), (below, 0.42)]);
    Tree::new(Id::unique("narrow panels"), root, tiles)
}

/// Folds all panels but the picture away, or shows them again where they were.
pub fn fold(tree: &mut Tree<Panel>, folded: bool) {
    let is_other = |tile: &Tile<Panel>| matches!(tile, Tile::Pane(panel) if *panel != Panel::Picture);
    let others: Vec<TileId> =
        tree.tiles.iter().filter(|(_, tile)| is_other(tile)).map(|(id, _)| *id).collect();
    others.into_iter().for_each(|id| tree.set_visible(id, !folded));
}

fn tabs(tiles: &mut Tiles<Panel>, panels: &[Panel]) -> TileId {
    let children = panels.iter().map(|&panel| tiles.insert_pane(panel)).collect();
    tiles.insert_tab_tile(children)
}

fn share(tiles: &mut Tiles<Panel>, parent: TileId, shares: &[(TileId, f32)]) {
    if let Some(egui_tiles::Tile::Container(egui_tiles::Container::Linear(linear))) = tiles.get_mut(parent) {
        shares.iter().for_each(|&(tile, share)| linear.shares.set_share(tile, share));
    }
}

/// Shows the panels in their tiles.
pub struct Panes<'a> {
    /// The open document, the models and the jobs.
    pub state: &'a mut State,
    /// How each panel shows them.
    pub views: &'a mut Views,
}

impl Behavior<Panel> for Panes<'_> {
    fn pane_ui(&mut self, ui: &mut Ui, _: TileId, panel: &mut Panel) -> UiResponse {
        eframe::egui::Frame::central_panel(ui.style()).show(ui, |ui| {
            ui.expand_to_include_rect(ui.max_rect());
            panel.show(ui, self.state, self.views);
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
    fn each_layout_has_every_panel_once() {
        for tree in [first_layout(), narrow_layout()] {
            for &(panel, title, _) in PANELS {
                let is_it = |tile: &egui_tiles::Tile<Panel>| *tile == egui_tiles::Tile::Pane(panel);
                assert_eq!(tree.tiles.iter().filter(|(_, tile)| is_it(tile)).count(), 1, "{title}");
            }
        }
    }
}
