//! The panels.

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

use eframe::egui::Ui;
use serde::{Deserialize, Serialize};

use super::action::Action;
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

    /// Shows its contents, and adds what the user asks for in it.
    pub fn show(self, ui: &mut Ui, state: &State, views: &mut Views, actions: &mut Vec<Action>) {
        (self.entry().2)(ui, state, views, actions);
    }
}
