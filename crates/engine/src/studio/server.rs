//! The models' side when it shares no memory with the window: takes orders and runs the worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::Sender;
use burn::tensor::Device;

use super::worker::{self, Job, Sink};
use residua_protocol::JobId;
use residua_protocol::Message;
use residua_protocol::Order;

/// The models' side.
pub struct Server {
    jobs: Sender<Job>,
    /// The stop flags of jobs that may still be queued or running.
    stops: HashMap<JobId, Arc<AtomicBool>>,
}

impl Server {
    /// Creates a server on `device`, and a future that does its work and must be polled alongside it.
    /// `answer` receives the jobs' messages.
    pub fn new(
        device: Device,
        answer: impl Fn(Message) + Send + Sync + 'static,
    ) -> (Self, impl Future<Output = ()>) {
        let (jobs, queue) = async_channel::unbounded();
        let server = Self { jobs, stops: HashMap::new() };
        (server, worker::run(device, queue, Sink::new(answer)))
    }

    /// Accepts an order.
    pub fn take(&mut self, order: Order) {
        match order {
            Order::Do(id, command) => {
                // Once a job has ended, this map holds the only reference to its flag.
                self.stops.retain(|_, stop| Arc::strong_count(stop) > 1);
                let stop = Arc::new(AtomicBool::new(false));
                self.stops.insert(id, stop.clone());
                // Fails only if the worker's future was dropped.
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
