//! The "Models" panel: the loaded model, others to load, and why a load failed.

use eframe::egui::{Button, Grid, Label, ProgressBar, RichText, Role, ScrollArea, TextEdit, Ui, WidgetInfo};

use crate::app::action::Action;
use crate::app::choose::Wanted;
use crate::app::state::{LOADING, State};
use residua_core::config::{ConditionKind, RqVaeConfig};
use residua_core::text::{counted, grouped, size};
use residua_io::assets::bundled::BUNDLED;
use residua_protocol::{Loaded, Stage2Facts};

/// The state of the panel.
#[derive(Default)]
pub struct ModelsView {
    /// Path, name or address of a model to load.
    place: String,
}

/// What can be typed to name a model.
const PLACES: &str = if cfg!(target_family = "wasm") { "name or address" } else { "file or folder" };

/// A name and its value.
type Fact = (&'static str, String);

/// Shows the panel.
pub fn show(ui: &mut Ui, state: &State, view: &mut ModelsView, actions: &mut Vec<Action>) {
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        progress(ui, state, actions);
        failure(ui, state, actions);
        match &state.loaded {
            Some(loaded) => describe(ui, state, loaded),
            None => {
                ui.label("No model is loaded: open one below, or drop its file or folder on the window.");
            }
        }
        ui.separator();
        choices(ui, state, &mut view.place, actions);
    });
}

fn progress(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let Some((id, job)) = LOADING.into_iter().find_map(|label| state.jobs.called(label)) else { return };
    let (done, total) = job.progress.unwrap_or((0, 0));
    ui.horizontal(|ui| {
        ui.label(match job.file {
            Some(_) => format!("Fetching: {} of {}", size(done as u64), size(total as u64)),
            None => format!("Loading: {done} of {} read", counted(total, "tensor")),
        });
        if ui.button("Stop loading").clicked() {
            actions.push(Action::Stop(id));
        }
    });
    ui.add(ProgressBar::new(done as f32 / total.max(1) as f32));
    ui.separator();
}

fn failure(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    let Some(reason) = &state.loading.failure else { return };
    ui.label(RichText::new("Could not load this model").strong());
    ui.add(Label::new(RichText::new(reason).color(ui.visuals().error_fg_color)).wrap());
    if state.loaded.is_some() {
        ui.label("The model below is still in use.");
    }
    if ui.button("Dismiss this report").clicked() {
        actions.push(Action::DismissFailure);
    }
    ui.separator();
}

fn describe(ui: &mut Ui, state: &State, loaded: &Loaded) {
    ui.heading(&loaded.name);
    table(ui, "model", &about(loaded));
    ui.label(RichText::new("Stage 1: RQ-VAE").strong());
    table(ui, "stage 1", &stage1(&loaded.rqvae, loaded));
    ui.label(RichText::new("Stage 2: RQ-Transformer").strong());
    match &loaded.stage2 {
        Some(facts) => table(ui, "stage 2", &stage2(facts)),
        None if state.is_coming() => {
            ui.label("It is being loaded.");
        }
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

fn choices(ui: &mut Ui, state: &State, typed: &mut String, actions: &mut Vec<Action>) {
    ui.heading("Open");
    ui.horizontal_wrapped(|ui| {
        for bundled in BUNDLED {
            if ui.button(format!("{} (bundled)", bundled.name)).clicked() {
                actions.push(Action::Load(bundled.name.into(), None));
            }
        }
        if ui.button("Open file…").clicked() {
            actions.push(Action::Choose(Wanted::Model));
        }
        if ui.button("Open folder…").clicked() {
            actions.push(Action::Choose(Wanted::ModelFolder));
        }
    });
    place(ui, state, typed, actions);
    let name = ui.label("Its RQ-VAE, if it is not found automatically");
    let mut rqvae = state.loading.rqvae.clone();
    let field = TextEdit::singleline(&mut rqvae).hint_text(PLACES);
    if ui.add(field.desired_width(f32::INFINITY)).labelled_by(name.id).changed() {
        actions.push(Action::NameRqVae(rqvae));
    }
    recent(ui, state, actions);
    stored(ui, state, actions);
}

fn place(ui: &mut Ui, state: &State, typed: &mut String, actions: &mut Vec<Action>) {
    let name = ui.label("Model to load");
    ui.horizontal(|ui| {
        let field = TextEdit::singleline(typed).hint_text(PLACES);
        ui.add(field.desired_width(ui.available_width() - 60.0)).labelled_by(name.id);
        let typed = typed.trim();
        if ui.add_enabled(!typed.is_empty(), Button::new("Load")).clicked() {
            actions.push(Action::Load(typed.into(), state.named_rqvae()));
        }
    });
}

fn recent(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    if state.settings.recent.is_empty() {
        return;
    }
    ui.label(RichText::new("Recent").strong());
    for place in &state.settings.recent {
        if ui.add(Button::new(place).truncate()).on_hover_text(place).clicked() {
            actions.push(Action::Load(place.clone(), state.named_rqvae()));
        }
    }
}

/// Models in the browser's storage, with their sizes.
fn stored(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    if state.stored.is_empty() {
        return;
    }
    ui.label(RichText::new("Stored in this browser").strong());
    Grid::new("stored").num_columns(4).striped(true).show(ui, |ui| {
        for stored in &state.stored {
            let path = stored.place.split('?').next().unwrap_or_default();
            let name = path.rsplit('/').next().unwrap_or(path).to_string();
            ui.label(&name).on_hover_text(&stored.place);
            ui.label(if stored.complete {
                size(stored.bytes)
            } else {
                format!("{}, incomplete", size(stored.bytes))
            });
            if named(ui, "Load", &format!("Load {name}")) {
                actions.push(Action::Load(stored.place.clone(), state.named_rqvae()));
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
