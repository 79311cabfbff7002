//! A question about a code.

use super::{CodeStack, Condition, Explanation, Model, Result, Task};
use crate::explain::explain;

/// Number of suggestions unless another is requested.
const COUNT: usize = 10;

/// A question about a code; see [`Model::explain`].
///
/// ```
/// # use residua_engine::api::{CodeStack, Condition, Error, Model, Task};
/// # pollster::block_on(async {
/// let model = Model::load("characters-128")?;
/// let codes = CodeStack::new(8, 8, 4, vec![0; 256])?;
/// let most_likely = model.explain(&codes, [4, 4, 0]).prompt("a red cat").count(3).run()?;
/// assert_eq!(most_likely.suggestions.len(), 3);
/// let asked = model.explain(&codes, [4, 4, 0]).condition(Condition::Prompt("a red cat".into()));
/// assert_eq!(asked.run_with(&Task::unwatched()).await?.chosen.code, 0);
/// assert!(model.explain(&codes, [4, 4, 0]).class("cat").run().is_err(), "it takes captions");
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "nothing is computed before `run`"]
pub struct Explaining<'a> {
    model: &'a Model,
    codes: &'a CodeStack,
    place: [usize; 3],
    condition: Condition,
    count: usize,
}

impl<'a> Explaining<'a> {
    pub(super) fn new(model: &'a Model, codes: &'a CodeStack, place: [usize; 3]) -> Self {
        Self { model, codes, place, condition: Condition::Unconditional, count: COUNT }
    }

    /// The image's class, by name or number.
    pub fn class(self, class: impl ToString) -> Self {
        self.condition(Condition::Class(class.to_string()))
    }

    /// The image's caption.
    pub fn prompt(self, caption: impl Into<String>) -> Self {
        self.condition(Condition::Prompt(caption.into()))
    }

    /// The image's class, its caption, or nothing, which is the default.
    pub fn condition(self, condition: Condition) -> Self {
        Self { condition, ..self }
    }

    /// Number of suggestions. Default: 10.
    pub fn count(self, count: usize) -> Self {
        Self { count, ..self }
    }

    /// The most likely codes, best first.
    ///
    /// # Errors
    /// The model has no transformer, the codes or the condition are not the model's, the place is outside of the codes, or
    /// the device failed.
    #[cfg(not(target_family = "wasm"))]
    pub fn run(self) -> Result<Explanation> {
        pollster::block_on(self.run_with(&Task::unwatched()))
    }

    /// Like `run`, async.
    ///
    /// # Errors
    /// Those of `run`, or the task was stopped.
    pub async fn run_with(self, task: &Task<'_>) -> Result<Explanation> {
        task.pause().await?;
        let transformer = &self.model.stage2()?.model;
        let tokens = self.condition.tokens(&transformer.config)?;
        explain(transformer, self.codes, &tokens, self.place, self.count).await
    }
}
