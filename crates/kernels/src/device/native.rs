//! Devices of native builds (all builds except the browser's).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Device;
use wgpu::{Backends, DeviceType, InstanceDescriptor, MemoryBudgetThresholds};

use super::{Adapter, DeviceChoice, cpu, descriptor, share};
use residua_core::error::{Error, Result};

/// Environment variable: how much of a GPU's memory may be used, in percent.
const MEMORY_SHARE: &str = "RESIDUA_GPU_MEMORY";

/// Percentage of a GPU's memory that may be used by default.
const MOST_MEMORY: u8 = 95;

/// Silences a Mesa layer that asks the desktop for its preferred adapter each time adapters are enumerated,
/// and complains if there is no desktop.
///
/// Call this before starting any threads.
#[cfg(target_os = "linux")]
pub fn quiet_without_desktop() {
    let is_set = |name: &str| std::env::var_os(name).is_some();
    if !["XDG_RUNTIME_DIR", "DRI_PRIME", "MESA_VK_DEVICE_SELECT", NO_SELECTION].into_iter().any(is_set) {
        // SAFETY: there are no other threads yet that could read the environment.
        unsafe { std::env::set_var(NO_SELECTION, "1") };
    }
}

#[cfg(target_os = "linux")]
const NO_SELECTION: &str = "NODEVICE_SELECT";

/// All graphics adapters of this machine whose API can run models, best first.
pub fn adapters() -> Vec<Adapter> {
    let (_, found) = enumerate();
    let about = |adapter: &wgpu::Adapter| {
        let info = adapter.get_info();
        Adapter {
            name: info.name,
            api: info.backend.to_string(),
            kind: format!("{:?}", info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
            max_binding: adapter.limits().max_storage_buffer_binding_size,
            shader_f16: adapter.features().contains(wgpu::Features::SHADER_F16),
            hardware: info.device_type != DeviceType::Cpu,
        }
    };
    found.iter().map(about).collect()
}

/// The adapter used by both the command line and the window. A discrete GPU comes before an integrated one,
/// and a software rasterizer last. OpenGL can draw a window but not run the models, so it is chosen only if
/// there is nothing else.
pub fn choose(adapters: &[wgpu::Adapter]) -> Option<&wgpu::Adapter> {
    adapters.iter().min_by_key(|adapter| rank(&adapter.get_info()))
}

fn rank(info: &wgpu::AdapterInfo) -> (bool, u8) {
    let kind = match info.device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    };
    (info.backend == wgpu::Backend::Gl, kind)
}

/// How much of a GPU's memory may be used, in percent.
///
/// # Errors
/// `RESIDUA_GPU_MEMORY` is not a percentage.
pub fn memory_share() -> Result<u8> {
    let Some(given) = std::env::var_os(MEMORY_SHARE).filter(|given| !given.is_empty()) else {
        return Ok(MOST_MEMORY);
    };
    let given = given.to_string_lossy();
    given.parse().ok().filter(|share| (1..=100).contains(share)).ok_or_else(|| {
        Error::usage(format!("{MEMORY_SHARE}: expected 1 to 100, a percentage, found {given}"))
    })
}

/// The instance descriptor for `backends`. Its memory budget makes an allocation fail, which ends the job
/// with a message, before the GPU's memory is so full that the whole desktop suffers.
pub fn instance(backends: Backends) -> InstanceDescriptor {
    InstanceDescriptor {
        backends,
        memory_budget_thresholds: MemoryBudgetThresholds {
            for_resource_creation: Some(memory_share().unwrap_or(MOST_MEMORY)),
            for_device_loss: None,
        },
        ..InstanceDescriptor::new_without_display_handle()
    }
}

/// The adapters of the APIs that models run on, best first. Enumerated once, because drivers may print
/// warnings each time.
fn enumerate() -> &'static (wgpu::Instance, Vec<wgpu::Adapter>) {
    static FOUND: OnceLock<(wgpu::Instance, Vec<wgpu::Adapter>)> = OnceLock::new();
    FOUND.get_or_init(|| {
        // Models don't run on OpenGL, so its drivers need not be loaded.
        let instance = wgpu::Instance::new(instance(Backends::PRIMARY));
        let mut found = pollster::block_on(instance.enumerate_adapters(Backends::PRIMARY));
        found.sort_by_key(|adapter| rank(&adapter.get_info()));
        (instance, found)
    })
}

/// Which of several equally good adapters to use.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// Makes processes with different `turn`s use different adapters, as far as there are equally good ones. Call this
/// before opening the device.
pub fn take_turn(turn: usize) {
    TURN.store(turn, Ordering::Relaxed);
}

/// The number of the adapter for `turn` if the adapters, best first, have these `ranks`.
fn in_turn<R: PartialEq>(ranks: &[R], turn: usize) -> Option<usize> {
    let best = ranks.iter().take_while(|&rank| *rank == ranks[0]).count();
    turn.checked_rem(best)
}

/// Opens the device for `choice`.
///
/// # Errors
/// A GPU was requested, but there is none or it could not be opened.
pub fn open(choice: DeviceChoice) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(cpu()),
        DeviceChoice::Gpu => gpu(),
        DeviceChoice::Auto if adapters().iter().any(|adapter| adapter.hardware) => gpu().or_else(|error| {
            tracing::warn!("{error}; using the CPU instead");
            Ok(cpu())
        }),
        DeviceChoice::Auto => Ok(cpu()),
    }
}

/// The GPU, opened on the first call.
fn gpu() -> Result<Device> {
    static GPU: OnceLock<Result<Device, String>> = OnceLock::new();
    GPU.get_or_init(|| create().map_err(|error| error.to_string())).clone().map_err(Error::Invalid)
}

fn create() -> Result<Device> {
    let (instance, found) = enumerate();
    let ranks: Vec<_> = found.iter().map(|adapter| rank(&adapter.get_info())).collect();
    let chosen = in_turn(&ranks, TURN.load(Ordering::Relaxed)).ok_or_else(|| {
        Error::invalid("no graphics adapter was found; install a Vulkan driver, or use the CPU")
    })?;
    let adapter = &found[chosen];
    let (device, queue) =
        pollster::block_on(adapter.request_device(&descriptor(adapter))).map_err(|error| {
            let name = adapter.get_info().name;
            let why = error.to_string();
            let why = why.trim_end_matches('.');
            Error::invalid(format!("could not open the graphics adapter {name}: {why}; use the CPU"))
        })?;
    share(instance.clone(), adapter.clone(), device, queue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_go_round_the_best_adapters() {
        // Two discrete GPUs, an integrated one and a software rasterizer.
        let turns = |ranks: &[u8]| [0, 1, 2, 3].map(|turn| in_turn(ranks, turn));
        assert_eq!(turns(&[0, 0, 1, 4]), [Some(0), Some(1), Some(0), Some(1)]);
        assert_eq!(turns(&[4]), [Some(0); 4]);
        assert_eq!(turns(&[]), [None; 4]);
    }
}
