//! Rejection sampling over all classes: of each class's samples, a classifier accepts those with the highest
//! probability of the class (paper, section 4.1).

use std::collections::BTreeMap;
use std::path::Path;

use crate::bulk::{Order, file};
use residua_core::error::{Error, Result};
use residua_core::task::Task;
use residua_io::image_io::Picture;
use residua_judges::resnet::ResNet;
use residua_model::tensors::read;

/// Number of pictures in a batch.
const BATCH: usize = 8;

/// The probability of its class, by number, for each of the samples of `orders` in `folder`.
///
/// # Errors
/// A sample cannot be read, or the task was stopped.
pub async fn class_probabilities(
    classifier: &ResNet,
    folder: &Path,
    orders: &[Order],
    task: &mut Task<'_>,
) -> Result<BTreeMap<u32, f32>> {
    let total = orders.iter().map(|order| order.images.len()).sum();
    let mut probabilities = BTreeMap::new();
    for Order { given, images } in orders {
        let class = given.tokens[0] as usize;
        let numbers: Vec<u32> = images.clone().collect();
        for batch in numbers.chunks(BATCH) {
            task.pause().await?;
            let pictures = batch.iter().map(|&number| Picture::read(&file(folder, number)));
            let pictures = pictures.collect::<Result<Vec<Picture>>>()?;
            let found = read(classifier.probability(&pictures, class)?).await?;
            probabilities.extend(batch.iter().copied().zip(found));
            task.report(probabilities.len(), total);
        }
    }
    Ok(probabilities)
}

/// The numbers of the accepted samples: the fraction `rate` of each order with the highest `probabilities`,
/// and at least one.
///
/// # Errors
/// `rate` is not above 0 and at most 1.
pub fn accepted(orders: &[Order], probabilities: &BTreeMap<u32, f32>, rate: f64) -> Result<Vec<u32>> {
    if !(rate > 0.0 && rate <= 1.0) {
        return Err(Error::usage(format!("acceptance: expected above 0 and at most 1, found {rate}")));
    }
    let best = |order: &Order| {
        let mut numbers: Vec<u32> = order.images.clone().collect();
        // Stable: ties keep the first.
        numbers.sort_by(|a, b| probabilities[b].total_cmp(&probabilities[a]));
        let count = (numbers.len() as f64 * rate).round().max(1.0) as usize;
        numbers.truncate(count);
        numbers
    };
    let mut numbers: Vec<u32> = orders.iter().flat_map(best).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::{Given, spread};
    use residua_protocol::Condition;

    #[test]
    fn a_fraction_of_each_class_is_accepted() {
        let given =
            |class: u32| Given { condition: Condition::Class(class.to_string()), tokens: vec![class] };
        let orders = spread(vec![given(0), given(1)], 8);
        let probabilities = [0.1, 0.9, 0.5, 0.5, 0.0, 0.0, 0.0, 0.1];
        let probabilities = (0..).zip(probabilities).collect();
        let accepted = |rate| accepted(&orders, &probabilities, rate).unwrap();
        assert_eq!(accepted(1.0), (0..8).collect::<Vec<_>>());
        assert_eq!(accepted(0.5), [1, 2, 4, 7]);
        assert_eq!(accepted(0.01), [1, 7]);
        for rate in [0.0, 1.1, f64::NAN] {
            assert!(super::accepted(&orders, &probabilities, rate).is_err());
        }
    }
}
