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
pub use command::{Command, Lane, Masking, MorphPlan, PASTED, Pictured, Reading, SamplePlan, View, Writing};
pub use condition::Condition;
pub use event::{
    CaptionTokens, Choice, Choices, CodePatches, Content, Encoded, Event, Layers, Listed, Loaded, Made,
    Message, Neighbours, OnDevice, Opened, Output, Seen, SeenOnDevice, Stage2Facts, Surprise,
};
pub use options::Options;
pub use recipe::{ModelId, Recipe};
pub use remote::{Answer, Order, Ready, wire};

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::{Receiver, Sender, TryRecvError};

use command::Slot;

/// Identifies a sent command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct JobId(u64);

/// Takes commands and returns messages. Dropping it stops all jobs but those that write files: it waits for these.
pub struct Engine {
    orders: Orders,
    messages: Receiver<Message>,
    next: u64,
    /// The stop flags and lanes of the jobs that have not ended.
    under_way: HashMap<JobId, (Arc<AtomicBool>, Lane)>,
    /// The latest job in each slot.
    slots: HashMap<Slot, JobId>,
    /// The ends of reads that were stopped; not received yet.
    given_up: VecDeque<JobId>,
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
        Self {
            orders,
            messages,
            next: 0,
            under_way: HashMap::new(),
            slots: HashMap::new(),
            given_up: VecDeque::new(),
        }
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
        self.under_way.insert(id, (stop.clone(), command.lane()));
        (self.orders)(Order::Do(id, command), &stop);
        id
    }

    /// Stops a job at its next step. A read ends at once, whatever it still waits for.
    pub fn stop(&mut self, id: JobId) {
        if let Some((stop, lane)) = self.under_way.get(&id) {
            stop.store(true, Ordering::Relaxed);
            (self.orders)(Order::Stop(id), stop);
            if *lane == Lane::Reads {
                self.given_up.push_back(id);
            }
        }
    }

    /// Stops all jobs at their next step, except those that write files.
    pub fn stop_all(&mut self) {
        let can_stop = self.under_way.iter().filter(|(_, (_, lane))| *lane != Lane::Writes);
        let can_stop: Vec<JobId> = can_stop.map(|(id, _)| *id).collect();
        can_stop.into_iter().for_each(|id| self.stop(id));
    }

    /// The next message, if there is one.
    pub fn receive(&mut self) -> Option<Message> {
        self.message(Receiver::try_recv)
    }

    /// Waits for the next message, for tests and other callers without frames. `None` if no more will come.
    #[cfg(not(target_family = "wasm"))]
    pub fn wait(&mut self) -> Option<Message> {
        self.message(|messages| messages.recv_blocking().map_err(|_| TryRecvError::Closed))
    }

    /// The next message of a job that has not ended, from `receive` unless a read was given up.
    fn message(
        &mut self,
        receive: impl Fn(&Receiver<Message>) -> Result<Message, TryRecvError>,
    ) -> Option<Message> {
        loop {
            let given_up = self.given_up.pop_front().map(|job| Message { job, event: Event::Cancelled });
            let message = match given_up.map_or_else(|| receive(&self.messages), Ok) {
                Ok(message) => message,
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Closed) => return self.abandoned(),
            };
            // A read that was given up may still say something.
            if self.under_way.contains_key(&message.job) {
                return Some(self.taken(message));
            }
        }
    }

    fn taken(&mut self, message: Message) -> Message {
        if message.event.is_last() {
            self.under_way.remove(&message.job);
        }
        message
    }

    /// Fails all jobs because the remote worker exited; another one is about to start.
    pub fn lose_all(&mut self, reason: &str) -> Vec<Message> {
        let under_way: Vec<JobId> = self.under_way.drain().map(|(id, _)| id).collect();
        self.slots.clear();
        self.given_up.clear();
        let failed = |job| Message { job, event: Event::Failed(reason.into()) };
        under_way.into_iter().map(failed).collect()
    }

    /// Fails one job per call after the worker exited, which only a bug can cause.
    fn abandoned(&mut self) -> Option<Message> {
        let job = *self.under_way.keys().next()?;
        let reason = "the models' thread exited unexpectedly; save your work and restart Residua";
        Some(self.taken(Message { job, event: Event::Failed(reason.into()) }))
    }

    /// Whether any job is queued or running.
    pub fn is_busy(&self) -> bool {
        !self.under_way.is_empty()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop_all();
    }
}

#[cfg(test)]
mod tests {
    use residua_core::codes::CodeStack;

    use super::*;

    #[test]
    fn a_stopped_read_ends_at_once_and_a_write_is_not_stopped() {
        let (mut engine, orders, messages) = Engine::remote();
        let read = engine.send(Command::Read(Reading::Sample));
        engine.stop(read);
        engine.stop(read);
        // What the read says later.
        for event in [Event::Begun, Event::Done(1.0)] {
            messages.try_send(Message { job: read, event }).unwrap();
        }
        let heard: Vec<Message> = std::iter::from_fn(|| engine.receive()).collect();
        assert!(matches!(heard[..], [Message { event: Event::Cancelled, .. }]), "{heard:?}");
        assert!(!engine.is_busy());
        while orders.try_recv().is_ok() {}
        let stack = Arc::new(CodeStack::new(1, 1, 1, vec![0]).unwrap());
        let write = engine.send(Command::Write("a.npy".into(), Writing::Codes(stack)));
        engine.stop_all();
        assert!(matches!(orders.try_recv(), Ok(Order::Do(id, _)) if id == write));
        assert!(orders.try_recv().is_err() && engine.receive().is_none() && engine.is_busy());
    }

    #[test]
    fn jobs_fail_when_the_worker_exits() {
        let (_, messages) = async_channel::unbounded();
        let mut engine = Engine::new(Box::new(|_: Order, _: &Arc<AtomicBool>| ()), messages);
        let sent = ["one", "other"].map(|folder| engine.send(Command::Usage(folder.into())));
        let mut failed: Vec<JobId> =
            std::iter::from_fn(|| engine.receive()).map(|message| message.job).collect();
        failed.sort();
        assert_eq!(failed, sent);
        assert!(!engine.is_busy() && engine.wait().is_none());
    }
}
