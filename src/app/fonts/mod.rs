//! The window's fonts: the built-in ones, then the system's (or in a page, the browser's) for characters they lack.

#[cfg(target_family = "wasm")]
mod page;
mod right_to_left;
#[cfg(not(target_family = "wasm"))]
mod system;

#[cfg(target_family = "wasm")]
pub use page::{install, refresh};

/// Lets `ctx` show every script for which the system has a font, once the thread that it returns has listed them.
#[cfg(not(target_family = "wasm"))]
pub fn install(ctx: &eframe::egui::Context) -> std::thread::JoinHandle<()> {
    let fonts = std::sync::Arc::new(system::SystemFonts::default());
    ctx.add_font_provider(fonts.clone());
    ctx.add_plugin(right_to_left::RightToLeft);
    let ctx = ctx.clone();
    std::thread::spawn(move || {
        if fonts.list() {
            // A provider that has no font for a character is asked again only if it is new.
            ctx.set_font_providers(vec![fonts]);
        }
    })
}
