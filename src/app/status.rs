//! The status bar: the running job, a button to cancel it, and the latest warning or error.

use eframe::egui::{Label, Panel, ProgressBar, RichText, Ui};

use super::action::Action;
use super::log::Level;
use super::state::State;

/// Shows the status bar.
pub fn show(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    Panel::bottom("status").show(ui, |ui| {
        ui.horizontal(|ui| {
            work(ui, state, actions);
            notice(ui, state, actions);
        });
    });
}

fn work(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let Some(job) = state.jobs.current() else {
        ui.label("Ready");
        return;
    };
    let mut text = job.text();
    if let Some(seconds) = job.seconds_left().filter(|seconds| *seconds >= 1.0) {
        text += &format!(", {seconds:.0} s left");
    }
    let more = state.jobs.count() - 1;
    if more > 0 {
        text += &format!(", {more} more");
    }
    let part = job.progress.map_or(0.0, |(done, total)| done as f32 / total.max(1) as f32);
    ui.add(ProgressBar::new(part).desired_width(120.0));
    ui.label(text);
    if ui.button("Cancel (Esc)").clicked() {
        actions.push(Action::Cancel);
    }
}

fn notice(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let Some(line) = &state.log.notice else { return };
    let color =
        if line.level == Level::Error { ui.visuals().error_fg_color } else { ui.visuals().warn_fg_color };
    ui.separator();
    if ui.button("Dismiss").clicked() {
        actions.push(Action::DismissNotice);
    }
    // The log has the full text.
    ui.add(Label::new(RichText::new(&line.text).color(color)).truncate());
}
