//! Progress and previews of the pictures being sampled.

use eframe::egui::{Image, ProgressBar, Ui};

use crate::app::action::Action;
use crate::app::state::State;
use crate::app::textures;
use residua_core::config::Architecture;

/// Width of a preview, in points.
const SIZE: f32 = 64.0;

/// Shows the sampling job, if there is one.
pub fn show(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let Some(job) = state.jobs.of("sampling") else { return };
    let mut text = match job.progress {
        Some((done, total)) => format!("{done} of {total} {}", unit(state)),
        None => "waiting".to_string(),
    };
    if let Some(seconds) = job.seconds_left().filter(|seconds| *seconds >= 1.0) {
        text += &format!(", {seconds:.0} s left");
    }
    let part = job.progress.map_or(0.0, |(done, total)| done as f32 / total.max(1) as f32);
    ui.add(ProgressBar::new(part).text(text));
    if ui.button("Stop sampling").on_hover_text("Finished pictures stay in the gallery (Esc).").clicked() {
        actions.push(Action::Cancel);
    }
    ui.horizontal_wrapped(|ui| {
        for (index, picture) in state.previews.iter().enumerate() {
            let texture = textures::of(ui.ctx(), picture);
            let name = format!("Preview {}", index + 1);
            ui.add(Image::new(&texture).fit_to_exact_size([SIZE; 2].into()).alt_text(name));
        }
    });
}

/// What the model samples at a time.
fn unit(state: &State) -> &'static str {
    match state.loaded.as_ref().and_then(|loaded| Some(loaded.stage2.as_ref()?.config.kind)) {
        Some(Architecture::Contextual) => "parts",
        Some(Architecture::Autoregressive) | None => "cells",
    }
}
