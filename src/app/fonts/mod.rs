//! The window's fonts: the built-in ones, then the system's (or in a page, the browser's) for characters they lack.

#[cfg(target_family = "wasm")]
mod page;
mod right_to_left;
#[cfg(not(target_family = "wasm"))]
mod system;

#[cfg(target_family = "wasm")]
pub use page::{install, refresh};

/// Lets `ctx` show every script for which the system has a font.
#[cfg(not(target_family = "wasm"))]
pub fn install(ctx: &eframe::egui::Context) {
    ctx.add_font_provider(std::sync::Arc::new(system::SystemFonts::default()));
    ctx.add_plugin(right_to_left::RightToLeft);
}
