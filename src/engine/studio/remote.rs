//! The channel where the models' side shares no memory with the window: commands and answers as bytes. A browser page and
//! its worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::Sender;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::command::{Command, Job};
use super::event::{Message, Sink};
use super::{JobId, worker};
use crate::kernels::check::Checked;

/// What the models' side is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Do this.
    Do(JobId, Command),
    /// End this at its next step.
    Stop(JobId),
}

/// What the models' side answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// It has begun.
    Ready(Ready),
    /// A job went on.
    Message(Message),
    /// Something that belongs in the log.
    Warning(String),
}

/// Where the models run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    /// `cpu` or `gpu`.
    pub device: String,
    /// The graphics adapter and its limits, or why there is none.
    pub said: String,
    /// What the check of the GPU kernels has found.
    pub kernels: Vec<Checked>,
}

/// The models' side.
pub struct Server {
    jobs: Sender<Job>,
    /// How each job that may not be over is stopped.
    stops: HashMap<JobId, Arc<AtomicBool>>,
}

impl Server {
    /// A server on `device` and its work, which must be run beside it. `answer` gets what becomes of the orders.
    pub fn new(
        device: Device,
        answer: impl Fn(Message) + Send + Sync + 'static,
    ) -> (Self, impl Future<Output = ()>) {
        let (jobs, queue) = async_channel::unbounded();
        let server = Self { jobs, stops: HashMap::new() };
        (server, worker::run(device, queue, Sink::new(answer)))
    }

    /// Takes an order.
    pub fn take(&mut self, order: Order) {
        match order {
            Order::Do(id, command) => {
                // Of a job that is over, only this one holds the flag.
                self.stops.retain(|_, stop| Arc::strong_count(stop) > 1);
                let stop = Arc::new(AtomicBool::new(false));
                self.stops.insert(id, stop.clone());
                // The queue is never closed while this is there.
                let _ = self.jobs.try_send(Job { id, command, stop });
            }
            Order::Stop(id) => {
                if let Some(stop) = self.stops.get(&id) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    }
}

/// Orders and answers as bytes.
pub mod wire {
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use crate::error::{Error, Result};

    /// As bytes.
    ///
    /// # Errors
    /// None for what is sent here.
    pub fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>> {
        rmp_serde::to_vec_named(value).map_err(Error::invalid)
    }

    /// From bytes.
    ///
    /// # Errors
    /// They are of another version.
    pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        rmp_serde::from_slice(bytes).map_err(|error| {
            Error::invalid(format!("page and worker are of different versions ({error}): reload the page"))
        })
    }
}
