//! A training run that the studio begins and watches. It goes on a thread of its own, beside the models that are open.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use async_channel::{Receiver, Sender};
use eframe::egui::Context;

use crate::device::{DeviceChoice, open};
use crate::engine::Task;
use crate::engine::train::{Begun, HELD_OUT, HELD_OUT_LOSS, Measures, TrainOptions, train};
use crate::error::{Error, Result};
use crate::image_io::Picture;
use crate::train::run::RunFolder;

/// A step of the run's curve: how many were taken, and the loss.
pub type Point = [f64; 2];

/// A run, from its start to its end.
#[derive(Default)]
pub struct Training {
    running: Option<Running>,
    /// What it is.
    pub begun: Option<Begun>,
    /// The loss after each step.
    pub curve: Vec<Point>,
    /// The loss on held-out pictures, where it was measured.
    pub held_out: Vec<Point>,
    /// What the last step measured, by name.
    pub measured: Measures,
    /// What was measured on held-out pictures the last time, by name.
    pub validated: Measures,
    /// Images a second.
    pub speed: f64,
    /// What the model makes of held-out pictures, the latest.
    pub sheet: Option<Arc<Picture>>,
    /// How it ended.
    pub ended: Option<Ended>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// All steps were taken; the last checkpoint.
    Done(PathBuf),
    /// It was stopped, and can go on.
    Stopped,
    /// It failed.
    Failed(String),
}

/// The thread of a run.
struct Running {
    /// Until it is waited for.
    thread: Option<JoinHandle<()>>,
    news: Receiver<News>,
    stop: Arc<AtomicBool>,
    pause: Arc<AtomicBool>,
}

/// What the thread tells.
enum News {
    Begun(Begun, [Vec<Point>; 2]),
    Step { steps: u64, measured: Measures, speed: f64, sheet: Option<Picture> },
    Ended(Ended),
}

impl Training {
    /// Begins a run; `ctx` is drawn anew when there is something to see.
    pub fn start(&mut self, options: TrainOptions, device: DeviceChoice, ctx: &Context) {
        let (sender, news) = async_channel::unbounded();
        let (stop, pause) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let work = Work { sender, ctx: ctx.clone(), stop: stop.clone(), pause: pause.clone() };
        let thread = std::thread::spawn(move || work.run(&options, device));
        let running = Running { thread: Some(thread), news, stop, pause };
        *self = Self { running: Some(running), ..Self::default() };
    }

    /// Takes in what the thread has told since.
    pub fn receive(&mut self) {
        while let Some(news) = self.running.as_ref().and_then(|running| running.news.try_recv().ok()) {
            self.take(news);
        }
    }

    /// Waits for the thread's next news and takes it in; for tests. Whether there was some.
    pub fn wait(&mut self) -> bool {
        let news = self.running.as_ref().and_then(|running| running.news.recv_blocking().ok());
        news.map(|news| self.take(news)).is_some()
    }

    fn take(&mut self, news: News) {
        match news {
            News::Begun(begun, [curve, held_out]) => {
                (self.begun, self.curve, self.held_out) = (Some(begun), curve, held_out);
            }
            News::Step { steps, measured, speed, sheet } => {
                let point = |named: &str| {
                    let (_, loss) = measured.iter().find(|(name, _)| *name == named)?;
                    Some([steps as f64, *loss])
                };
                self.curve.extend(point("loss"));
                self.held_out.extend(point(HELD_OUT_LOSS));
                let (validated, measured): (Measures, Measures) =
                    measured.into_iter().partition(|(name, _)| name.starts_with(HELD_OUT));
                if !validated.is_empty() {
                    self.validated = validated;
                }
                (self.measured, self.speed) = (measured, speed);
                if let Some(sheet) = sheet {
                    self.sheet = Some(Arc::new(sheet));
                }
            }
            News::Ended(ended) => {
                self.ended = Some(ended);
                self.running = None;
            }
        }
    }

    /// Whether a run is under way, paused or not.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Whether it waits.
    pub fn is_paused(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.pause.load(Ordering::Relaxed))
    }

    /// Waits after the step under way, or goes on.
    pub fn pause(&self, pause: bool) {
        if let Some(running) = &self.running {
            running.pause.store(pause, Ordering::Relaxed);
            running.wake();
        }
    }

    /// Writes a checkpoint after the step under way, and ends.
    pub fn stop(&self) {
        if let Some(running) = &self.running {
            running.stop();
        }
    }
}

impl Running {
    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

/// A window that closes ends its run as a person would: with a checkpoint.
impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell any more.
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Work {
    sender: Sender<News>,
    ctx: Context,
    stop: Arc<AtomicBool>,
    pause: Arc<AtomicBool>,
}

impl Work {
    fn run(&self, options: &TrainOptions, device: DeviceChoice) {
        let ended = match self.train(options, device) {
            Ok(checkpoint) => Ended::Done(checkpoint),
            Err(Error::Cancelled) => Ended::Stopped,
            Err(error) => Ended::Failed(error.to_string()),
        };
        self.tell(News::Ended(ended));
    }

    fn train(&self, options: &TrainOptions, device: DeviceChoice) -> Result<PathBuf> {
        let device = open(device)?;
        // Held before it is known whether the run is over, so that what is stopped while it waits has its checkpoint.
        let mut task = Task::new(self.stop.clone(), |_, _| {
            while self.pause.load(Ordering::Relaxed) && !self.stop.load(Ordering::Relaxed) {
                std::thread::park();
            }
        });
        let begin = |begun: &Begun| {
            let lines = RunFolder::open(&options.out).and_then(|folder| folder.measured());
            let lines = lines.unwrap_or_default();
            let curve = |name: &str| {
                let point = |line: &serde_json::Value| Some([line["step"].as_f64()?, line[name].as_f64()?]);
                lines.iter().filter_map(point).collect()
            };
            self.tell(News::Begun(begun.clone(), ["loss", HELD_OUT_LOSS].map(curve)));
        };
        train(options, &device, &mut task, begin, |told| {
            let sheet = told.sheet.as_ref().and_then(|path| Picture::read(path).ok());
            let measured = told.measured.all().to_vec();
            self.tell(News::Step { steps: told.steps, measured, speed: told.speed, sheet });
        })
    }

    fn tell(&self, news: News) {
        // The studio reads it as long as it is there.
        let _ = self.sender.try_send(news);
        self.ctx.request_repaint();
    }
}
