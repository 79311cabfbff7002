//! Training runs started from the studio. A run has its own thread, so the open models stay usable.

mod curves;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use async_channel::{Receiver, Sender};
use eframe::egui::Context;

pub use curves::{Curves, LOSS};
use residua_core::error::{Error, Result};
use residua_core::task::Task;
use residua_engine::train::{Begun, HELD_OUT, Measures, TrainOptions, train};
use residua_io::image_io::Picture;
use residua_kernels::device::{DeviceChoice, open};
use residua_train::run::RunFolder;

/// A run, from its start to its end.
#[derive(Default)]
pub struct Training {
    running: Option<Running>,
    /// The folder in which a run was last looked for, and whether it has one, once known.
    pub folder: (PathBuf, Option<bool>),
    /// Facts about the run, once it has started.
    pub begun: Option<Begun>,
    /// All metrics so far.
    pub curves: Curves,
    /// Measures of the last step, by name.
    pub measured: Measures,
    /// Latest measures on held-out pictures, by name.
    pub validated: Measures,
    /// Images per second.
    pub speed: f64,
    /// Latest sheet of held-out pictures and the model's results for them.
    pub sheet: Option<Arc<Picture>>,
    /// How it ended.
    pub ended: Option<Ended>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// All steps were taken. Holds the path of the last checkpoint.
    Done(PathBuf),
    /// It was stopped and can be resumed.
    Stopped,
    /// It failed.
    Failed(String),
}

/// The thread of a run.
struct Running {
    /// None once joined.
    thread: Option<JoinHandle<()>>,
    news: Receiver<News>,
    stop: Arc<AtomicBool>,
    pause: Arc<AtomicBool>,
}

/// Messages from the thread.
enum News {
    Begun(Begun, Curves),
    Step { steps: u64, measured: Measures, speed: f64, sheet: Option<Picture> },
    Ended(Ended),
}

impl Training {
    /// Starts a run; requests a redraw of `ctx` whenever there is news.
    pub fn start(&mut self, options: TrainOptions, device: DeviceChoice, ctx: &Context) {
        self.run(ctx, move |work| work.train(&options, device));
    }

    /// Runs `train` on its own thread.
    fn run(&mut self, ctx: &Context, train: impl FnOnce(&Work) -> Result<PathBuf> + Send + 'static) {
        let (sender, news) = async_channel::unbounded();
        let (stop, pause) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let work = Work { sender, ctx: ctx.clone(), stop: stop.clone(), pause: pause.clone() };
        let thread = std::thread::spawn(move || work.run(train));
        let running = Running { thread: Some(thread), news, stop, pause };
        // Forgets what was found in the folder, too: once the run has ended, there is one.
        *self = Self { running: Some(running), ..Self::default() };
    }

    /// Says why no run can start.
    pub fn refuse(&mut self, reason: String) {
        let folder = std::mem::take(&mut self.folder);
        *self = Self { folder, ended: Some(Ended::Failed(reason)), ..Self::default() };
    }

    /// Takes in the thread's new messages.
    pub fn receive(&mut self) {
        while let Some(news) = self.running.as_ref().and_then(|running| running.news.try_recv().ok()) {
            self.take(news);
        }
    }

    fn take(&mut self, news: News) {
        match news {
            News::Begun(begun, curves) => (self.begun, self.curves) = (Some(begun), curves),
            News::Step { steps, measured, speed, sheet } => {
                for (name, value) in &measured {
                    self.curves.add(steps as f64, name, *value);
                }
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

    /// True while a run exists, paused or not.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// True while the run is paused.
    pub fn is_paused(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.pause.load(Ordering::Relaxed))
    }

    /// Pauses after the current step, or continues.
    pub fn pause(&self, pause: bool) {
        if let Some(running) = &self.running {
            running.pause.store(pause, Ordering::Relaxed);
            running.wake();
        }
    }

    /// Ends the run after the current step, with a checkpoint.
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

/// Closing the window stops the run as the button does: with a checkpoint.
impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // Its panics are caught.
            let _ = thread.join();
        }
    }
}

/// The thread's side of a run.
struct Work {
    sender: Sender<News>,
    ctx: Context,
    stop: Arc<AtomicBool>,
    pause: Arc<AtomicBool>,
}

impl Work {
    /// Runs `train` and says how it ended. A panic ends only this run.
    fn run(&self, train: impl FnOnce(&Self) -> Result<PathBuf>) {
        let ended = match catch_unwind(AssertUnwindSafe(|| train(self))) {
            Ok(Ok(checkpoint)) => Ended::Done(checkpoint),
            Ok(Err(Error::Cancelled)) => Ended::Stopped,
            Ok(Err(error)) => Ended::Failed(error.to_string()),
            Err(panic) => Ended::Failed(format!(
                "training crashed ({}): please report it; you can resume from the last checkpoint",
                panic_message(&*panic)
            )),
        };
        self.tell(News::Ended(ended));
    }

    fn train(&self, options: &TrainOptions, device: DeviceChoice) -> Result<PathBuf> {
        let device = open(device)?;
        // Pauses before the task checks for a stop, so a run that is stopped while paused still writes a checkpoint.
        let mut task = Task::new(self.stop.clone(), |_, _| {
            while self.pause.load(Ordering::Relaxed) && !self.stop.load(Ordering::Relaxed) {
                std::thread::park();
            }
        });
        let begin = |begun: &Begun| {
            let lines = RunFolder::open(&options.out).and_then(|folder| folder.measured());
            self.tell(News::Begun(begun.clone(), Curves::of(&lines.unwrap_or_default())));
        };
        train(options, &device, &mut task, begin, |told| {
            let sheet = told.sheet.as_ref().and_then(|path| Picture::read(path).ok());
            let measured = told.measured.all().to_vec();
            self.tell(News::Step { steps: told.steps, measured, speed: told.speed, sheet });
        })
    }

    fn tell(&self, news: News) {
        // Fails only if the studio has closed.
        let _ = self.sender.try_send(news);
        self.ctx.request_repaint();
    }
}

/// What a panic said.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits until the run has ended.
    fn ended(training: &mut Training) -> Ended {
        while training.is_running() {
            std::thread::yield_now();
            training.receive();
        }
        training.ended.clone().expect("it has ended")
    }

    #[test]
    fn a_panic_ends_its_run_and_another_one_can_start() {
        let mut training = Training::default();
        let ctx = Context::default();
        training.run(&ctx, |_| panic!("a test of {} panics", 1));
        let Ended::Failed(reason) = ended(&mut training) else { panic!("{:?}", training.ended) };
        assert!(reason.starts_with("training crashed (a test of 1 panics)"), "{reason}");
        training.run(&ctx, |_| Ok("checkpoint".into()));
        assert_eq!(ended(&mut training), Ended::Done("checkpoint".into()));
    }
}
