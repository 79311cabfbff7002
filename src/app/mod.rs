//! The studio: the window and panels on top of the engine. Nothing here touches a tensor or waits for one.

pub mod accessible;
pub mod action;
#[cfg(not(target_family = "wasm"))]
pub mod bench;
mod captions;
pub mod choices;
pub mod choose;
pub mod colors;
#[cfg(not(target_family = "wasm"))]
pub mod dialogs;
#[cfg(not(target_family = "wasm"))]
mod display;
pub mod document;
pub mod files;
pub mod filters;
pub mod fonts;
pub mod gallery;
mod hint;
mod icons;
pub mod jobs;
mod layout;
pub mod log;
mod memory;
mod menu;
pub mod panels;
mod patches;
#[cfg(not(target_family = "wasm"))]
mod resizing;
#[cfg(not(target_family = "wasm"))]
mod screenshot;
mod settings;
mod shortcuts;
pub mod state;
mod status;
pub mod stored;
mod textures;
mod theme;
pub mod tool;
#[cfg(not(target_family = "wasm"))]
pub mod training;
#[cfg(not(target_family = "wasm"))]
mod window;

pub use settings::Settings;
#[cfg(not(target_family = "wasm"))]
pub use window::open;

use std::path::PathBuf;

use eframe::egui::{CentralPanel, Context, Event, ThemePreference, Ui};
#[cfg(not(target_family = "wasm"))]
use eframe::egui_wgpu::RenderState;
use eframe::{App, Frame, Storage};

use action::apply;
use layout::Layout;
use memory::{recall, remember};
use panels::Views;
use residua_io::assets::bundled;
use residua_protocol::{Engine, Reading};
#[cfg(not(target_family = "wasm"))]
use screenshot::Screenshot;
use state::State;

/// Storage key of the settings.
const SETTINGS: &str = "settings";

/// What the studio opens with.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// A picture, codes or a PNG that carries codes. Default: the sample.
    pub file: Option<PathBuf>,
    /// A model. Default: the last one.
    pub model: Option<String>,
    /// The RQ-VAE, if it is not where the transformer's configuration says.
    pub rqvae: Option<String>,
    /// Whether the RQ-VAE of a bundled model is loaded first, because it takes long to fetch the files.
    pub in_steps: bool,
    /// Row and column of the cell to pin once the codes are available.
    pub pin: Option<[usize; 2]>,
    /// Light or dark. Default: as in the settings.
    pub theme: Option<ThemePreference>,
    /// Where to save a screenshot once everything is drawn; the studio then exits.
    pub screenshot: Option<PathBuf>,
}

/// The app.
pub struct Studio {
    /// The open document, the models and the jobs.
    pub state: State,
    /// How each panel shows them.
    pub views: Views,
    ctx: Context,
    /// Whether a text field had the focus at the end of the last frame.
    typing: bool,
    /// Where the panels are.
    layout: Layout,
    /// A cell to pin once the codes are available.
    pin: Option<[usize; 2]>,
    /// A pending screenshot.
    #[cfg(not(target_family = "wasm"))]
    screenshot: Option<Screenshot>,
}

impl Studio {
    /// Opens what `start` names on `engine`, with the settings and layout from `storage`.
    pub fn new(
        ctx: &Context,
        engine: Engine,
        device: &'static str,
        start: Start,
        storage: Option<&dyn Storage>,
    ) -> Self {
        let settings: Settings = storage.and_then(|storage| recall(storage, SETTINGS)).unwrap_or_default();
        let theme = start.theme.unwrap_or(settings.theme);
        dress(ctx, theme, settings.zoom);
        let mut state = State::new(ctx, engine, settings, device);
        let (model, rqvae) = match start.model {
            Some(model) => (model, start.rqvae),
            None => (state.settings.model.clone(), start.rqvae.or(state.settings.rqvae.clone())),
        };
        match bundled::find(&model).filter(|_| start.in_steps && rqvae.is_none()) {
            Some(bundled) => state.load_in_steps(bundled),
            None => state.load(&model, rqvae),
        }
        match &start.file {
            Some(file) => state.open_path(file),
            None => state.read(Reading::Sample),
        }
        Self {
            state,
            views: Views::default(),
            ctx: ctx.clone(),
            typing: false,
            layout: storage.map_or_else(Layout::default, Layout::recall),
            pin: start.pin,
            #[cfg(not(target_family = "wasm"))]
            screenshot: start.screenshot.map(Screenshot::new),
        }
    }

    /// Draws everything, and does what the user asks for in it.
    pub fn show(&mut self, ui: &mut Ui) {
        let mut actions = Vec::new();
        menu::show(ui, &self.state, &mut self.layout, &mut actions);
        hint::show(ui, &self.state, &mut actions);
        status::show(ui, &self.state, &mut actions);
        // Before the panels: one that the menu brings to the front must be unfolded by then.
        apply(std::mem::take(&mut actions), &mut self.state, ui.ctx());
        CentralPanel::no_frame()
            .show(ui, |ui| self.layout.show(ui, &self.state, &mut self.views, &mut actions));
        apply(actions, &mut self.state, ui.ctx());
        self.typing = ui.ctx().text_edit_focused();
    }

    #[cfg(not(target_family = "wasm"))]
    /// Draws pictures straight from the models' buffers: the models run on the device that `render` draws with.
    pub fn draw_on_device(&mut self, render: &RenderState) {
        panels::picture::device::register(render);
        self.state.device.draws = true;
    }

    /// Moves to a new context, after the old one was lost with everything uploaded to it.
    pub fn move_to(&mut self, ctx: &Context) {
        dress(ctx, self.state.settings.theme, self.state.settings.zoom);
        self.views.picture.forget_textures();
        self.ctx = ctx.clone();
    }

    /// Requests a redraw, because the state changed outside the window.
    pub fn repaint(&self) {
        self.ctx.request_repaint();
    }

    /// Switches to the fonts that have arrived since the start.
    #[cfg(target_family = "wasm")]
    pub fn refresh_fonts(&self) {
        fonts::refresh(&self.ctx);
    }

    /// Performs an action that assistive technology requests on an element; see [`accessible`].
    ///
    /// # Errors
    /// There is no such element, or it does not support the action.
    pub fn act(&self, action: &str) -> residua_core::error::Result<()> {
        accessible::Accessible::act(&self.ctx, action)
    }

    /// Pins the requested cell once the codes are available, if they have such a cell.
    fn pin_at_start(&mut self) {
        let Some(document) = &self.state.document else { return };
        if let Some([row, col]) = self.pin.take()
            && document.stack().at(row, col, 0).is_ok()
        {
            self.state.pin(Some([row, col]));
        }
    }

    /// Opens dropped files and pasted pictures.
    fn take_files(&mut self, ctx: &Context) {
        let (dropped, pasted) = ctx.input(|input| {
            let pasted = input.events.iter().find_map(|event| match event {
                Event::PasteImage(image) => Some(image.clone()),
                _ => None,
            });
            (input.raw.dropped_files.clone(), pasted)
        });
        #[cfg(not(target_family = "wasm"))]
        dropped.iter().for_each(|file| self.state.open_path(file.path()));
        #[cfg(target_family = "wasm")]
        let _ = dropped;
        if let Some(image) = pasted {
            files::open_pasted(&mut self.state, &image);
        }
    }
}

/// Applies the look, the theme and the zoom to a context.
fn dress(ctx: &Context, theme: ThemePreference, zoom: f32) {
    theme::install(ctx);
    ctx.set_theme(theme);
    ctx.set_zoom_factor(zoom);
}

impl App for Studio {
    fn logic(&mut self, ctx: &Context, _: &mut Frame) {
        self.state.receive();
        self.take_files(ctx);
        apply(shortcuts::pressed(ctx, self.typing), &mut self.state, ctx);
        self.pin_at_start();
        #[cfg(not(target_family = "wasm"))]
        if let Some(screenshot) = &mut self.screenshot {
            screenshot.take(ctx, &self.state);
        }
    }

    fn ui(&mut self, ui: &mut Ui, _: &mut Frame) {
        self.show(ui);
    }

    fn save(&mut self, storage: &mut dyn Storage) {
        remember(storage, SETTINGS, &self.state.settings);
        self.layout.remember(storage);
    }

    /// A screenshot shows the window as without a pointer over it.
    #[cfg(not(target_family = "wasm"))]
    fn raw_input_hook(&mut self, _: &Context, input: &mut eframe::egui::RawInput) {
        if self.screenshot.is_some() {
            input.events.retain(|event| !matches!(event, Event::PointerMoved(_)));
        }
    }

    #[cfg(not(target_family = "wasm"))]
    fn on_exit(&mut self) {
        self.state.cancel();
    }
}
