//! The menu bar.

use eframe::egui::{Button, MenuBar, Panel as Bar, ThemePreference, Ui};

use super::action::Action;
use super::choose::Wanted;
use super::document::Document;
use super::layout::Layout;
use super::panels::PANELS;
use super::state::State;

/// What can be done with an open picture.
const SAVING: [(&str, Action); 3] = [
    ("Save picture… (Ctrl+S)", Action::SavePicture),
    ("Save codes…", Action::SaveCodes),
    ("Keep in the gallery", Action::Keep),
];

/// Themes in the menu.
const THEMES: [(ThemePreference, &str); 3] = [
    (ThemePreference::System, "Follow system"),
    (ThemePreference::Light, "Light"),
    (ThemePreference::Dark, "Dark"),
];

/// Zoom factors in the menu.
const ZOOMS: [f32; 5] = [0.8, 1.0, 1.25, 1.5, 2.0];

/// Shows the menu bar.
pub fn show(ui: &mut Ui, state: &State, layout: &mut Layout, actions: &mut Vec<Action>) {
    Bar::top("menu").show(ui, |ui| {
        MenuBar::new().ui(ui, |ui| {
            ui.menu_button("File", |ui| file(ui, state, actions));
            ui.menu_button("Edit", |ui| edit(ui, state, actions));
            ui.menu_button("View", |ui| view(ui, state, layout, actions));
        });
    });
}

fn file(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    if ui.button("Open picture or codes… (Ctrl+O)").clicked() {
        actions.push(Action::Choose(Wanted::Picture));
    }
    let open = state.document.as_ref().is_some_and(|document| document.seen.is_some());
    ui.add_enabled_ui(open, |ui| {
        for (name, save) in SAVING {
            if ui.button(name).clicked() {
                actions.push(save);
            }
        }
    });
}

fn edit(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let document = state.document.as_ref();
    let steps = [
        ("Undo", "Ctrl+Z", document.and_then(Document::undoable), Action::Undo),
        ("Redo", "Ctrl+Shift+Z", document.and_then(Document::redoable), Action::Redo),
    ];
    for (verb, keys, what, step) in steps {
        let button = Button::new(format!("{verb} {} ({keys})", what.unwrap_or_default()));
        if ui.add_enabled(what.is_some(), button).clicked() {
            actions.push(step);
        }
    }
}

fn view(ui: &mut Ui, state: &State, layout: &mut Layout, actions: &mut Vec<Action>) {
    let mut settings = state.settings.clone();
    for &(panel, title, _) in PANELS {
        if ui.button(title).clicked() {
            settings.only_picture = false;
            layout.bring_to_front(panel);
        }
    }
    ui.checkbox(&mut settings.only_picture, "Only the picture");
    if ui.button("Reset layout").clicked() {
        settings.only_picture = false;
        *layout = Layout::default();
    }
    ui.separator();
    for (theme, name) in THEMES {
        if ui.radio_value(&mut settings.theme, theme, name).clicked() {
            ui.ctx().set_theme(theme);
        }
    }
    ui.separator();
    for zoom in ZOOMS {
        if ui.radio_value(&mut settings.zoom, zoom, format!("{} %", zoom * 100.0)).clicked() {
            ui.ctx().set_zoom_factor(zoom);
        }
    }
    ui.separator();
    ui.checkbox(&mut settings.hint, "Show the first steps");
    if settings != state.settings {
        actions.push(Action::Set(Box::new(settings)));
    }
}
