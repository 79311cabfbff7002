//! Accessibility in a browser: sends egui's accessibility tree to the page as JSON, and takes actions back.
//!
//! In a browser egui is one canvas, and eframe drops the tree. `web/accessible.js` places invisible elements over the
//! widgets, built from these updates: first everything, then only what changed.

mod action;
mod change;
mod describe;
mod element;
mod roles;
#[cfg(test)]
mod tests;

use eframe::egui::{Context, Event, FullOutput, Plugin, RawInput};

use change::Change;
use describe::Tree;
use residua_core::error::{Error, Result};

/// Reports every change in the window, and passes on the actions requested on its elements.
pub struct Accessible {
    send: Box<dyn Fn(String) + Send + Sync>,
    /// The page's state after all updates so far.
    shown: Tree,
    /// Actions for the next frame.
    asked: Vec<Event>,
}

impl Accessible {
    /// Describes everything that `ctx` shows, from its next frame on. `send` gets one JSON object for each frame that
    /// changed something:
    ///
    /// * `upsert`: new and changed elements in reading order, with `id`, `role` (from ARIA; `text` for plain text),
    ///   `name`, `bounds` (`[x, y, width, height]` of the visible part, in CSS pixels from the top left of the canvas;
    ///   no size if scrolled out of view), `actions` and, where they apply, `children` (ids in reading order),
    ///   `description`, `value`, `placeholder`, `valuenow`, `min`, `max`, `step`, `checked`, `pressed`, `selected`,
    ///   `expanded`, `disabled`, `readonly`, `multiline`, `live`
    /// * `remove`: ids of elements that are gone
    /// * `top`: ids of the elements without a parent, only if the list changed
    /// * `focus`: id of the element with keyboard focus, or null
    ///
    /// `send` runs during the frame: it must only pass the text on, and must not call [`Accessible::act`].
    pub fn install(ctx: &Context, send: impl Fn(String) + Send + Sync + 'static) {
        ctx.enable_accesskit();
        ctx.add_plugin(Self { send: Box::new(send), shown: Tree::default(), asked: Vec::new() });
    }

    /// Performs an action in the next frame of `ctx`. `json` is `{ "id", "kind", "value" }`, where `kind` is `click`,
    /// `focus`, `increment`, `decrement`, `set_value` (with a `value`: a number for elements that have `valuenow`, text
    /// for others) or `show` (scroll into view).
    ///
    /// # Errors
    /// `json` is malformed, the element does not exist or does not support the action, or nothing is installed.
    pub fn act(ctx: &Context, json: &str) -> Result<()> {
        ctx.with_plugin(|accessible: &mut Self| {
            accessible.asked.push(action::event(json, &accessible.shown)?);
            Ok(())
        })
        .unwrap_or_else(|| {
            Err(Error::usage("expected an installed Accessible, found none: install it first"))
        })?;
        ctx.request_repaint();
        Ok(())
    }
}

impl Plugin for Accessible {
    fn debug_name(&self) -> &'static str {
        "accessible"
    }

    fn input_hook(&mut self, _: &Context, input: &mut RawInput) {
        input.events.append(&mut self.asked);
    }

    fn output_hook(&mut self, ctx: &Context, output: &mut FullOutput) {
        let Some(update) = &output.platform_output.accesskit_update else { return };
        let now = Tree::describe(ctx, update);
        if let Some(change) = Change::between(&self.shown, &now) {
            (self.send)(change.to_json());
        }
        self.shown = now;
    }
}
