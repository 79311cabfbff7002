//! `residua explain`: the codes that the transformer predicts at a position.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::input::Source;
use super::options::{ConditionArguments, TransformerArguments};
use super::output::Console;
use residua_core::error::Result;
use residua_engine::explain::{Explanation, explain};

/// Show the most likely codes at one cell and depth, given the codes before it, or for a contextual model, all other cells.
#[derive(Args)]
pub struct Explain {
    /// A picture, a PNG that carries codes, or an .npy of codes; - for standard input.
    input: PathBuf,
    /// Row of the cell, from 0.
    #[arg(long)]
    row: usize,
    /// Column of the cell, from 0.
    #[arg(long)]
    col: usize,
    /// Depth of the code, from 0.
    #[arg(long, default_value_t = 0)]
    depth: usize,
    /// Number of codes to show.
    #[arg(long, default_value_t = 10)]
    count: usize,
    #[command(flatten)]
    condition: ConditionArguments,
    #[command(flatten)]
    model: TransformerArguments,
}

impl Explain {
    /// Prints the distribution.
    pub fn run(&self, console: &Console) -> Result<()> {
        let source = Source::read(&self.input)?;
        let stage2 = self.model.stage2(source.recipe(), console)?;
        let codes = source.codes(&stage2.stage1.model, &mut console.task("encoding"))?;
        let (stack, recipe) = codes.single(&self.input)?;
        let found = recipe.and_then(|recipe| Some(recipe.sampling?.condition));
        let tokens = self.condition.condition_or(found).tokens(&stage2.model.config)?;
        let place = [self.row, self.col, self.depth];
        let explanation = pollster::block_on(explain(&stage2.model, &stack, &tokens, place, self.count))?;
        let value =
            json!({"row": self.row, "col": self.col, "depth": self.depth, "explanation": explanation});
        console.result(value, &text(&explanation))
    }
}

fn text(explanation: &Explanation) -> String {
    let mut lines = vec!["  code  probability".to_string()];
    for suggestion in &explanation.suggestions {
        let mark = if suggestion.code == explanation.chosen.code { "  chosen" } else { "" };
        lines.push(format!("{:>6}  {:>10.4} %{mark}", suggestion.code, 100.0 * suggestion.probability));
    }
    let chosen = explanation.chosen;
    lines.push(format!(
        "chosen {} with {:.4} %, more likely codes: {}; entropy {:.2} bits",
        chosen.code,
        100.0 * chosen.probability,
        explanation.rank,
        explanation.entropy
    ));
    lines.join("\n")
}
