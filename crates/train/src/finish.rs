//! The end of a run that was stopped after its last checkpoint, but before its last evaluation and sheet.

use serde_json::json;

use super::data::Loaded;
use super::run::line;
use super::trainee::Run;
use super::validation::HELD_OUT;
use residua_core::error::{Error, Result};
use residua_core::task::Task;

impl Run<'_> {
    /// Makes the metrics on held-out pictures and the sheet after the last step, unless they were made before.
    ///
    /// # Errors
    /// A file cannot be read or written; [`Error::Cancelled`].
    pub(super) fn finish(&mut self, shown: Option<&Loaded>, task: &Task<'_>) -> Result<()> {
        let (steps, world) = (self.plan.steps, self.share.world().clone());
        let before = steps.saturating_sub(1);
        let mut last = self.folder.measured()?.pop().filter(|line| line["step"] == steps);
        let is_tested = last.as_ref().and_then(|line| line.as_object()).is_some_and(|line| {
            self.held_out.items.is_empty() || line.keys().any(|name| name.starts_with(HELD_OUT))
        });
        if world.any(world.leads() && !is_tested) {
            let measured = self.validate(steps, task)?;
            if world.any(task.is_stopped()) {
                return Err(Error::Cancelled);
            }
            let last = last.get_or_insert_with(|| line(steps, self.plan.schedule.at(before), &[]));
            for (name, value) in measured.all() {
                last[name.as_ref()] = json!(value);
            }
            self.folder.forget_after(before)?;
            self.folder.measure(last)?;
        }
        if let Some(shown) = shown.filter(|_| world.leads() && !self.folder.sheet(steps).is_file()) {
            self.draw(steps, shown)?;
        }
        Ok(())
    }
}
