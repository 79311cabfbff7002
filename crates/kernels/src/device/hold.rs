//! Briefly keeps the models from submitting work to a graphics device.

use std::sync::mpsc::channel;

use burn::backend::DispatchDevice;
use burn::tensor::Device;

/// Runs `work` while the models submit nothing to `device`; their requests are queued meanwhile. `work` must
/// not wait for a model's result: that would deadlock.
pub fn hold<R>(device: &Device, work: impl FnOnce() -> R) -> R {
    let DispatchDevice::Cube(device) = device.as_dispatch() else { return work() };
    let client = device.client();
    let (held, is_held) = channel();
    let (release, is_released) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Blocks CubeCL's own thread, the only one that submits.
            client.exclusive(move || {
                let _ = held.send(());
                let _ = is_released.recv();
            })
        });
        // An error means that the thread has exited, so nothing is submitted either.
        let _ = is_held.recv();
        let result = work();
        drop(release);
        result
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use burn::tensor::Tensor;

    use super::*;
    use crate::device::cpu;
    use crate::gpu;
    use crate::values;

    #[test]
    fn models_wait_while_the_device_is_held() {
        for device in [cpu(), gpu()] {
            let ended = AtomicBool::new(false);
            let on_gpu = !crate::device::is_cpu(&device);
            std::thread::scope(|scope| {
                let held = hold(&device, || {
                    let models = scope.spawn(|| {
                        let sum = values(Tensor::<1>::ones([5], &device) + 1.0);
                        assert!(!on_gpu || ended.load(Ordering::SeqCst), "the models did not wait");
                        sum
                    });
                    ended.store(true, Ordering::SeqCst);
                    models
                });
                assert_eq!(held.join().unwrap(), [2.0; 5]);
            });
        }
    }
}
