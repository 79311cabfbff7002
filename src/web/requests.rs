//! What a page asks of a model, as JSON.

use residua_core::config::PerDepth;
use residua_core::error::{Error, Result};
use residua_engine::api::{CodeStack, Explaining, Filter, Model, Rounds, Sampling};
use residua_protocol::Condition;
use serde::Deserialize;
use serde_json::Value;

/// Reads a request.
pub fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T> {
    serde_json::from_str(json).map_err(Error::usage)
}

/// How to sample; the API's and the model's defaults stand in for what is left out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wish {
    count: Option<u32>,
    seed: Option<u64>,
    first: Option<u32>,
    temperature: Option<PerDepth<f32>>,
    top_k: Option<PerDepth<usize>>,
    top_p: Option<PerDepth<f32>>,
    guidance: Option<PerDepth<f32>>,
    class: Option<Value>,
    prompt: Option<String>,
    draft: Option<u32>,
    revise: Option<Rounds>,
}

impl Wish {
    /// `sampling` by `model`, as wished.
    pub fn apply<'a>(self, sampling: Sampling<'a>, model: &Model) -> Result<Sampling<'a>> {
        let mut filters = model.stage2()?.model.config.sampling.filters.clone();
        fill(&mut filters, "temperature", self.temperature, |filter| &mut filter.temperature)?;
        fill(&mut filters, "topK", self.top_k, |filter| &mut filter.top_k)?;
        fill(&mut filters, "topP", self.top_p, |filter| &mut filter.top_p)?;
        fill(&mut filters, "guidance", self.guidance, |filter| &mut filter.guidance)?;
        let sampling = sampling
            .condition(condition(self.class, self.prompt)?)
            .count(self.count.unwrap_or(1))
            .seed(self.seed.unwrap_or_default())
            .first(self.first.unwrap_or_default())
            .adjust(|depth, filter| *filter = filters[depth]);
        let sampling = self.draft.into_iter().fold(sampling, Sampling::draft);
        Ok(self.revise.into_iter().fold(sampling, Sampling::revise))
    }
}

/// Sets a field of the filters, one for each depth, to the `given` values, if there are any.
fn fill<T: Clone>(
    filters: &mut [Filter],
    name: &str,
    given: Option<PerDepth<T>>,
    field: impl Fn(&mut Filter) -> &mut T,
) -> Result<()> {
    let Some(given) = given else { return Ok(()) };
    let values = given.values(name, filters.len())?;
    filters.iter_mut().zip(values).for_each(|(filter, value)| *field(filter) = value);
    Ok(())
}

/// A question about the code at `place`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    place: [usize; 3],
    count: Option<usize>,
    class: Option<Value>,
    prompt: Option<String>,
}

impl Question {
    /// The question to `model` about `codes`.
    pub fn ask<'a>(self, model: &'a Model, codes: &'a CodeStack) -> Result<Explaining<'a>> {
        let explaining = model.explain(codes, self.place).condition(condition(self.class, self.prompt)?);
        Ok(match self.count {
            Some(count) => explaining.count(count),
            None => explaining,
        })
    }
}

/// A new code in a stack.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Row, column and depth.
    pub place: [usize; 3],
    /// The code.
    pub code: u32,
}

/// The condition of a class, by name or number, or of a caption.
fn condition(class: Option<Value>, prompt: Option<String>) -> Result<Condition> {
    match (class, prompt) {
        (None, None) => Ok(Condition::Unconditional),
        (Some(Value::String(name)), None) => Ok(Condition::Class(name)),
        (Some(number), None) => Ok(Condition::Class(number.to_string())),
        (None, Some(prompt)) => Ok(Condition::Prompt(prompt)),
        (Some(_), Some(_)) => Err(Error::usage("expected a class or a prompt, found both")),
    }
}
