//! Default sampling settings, from a checkpoint's configuration.

use serde::{Deserialize, Serialize};

use super::PerDepth;
use crate::error::{Error, Result};
use crate::sampling::{Filter, Sampling};

/// The sections that may have the settings, in order of precedence.
const SECTIONS: [(SamplingSection, &str); 2] =
    [(SamplingSection::Sampling, "sampling"), (SamplingSection::Experiment, "experiment.sample")];

/// Section `sampling` or `experiment.sample`, as published: each setting has one value for all depths, or one
/// per depth.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Settings {
    /// Divides the logits.
    #[serde(default, alias = "temperature")]
    temp: Option<PerDepth<f32>>,
    /// Number of most likely codes to keep; 0 keeps all.
    #[serde(default)]
    top_k: Option<PerDepth<usize>>,
    /// Probability mass to keep. As in the published code, 0 keeps only the most likely code, and values
    /// above 1 keep all.
    #[serde(default)]
    top_p: Option<PerDepth<f32>>,
    /// Scale of classifier-free guidance; our own key.
    #[serde(default)]
    guidance: Option<PerDepth<f32>>,
    /// Settings in which a contextual model's revisions differ; our own key.
    #[serde(default)]
    revise: Option<Box<Settings>>,
}

impl Settings {
    /// One filter per depth; what is absent is as in `usual`.
    fn filters(self, usual: &Sampling, depth: usize) -> Result<(Sampling, Vec<Filter>)> {
        let usual = usual.clone();
        let sampling = Sampling {
            temperature: list(self.temp, usual.temperature),
            top_k: list(self.top_k, usual.top_k),
            top_p: self.top_p.map_or(usual.top_p, |top_p| {
                list(Some(top_p), Vec::new()).into_iter().map(kept_mass).collect()
            }),
            guidance: list(self.guidance, usual.guidance),
        };
        let filters = sampling.filters(depth)?;
        Ok((sampling, filters))
    }
}

/// A model's default sampling settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DefaultSampling {
    /// One per depth; for a contextual model, those of the draft.
    pub filters: Vec<Filter>,
    /// Those of a contextual model's revisions, one per depth; `None` for those of the draft.
    pub revise: Option<Vec<Filter>>,
    /// The section they come from.
    pub from: SamplingSection,
}

/// The section of a configuration with the sampling settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SamplingSection {
    /// `sampling`, which the published sampler reads.
    Sampling,
    /// `experiment.sample`, which the published trainer reads; used if `sampling` is absent.
    Experiment,
    /// Neither is present: codes are sampled from the unfiltered distribution.
    #[default]
    None,
}

impl SamplingSection {
    /// The key of the section, for messages.
    pub fn key(self) -> &'static str {
        SECTIONS.iter().find(|(section, _)| *section == self).map_or("no section", |(_, key)| key)
    }
}

impl DefaultSampling {
    /// The settings of the first section present, for `depth` depths.
    ///
    /// # Errors
    /// A setting has neither one value nor one per depth, or a value is out of range.
    pub(super) fn of(sections: [Option<Settings>; 2], depth: usize) -> Result<Self> {
        let there =
            SECTIONS.into_iter().zip(sections).find_map(|((from, _), settings)| Some((from, settings?)));
        let (from, mut settings): (_, Settings) = there.unwrap_or_default();
        let revise = settings.revise.take();
        let named = |key: &str, error| Error::invalid(format!("{}{key}: {error}", from.key()));
        let none = Sampling {
            temperature: vec![Filter::NONE.temperature],
            top_k: vec![Filter::NONE.top_k],
            top_p: vec![kept_mass(1.0)],
            guidance: vec![Filter::NONE.guidance],
        };
        let (sampling, filters) = settings.filters(&none, depth).map_err(|error| named("", error))?;
        let revise = revise.map(|revise| revise.filters(&sampling, depth)).transpose();
        let revise = revise.map_err(|error| named(".revise", error))?.map(|(_, filters)| filters);
        Ok(Self { filters, revise, from })
    }

    /// The filters of revisions after a draft with the filters `draft`: the model's own if the draft's are too, else the
    /// draft's.
    pub fn of_revisions(&self, draft: &[Filter]) -> Vec<Filter> {
        let own = self.revise.as_ref().filter(|_| self.filters == draft);
        own.map_or(draft, Vec::as_slice).to_vec()
    }
}

/// A configuration's `top_p` as a filter value.
fn kept_mass(top_p: f32) -> f32 {
    top_p.clamp(Filter::ONLY_THE_LIKELIEST, 1.0)
}

fn list<T>(values: Option<PerDepth<T>>, absent: Vec<T>) -> Vec<T> {
    match values {
        Some(PerDepth::Same(value)) => vec![value],
        Some(PerDepth::Each(values)) => values,
        None => absent,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ModelConfig};
    use crate::sampling::filter::distribution;

    use super::*;

    const STAGE2: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/rqt-class/config.yaml"));

    /// The fixture, whose `experiment.sample` has top-k 64 and top-p 0.92, with `section` added.
    fn sampling(section: &str) -> Result<DefaultSampling> {
        match Config::parse("c", &format!("{STAGE2}\n{section}\n"))?.model {
            ModelConfig::RqTransformer(config) => Ok(config.sampling),
            ModelConfig::RqVae(_) => panic!("expected stage 2"),
        }
    }

    #[test]
    fn the_samplers_section_comes_before_the_trainers() {
        let found = sampling("sampling: {temp: 0.9, top_k: [2048, 5, 6, 7], top_p: [0.8]}").unwrap();
        assert_eq!(found.from, SamplingSection::Sampling);
        let of = |depth: usize| Filter {
            temperature: 0.9,
            top_k: [2048, 5, 6, 7][depth],
            top_p: 0.8,
            ..Filter::NONE
        };
        assert_eq!(found.filters, [0, 1, 2, 3].map(of));
        // A whole number may be written as another program does.
        let [whole, pointed] = ["2048", "2048.0"].map(|top_k| {
            sampling(&format!("sampling: {{top_k: {top_k}, top_p: [0.8, 0.8, 1.0, 1]}}")).unwrap()
        });
        assert_eq!(whole, pointed);
        // The chosen section is used alone: settings that it lacks are off.
        let found = sampling("sampling: {top_p: 0.5}").unwrap();
        assert_eq!(found.filters, [Filter { top_p: 0.5, ..Filter::NONE }; 4]);
        let found = sampling("sampling: null").unwrap();
        assert_eq!(found.from, SamplingSection::Experiment);
        assert_eq!(found.filters, [Filter { top_k: 64, top_p: 0.92, ..Filter::NONE }; 4]);
    }

    #[test]
    fn revisions_have_the_settings_of_the_draft_except_for_their_own() {
        let found = sampling("sampling: {temp: 0.9, top_k: 7, revise: {temp: [0.7], top_p: 0}}").unwrap();
        let draft = Filter { temperature: 0.9, top_k: 7, top_p: 1.0, ..Filter::NONE };
        let own = Filter { temperature: 0.7, top_p: Filter::ONLY_THE_LIKELIEST, ..draft };
        assert_eq!((&found.filters[..], found.revise.as_deref()), (&[draft; 4][..], Some(&[own; 4][..])));
        assert_eq!(found.of_revisions(&[draft; 4]), [own; 4]);
        let chosen = [Filter { temperature: 0.5, ..draft }; 4];
        assert_eq!(found.of_revisions(&chosen), chosen, "another draft's revisions are like it");
        assert_eq!(sampling("sampling: {temp: 0.9}").unwrap().of_revisions(&chosen), chosen);
    }

    #[test]
    fn a_top_p_of_0_keeps_the_likeliest_code_as_published() {
        let [filter, ..] = sampling("sampling: {temp: 1.0, top_k: 0, top_p: 0}").unwrap().filters[..] else {
            panic!("four depths")
        };
        let kept = distribution(&[1.0, 1.5, 1.5, 0.2], &filter).unwrap();
        assert_eq!(kept, [0.0, 1.0, 0.0, 0.0]);
        // Values above 1 keep everything.
        assert_eq!(sampling("sampling: {top_p: 1.5}").unwrap().filters[0].top_p, 1.0);
    }

    /// Filters for any depth that a file gives could fill the memory.
    #[test]
    fn sizes_are_checked_before_there_is_a_filter_for_each_depth() {
        for (from, to, expected) in [
            ("- 4\n", "- 65\n", "c: block_size's depth: expected 1 to 64, found 65"),
            (
                "- 8\n  - 8\n",
                "- 4294967296\n  - 4294967296\n",
                "c: block_size's height: expected 1 to 1024, found 4294967296",
            ),
        ] {
            let text = format!("{}\nsampling: {{top_k: [1, 2]}}\n", STAGE2.replacen(from, to, 1));
            assert_eq!(Config::parse("c", &text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_in_one_line() {
        for (section, expected) in [
            ("sampling: {top_k: [1, 2]}", "sampling: top-k: expected one value, or 4"),
            ("sampling: {temp: -1}", "sampling: temperature: expected 0"),
            ("sampling: {revise: {temp: -1}}", "sampling.revise: temperature: expected 0"),
            ("sampling: {top_k: most}", "sampling.top_k: expected one value, or a list"),
        ] {
            let error = sampling(section).expect_err(section).to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }
}
