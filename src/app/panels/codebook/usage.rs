//! How often the codes at a depth are used.

use eframe::egui::{Grid, Role, Ui};
use egui_plot::{Bar, BarChart, HoverPosition, Plot, VLine};

use super::Source;
use crate::app::panels::parts::named;
use crate::app::state::State;
use residua_core::text::{counted, grouped};
use residua_metrics::Usage;

/// Most bars in the histogram; the codes are divided evenly among them.
const BARS: usize = 64;

/// The use of one depth's codes.
pub struct Summary {
    /// Source, depth and number of pictures, which identify the counts.
    pub of: (Source, usize, usize),
    /// Files that could not be read.
    unreadable: usize,
    /// Codes used at least once.
    used: usize,
    /// Perplexity of the usage: the effective number of codes.
    perplexity: f64,
    /// Uses of each code.
    pub counts: Vec<u32>,
    /// All codes, most used first.
    pub order: Vec<u32>,
}

impl Summary {
    /// Sorts the codes at the depth `of.1` by use.
    pub fn new(of: (Source, usize, usize), usage: &Usage) -> Self {
        let counts = usage.counts[of.1].clone();
        let mut order: Vec<u32> = (0..counts.len() as u32).collect();
        order.sort_by_key(|&code| std::cmp::Reverse(counts[code as usize]));
        Self {
            of,
            unreadable: usage.unreadable,
            used: usage.used(of.1),
            perplexity: usage.perplexity(of.1),
            counts,
            order,
        }
    }

    /// For each bar, the rank of its first code, its number of codes, and their mean uses.
    fn bars(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        let each = self.order.len().div_ceil(BARS).max(1);
        self.order.chunks(each).enumerate().map(move |(bar, codes)| {
            let uses: u64 = codes.iter().map(|&code| u64::from(self.counts[code as usize])).sum();
            (bar * each, codes.len(), uses as f64 / codes.len() as f64)
        })
    }
}

/// Shows the figures and the histogram.
pub fn show(ui: &mut Ui, state: &State, summary: Option<&Summary>) {
    let Some(summary) = summary else {
        ui.label("Nothing counted yet: open or generate a picture, or count a folder.");
        return;
    };
    if let Some((_, job)) = state.jobs.called("counting codes") {
        let (done, total) = job.progress.unwrap_or((0, 0));
        ui.label(format!("Counting: {done} of {}", counted(total, "file")));
    }
    let codes = summary.counts.len();
    let mut pictures = counted(summary.of.2, "picture");
    if summary.unreadable > 0 {
        pictures += &format!("; {} could not be read", counted(summary.unreadable, "file"));
    }
    let dead = codes - summary.used;
    let facts = [
        ("Counted", pictures),
        ("Used", format!("{} of {} codes", grouped(summary.used), grouped(codes))),
        ("Dead", format!("{}, {:.1} %", counted(dead, "code"), 100.0 * dead as f64 / codes as f64)),
        ("Perplexity", format!("{:.1} of {}", summary.perplexity, grouped(codes))),
    ];
    Grid::new("usage").num_columns(2).striped(true).show(ui, |ui| {
        for (name, value) in facts {
            ui.label(name);
            ui.label(value);
            ui.end_row();
        }
    });
    histogram(ui, summary);
}

fn histogram(ui: &mut Ui, summary: &Summary) {
    let fill = ui.visuals().selection.bg_fill;
    let line = ui.visuals().strong_text_color();
    let bars = summary.bars().map(|(first, codes, uses)| {
        Bar::new(first as f64 + codes as f64 / 2.0, uses).width(codes as f64).fill(fill)
    });
    let bars: Vec<Bar> = bars.collect();
    let ranks: Vec<(usize, usize, f64)> = summary.bars().collect();
    let used = summary.used as f64;
    let plot = Plot::new("uses")
        .height(110.0)
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_grid([false, true])
        .show_x(false)
        .x_axis_label("codes by use")
        .label_formatter(move |position| match position {
            HoverPosition::NearDataPoint { index, plot_name: "uses", .. } => {
                let (first, codes, uses) = *ranks.get(*index)?;
                Some(format!("ranks {} to {}: {uses:.1} uses per code", first + 1, first + codes))
            }
            _ => None,
        })
        .show(ui, |plot| {
            plot.bar_chart(BarChart::new("uses", bars));
            plot.vline(VLine::new("dead from here", used).color(line).width(1.0));
        });
    named(plot.response, Role::Image, "Uses of each code, most used first; dead codes start at the line");
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_core::codes::CodeStack;

    #[test]
    fn codes_are_sorted_by_use_and_grouped_into_bars() {
        let mut usage = Usage::new(&[130]);
        usage.add(&CodeStack::new(1, 6, 1, vec![7, 9, 9, 129, 9, 7]).expect("whole"));
        let summary = Summary::new((Source::Session, 0, 1), &usage);
        assert_eq!(summary.order[..5], [9, 7, 129, 0, 1]);
        let bars: Vec<_> = summary.bars().collect();
        assert_eq!((bars.len(), bars[0], bars[43]), (44, (0, 3, 2.0), (129, 1, 0.0)));
    }
}
