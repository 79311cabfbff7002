//! The "Log and device" panel: where the models run, memory and timings, and the log.

use std::num::NonZero;

use eframe::egui::{Grid, Label, RichText, ScrollArea, Ui};
use web_time::{Duration, Instant};

use crate::app::action::Action;
use crate::app::log::{Level, Line};
use crate::app::panels::parts::column;
use crate::app::state::State;
use residua_core::memory;
use residua_core::text::{counted, size};
use residua_core::trust::Checked;

/// How long a memory figure is shown before it is measured again, which reads a file.
const FRESH: Duration = Duration::from_secs(1);

/// Width from which device and log are shown side by side.
const WIDE: f32 = 600.0;

/// The state of the panel.
#[derive(Default)]
pub struct LogView {
    /// When memory was measured, and the bytes in use, if the system reports them.
    memory: Option<(Instant, Option<u64>)>,
}

impl LogView {
    /// Resident memory of the process, in bytes.
    fn memory(&mut self) -> Option<u64> {
        match self.memory {
            Some((measured, bytes)) if measured.elapsed() < FRESH => bytes,
            _ => self.memory.insert((Instant::now(), memory::resident())).1,
        }
    }
}

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &State, view: &mut LogView, actions: &mut Vec<Action>) {
    if ui.available_width() < WIDE {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            facts(ui, state, view);
            ui.separator();
            lines(ui, state, actions);
        });
        return;
    }
    ui.columns(2, |columns| {
        column(&mut columns[0], "device", |ui| facts(ui, state, view));
        column(&mut columns[1], "log", |ui| lines(ui, state, actions));
    });
}

fn facts(ui: &mut Ui, state: &State, view: &mut LogView) {
    device(ui, state, view);
    kernels(ui, state);
    times(ui, state);
}

fn device(ui: &mut Ui, state: &State, view: &mut LogView) {
    ui.heading("Device");
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let name = match (state.device.kind, &state.device.adapter) {
        ("gpu", Some(adapter)) => format!("GPU: {adapter}"),
        ("gpu", None) => "GPU".into(),
        _ => format!("CPU: {}", counted(threads, "thread")),
    };
    let memory = view.memory().map(|bytes| bytes + state.device.memory);
    let memory = memory.map_or_else(|| "not reported by this system".into(), size);
    let weights =
        state.loaded.as_ref().map_or_else(|| "no model is loaded".into(), |loaded| size(loaded.bytes));
    Grid::new("device").num_columns(2).striped(true).show(ui, |ui| {
        for (what, value) in [("Models run on", name), ("Memory in use", memory), ("Weights", weights)] {
            ui.label(what);
            ui.add(Label::new(value).wrap());
            ui.end_row();
        }
    });
}

fn kernels(ui: &mut Ui, state: &State) {
    ui.heading("Kernels");
    if state.device.kernel_checks.is_empty() {
        ui.label(match state.device.kind {
            "gpu" => "Each GPU kernel is checked when it is first used.",
            _ => "The models run on the CPU; no GPU kernels are in use.",
        });
        return;
    }
    ScrollArea::horizontal().id_salt("kernels").show(ui, |ui| {
        Grid::new("kernels").num_columns(5).striped(true).show(ui, |ui| {
            for title in ["Kernel", "Input", "Verdict", "Difference (allowed)", "Time"] {
                ui.strong(title);
            }
            ui.end_row();
            state.device.kernel_checks.iter().for_each(|checked| kernel(ui, checked));
        });
    });
}

fn kernel(ui: &mut Ui, checked: &Checked) {
    ui.label(format!("{:?}", checked.kernel));
    ui.label(&*checked.shape);
    if checked.ok {
        ui.label("correct");
    } else {
        ui.colored_label(ui.visuals().error_fg_color, "wrong, not used");
    }
    ui.label(format!("{:.1e} ({:.0e})", checked.difference, checked.tolerance));
    ui.label(format!("{:.1} ms", checked.ms));
    ui.end_row();
}

fn times(ui: &mut Ui, state: &State) {
    ui.heading("Last timings");
    if state.log.times.is_empty() {
        ui.label("Nothing has run yet.");
    }
    Grid::new("times").num_columns(2).striped(true).show(ui, |ui| {
        for (work, milliseconds) in &state.log.times {
            ui.label(*work);
            ui.label(format!("{milliseconds:.1} ms"));
            ui.end_row();
        }
    });
}

fn lines(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        ui.heading("Log");
        if ui.button("Copy all").clicked() {
            ui.copy_text(state.log.text());
        }
        if ui.button("Clear").clicked() {
            actions.push(Action::ClearLog);
        }
    });
    if state.log.lines().len() == 0 {
        ui.label("Nothing yet.");
    }
    // Latest first, so that it needs no scrolling.
    state.log.lines().rev().for_each(|line| show_line(ui, line));
}

fn show_line(ui: &mut Ui, line: &Line) {
    let color = match line.level {
        Level::Note => ui.visuals().text_color(),
        Level::Warning => ui.visuals().warn_fg_color,
        Level::Error => ui.visuals().error_fg_color,
    };
    let text = format!("{}: {}", line.level.name(), line.text);
    ui.add(Label::new(RichText::new(text).color(color)).wrap());
}
