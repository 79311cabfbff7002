//! The surprise map: how unlikely the transformer finds the codes of each cell.

use eframe::egui::Ui;

use crate::app::document::Document;
use crate::app::panels::parts;
use crate::app::state::State;

/// The surprise of each cell, row-major, as a share of the largest, once it is known.
pub fn of_cells(document: &Document) -> Option<Vec<f32>> {
    let bits = document.surprise.as_ref()?.bits_per_cell();
    let most = bits.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    Some(bits.into_iter().map(|bits| bits / most).collect())
}

/// Shows the colour scale, or why there is no map.
pub fn scale(ui: &mut Ui, state: &State, document: &Document) {
    match &document.surprise {
        Some(surprise) => {
            let most = surprise.worst().map_or(0.0, |(_, bits)| bits);
            parts::scale(ui, "Surprise of a cell", most, " bits");
        }
        None => {
            ui.weak(state.lacks_transformer().unwrap_or("measuring…"));
        }
    }
}
