//! The channel between a user interface and the models: commands in, events out. The window never blocks, and needs
//! no tensors.

mod around;
mod command;
pub mod condition;
mod event;
pub mod explanation;
pub mod options;
pub mod recipe;
mod remote;

pub use around::around;
pub use command::{Command, MorphPlan, SamplePlan, View};
pub use condition::Condition;
pub use event::{
    CaptionTokens, Choice, Choices, CodePatches, Encoded, Event, Layers, Loaded, Made, Message, Neighbours,
    OnDevice, Output, Seen, SeenOnDevice, Stage2Facts, Surprise,
};
pub use options::Options;
pub use recipe::{ModelId, Recipe};
pub use remote::{Answer, Order, Ready, wire};

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::{Receiver, Sender, TryRecvError};

use command::Slot;

/// Identifies a sent command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct JobId(u64);

/// Takes commands and returns messages. Dropping it stops all jobs.
pub struct Engine {
    orders: Orders,
    messages: Receiver<Message>,
    next: u64,
    /// The stop flags of the jobs that have not ended.
    stops: HashMap<JobId, Arc<AtomicBool>>,
    /// The latest job in each slot.
    slots: HashMap<Slot, JobId>,
}

/// Sends an order to the worker, with the stop flag for a worker in the same process.
pub type Orders = Box<dyn Fn(Order, &Arc<AtomicBool>) + Send>;

impl Engine {
    /// Creates the front end of a worker that shares no memory with it, such as a page's. Returns it with the
    /// orders to forward to the worker and the channel for the worker's answers.
    pub fn remote() -> (Self, Receiver<Order>, Sender<Message>) {
        let (orders, sent) = async_channel::unbounded();
        let (sender, messages) = async_channel::unbounded();
        let forward = move |order, _: &Arc<AtomicBool>| drop(orders.try_send(order));
        (Self::new(Box::new(forward), messages), sent, sender)
    }

    /// Creates the front end of a worker that takes `orders` and answers with `messages`.
    pub fn new(orders: Orders, messages: Receiver<Message>) -> Self {
        Self { orders, messages, next: 0, stops: HashMap::new(), slots: HashMap::new() }
    }

    /// Queues `command`, and stops an earlier command that it makes obsolete, such as an older view of the
    /// picture.
    pub fn send(&mut self, command: Command) -> JobId {
        let id = JobId(self.next);
        self.next += 1;
        if let Some(slot) = command.slot()
            && let Some(earlier) = self.slots.insert(slot, id)
        {
            self.stop(earlier);
        }
        let stop = Arc::new(AtomicBool::new(false));
        self.stops.insert(id, stop.clone());
        (self.orders)(Order::Do(id, command), &stop);
        id
    }

    /// Stops a job at its next step.
    pub fn stop(&mut self, id: JobId) {
        if let Some(stop) = self.stops.get(&id) {
            stop.store(true, Ordering::Relaxed);
            (self.orders)(Order::Stop(id), stop);
        }
    }

    /// Stops all jobs at their next step.
    pub fn stop_all(&mut self) {
        let under_way: Vec<JobId> = self.stops.keys().copied().collect();
        under_way.into_iter().for_each(|id| self.stop(id));
    }

    /// The next message, if there is one.
    pub fn receive(&mut self) -> Option<Message> {
        match self.messages.try_recv() {
            Ok(message) => Some(self.taken(message)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Closed) => self.abandoned(),
        }
    }

    /// Waits for the next message, for tests and other callers without frames. `None` if no more will come.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait(&mut self) -> Option<Message> {
        match self.messages.recv_blocking() {
            Ok(message) => Some(self.taken(message)),
            Err(_) => self.abandoned(),
        }
    }

    fn taken(&mut self, message: Message) -> Message {
        if message.event.is_last() {
            self.stops.remove(&message.job);
        }
        message
    }

    /// Fails all jobs because the remote worker exited; another one is about to start.
    pub fn lose_all(&mut self, reason: &str) -> Vec<Message> {
        let under_way: Vec<JobId> = self.stops.drain().map(|(id, _)| id).collect();
        self.slots.clear();
        let failed = |job| Message { job, event: Event::Failed(reason.into()) };
        under_way.into_iter().map(failed).collect()
    }

    /// Fails one job per call after the worker exited, which only a bug can cause.
    fn abandoned(&mut self) -> Option<Message> {
        let job = *self.stops.keys().next()?;
        let reason = "the models' thread exited unexpectedly; save your work and restart Residua";
        Some(self.taken(Message { job, event: Event::Failed(reason.into()) }))
    }

    /// Whether any job is queued or running.
    pub fn is_busy(&self) -> bool {
        !self.stops.is_empty()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop_all();
    }
}
