//! `residua eval likelihood`: the likelihood of a folder's pictures under a stage 2.

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::options::TransformerArguments;
use super::super::output::Console;
use super::parts::{PartArguments, Setting};
use super::{PicturesArguments, measured_on};
use residua_core::config::{Architecture, ConditionKind, Precision, RqTransformerConfig};
use residua_core::error::{Error, Result};
use residua_engine::Stage2;
use residua_engine::eval::likelihood::{Depth, Measured, measure};
use residua_engine::eval::{Pictures, Sizes, Tally, context};
use residua_kernels::device::kind;
use residua_metrics::merge::{Merge, differing};
use residua_protocol::ModelId;
use residua_train::conditions::check_labels;
use residua_train::data::{Augmentation, Split};

/// Stage 2: negative log-likelihood of the pictures' nearest codes, given their classes or captions. For a
/// contextual model: of masked cells, given all others, by the number of masked cells.
#[derive(Args)]
pub struct Likelihood {
    #[command(flatten)]
    pictures: PicturesArguments,
    /// Measure pictures without a class or caption, too, even if the model takes one: as the first class, or
    /// with an empty caption.
    #[arg(long)]
    unlabelled: bool,
    #[command(flatten)]
    part: PartArguments,
    #[command(flatten)]
    model: TransformerArguments,
}

/// What is measured.
#[derive(Serialize, Deserialize)]
pub struct Measurement {
    model: ModelId,
    rqvae: ModelId,
    sizes: Sizes,
    precision: Precision,
    unlabelled: bool,
    split: Split,
    device: String,
    /// The fingerprint of the pictures, if measured in parts.
    pictures: Option<String>,
}

/// Sums over pictures.
#[derive(Serialize, Deserialize)]
pub enum Sums {
    /// For an autoregressive model.
    Whole(Tally<Vec<f64>>),
    /// For a contextual model.
    Masked(Tally<Vec<Vec<f64>>>),
}

impl Merge for Sums {
    fn merge(&mut self, other: Self) -> Result<()> {
        match (self, other) {
            (Self::Whole(sums), Self::Whole(other)) => sums.merge(other),
            (Self::Masked(sums), Self::Masked(other)) => sums.merge(other),
            (Self::Whole(_), Self::Masked(_)) => Err(differing("whole pictures", "masked cells")),
            (Self::Masked(_), Self::Whole(_)) => Err(differing("masked cells", "whole pictures")),
        }
    }
}

/// Warns if the folders of pictures, whose names in order are `classes`, may be other classes than those that they count
/// as: a published model does not name its classes.
fn warn_of_order(config: &RqTransformerConfig, classes: &[String]) {
    let expected = config.vocab_size_cond;
    let is_unnamed = config.condition() == ConditionKind::Class && config.classes.is_empty();
    let is_another =
        |(place, name): (usize, &String)| name.parse().is_ok_and(|number: usize| number != place);
    let is_odd = classes.len() != expected || classes.iter().enumerate().any(is_another);
    if is_unnamed && is_odd && !classes.is_empty() {
        tracing::warn!(
            "this model does not name its classes, so the folders are taken as its classes 0 to {}, in the order of their names: if \
             that is wrong, list all {expected} classes in classes.txt, in the model's order",
            classes.len() - 1
        );
    }
}

impl Likelihood {
    /// Prints the metrics.
    pub fn run(&self, console: &Console) -> Result<()> {
        let own = self.part.open::<Measurement>(console)?;
        let device = self.model.model.device.open()?;
        let stage2 = Stage2::load(&self.model.options(), &device, &mut console.task("loading"))?;
        let sizes = Sizes::of(&stage2.stage1.model)?;
        let (classes, condition) = (stage2.model.config.class_folders(), stage2.model.config.condition());
        if self.unlabelled && condition == ConditionKind::Unconditional {
            return Err(Error::usage(
                "--unlabelled does nothing, as this model takes no class or caption: leave it out",
            ));
        }
        let framing = Augmentation::measured(stage2.model.config.dataset.transforms.0.as_deref());
        let pictures =
            Pictures::open(&self.pictures.selection(), classes, Some(sizes.resolution))?.framed(framing);
        if !self.unlabelled {
            check_labels(&self.pictures.data, pictures.items(), condition)?;
        }
        warn_of_order(&stage2.model.config, &pictures.classes);
        let measurement = Measurement {
            model: stage2.id()?,
            rqvae: stage2.stage1.id()?,
            sizes,
            precision: self.model.precision().unwrap_or_default(),
            unlabelled: self.unlabelled,
            split: self.pictures.split,
            device: kind(&device).into(),
            pictures: own.of_parts(|| pictures.fingerprint(&self.pictures.data)),
        };
        let (mut pictures, mut task) = (pictures.only(own.part), console.task("measuring"));
        let sums = pollster::block_on(async {
            match stage2.model.config.kind {
                Architecture::Autoregressive => {
                    measure(&stage2, &mut pictures, &mut task).await.map(Sums::Whole)
                }
                Architecture::Contextual => {
                    context::measure(&stage2, &mut pictures, &mut task).await.map(Sums::Masked)
                }
            }
        })?;
        own.finish(&measurement, sums, console)
    }
}

impl Setting for Measurement {
    const COMMAND: &'static str = "likelihood";
    type Sums = Sums;

    fn result(&self, sums: Sums) -> Result<(Value, String)> {
        let (mut value, text) = match sums {
            Sums::Whole(tally) => {
                let measured = Measured::of(&self.sizes, tally)?;
                (json!(measured), self.text(&measured))
            }
            Sums::Masked(tally) => {
                let measured = context::Measured::of(&self.sizes, tally)?;
                (json!(measured), super::context::text(&measured, self.split))
            }
        };
        value["model"] = json!(self.model);
        value["rqvae"] = json!(self.rqvae);
        value["split"] = json!(self.split);
        Ok((value, text))
    }
}

impl Measurement {
    fn text(&self, measured: &Measured) -> String {
        let mut lines = vec![
            measured_on(measured.pictures, measured.left_out.len(), self.split),
            format!("nats per code  {:.4}", measured.nats_per_code),
            format!("below uniform  {:.4}", measured.nats_below_uniform),
            format!(
                "bits           {:.1} per image, {:.4} per pixel; uniform {:.1} per image",
                measured.bits_per_image, measured.bits_per_pixel, measured.uniform_bits_per_image
            ),
            String::new(),
            "depth nats per code   uniform     below       bits".into(),
        ];
        lines.extend(measured.depths.iter().map(line));
        lines.join("\n")
    }
}

fn line(depth: &Depth) -> String {
    format!(
        "{:<5} {:>13.4} {:>9.4} {:>9.4} {:>10.1}",
        depth.depth,
        depth.nats_per_code,
        depth.uniform_nats_per_code,
        depth.nats_below_uniform,
        depth.bits_per_image
    )
}
