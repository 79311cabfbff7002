//! The "Train" panel: starts, shows, pauses and stops a training run of either stage.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use eframe::egui::{
    ComboBox, Grid, Image, Label, ProgressBar, RichText, Role, ScrollArea, TextEdit, Ui, vec2,
};
use egui_plot::{Legend, Line, Plot, PlotPoints, Points};

use super::parts::{main_button, named};
use crate::app::action::Action;
use crate::app::state::State;
use crate::app::textures;
use crate::app::training::{Curves, Ended, LOSS, Training};
use residua_core::text::counted;
use residua_engine::train::TrainOptions;

/// Width from which the form and the curve are shown side by side.
const WIDE: f32 = 600.0;

/// Height of the curves, in points.
const CURVES: f32 = 160.0;

/// Largest height of the list of metrics, in points.
const LIST: f32 = 320.0;

/// Starts of the names of metrics that are shown as they are. Others are shown as logarithms, if positive.
const LINEAR: [&str; 2] = ["psnr", "used_at_depth"];

/// The state of the panel: what is typed into the form, and which metric is shown.
#[derive(Default)]
pub struct TrainView {
    config: String,
    data: String,
    rqvae: String,
    lpips: String,
    from: String,
    out: String,
    steps: String,
    unlabelled: bool,
    /// The fields for which a dialog is open, and the path that the user chooses there.
    picking: Vec<(Field, Receiver<PathBuf>)>,
    /// The metric whose curves are shown; the loss if the run does not have it.
    metric: String,
}

impl TrainView {
    /// Fills in the paths that were chosen in dialogs.
    fn take_picked(&mut self) {
        let mut picking = std::mem::take(&mut self.picking);
        picking.retain(|(field, path)| match path.try_recv() {
            Ok(path) => {
                *field(self) = path.display().to_string();
                false
            }
            // Without a sender, the dialog was closed.
            Err(error) => error == TryRecvError::Empty,
        });
        self.picking = picking;
    }

    /// The run that the form describes.
    ///
    /// # Errors
    /// The number of steps is not one.
    fn options(&mut self, resume: bool) -> Result<TrainOptions, String> {
        let [config, data, rqvae, lpips, from, out] =
            FIELDS.map(|(_, _, field, _)| field(self).trim().to_string());
        let steps = match self.steps.trim() {
            "" => None,
            typed => Some(
                typed
                    .parse()
                    .map_err(|_| format!("Steps: expected a whole number, 1 or more, found {typed}"))?,
            ),
        };
        Ok(TrainOptions {
            config: config.into(),
            data: data.into(),
            out: out.into(),
            rqvae: (!rqvae.is_empty()).then_some(rqvae),
            lpips: lpips.split(';').map(str::trim).filter(|path| !path.is_empty()).map(Into::into).collect(),
            cache: None,
            variations: None,
            from: (!from.is_empty()).then_some(from),
            reinitialize: Vec::new(),
            resume,
            steps,
            save_every: None,
            sheet_every: None,
            test_every: None,
            all: false,
            unlabelled: self.unlabelled,
            seed: None,
        })
    }
}

/// Accessor of a path field.
type Field = fn(&mut TrainView) -> &mut String;

/// A path field: label, hint, accessor, and whether to choose a folder.
type Entry = (&'static str, &'static str, Field, bool);

const FIELDS: [Entry; 6] = [
    ("Configuration", "config.yaml", |view| &mut view.config, false),
    ("Pictures", "folder; its subfolders are classes", |view| &mut view.data, true),
    ("RQ-VAE, for an RQ-Transformer", "file, folder or run", |view| &mut view.rqvae, true),
    (
        "LPIPS weights, for an RQ-VAE",
        "none, one file, or two separated by a semicolon",
        |view| &mut view.lpips,
        false,
    ),
    ("Initial weights", "none: train from scratch", |view| &mut view.from, true),
    ("Run folder", "a new folder, or a run to resume", |view| &mut view.out, true),
];

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &State, view: &mut TrainView, actions: &mut Vec<Action>) {
    view.take_picked();
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        if ui.available_width() < WIDE {
            form(ui, state, view, actions);
            watch(ui, &state.training, &mut view.metric);
            return;
        }
        ui.columns(2, |columns| {
            columns[0].vertical(|ui| form(ui, state, view, actions));
            columns[1].vertical(|ui| watch(ui, &state.training, &mut view.metric));
        });
    });
}

fn form(ui: &mut Ui, state: &State, view: &mut TrainView, actions: &mut Vec<Action>) {
    let running = state.training.is_running();
    // First, so that the buttons are visible without scrolling.
    ui.horizontal_wrapped(|ui| {
        if running {
            control(ui, &state.training, actions);
        } else {
            start(ui, state, view, actions);
        }
    });
    ui.add_enabled_ui(!running, |ui| {
        for entry in FIELDS {
            path(ui, view, entry, actions);
        }
        let name = ui.label("Steps");
        let steps = TextEdit::singleline(&mut view.steps).hint_text("from the configuration");
        ui.add(steps.desired_width(160.0)).labelled_by(name.id);
        ui.checkbox(&mut view.unlabelled, "Allow unlabelled pictures");
    });
}

fn path(ui: &mut Ui, view: &mut TrainView, (name, hint, field, is_folder): Entry, actions: &mut Vec<Action>) {
    let label = ui.label(name);
    ui.horizontal(|ui| {
        let typed = TextEdit::singleline(field(view)).hint_text(hint);
        ui.add(typed.desired_width((ui.available_width() - 80.0).max(80.0))).labelled_by(label.id);
        let choose = ui.button("Choose…");
        if named(choose, Role::Button, &format!("Choose: {name}")).clicked() {
            let (sender, path) = channel();
            view.picking.push((field, path));
            actions.push(Action::Pick(name, is_folder, sender));
        }
    });
}

fn start(ui: &mut Ui, state: &State, view: &mut TrainView, actions: &mut Vec<Action>) {
    let ready = [&view.config, &view.data, &view.out].iter().all(|typed| !typed.trim().is_empty());
    let out = PathBuf::from(view.out.trim());
    let found = match &state.training.folder {
        (folder, found) if *folder == out => *found,
        _ => {
            actions.push(Action::LookForRun(out));
            None
        }
    };
    let name = if found == Some(true) { "Resume run" } else { "Start run" };
    if ui.add_enabled(ready && found.is_some(), main_button(ui, name)).clicked() {
        actions.push(match view.options(found == Some(true)) {
            Ok(options) => Action::Train(Box::new(options), ui.ctx().clone()),
            Err(reason) => Action::RefuseRun(reason),
        });
    }
}

fn control(ui: &mut Ui, training: &Training, actions: &mut Vec<Action>) {
    let paused = training.is_paused();
    if ui.button(if paused { "Continue" } else { "Pause" }).clicked() {
        actions.push(Action::PauseRun(!paused));
    }
    if ui.button("Stop run").on_hover_text("Writes a checkpoint first").clicked() {
        actions.push(Action::StopRun);
    }
}

fn watch(ui: &mut Ui, training: &Training, metric: &mut String) {
    match (&training.begun, &training.ended) {
        (None, None) if training.is_running() => {
            ui.label("Reading the pictures…");
        }
        (None, None) => {
            ui.label(
                "A run trains on a folder of pictures. Its run folder holds checkpoints that open as models.",
            );
        }
        _ => (),
    }
    progress(ui, training);
    ended(ui, training);
    if !training.curves.names().is_empty() {
        curves(ui, &training.curves, metric);
    }
    numbers(ui, training);
    if let Some(sheet) = &training.sheet {
        ui.label("Held-out pictures, and the model's results for them");
        let texture = textures::of(ui.ctx(), sheet);
        let width = ui.available_width().min(2.0 * sheet.width() as f32);
        let size = vec2(width, width * sheet.height() as f32 / sheet.width() as f32);
        ui.add(Image::new((texture.id(), size)).alt_text("Sheet of held-out pictures"));
    }
}

fn progress(ui: &mut Ui, training: &Training) {
    let Some(begun) = &training.begun else { return };
    let steps = training.curves.training(LOSS).last().map_or(begun.begun as f64, |point| point[0]);
    ui.label(format!("{} for training, {} held out", counted(begun.pictures, "picture"), begun.held_out));
    begun.notes.iter().for_each(|note| drop(ui.weak(note)));
    let waits = if training.is_paused() { ", paused" } else { "" };
    ui.label(format!("Step {steps} of {}, {:.1} images/s{waits}", begun.steps, training.speed));
    ui.add(ProgressBar::new((steps / begun.steps.max(1) as f64) as f32));
}

fn ended(ui: &mut Ui, training: &Training) {
    let (text, color) = match &training.ended {
        None => return,
        Some(Ended::Done(path)) => (format!("Done: {}", path.display()), ui.visuals().text_color()),
        Some(Ended::Stopped) => ("Stopped. You can resume it.".into(), ui.visuals().text_color()),
        Some(Ended::Failed(reason)) => (reason.clone(), ui.visuals().error_fg_color),
    };
    ui.add(Label::new(RichText::new(text).color(color)).wrap());
}

/// A choice among the run's metrics, and the curves of the chosen one.
fn curves(ui: &mut Ui, curves: &Curves, metric: &mut String) {
    let names = curves.names();
    let shown = if names.contains(metric.as_str()) { metric.as_str() } else { LOSS };
    let list = ComboBox::from_label("Plot").selected_text(spaced(shown)).truncate().height(LIST);
    let list = list.show_ui(ui, |ui| {
        let mut chosen = None;
        for name in names {
            let response = ui.selectable_label(name == shown, spaced(name));
            if named(response, Role::Button, &format!("Plot {}", spaced(name))).clicked() {
                chosen = Some(name.to_string());
            }
        }
        chosen
    });
    plot(ui, curves, shown);
    if let Some(chosen) = list.inner.flatten() {
        *metric = chosen;
    }
}

/// The metric `name` in training and on held-out pictures. An overfitting model gets worse on the latter.
fn plot(ui: &mut Ui, curves: &Curves, name: &str) {
    let (color, other) = (ui.visuals().text_color(), ui.visuals().warn_fg_color);
    let mut lines =
        vec![("Training", curves.training(name), color), ("Held out", curves.held_out(name), other)];
    lines.retain(|(_, points, _)| !points.is_empty());
    let is_positive = lines.iter().flat_map(|(_, points, _)| *points).all(|&[_, value]| value > 0.0);
    let is_log = is_positive && !LINEAR.iter().any(|start| name.starts_with(start));
    let label = spaced(name);
    let shown = Plot::new("metric")
        .legend(Legend::default())
        .height(CURVES)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .x_axis_label("steps")
        .y_axis_label(if is_log { format!("log10 of {label}") } else { label.clone() })
        .show(ui, |plot| {
            for &(line, points, color) in &lines {
                let height = |value: f64| if is_log { value.log10() } else { value };
                let drawn = PlotPoints::from_iter(points.iter().map(|&[step, value]| [step, height(value)]));
                match points.len() {
                    // A single evaluation makes no line.
                    1 => plot.points(Points::new(line, drawn).color(color).radius(3.0)),
                    _ => plot.line(Line::new(line, drawn).color(color)),
                }
            }
        });
    let lines: Vec<&str> = lines.iter().map(|&(line, ..)| line).collect();
    named(shown.response, Role::Image, &format!("Curves of {label}: {}", lines.join(", ")));
}

/// The `name` of a metric, as it is shown.
fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

fn numbers(ui: &mut Ui, training: &Training) {
    Grid::new("measured").num_columns(2).striped(true).show(ui, |ui| {
        for (name, value) in training.measured.iter().chain(&training.validated) {
            ui.label(spaced(name));
            ui.label(format!("{value:.5}"));
            ui.end_row();
        }
    });
}
