//! The output of `residua eval likelihood` for a contextual model.

use super::measured_on;
use residua_engine::eval::context::{AtRatio, Measured};
use residua_train::data::Split;

/// One line for each number of masked cells.
pub fn text(measured: &Measured, split: Split) -> String {
    let depths = measured.ratios.first().map_or(0, |first| first.depths.len());
    let heads: String = (0..depths).map(|depth| format!("{:>10}", format!("depth {depth}"))).collect();
    let mut lines = vec![
        measured_on(measured.pictures, measured.left_out.len(), split),
        "nats per code of masked cells, given all other cells".into(),
        String::new(),
        format!("masked            all depths     below{heads}"),
    ];
    lines.extend(measured.ratios.iter().map(line));
    lines.join("\n")
}

fn line(at: &AtRatio) -> String {
    let depths: String = at.depths.iter().map(|nats| format!("{nats:>10.4}")).collect();
    let share = format!("{:.0} %", 100.0 * at.ratio);
    let (cells, nats, below) = (at.cells, at.nats_per_code, at.nats_below_uniform);
    format!("{cells:>5} cells {share:>6} {nats:>10.4} {below:>9.4}{depths}")
}
