//! Running out of memory.

use std::process::Command;

use residua_core::Error;
use residua_kernels::device::renew;
use residua_model::tensors::{codes_to_tensor, from_tensor};

use crate::alone;
use crate::profiles::PROFILES;
use crate::real::{decoded, sampled};
use crate::small_bindings::small;
use crate::stand_in::open;

/// Bytes that may be allocated beyond those in use: enough for one image, not for [`MANY`] at once.
const ROOM: u64 = 128 << 20;

/// A batch size for which one layer is a buffer of 96 MiB; several layers are alive at once.
const MANY: usize = 384;

/// Limits this process's memory to [`ROOM`] more than it uses now.
fn cap_memory() {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    limit_memory(&(pages * 4096 + ROOM).to_string());
}

/// Sets the soft limit of this process's memory: in bytes, or `unlimited`.
fn limit_memory(most: &str) {
    let (pid, most) = (std::process::id().to_string(), format!("--as={most}:"));
    assert!(Command::new("prlimit").args(["--pid", &pid, &most]).status().unwrap().success());
}

/// Needs a system where a process can limit its own memory and a software adapter allocates from it.
#[test]
fn a_failed_allocation_ends_only_its_own_job() {
    alone("memory::a_failed_allocation_ends_only_its_own_job", "", || {
        let device = open(&PROFILES[0]);
        let model = small(&device);
        let one = sampled(&model.model, 2, 1, None);
        let picture = decoded(&model.stage1.model, &one);
        cap_memory();
        let many = codes_to_tensor(&vec![one[0].clone(); MANY], &device);
        let failed = pollster::block_on(from_tensor(model.stage1.model.decode_codes(many)));
        assert!(matches!(failed, Err(Error::OutOfMemory)), "{:?}", failed.map(|_| "images"));
        // The driver compiles each new pipeline. A GPU's memory is not the compiler's; a software adapter's is.
        limit_memory("unlimited");
        drop(model);
        let device = pollster::block_on(renew(&device)).unwrap().expect("the device has failed");
        assert_eq!(decoded(&small(&device).stage1.model, &one)[0].data(), picture[0].data());
        assert!(pollster::block_on(renew(&device)).unwrap().is_none());
    });
}
