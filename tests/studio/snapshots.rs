//! Screenshots of every panel in both themes, compared with those in `snapshots/`. `UPDATE_SNAPSHOTS=1`
//! rewrites them for review.

use eframe::egui::{CentralPanel, Rect, Theme, Ui, Vec2};
use eframe::{App, Frame};
use egui_kittest::kittest::Queryable;
use egui_kittest::{Harness, SnapshotOptions, SnapshotResults};
use residua::app::action::apply;
use residua::app::panels::{PANELS, Panel};
use residua::app::{Start, Studio};

use crate::desk::small;

/// Another rasterizer may draw the edges of letters differently.
const PIXELS_THAT_MAY_DIFFER: usize = 60;

/// Panels that show what the RQ-VAE makes. They get the bundled one, so that pictures look as they should. The bundled
/// transformers may still be trained on, so the other panels get the small model.
const OF_THE_RQVAE: [Panel; 2] = [Panel::Picture, Panel::Codebook];

/// The studio with only one panel.
struct Alone {
    studio: Studio,
    panel: Panel,
}

impl App for Alone {
    fn logic(&mut self, ctx: &eframe::egui::Context, frame: &mut Frame) {
        self.studio.logic(ctx, frame);
    }

    fn ui(&mut self, ui: &mut Ui, _: &mut Frame) {
        let Studio { state, views, .. } = &mut self.studio;
        let mut actions = Vec::new();
        CentralPanel::default().show(ui, |ui| self.panel.show(ui, state, views, &mut actions));
        apply(actions, state, ui.ctx());
    }
}

/// A panel with a picture open, a cell pinned and, if the model can, two images sampled.
fn alone(panel: Panel, theme: Theme) -> Harness<'static, Alone> {
    let only_rqvae = OF_THE_RQVAE.contains(&panel);
    // Relative, since panels show it.
    let model =
        if only_rqvae { "assets/characters-128/stage1.safetensors" } else { "tests/fixtures/rqt-class" };
    let mut harness = Harness::builder()
        .with_size(Vec2::new(760.0, 560.0))
        .with_theme(theme)
        .with_max_steps(64)
        .wgpu()
        .build_eframe(|context| {
            let engine = residua_engine::studio::start(residua_kernels::device::cpu(), || ());
            let start = Start { model: Some(model.into()), theme: Some(theme.into()), ..small() };
            Alone { studio: Studio::new(&context.egui_ctx, engine, "cpu", start, None), panel }
        });
    settle(&mut harness);
    let state = &mut harness.state_mut().studio.state;
    state.settings.seed = 5;
    state.settings.seed_locked = true;
    state.settings.count = 2;
    state.pin(Some([3, 4]));
    if !only_rqvae {
        state.generate();
    }
    settle(&mut harness);
    harness
}

fn settle(harness: &mut Harness<Alone>) {
    loop {
        harness.run();
        let state = &mut harness.state_mut().studio.state;
        if !state.is_busy() {
            return;
        }
        state.wait();
    }
}

#[test]
fn every_panel_matches_its_snapshot() {
    let mut results = SnapshotResults::new();
    let options = SnapshotOptions::new()
        .output_path("tests/studio/snapshots")
        .max_failed_pixels(PIXELS_THAT_MAY_DIFFER);
    for theme in [Theme::Light, Theme::Dark] {
        for &(panel, title, _) in PANELS {
            let mut harness = alone(panel, theme);
            // Timings differ from run to run.
            harness.state_mut().studio.state.log.times.values_mut().for_each(|time| *time = 12.5);
            harness.run();
            let of_this_machine: Vec<Rect> = ["CPU: ", " MB"]
                .iter()
                .flat_map(|words| harness.query_all_by_label_contains(words).map(|node| node.rect()))
                .filter(|_| panel == Panel::Log)
                .collect();
            of_this_machine.into_iter().for_each(|rect| harness.mask(rect.expand2(Vec2::new(40.0, 0.0))));
            let name = format!("{}-{theme:?}", title.replace(' ', "-")).to_lowercase();
            results.add(harness.try_snapshot_options(name, &options));
        }
    }
    results.unwrap();
}
