//! The "Models" panel: the loaded model, others to load, and why a load failed.

use eframe::egui::{Button, Grid, Label, ProgressBar, RichText, Role, ScrollArea, TextEdit, Ui, WidgetInfo};

use crate::app::choose::{self, Wanted};
use crate::app::state::State;
use residua_core::config::{ConditionKind, RqVaeConfig};
use residua_core::text::{counted, grouped, size};
use residua_io::assets::bundled::BUNDLED;
use residua_protocol::{Loaded, Stage2Facts};

/// The state of the panel.
#[derive(Default)]
pub struct ModelsView {
    /// Path, name or address of a model to load.
    place: String,
    /// Path, name or address of its RQ-VAE; empty if not given.
    rqvae: String,
    /// Why the last load failed.
    pub failure: Option<String>,
}

impl ModelsView {
    /// The RQ-VAE to load a transformer with, if the user named one.
    pub fn rqvae(&self) -> Option<String> {
        let typed = self.rqvae.trim();
        (!typed.is_empty()).then(|| typed.into())
    }
}

/// What can be typed to name a model.
const PLACES: &str = if cfg!(target_family = "wasm") { "name or address" } else { "file or folder" };

/// A name and its value.
type Fact = (&'static str, String);

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &mut State) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        progress(ui, state);
        failure(ui, state);
        match state.loaded.clone() {
            Some(loaded) => describe(ui, &loaded),
            None => {
                ui.label("No model is loaded: open one below, or drop its file or folder on the window.");
            }
        }
        ui.separator();
        choices(ui, state);
    });
}

fn progress(ui: &mut Ui, state: &mut State) {
    let Some((id, job)) = state.jobs.called("loading") else { return };
    let (done, total) = job.progress.unwrap_or((0, 0));
    ui.horizontal(|ui| {
        ui.label(format!("Loading: {done} of {} read", counted(total, "tensor")));
        if ui.button("Stop loading").clicked() {
            state.stop(id);
        }
    });
    ui.add(ProgressBar::new(done as f32 / total.max(1) as f32));
    ui.separator();
}

fn failure(ui: &mut Ui, state: &mut State) {
    let Some(reason) = state.models_view.failure.clone() else { return };
    ui.label(RichText::new("Could not load this model").strong());
    ui.add(Label::new(RichText::new(reason).color(ui.visuals().error_fg_color)).wrap());
    if state.loaded.is_some() {
        ui.label("The model below is still in use.");
    }
    if ui.button("Dismiss this report").clicked() {
        state.models_view.failure = None;
    }
    ui.separator();
}

fn describe(ui: &mut Ui, loaded: &Loaded) {
    ui.heading(&loaded.name);
    table(ui, "model", &about(loaded));
    ui.label(RichText::new("Stage 1: RQ-VAE").strong());
    table(ui, "stage 1", &stage1(&loaded.rqvae, loaded));
    ui.label(RichText::new("Stage 2: RQ-Transformer").strong());
    match &loaded.stage2 {
        Some(facts) => table(ui, "stage 2", &stage2(facts)),
        None => {
            ui.label("None: pictures can be encoded and edited, but not sampled or explained.");
        }
    }
}

fn table(ui: &mut Ui, id: &str, facts: &[Fact]) {
    let widest = (ui.available_width() - 110.0).max(80.0);
    Grid::new(id).num_columns(2).min_col_width(90.0).max_col_width(widest).striped(true).show(ui, |ui| {
        for (name, value) in facts {
            ui.label(*name);
            ui.add(Label::new(value).wrap());
            ui.end_row();
        }
    });
}

fn about(loaded: &Loaded) -> Vec<Fact> {
    let parameters = loaded.stage1_parameters + loaded.stage2.as_ref().map_or(0, |facts| facts.parameters);
    vec![
        ("Licence", loaded.licence.clone().unwrap_or_else(|| "not stated".into())),
        ("Parameters", grouped(parameters)),
        ("Memory", format!("{} of weights", size(loaded.bytes))),
        ("Device", loaded.device.to_uppercase()),
    ]
}

fn stage1(config: &RqVaeConfig, loaded: &Loaded) -> Vec<Fact> {
    let (hparams, layers) = (&config.hparams, &config.ddconfig);
    let [h, w, depth] = hparams.code_shape;
    let channels: Vec<String> =
        layers.ch_mult.iter().map(|factor| (layers.ch * factor).to_string()).collect();
    let attention: Vec<String> =
        layers.attn_resolutions.iter().map(|size| format!("{size} x {size}")).collect();
    vec![
        ("Pictures", format!("{0} x {0} pixels", layers.resolution)),
        ("Codes", format!("{h} x {w} cells of {}", counted(depth, "code"))),
        ("Codebook size", codebook(&loaded.codebook_sizes, hparams.shared_codebook)),
        ("Code vector", counted(config.code_dim(), "number")),
        (
            "Channels",
            format!("{}; {} per level", channels.join(", "), counted(layers.num_res_blocks, "block")),
        ),
        (
            "Attention",
            if attention.is_empty() { "none".into() } else { format!("at {}", attention.join(", ")) },
        ),
        ("Parameters", grouped(loaded.stage1_parameters)),
    ]
}

fn codebook(sizes: &[usize], shared: bool) -> String {
    match sizes {
        [size, ..] if shared => format!("{} codes, shared by all depths", grouped(*size)),
        _ => {
            let each: Vec<String> = sizes.iter().map(|&size| grouped(size)).collect();
            format!("{} codes, one codebook per depth", each.join(" / "))
        }
    }
}

fn stage2(facts: &Stage2Facts) -> Vec<Fact> {
    let config = &facts.config;
    let stack = |layers, heads| format!("{} with {}", counted(layers, "layer"), counted(heads, "head"));
    let condition = match config.condition() {
        ConditionKind::Unconditional => "none".into(),
        ConditionKind::Class => format!("one of {} classes", config.vocab_size_cond),
        ConditionKind::Text => format!("a caption of up to {}", counted(config.block_size_cond, "token")),
    };
    vec![
        ("Width", grouped(config.embed_dim)),
        ("Body", stack(config.body.n_layer, config.body.block.n_head)),
        ("Head", stack(config.head.n_layer, config.head.block.n_head)),
        ("Condition", condition),
        ("Parameters", grouped(facts.parameters)),
    ]
}

fn choices(ui: &mut Ui, state: &mut State) {
    ui.heading("Open");
    ui.horizontal_wrapped(|ui| {
        for bundled in BUNDLED {
            if ui.button(format!("{} (bundled)", bundled.name)).clicked() {
                state.load(bundled.name, None);
            }
        }
        if ui.button("Open file…").clicked() {
            choose::open(state, Wanted::Model);
        }
        if ui.button("Open folder…").clicked() {
            choose::open(state, Wanted::ModelFolder);
        }
    });
    place(ui, state);
    let name = ui.label("Its RQ-VAE, if the transformer does not find it");
    let field = TextEdit::singleline(&mut state.models_view.rqvae).hint_text(PLACES);
    ui.add(field.desired_width(f32::INFINITY)).labelled_by(name.id);
    recent(ui, state);
    stored(ui, state);
}

fn place(ui: &mut Ui, state: &mut State) {
    let name = ui.label("Model to load");
    ui.horizontal(|ui| {
        let field = TextEdit::singleline(&mut state.models_view.place).hint_text(PLACES);
        ui.add(field.desired_width(ui.available_width() - 60.0)).labelled_by(name.id);
        let typed = state.models_view.place.trim().to_string();
        if ui.add_enabled(!typed.is_empty(), Button::new("Load")).clicked() {
            state.load(&typed, state.models_view.rqvae());
        }
    });
}

fn recent(ui: &mut Ui, state: &mut State) {
    if state.settings.recent.is_empty() {
        return;
    }
    ui.label(RichText::new("Recent").strong());
    for place in state.settings.recent.clone() {
        if ui.add(Button::new(&place).truncate()).on_hover_text(&place).clicked() {
            state.load(&place, state.models_view.rqvae());
        }
    }
}

/// Models in the browser's storage, with their sizes.
fn stored(ui: &mut Ui, state: &mut State) {
    if state.stored.is_empty() {
        return;
    }
    ui.label(RichText::new("Stored in this browser").strong());
    Grid::new("stored").num_columns(4).striped(true).show(ui, |ui| {
        for stored in state.stored.clone() {
            let path = stored.place.split('?').next().unwrap_or_default();
            let name = path.rsplit('/').next().unwrap_or(path).to_string();
            ui.label(&name).on_hover_text(&stored.place);
            ui.label(if stored.complete {
                size(stored.bytes)
            } else {
                format!("{}, incomplete", size(stored.bytes))
            });
            if named(ui, "Load", &format!("Load {name}")) {
                state.load(&stored.place, state.models_view.rqvae());
            }
            if named(ui, "Delete", &format!("Delete {name} from this browser")) {
                stored.forget();
            }
            ui.end_row();
        }
    });
}

/// A button whose accessible name is longer than its text.
fn named(ui: &mut Ui, text: &str, name: &str) -> bool {
    let button = ui.button(text);
    button.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    button.clicked()
}
