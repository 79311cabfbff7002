//! The studio for assistive technology in a browser: egui's accessibility tree as JSON for the page, actions of the page back.
//!
//! A browser shows egui as one canvas, and eframe drops the tree there. `web/accessible.js` lays invisible elements over
//! the widgets, made of what is sent here: at first everything, then what changed.

mod action;
mod change;
mod describe;
mod element;
mod roles;
#[cfg(test)]
mod tests;

use eframe::egui::{Context, Event, FullOutput, Plugin, RawInput};

use crate::error::{Error, Result};
use change::Change;
use describe::Tree;

/// Tells of every change in what the window shows, and passes on what is asked of its elements.
pub struct Accessible {
    send: Box<dyn Fn(String) + Send + Sync>,
    /// What was sent so far amounts to this.
    shown: Tree,
    /// Actions for the next frame.
    asked: Vec<Event>,
}

impl Accessible {
    /// Describes all that `ctx` shows from its next frame on. `send` gets one JSON object for each frame that
    /// changed something, none for the others:
    ///
    /// * `upsert`: new and changed elements in reading order, with `id`, `role` (of ARIA; `text` for plain text),
    ///   `name`, `bounds` (`[x, y, width, height]` of the part that can be seen, CSS pixels from the top left of the
    ///   canvas; no size if scrolled away), `actions` and, where they have any, `children` (ids in reading order),
    ///   `description`, `value`, `placeholder`, `valuenow`, `min`, `max`, `step`, `checked`, `pressed`, `selected`,
    ///   `expanded`, `disabled`, `readonly`, `multiline`, `live`
    /// * `remove`: ids of elements that are gone
    /// * `top`: ids of the elements without a parent, only if these changed
    /// * `focus`: id of the element that has the keyboard, or null
    ///
    /// `send` runs within the frame: it must hand the text on, and may not call [`Accessible::act`].
    pub fn install(ctx: &Context, send: impl Fn(String) + Send + Sync + 'static) {
        ctx.enable_accesskit();
        ctx.add_plugin(Self { send: Box::new(send), shown: Tree::default(), asked: Vec::new() });
    }

    /// Does in the next frame of `ctx` what `json` asks for: `{ "id", "kind", "value" }`, where `kind` is `click`,
    /// `focus`, `increment`, `decrement`, `set_value` (with a `value`: a number for elements that have `valuenow`, else
    /// a text) or `show` (scroll it into view).
    ///
    /// # Errors
    /// `json` is no such thing, the element is not there or does not take this, or nothing is installed.
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
