//! The threads behind a window on the desktop: one for the models, one for each file that is read, one for all files
//! that are written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{Builder, JoinHandle};

use async_channel::{Receiver, Sender, bounded, unbounded};
use burn::tensor::Device;

use super::worker::{self, Job, Sink};
use residua_protocol::{Event, Lane, Message, Order};

/// The threads.
pub struct Threads {
    models: Sender<Job>,
    writes: Option<Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    sink: Sink,
}

impl Threads {
    /// Starts them, with the models on `device`. Returns the channel of their messages. `wake` is called after each.
    pub fn start(device: Device, wake: impl Fn() + Send + Sync + 'static) -> (Self, Receiver<Message>) {
        let (sender, messages) = unbounded();
        let (models, of_models) = unbounded();
        let (writes, of_writes) = unbounded();
        let closes = Closes(sender.clone());
        let sink = Sink::new(move |message| {
            // Fails only if the engine was dropped or abandoned; then nobody needs the answer.
            let _ = sender.try_send(message);
            wake();
        });
        let to = sink.clone();
        std::thread::spawn(move || {
            let _closes = closes;
            pollster::block_on(worker::run(device, of_models, to));
        });
        let to = sink.clone();
        let writer = std::thread::spawn(move || {
            while let Ok(job) = of_writes.recv_blocking() {
                run(job, &to);
            }
        });
        (Self { models, writes: Some(writes), writer: Some(writer), sink }, messages)
    }

    /// Gives a job to its thread. Jobs stop by their flags.
    pub fn take(&self, order: Order, stop: &Arc<AtomicBool>) {
        let Order::Do(id, command) = order else { return };
        let (lane, job) = (command.lane(), Job { id, command, stop: stop.clone() });
        match (lane, &self.writes) {
            (Lane::Reads, _) => self.read(job),
            // Fails only if the writer has ended, with the engine.
            (Lane::Writes, Some(writes)) => drop(writes.try_send(job)),
            // If the models' thread has ended, the engine notices by its closed channel.
            _ => drop(self.models.try_send(job)),
        }
    }

    /// Starts a thread for a read, because nobody knows when the system answers it.
    fn read(&self, job: Job) {
        let (id, sink) = (job.id, self.sink.clone());
        if let Err(error) = Builder::new().name("reader".into()).spawn(move || run(job, &sink)) {
            let reason = format!("the system has no thread left to read a file: {error}");
            self.sink.send(id, Event::Failed(reason));
        }
    }
}

/// Waits until all files are written.
impl Drop for Threads {
    fn drop(&mut self) {
        self.writes = None;
        if let Some(writer) = self.writer.take() {
            // It has caught any panic.
            let _ = writer.join();
        }
    }
}

/// Closes the channel of messages when the models' thread ends, even by a panic: no answers will come.
struct Closes(Sender<Message>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Runs the job of a file. A panic fails this job only.
fn run(job: Job, sink: &Sink) {
    let id = job.id;
    let (sender, queue) = bounded(1);
    // The queue has room for one job, and ends after it.
    let _ = sender.try_send(job);
    drop(sender);
    let work = || pollster::block_on(worker::run(residua_kernels::device::cpu(), queue, sink.clone()));
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        sink.send(
            id,
            Event::Failed("Residua crashed on this file; please report it and attach the file".into()),
        );
    }
}
