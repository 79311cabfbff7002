//! Where the panels are: in tabs and tiles that the user drags, or one above the other in a narrow window.

use eframe::Storage;
use eframe::egui::{Frame, Id, Ui, WidgetText};
use egui_tiles::{Behavior, Container, SimplificationOptions, Tile, TileId, Tiles, Tree, UiResponse};

use super::action::Action;
use super::memory;
use super::panels::{PANELS, Panel, Views};
use super::state::State;

/// Storage key of the layout.
const LAYOUT: &str = "layout";

/// Width in points below which the panels stand below the picture.
const NARROW: f32 = 760.0;

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

/// The layout of the panels.
pub struct Layout {
    wide: Tree<Panel>,
    /// In a narrow window.
    narrow: Tree<Panel>,
}

impl Default for Layout {
    fn default() -> Self {
        Self { wide: first_layout(), narrow: narrow_layout() }
    }
}

impl Layout {
    /// The layout in `storage`; the default one if there is none that has every panel.
    pub fn recall(storage: &dyn Storage) -> Self {
        let wide = memory::recall(storage, LAYOUT).filter(is_whole);
        wide.map_or_else(Self::default, |wide| Self { wide, ..Self::default() })
    }

    /// Stores the layout of a wide window; that of a narrow one is always the same at the start.
    pub fn remember(&self, storage: &mut dyn Storage) {
        memory::remember(storage, LAYOUT, &self.wide);
    }

    /// Brings a panel's tab to the front.
    pub fn bring_to_front(&mut self, panel: Panel) {
        for tree in [&mut self.wide, &mut self.narrow] {
            tree.make_active(|_, tile| *tile == Tile::Pane(panel));
        }
    }

    /// Shows all panels, or only the picture, and adds what the user asks for in them.
    pub fn show(&mut self, ui: &mut Ui, state: &State, views: &mut Views, actions: &mut Vec<Action>) {
        let tree = if ui.available_width() < NARROW { &mut self.narrow } else { &mut self.wide };
        fold(tree, state.settings.only_picture);
        tree.ui(&mut Panes { state, views, actions }, ui);
    }
}

/// True if the layout has every panel; one saved by an older version may not.
fn is_whole(tree: &Tree<Panel>) -> bool {
    let has = |panel| tree.tiles.iter().any(|(_, tile)| *tile == Tile::Pane(panel));
    PANELS.iter().all(|&(panel, ..)| has(panel))
}

/// The default layout: the picture in the middle, Generate and Models on the left, its codes on the right, the rest below.
fn first_layout() -> Tree<Panel> {
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
fn narrow_layout() -> Tree<Panel> {
    let mut tiles = Tiles::default();
    let picture = tabs(&mut tiles, &[Panel::Picture]);
    let below = tabs(&mut tiles, BELOW_NARROW);
    let root = tiles.insert_vertical_tile(vec![picture, below]);
    share(&mut tiles, root, &[(picture, 0.58), (below, 0.42)]);
    Tree::new(Id::unique("narrow panels"), root, tiles)
}

/// Folds all panels but the picture away, or shows them again where they were.
fn fold(tree: &mut Tree<Panel>, folded: bool) {
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
    if let Some(Tile::Container(Container::Linear(linear))) = tiles.get_mut(parent) {
        shares.iter().for_each(|&(tile, share)| linear.shares.set_share(tile, share));
    }
}

/// Shows the panels in their tiles.
struct Panes<'a> {
    state: &'a State,
    views: &'a mut Views,
    actions: &'a mut Vec<Action>,
}

impl Behavior<Panel> for Panes<'_> {
    fn pane_ui(&mut self, ui: &mut Ui, _: TileId, panel: &mut Panel) -> UiResponse {
        Frame::central_panel(ui.style()).show(ui, |ui| {
            ui.expand_to_include_rect(ui.max_rect());
            panel.show(ui, self.state, self.views, self.actions);
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
                let is_it = |tile: &Tile<Panel>| *tile == Tile::Pane(panel);
                assert_eq!(tree.tiles.iter().filter(|(_, tile)| is_it(tile)).count(), 1, "{title}");
            }
        }
    }

    #[test]
    fn a_layout_survives_json() {
        let text = serde_json::to_string(&first_layout()).unwrap();
        assert_eq!(serde_json::from_str::<Tree<Panel>>(&text).unwrap(), first_layout());
    }
}
