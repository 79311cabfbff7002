//! Options of contextual models: the parts of the draft, the revision rounds, and how revisions sample codes.

use clap::Args;

use super::options::SamplingArguments;
use residua_core::config::RqTransformerConfig;
use residua_core::error::{Error, Result};
use residua_core::sampling::{Filter, Forced, Rounds, Schedule};

/// How a contextual model makes pictures.
#[derive(Args, Clone)]
pub struct DraftingArguments {
    /// For a contextual model: draft the cells in N random parts, each given those before it. [default: 16,
    /// or proportionally fewer if only some cells are sampled]
    #[arg(long, value_name = "N")]
    draft: Option<u32>,
    /// For a contextual model: revise the draft in ROUNDS rounds of PARTS random parts; each part is
    /// resampled given all other cells. 0: no revisions. [default: 2x2]
    #[arg(long, value_name = "ROUNDSxPARTS")]
    revise: Option<Rounds>,
    /// Like --temperature, for revisions. [default: --temperature if given, else the model's]
    #[arg(long, value_delimiter = ',', value_name = "T[,T..]")]
    revise_temperature: Option<Vec<f32>>,
    /// Like --top-k, for revisions. [default: --top-k if given, else the model's]
    #[arg(long, value_delimiter = ',', value_name = "K[,K..]")]
    revise_top_k: Option<Vec<usize>>,
    /// Like --top-p, for revisions. [default: --top-p if given, else the model's]
    #[arg(long, value_delimiter = ',', value_name = "P[,P..]")]
    revise_top_p: Option<Vec<f32>>,
    /// Like --guidance, for revisions. [default: --guidance if given, else the model's]
    #[arg(long, value_delimiter = ',', value_name = "S[,S..]")]
    revise_guidance: Option<Vec<f32>>,
}

impl DraftingArguments {
    /// How the model of `config` drafts what `forced` does not give, with `filters`, and revises: from the
    /// options, else from `recipe`, except for the number of parts of the draft, else the default. `None` for an
    /// autoregressive model.
    ///
    /// # Errors
    /// An option has no effect with this model or these options.
    pub fn schedule(
        &self,
        config: &RqTransformerConfig,
        filters: &[Filter],
        forced: Option<&Forced>,
        recipe: Option<&Schedule>,
    ) -> Result<Option<Schedule>> {
        let given = self.given();
        let Some(usual) = config.schedule(filters, None, forced) else {
            return match given.first() {
                None => Ok(None),
                Some(option) => Err(Error::usage(format!(
                    "{option}: this model samples each cell once ({}): leave it out, or choose a contextual model",
                    config.kind
                ))),
            };
        };
        let base = Schedule { draft: usual.draft, ..recipe.cloned().unwrap_or(usual) };
        let revise = self.revise.unwrap_or(base.revise);
        if let (0, Some(option)) =
            (revise.rounds, given.iter().find(|option| option.starts_with("--revise-")))
        {
            return Err(Error::usage(format!(
                "{option} does nothing without revisions: leave out either it or --revise 0"
            )));
        }
        if self.draft == Some(0) {
            return Err(Error::usage(
                "--draft: expected 1 or more, found 0: use `revise` to resample an existing picture",
            ));
        }
        let schedule = Schedule {
            draft: self.draft.unwrap_or(base.draft),
            revise,
            filters: self.revisions().filters(config, Some(&base.filters))?,
        };
        schedule.check(config.depth())?;
        Ok(Some(schedule))
    }

    /// How revisions sample codes.
    fn revisions(&self) -> SamplingArguments {
        SamplingArguments {
            number: None,
            seed: 0,
            temperature: self.revise_temperature.clone(),
            top_k: self.revise_top_k.clone(),
            top_p: self.revise_top_p.clone(),
            guidance: self.revise_guidance.clone(),
        }
    }

    /// The options that were given.
    fn given(&self) -> Vec<&'static str> {
        let all = [
            ("--draft", self.draft.is_some()),
            ("--revise", self.revise.is_some()),
            ("--revise-temperature", self.revise_temperature.is_some()),
            ("--revise-top-k", self.revise_top_k.is_some()),
            ("--revise-top-p", self.revise_top_p.is_some()),
            ("--revise-guidance", self.revise_guidance.is_some()),
        ];
        all.into_iter().filter(|(_, given)| *given).map(|(option, _)| option).collect()
    }
}
