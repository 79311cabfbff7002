//! A fence in a device's work queue.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use burn::backend::DispatchDevice;
use burn::tensor::Device;

use super::failure;
use residua_core::error::{Error, Result};

/// Marks the work queued so far, so that a caller can wait for it while queueing more. On the CPU that work
/// is already done.
pub struct Fence(State);

enum State {
    Passed(Result<()>),
    Ahead(Pin<Box<dyn Future<Output = Result<()>>>>),
}

impl Fence {
    /// A fence after everything queued on `device` so far.
    pub async fn new(device: &Device) -> Self {
        let DispatchDevice::Cube(cube) = device.as_dispatch() else { return Self(State::Passed(Ok(()))) };
        let (done, device) = (cube.client().sync(), device.clone());
        let mut done: Pin<Box<dyn Future<Output = Result<()>>>> = Box::pin(async move {
            let done = done.await;
            failure::check(&device)?;
            done.map_err(|error| Error::invalid(format!("the device failed: {error:?}")))
        });
        // The first poll registers the callback, so poll once now.
        match poll_fn(|context| Poll::Ready(done.as_mut().poll(context))).await {
            Poll::Ready(result) => Self(State::Passed(result)),
            Poll::Pending => Self(State::Ahead(done)),
        }
    }

    /// Waits until the device reaches the fence.
    ///
    /// # Errors
    /// The device failed.
    pub async fn wait(self) -> Result<()> {
        match self.0 {
            State::Passed(result) => result,
            State::Ahead(done) => done.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;
    use crate::device::cpu;
    use crate::gpu;

    #[test]
    fn fences_pass_in_any_order() {
        for device in [cpu(), gpu()] {
            let mut x = Tensor::<2>::ones([64, 64], &device);
            let mut fences = Vec::new();
            for _ in 0..4 {
                x = x.clone().matmul(x) / 64.0;
                fences.push(pollster::block_on(Fence::new(&device)));
            }
            for fence in [3, 0, 0, 0].map(|i| fences.remove(i)) {
                pollster::block_on(fence.wait()).unwrap();
            }
            assert_eq!(crate::values(x), [1.0; 64 * 64]);
        }
    }
}
