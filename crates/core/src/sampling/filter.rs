//! The published sampling rules as pure functions: from logits to a distribution, and sampling from it.

use crate::error::{Error, Result};
use crate::text::counted;

/// Filters applied to the logits of a code before sampling it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Filter {
    /// Divides the logits; 0 takes the most likely code.
    pub temperature: f32,
    /// Keeps every code whose logit is at least the k-th largest; 0 keeps all.
    pub top_k: usize,
    /// Applied next: keeps the most likely codes while the sum of the more likely ones is below this; 0 and 1
    /// keep all.
    pub top_p: f32,
    /// Applied first: how far the logits move from the unconditional ones towards the conditional ones, and
    /// beyond. 1 uses only the conditional ones, 0 only the unconditional ones. Other values need a model
    /// that was also trained without its condition. (Classifier-free guidance: Ho, Salimans, arXiv
    /// 2207.12598.)
    #[serde(default = "unguided")]
    pub guidance: f32,
}

/// The guidance in files written before it existed.
fn unguided() -> f32 {
    Filter::NONE.guidance
}

impl Filter {
    /// Samples from the model's unfiltered distribution.
    pub const NONE: Self = Self { temperature: 1.0, top_k: 0, top_p: 0.0, guidance: 1.0 };
    /// Takes the most likely code.
    pub const GREEDY: Self = Self { temperature: 0.0, ..Self::NONE };
    /// A [`Self::top_p`] that keeps only the most likely code: even with a million codes, its probability is
    /// higher.
    pub const ONLY_THE_LIKELIEST: f32 = 1e-9;

    /// The largest [`Self::guidance`].
    pub const MOST_GUIDANCE: f32 = 100.0;

    /// Checks that all values are numbers and in range.
    pub fn check(&self) -> Result<()> {
        if !self.temperature.is_finite() || self.temperature < 0.0 {
            let found = self.temperature;
            return Err(Error::usage(format!("temperature: expected 0 (greedy) or more, found {found}")));
        }
        if !(0.0..=1.0).contains(&self.top_p) {
            let found = self.top_p;
            return Err(Error::usage(format!("top-p: expected 0 (off) to 1, found {found}")));
        }
        if !(0.0..=Self::MOST_GUIDANCE).contains(&self.guidance) {
            let (found, most) = (self.guidance, Self::MOST_GUIDANCE);
            return Err(Error::usage(format!("guidance: expected 0 to {most}, found {found}")));
        }
        Ok(())
    }

    /// Whether the most likely code is always chosen.
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0 || self.top_k == 1
    }
}

/// Sampling settings, each with one value for all depths or one per depth.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Temperatures.
    pub temperature: Vec<f32>,
    /// Numbers of most likely codes to keep.
    pub top_k: Vec<usize>,
    /// Probability mass to keep.
    pub top_p: Vec<f32>,
    /// Guidance.
    pub guidance: Vec<f32>,
}

impl Sampling {
    /// The filters for `depth` depths.
    ///
    /// # Errors
    /// A list has neither one value nor `depth` values, or a value is out of range.
    pub fn filters(&self, depth: usize) -> Result<Vec<Filter>> {
        let filters: Vec<Filter> = (0..depth)
            .map(|d| {
                Ok(Filter {
                    temperature: at("temperature", &self.temperature, d, depth)?,
                    top_k: at("top-k", &self.top_k, d, depth)?,
                    top_p: at("top-p", &self.top_p, d, depth)?,
                    guidance: at("guidance", &self.guidance, d, depth)?,
                })
            })
            .collect::<Result<_>>()?;
        filters.iter().try_for_each(Filter::check)?;
        Ok(filters)
    }
}

fn at<T: Copy>(name: &str, values: &[T], d: usize, depth: usize) -> Result<T> {
    match values {
        [value] => Ok(*value),
        values if values.len() == depth => Ok(values[d]),
        values => Err(Error::usage(format!(
            "{name}: expected one value, or {depth} for the {}, found {}",
            counted(depth, "depth"),
            values.len()
        ))),
    }
}

/// The distribution of `logits` after `filter`, with zeros for dropped codes. The lowest index wins a tie for
/// the most likely code. `None` if no logit is a number above minus infinity.
pub fn distribution(logits: &[f32], filter: &Filter) -> Option<Vec<f32>> {
    let best = most_likely(logits)?;
    if filter.temperature == 0.0 || logits[best] == f32::INFINITY {
        let mut probabilities = vec![0.0; logits.len()];
        probabilities[best] = 1.0;
        return Some(probabilities);
    }
    let floor = kth_largest(logits, filter.top_k);
    let weigh = |&logit: &f32| {
        if logit >= floor { ((logit - logits[best]) / filter.temperature).exp() } else { 0.0 }
    };
    let mut probabilities: Vec<f32> = logits.iter().map(weigh).collect();
    normalize(&mut probabilities);
    if filter.top_p > 0.0 && filter.top_p < 1.0 {
        keep_mass(&mut probabilities, filter.top_p);
    }
    Some(probabilities)
}

/// The code that `uniform` in [0, 1) selects from `probabilities`, by the inverse of the cumulative sum.
pub fn draw(probabilities: &[f32], uniform: f32) -> usize {
    let mut sum = 0.0;
    let mut last = 0;
    for (code, &p) in probabilities.iter().enumerate() {
        if p > 0.0 {
            sum += f64::from(p);
            last = code;
            if f64::from(uniform) < sum {
                return code;
            }
        }
    }
    last
}

/// Samples one code from `logits` after `filter`; `None` if no logit is a number.
pub fn sample(logits: &[f32], filter: &Filter, uniform: f32) -> Option<usize> {
    if filter.temperature == 0.0 {
        return most_likely(logits);
    }
    Some(draw(&distribution(logits, filter)?, uniform))
}

/// The index of the largest logit, the lowest in case of a tie.
pub fn most_likely(logits: &[f32]) -> Option<usize> {
    let mut best = None;
    let mut largest = f32::NEG_INFINITY;
    for (i, &logit) in logits.iter().enumerate() {
        if logit > largest {
            (best, largest) = (Some(i), logit);
        }
    }
    best
}

fn kth_largest(logits: &[f32], k: usize) -> f32 {
    if k == 0 || k >= logits.len() {
        return f32::NEG_INFINITY;
    }
    // NaN has no rank; in the total order it would come first.
    let number = |x: &f32| if x.is_nan() { f32::NEG_INFINITY } else { *x };
    let mut copy: Vec<f32> = logits.iter().map(number).collect();
    let (_, kth, _) = copy.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    *kth
}

/// Drops all codes for which the sum of the more likely ones reaches `mass`. Among equally likely codes the
/// lowest index goes first; the published sampler leaves their order to chance.
fn keep_mass(probabilities: &mut [f32], mass: f32) {
    let mut order: Vec<usize> = (0..probabilities.len()).filter(|&i| probabilities[i] > 0.0).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b)));
    let mut before = 0.0f64;
    for i in order {
        if before >= f64::from(mass) {
            probabilities[i] = 0.0;
        } else {
            before += f64::from(probabilities[i]);
        }
    }
    normalize(probabilities);
}

fn normalize(weights: &mut [f32]) {
    let sum: f64 = weights.iter().map(|&w| f64::from(w)).sum();
    let scale = (1.0 / sum) as f32;
    weights.iter_mut().for_each(|w| *w *= scale);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::code_uniform;
    use proptest::prelude::*;

    #[test]
    fn samples_follow_the_distribution() {
        let logits = [0.0, 1.0, 2.0, f32::NEG_INFINITY, 0.5];
        let expected = distribution(&logits, &Filter::NONE).expect("finite");
        let mut counts = [0u32; 5];
        for image in 0..40_000 {
            counts[sample(&logits, &Filter::NONE, code_uniform(9, image, 3)).expect("finite")] += 1;
        }
        for (count, p) in counts.iter().zip(expected) {
            assert!((*count as f32 / 40_000.0 - p).abs() < 0.01, "{counts:?}");
        }
    }

    #[test]
    fn sampling_without_finite_logits_gives_none() {
        for logits in [vec![], vec![f32::NAN; 3], vec![f32::NEG_INFINITY; 2]] {
            assert_eq!(sample(&logits, &Filter::NONE, 0.5), None);
        }
        assert_eq!(sample(&[f32::NAN, 1.0], &Filter::GREEDY, 0.5), Some(1));
        let top = Filter { top_k: 1, ..Filter::NONE };
        assert_eq!(sample(&[f32::NAN, 1.0, 2.0], &top, 0.5), Some(2));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let good =
            Sampling { temperature: vec![1.0], top_k: vec![0], top_p: vec![0.9, 0.8], guidance: vec![1.0] };
        assert!(good.filters(2).is_ok());
        assert!(good.filters(3).expect_err("two for three").to_string().contains("3 depths"));
        for temperature in [-1.0, f32::NAN, f32::INFINITY] {
            assert!(Filter { temperature, ..Filter::NONE }.check().is_err());
        }
        for top_p in [-0.1, 1.1, f32::NAN] {
            assert!(Filter { top_p, ..Filter::NONE }.check().is_err());
        }
    }

    proptest! {
        #[test]
        fn the_sample_is_always_a_code_that_the_filter_keeps(
            logits in prop::collection::vec(prop_oneof![9 => -30.0f32..30.0, 1 => Just(f32::NEG_INFINITY)], 1..200),
            temperature in 0.0f32..3.0, top_k in 0usize..50, top_p in 0.0f32..=1.0, uniform in 0.0f32..1.0,
        ) {
            let filter = Filter { temperature, top_k, top_p, ..Filter::NONE };
            match distribution(&logits, &filter) {
                None => prop_assert!(logits.iter().all(|x| *x == f32::NEG_INFINITY)),
                Some(p) => {
                    let sum: f32 = p.iter().sum();
                    prop_assert!((sum - 1.0).abs() < 1e-4, "{}", sum);
                    prop_assert!(p[sample(&logits, &filter, uniform).expect("some")] > 0.0);
                }
            }
        }
    }
}
