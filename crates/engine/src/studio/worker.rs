//! The models' side of the channel: runs commands one at a time. Commands for files run here too, in a worker of their
//! own that has no models.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_channel::Receiver;
use burn::tensor::Device;
use web_time::Instant;

use super::choices::choices;
use super::facts::facts;
use super::files::{read, write};
use super::inspect::{self, Latents, Latest, Uploaded};
use super::pace::Pace;
use crate::api::Model;
use crate::explain::{explain, surprise};
use crate::fetch::fetch;
use crate::models::{Stage2, watched};
use crate::morph::{Fitting, morph};
use crate::reconstruct::{Choice, decode, decode_partly, encode, framed};
use crate::sample::{Sampled, request, sample};
use residua_core::codes::CodeStack;
use residua_core::config::Architecture;
use residua_core::error::{Error, Result};
use residua_core::task::Task;
use residua_io::image_io::Picture;
use residua_io::image_io::animation::encode_apng;
use residua_io::image_io::folder::{self, Found};
use residua_io::image_io::framing::Framing;
use residua_kernels::device::{self, Fence};
use residua_metrics::Usage;
use residua_model::tensors::codes_from_tensor;
use residua_model::{Checkpoint, RqTransformer, RqVae};
use residua_protocol::condition::known_tokenizer;
use residua_protocol::{
    CaptionTokens, Command, Condition, Encoded, Event, JobId, Loaded, Made, Message, MorphPlan, Options,
    Output, SamplePlan, Surprise, View,
};

/// A queued command.
pub struct Job {
    pub id: JobId,
    pub command: Command,
    pub stop: Arc<AtomicBool>,
}

/// Where workers send their messages.
#[derive(Clone)]
pub struct Sink {
    answer: Arc<dyn Fn(Message) + Send + Sync>,
}

impl Sink {
    pub fn new(answer: impl Fn(Message) + Send + Sync + 'static) -> Self {
        Self { answer: Arc::new(answer) }
    }

    /// Sends an event of `job`.
    pub fn send(&self, job: JobId, event: Event) {
        (self.answer)(Message { job, event });
    }
}

/// Runs commands until all senders are dropped.
pub async fn run(device: Device, queue: Receiver<Job>, sink: Sink) {
    let mut worker = Worker::new(device);
    while let Ok(Job { id, command, stop }) = queue.recv().await {
        let send = |event| sink.send(id, event);
        let mut task = Task::new(stop, |done, total| send(Event::Progress(done, total)));
        // Skips a command that was stopped while it waited.
        let done = match task.pause().await {
            Ok(()) => {
                send(Event::Begun);
                let begun = Instant::now();
                let output = |output| send(Event::Output(output));
                let waits = || !queue.is_empty();
                worker.perform(command, &mut task, &output, &waits).await.map(|()| begun.elapsed())
            }
            Err(stopped) => Err(stopped),
        };
        send(match done {
            Ok(time) => Event::Done(time.as_secs_f64() * 1e3),
            Err(Error::Cancelled) => Event::Cancelled,
            Err(error) => {
                worker.renew().await;
                Event::Failed(error.to_string())
            }
        });
    }
}

struct Worker {
    device: Device,
    model: Option<Model>,
    latents: Latents,
    uploaded: Uploaded,
    sampled: Latest,
    shown: Latest,
}

impl Worker {
    fn new(device: Device) -> Self {
        let (latents, uploaded) = (Latents::default(), Uploaded::default());
        Self { device, model: None, latents, uploaded, sampled: Latest::default(), shown: Latest::default() }
    }

    /// Replaces a failed device. Its memory is lost, so this reloads the models.
    async fn renew(&mut self) {
        let device = match device::renew(&self.device).await {
            Ok(None) => return,
            Ok(Some(device)) => device,
            Err(error) => return tracing::warn!("{error}"),
        };
        let options = self.model.take().map(|model| model.options().clone());
        *self = Self::new(device);
        if let Some(options) = options
            && let Err(error) = self.load(options, &mut Task::unwatched()).await
        {
            tracing::warn!("the model was unloaded ({error}): load it again, or load a smaller one");
        }
    }

    /// Performs `command`. What is not urgent gives way to another command that `waits`.
    async fn perform(
        &mut self,
        command: Command,
        task: &mut Task<'_>,
        output: &impl Fn(Output),
        waits: &impl Fn() -> bool,
    ) -> Result<()> {
        match command {
            Command::Load(options) => output(Output::Loaded(Arc::new(self.load(options, task).await?))),
            Command::Fetch(place) => {
                fetch(&place, task).await?;
                output(Output::Fetched);
            }
            Command::Encode(picture, framing) => {
                let encoded = self.encode(&picture, framing, task).await?;
                output(Output::Encoded(Arc::new(encoded)));
            }
            Command::Show(view) => self.show(view, task, output, waits).await?,
            Command::Neighbours { depth, code, count } => {
                let found = inspect::neighbours(self.rqvae()?, depth, code, count).await?;
                output(Output::Neighbours(Arc::new(found)));
            }
            Command::Patches { depth, codes } => {
                let patches = inspect::patches(self.rqvae()?, depth, &codes, task).await?;
                output(Output::Patches(Arc::new(patches)));
            }
            Command::Choices { view, place, codes } => {
                let found = |choices| output(Output::Choices(choices));
                choices(self.rqvae()?, &view, place, &codes, task, found).await?;
            }
            Command::Explain { stack, condition, place, count } => {
                output(self.explain(&stack, &condition, place, count).await?);
            }
            Command::Surprise { stack, condition } => {
                let surprise = self.surprise(stack, condition, task).await?;
                output(Output::Surprise(Arc::new(surprise)));
            }
            Command::CountTokens(caption) => output(Output::Tokens(self.tokens(caption)?)),
            Command::Sample(plan) => self.sample(&plan, task, output).await?,
            Command::Morph(plan, path) => {
                let bytes = self.morph(&plan, task).await?;
                residua_core::files::save(&path, &bytes)?;
                output(Output::Saved(path));
            }
            Command::Usage(place) => output(Output::Usage(Arc::new(self.usage(&place, task).await?))),
            Command::Read(reading) => read(reading, task, output).await?,
            Command::Write(path, writing) => {
                write(&path, &writing)?;
                output(Output::Saved(path));
            }
        }
        Ok(())
    }

    fn rqvae(&self) -> Result<&RqVae> {
        Ok(&loaded(self.model.as_ref())?.stage1().model)
    }

    fn transformer(&self) -> Result<&RqTransformer> {
        Ok(&loaded(self.model.as_ref())?.stage2()?.model)
    }

    /// Loads a stage 2 with its stage 1, or a stage 1 alone if the checkpoint has no stage 2.
    async fn load(&mut self, options: Options, task: &mut Task<'_>) -> Result<Loaded> {
        let model = Model::load_with(&options, &self.device, task).await?;
        if let Err(error) = model.fetch_tokenizer(task).await {
            // Explaining and completing pictures works without a tokenizer.
            tracing::warn!("{error}");
        }
        Fence::new(&self.device).await.wait().await?;
        for checkpoint in checkpoints(&model) {
            checkpoint.content_unless(watched(checkpoint.parameters()?.len(), task))?;
        }
        let loaded = facts(&model)?;
        self.model = Some(model);
        self.latents = Latents::default();
        (self.sampled, self.shown) = (Latest::default(), Latest::default());
        Ok(loaded)
    }

    /// Encodes part of a picture of any size. Its latents are kept for [`Self::show`].
    async fn encode(&mut self, picture: &Picture, framing: Framing, task: &Task<'_>) -> Result<Encoded> {
        task.pause().await?;
        let model = &loaded(self.model.as_ref())?.stage1().model;
        let original = Arc::new(framed(model, picture, framing)?);
        let quantized = model.quantizer.quantize(self.latents.get(model, &original));
        let stack = Arc::new(codes_from_tensor(quantized.codes).await?.remove(0));
        Ok(Encoded { original, stack })
    }

    /// Decodes a view's picture in any case, and its layers unless another command `waits`.
    async fn show(
        &mut self,
        view: View,
        task: &mut Task<'_>,
        output: &impl Fn(Output),
        waits: &impl Fn() -> bool,
    ) -> Result<()> {
        let model = &loaded(self.model.as_ref())?.stage1().model;
        let known = self.sampled.get(&view).or_else(|| self.shown.get(&view));
        let seen = inspect::see(model, &view, known, &mut self.uploaded).await?;
        let whole = seen.picture.clone();
        self.shown.set(view.clone(), whole.clone());
        output(Output::Seen(Arc::new(seen)));
        let layers = inspect::layers(model, &view, &whole, &mut self.latents, task, waits).await?;
        output(layers.map_or(Output::Postponed, |layers| Output::Layers(Arc::new(layers))));
        Ok(())
    }

    async fn explain(
        &self,
        stack: &CodeStack,
        condition: &Condition,
        place: [usize; 3],
        count: usize,
    ) -> Result<Output> {
        let model = self.transformer()?;
        let tokens = condition.tokens(&model.config)?;
        let explanation = Arc::new(explain(model, stack, &tokens, place, count).await?);
        Ok(Output::Explained { place, explanation })
    }

    async fn surprise(
        &self,
        stack: Arc<CodeStack>,
        condition: Condition,
        task: &mut Task<'_>,
    ) -> Result<Surprise> {
        let model = self.transformer()?;
        let tokens = condition.tokens(&model.config)?;
        let (entropy, chosen) = surprise(model, &stack, &tokens, task).await?.into_iter().unzip();
        Ok(Surprise { stack, condition, entropy, chosen })
    }

    fn tokens(&self, caption: String) -> Result<CaptionTokens> {
        let tokenizer = known_tokenizer(&self.transformer()?.config)?;
        let (tokens, unknown) = (tokenizer.length(&caption), tokenizer.unknown(&caption));
        Ok(CaptionTokens { caption, tokens, unknown })
    }

    async fn sample(
        &mut self,
        plan: &SamplePlan,
        task: &mut Task<'_>,
        output: &impl Fn(Output),
    ) -> Result<()> {
        let (models, latest) = (loaded(self.model.as_ref())?, &mut self.sampled);
        let Stage2 { model, stage1, .. } = models.stage2()?;
        let rqvae = &stage1.model;
        let request = request(plan, plan.count, &model.config)?;
        let schedule = model.config.schedule(&plan.filters, plan.revise.as_deref(), plan.forced.as_ref());
        let (mut image, mut pace) = (plan.first, Pace::default());
        let keep = async |sampled| {
            let begun = Instant::now();
            match sampled {
                Sampled::Partly { .. } if !pace.is_due(begun) => (),
                Sampled::Partly { codes, known } => {
                    let pictures = decode_partly(rqvae, *codes, &known).await?;
                    output(Output::Preview(pictures.into_iter().map(Arc::new).collect()));
                    pace.made(begun, Instant::now());
                }
                Sampled::Whole(stacks) => {
                    let pictures = decode(rqvae, &stacks, &mut Task::unwatched()).await?;
                    let made = pictures.into_iter().zip(stacks).map(|(picture, stack)| {
                        let recipe = Arc::new(models.recipe(plan, schedule.clone(), image)?);
                        image += 1;
                        Ok(Made { picture: Arc::new(picture), stack: Arc::new(stack), recipe })
                    });
                    let made: Vec<Made> = made.collect::<Result<_>>()?;
                    if let Some(last) = made.last() {
                        latest.set(last.stack.clone().into(), last.picture.clone());
                    }
                    output(Output::Sampled(made));
                }
            }
            Ok(())
        };
        sample(model, &request, schedule.as_ref(), plan.preview, task, keep).await
    }

    /// Renders a morph as an animated PNG. A contextual model revises the frames.
    async fn morph(&self, plan: &MorphPlan, task: &mut Task<'_>) -> Result<Vec<u8>> {
        let rqvae = self.rqvae()?;
        let contextual =
            self.transformer().ok().filter(|model| model.config.kind == Architecture::Contextual);
        let fitting = match contextual {
            Some(model) => {
                let condition = plan.condition.tokens(&model.config)?;
                Some(Fitting { model, condition, filters: plan.filters.clone() })
            }
            None => None,
        };
        let frames = morph(&plan.from, &plan.to, &plan.morph, fitting.as_ref(), task).await?;
        encode_apng(&decode(rqvae, &frames, &mut task.silent()).await?, plan.milliseconds)
    }

    /// Counts the codes of a folder's pictures; skips unreadable files but counts them.
    async fn usage(&self, place: &Path, task: &mut Task<'_>) -> Result<Usage> {
        let model = self.rqvae()?;
        let Found { pictures: files, left_out, .. } = folder::pictures(place)?;
        folder::warn(place, &left_out);
        let mut usage = Usage::new(&model.config.codebook_sizes()?);
        for (done, file) in files.iter().enumerate() {
            task.pause().await?;
            match folder::read(file) {
                Ok(picture) => {
                    let stacks = encode(model, &[picture], Choice::Nearest, &mut Task::unwatched()).await?;
                    stacks.iter().for_each(|stack| usage.add(stack));
                }
                Err(error) => {
                    tracing::warn!("{error}");
                    usage.unreadable += 1;
                }
            }
            task.report(done + 1, files.len());
        }
        Ok(usage)
    }
}

/// The checkpoints of `model`.
fn checkpoints(model: &Model) -> impl Iterator<Item = &Checkpoint> {
    let stage2 = model.stage2().ok().map(|stage2| &stage2.checkpoint);
    std::iter::once(&model.stage1().checkpoint).chain(stage2)
}

fn loaded(model: Option<&Model>) -> Result<&Model> {
    model.ok_or_else(|| Error::usage("no model is loaded; choose one in Models"))
}
