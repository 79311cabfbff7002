//! The discriminator of stage 1, and its training.

use burn::tensor::{Device, Tensor};

use super::{Length, gradient, number};
use crate::config::{Gan, GanLoss};
use crate::discriminator::{Discriminator, Mode};
use crate::optimizer::Descent;
use crate::parameters::Gradients;
use crate::rank_share::RankShare;
use crate::schedule::Schedule;
use residua_core::error::Result;

/// A discriminator, and its training.
#[derive(Clone)]
pub struct Adversary {
    pub(super) discriminator: Discriminator,
    pub(super) descent: Descent,
    schedule: Schedule,
    /// The step at which it starts.
    pub(super) begins: u64,
    pub(super) loss: GanLoss,
    /// Sum of the gradients over the parts of this step so far.
    sum: Gradients,
}

impl Adversary {
    /// The discriminator of section `gan` for pictures of side `resolution`.
    pub(super) fn begin(
        gan: &Gan,
        resolution: usize,
        length: Length,
        seed: u32,
        device: &Device,
    ) -> Result<Self> {
        let discriminator = Discriminator::initial(&gan.disc.arch, resolution, seed, device)?;
        let optimizer = &gan.disc.optimizer;
        let begins = (gan.loss.disc_start * length.per_epoch as f64).ceil() as u64;
        Ok(Self {
            descent: Descent::new(optimizer.descent(), &discriminator.parameters),
            schedule: optimizer.schedule(length.per_epoch, length.steps.saturating_sub(begins)),
            begins,
            discriminator,
            loss: gan.loss.clone(),
            sum: Gradients::default(),
        })
    }

    /// The generator's loss on reconstructions `made`, and its gradient with respect to them: of this rank's share, which
    /// also affects the losses of other ranks through the statistics of the batch.
    pub(super) fn generator(&mut self, made: Tensor<4>, share: &RankShare) -> (f64, Tensor<4>) {
        let made = made.autodiff().require_grad();
        let constants = self.discriminator.parameters.values().clone();
        let logits = self.discriminator.logits(&constants, made.clone(), Mode::Training(share));
        let loss = self.loss.gen_loss.of(logits);
        let in_all = gradient(&(loss.clone() * share.weight()), &made);
        (number(&loss), in_all * share.weight().recip())
    }

    /// The discriminator's loss; its gradients are kept for the step.
    pub(super) fn learn(&mut self, images: Tensor<4>, made: Tensor<4>, share: &RankShare) -> f64 {
        let tracked = self.discriminator.parameters.tracked();
        let made = self.discriminator.logits(&tracked, made, Mode::Training(share));
        let real = self.discriminator.logits(&tracked, images, Mode::Training(share));
        let loss = self.loss.disc_loss.of(real, made);
        let weight = self.loss.disc_weight * share.weight();
        self.sum.add(Gradients::of(&(loss.clone() * weight), &tracked));
        number(&loss)
    }

    /// Takes a step, if there are gradients.
    pub(super) fn step(&mut self, parts: usize, share: &RankShare) {
        let mut sum = std::mem::take(&mut self.sum);
        if sum.is_empty() {
            return;
        }
        sum.sum(share);
        sum.scale(1.0 / parts as f64);
        let rate = self.schedule.at(self.descent.steps);
        self.descent.step(&mut self.discriminator.parameters, &sum, rate, |_, _| true);
    }
}
