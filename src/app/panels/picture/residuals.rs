//! The residual map: the norm of what each cell lacks after a depth. All depths share one scale.

use eframe::egui::{Color32, Ui};

use crate::app::colors;
use crate::app::document::Document;
use crate::app::panels::parts;
use residua_protocol::Layers;

/// The norms of the cells after the chosen depth, row-major, as shares of the largest, once they are known.
pub fn of_cells(document: &Document) -> Option<Vec<f32>> {
    let layers = document.layers.as_ref()?;
    let of_depth = layers.residual_norms.iter().skip(document.depth).step_by(document.stack().depth());
    let most = largest(layers);
    Some(of_depth.map(|norm| norm / most).collect())
}

/// The colours of the norms, by their places in (row, column, depth) order.
pub fn colors(layers: &Layers) -> impl Fn(usize) -> Color32 {
    let most = largest(layers);
    move |place| colors::map(layers.residual_norms.get(place).copied().unwrap_or(0.0) / most)
}

/// Shows the colour scale, if there is a map.
pub fn scale(ui: &mut Ui, document: &Document) {
    let Some(layers) = &document.layers else { return };
    let of = if layers.of_original { "the original" } else { "the sum of all codes" };
    parts::scale(ui, &format!("Residual norm, as a share of {of}"), largest(layers), "");
}

/// The largest norm of a cell after any depth.
fn largest(layers: &Layers) -> f32 {
    layers.residual_norms.iter().copied().fold(f32::MIN_POSITIVE, f32::max)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use residua_core::codes::CodeStack;

    #[test]
    fn residuals_share_one_scale() {
        let layers = Layers {
            stack: Arc::new(CodeStack::new(1, 1, 2, vec![0; 2]).expect("whole")),
            add: Vec::new(),
            select: Vec::new(),
            residual_norms: vec![4.0, 1.0],
            of_original: true,
            rate_distortion: Vec::new(),
        };
        assert_eq!([0, 1].map(colors(&layers)), [1.0, 0.25].map(colors::map));
    }
}
