//! The models' side where it shares no memory with the window: takes orders, and runs the worker.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::Sender;
use burn::tensor::Device;

use super::JobId;
use super::event::Message;
use super::remote::Order;
use super::worker::{self, Job, Sink};

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
