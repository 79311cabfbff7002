//! What the window writes with: built-in fonts, and for characters that they lack, the system's or the browser's.

#[cfg(target_family = "wasm")]
mod page;
#[cfg(not(target_family = "wasm"))]
mod right_to_left;
#[cfg(not(target_family = "wasm"))]
mod system;

#[cfg(target_family = "wasm")]
pub use page::install;

/// Lets `ctx` write every script that a font of the system has.
#[cfg(not(target_family = "wasm"))]
pub fn install(ctx: &eframe::egui::Context) {
    ctx.add_font_provider(std::sync::Arc::new(system::SystemFonts::default()));
    ctx.add_plugin(right_to_left::RightToLeft);
}
