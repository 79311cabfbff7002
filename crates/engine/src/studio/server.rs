//! The models' side when it shares no memory with the window: takes orders and runs the worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::Sender;
use burn::tensor::Device;

use super::worker::{self, Job, Sink};
use residua_protocol::{JobId, Lane, Message, Order};

/// The models' side.
pub struct Server {
    models: Sender<Job>,
    files: Sender<Job>,
    /// The stop flags of jobs that may still be queued or running.
    stops: HashMap<JobId, Arc<AtomicBool>>,
}

impl Server {
    /// Creates a server on `device`, and two futures that do its work with models and with files and must be polled
    /// alongside it. `answer` receives the jobs' messages.
    pub fn new(
        device: Device,
        answer: impl Fn(Message) + Send + Sync + 'static,
    ) -> (Self, impl Future<Output = ()>, impl Future<Output = ()>) {
        let ((models, of_models), (files, of_files)) =
            (async_channel::unbounded(), async_channel::unbounded());
        let sink = Sink::new(answer);
        let files_work = worker::run(residua_kernels::device::cpu(), of_files, sink.clone());
        let server = Self { models, files, stops: HashMap::new() };
        (server, worker::run(device, of_models, sink), files_work)
    }

    /// Accepts an order.
    pub fn take(&mut self, order: Order) {
        match order {
            Order::Do(id, command) => {
                // Once a job has ended, this map holds the only reference to its flag.
                self.stops.retain(|_, stop| Arc::strong_count(stop) > 1);
                let stop = Arc::new(AtomicBool::new(false));
                self.stops.insert(id, stop.clone());
                let queue = match command.lane() {
                    Lane::Models => &self.models,
                    Lane::Reads | Lane::Writes => &self.files,
                };
                // Fails only if the worker's future was dropped.
                let _ = queue.try_send(Job { id, command, stop });
            }
            Order::Stop(id) => {
                if let Some(stop) = self.stops.get(&id) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    }
}
