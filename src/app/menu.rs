//! The menu bar.

use eframe::egui::{MenuBar, Panel as Bar, ThemePreference, Ui};

use super::Studio;
use super::choose::{self, Wanted};
use super::panels::PANELS;

/// Zoom factors in the menu.
const ZOOMS: [f32; 5] = [0.8, 1.0, 1.25, 1.5, 2.0];

/// Shows the menu bar.
pub fn show(ui: &mut Ui, studio: &mut Studio) {
    Bar::top("menu").show(ui, |ui| {
        MenuBar::new().ui(ui, |ui| {
            ui.menu_button("File", |ui| file(ui, studio));
            ui.menu_button("Edit", |ui| edit(ui, studio));
            ui.menu_button("View", |ui| view(ui, studio));
        });
    });
}

fn file(ui: &mut Ui, studio: &mut Studio) {
    let state = &mut studio.state;
    if ui.button("Open picture or codes… (Ctrl+O)").clicked() {
        choose::open(state, Wanted::Picture);
    }
    let open = state.document.as_ref().is_some_and(|document| document.seen.is_some());
    ui.add_enabled_ui(open, |ui| {
        if ui.button("Save picture… (Ctrl+S)").clicked() {
            super::files::save_picture(state);
        }
        if ui.button("Save codes…").clicked() {
            super::files::save_codes(state);
        }
        if ui.button("Keep in the gallery").clicked() {
            state.keep();
        }
    });
}

fn edit(ui: &mut Ui, studio: &mut Studio) {
    let state = &mut studio.state;
    let name = |what: Option<&str>| what.map(String::from);
    let undoable = state.document.as_ref().and_then(|document| name(document.undoable()));
    let redoable = state.document.as_ref().and_then(|document| name(document.redoable()));
    for (verb, keys, what, back) in
        [("Undo", "Ctrl+Z", undoable, true), ("Redo", "Ctrl+Shift+Z", redoable, false)]
    {
        let text = format!("{verb} {} ({keys})", what.as_deref().unwrap_or(""));
        let button = eframe::egui::Button::new(text);
        if ui.add_enabled(what.is_some(), button).clicked() {
            state.step_history(back);
        }
    }
}

fn view(ui: &mut Ui, studio: &mut Studio) {
    for &(panel, title, _) in PANELS {
        if ui.button(title).clicked() {
            studio.bring_to_front(panel);
        }
    }
    ui.checkbox(&mut studio.state.settings.only_picture, "Only the picture");
    if ui.button("Reset layout").clicked() {
        studio.reset_layout();
    }
    ui.separator();
    let ctx = ui.ctx().clone();
    let settings = &mut studio.state.settings;
    let themes = [
        (ThemePreference::System, "Follow system"),
        (ThemePreference::Light, "Light"),
        (ThemePreference::Dark, "Dark"),
    ];
    for (theme, name) in themes {
        if ui.radio_value(&mut settings.theme, theme, name).clicked() {
            ctx.set_theme(theme);
        }
    }
    ui.separator();
    for zoom in ZOOMS {
        if ui.radio_value(&mut settings.zoom, zoom, format!("{} %", zoom * 100.0)).clicked() {
            ctx.set_zoom_factor(zoom);
        }
    }
    ui.separator();
    ui.checkbox(&mut settings.hint, "Show the first steps");
}
