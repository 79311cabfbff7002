//! How long a run is, and how often it saves, shows and measures.

use super::TrainOptions;
use super::held::Settled;
use residua_core::error::{Error, Result};
use residua_train::config::TrainConfig;
use residua_train::judges::Length;
use residua_train::run::RunFolder;
use residua_train::trainee::Plan;

/// As published, an epoch has as many steps as it takes to see all pictures. The published trainer's last
/// batch may be smaller; here it goes on with the first pictures of the next epoch (see
/// [`Batches`](residua_train::data::Batches)).
pub fn length(settled: Settled, train: &TrainConfig, pictures: usize) -> Length {
    let in_a_step = train.experiment.batch_size * train.experiment.parts();
    let per_epoch = (pictures as u64).div_ceil(in_a_step as u64);
    let steps = settled.steps.unwrap_or((train.experiment.epochs * per_epoch as f64).ceil() as u64).max(1);
    Length { per_epoch, steps }
}

/// What a run does, and how often.
pub fn plan(options: &TrainOptions, train: &TrainConfig, Length { per_epoch, steps }: Length) -> Plan {
    let experiment = &train.experiment;
    let in_steps = |epochs: f64| (epochs * per_epoch as f64).round() as u64;
    let test_every = options.test_every.unwrap_or(in_steps(experiment.test_freq)).max(1);
    Plan {
        schedule: train.optimizer.schedule(per_epoch, steps),
        steps,
        parts: experiment.parts(),
        save_every: options.save_every.unwrap_or(in_steps(experiment.save_ckpt_freq)).max(1),
        sheet_every: options.sheet_every.unwrap_or(per_epoch).max(1),
        test_every,
        // As published, there is always a test after the first epoch.
        first_test: options.test_every.unwrap_or(per_epoch).min(test_every),
    }
}

/// Refuses fewer steps than the run in `folder` has done.
pub fn check_steps(options: &TrainOptions, folder: Option<&RunFolder>, length: Length) -> Result<()> {
    if options.steps == Some(0) {
        return Err(Error::usage("steps: expected 1 or more, found 0"));
    }
    let taken = folder.map_or(Ok(0), RunFolder::taken)?;
    if length.steps >= taken {
        Ok(())
    } else {
        Err(Error::usage(format!(
            "steps: expected {taken} or more, the steps that {} has done, found {}",
            options.out.display(),
            length.steps
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use residua_core::config::Config;

    const STAGE1: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/rqvae-shared/config.yaml"));

    #[test]
    fn an_epoch_has_as_many_steps_as_published() {
        let settled = Settled { seed: 0, all: false, unlabelled: false, variations: None, steps: None };
        for (experiment, pictures, per_epoch, steps) in [
            ("{batch_size: 4, epochs: 2}", 14, 4, 8),
            ("{batch_size: 4, epochs: 2}", 16, 4, 8),
            ("{batch_size: 4, total_batch_size: 8, epochs: 2.5}", 17, 3, 8),
            ("{batch_size: 4, epochs: 3}", 1, 1, 3),
            // ImageNet.
            ("{batch_size: 32, epochs: 10}", 1_281_167, 40_037, 400_370),
        ] {
            let text = format!("{STAGE1}\nexperiment: {experiment}\n");
            let train = TrainConfig::of("c", &Config::parse("c", &text).unwrap()).unwrap();
            assert_eq!(length(settled, &train, pictures), Length { per_epoch, steps }, "{experiment}");
        }
    }
}
