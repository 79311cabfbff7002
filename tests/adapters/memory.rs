//! What happens where memory runs out.

use std::process::Command;

use residua::Error;
use residua::device::renew;
use residua::engine::pictures::{codes_to_tensor, from_tensor};

use crate::alone;
use crate::profiles::PROFILES;
use crate::real::{bundled, decoded, sampled};
use crate::stand_in::open;

/// What may be allocated beyond what is in use, in bytes: enough for one picture, not for [`MANY`] at once.
const ROOM: u64 = 128 << 20;

/// Pictures of which a layer is one buffer of 48 MiB; several layers are alive at once.
const MANY: usize = 96;

/// Caps the memory of this process at [`ROOM`] more than it has.
fn cap_memory() {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    let most = pages * 4096 + ROOM;
    let (pid, most) = (std::process::id().to_string(), format!("--as={most}"));
    assert!(Command::new("prlimit").args(["--pid", &pid, &most]).status().unwrap().success());
}

/// Where a process can cap its own memory, and a software adapter takes it from there.
#[test]
fn an_allocation_that_fails_ends_its_job_and_no_other() {
    alone("memory::an_allocation_that_fails_ends_its_job_and_no_other", "", || {
        let device = open(&PROFILES[0]);
        let model = bundled(&device);
        let one = sampled(&model.model, vec![2], 1);
        let picture = decoded(&model.stage1.model, &one);
        cap_memory();
        let many = codes_to_tensor(&vec![one[0].clone(); MANY], &device);
        let failed = pollster::block_on(from_tensor(model.stage1.model.decode_codes(many)));
        assert!(matches!(failed, Err(Error::OutOfMemory)), "{:?}", failed.map(|_| "pictures"));
        drop(model);
        let device = pollster::block_on(renew(&device)).unwrap().expect("it has failed");
        assert_eq!(decoded(&bundled(&device).stage1.model, &one)[0].data(), picture[0].data());
        assert!(pollster::block_on(renew(&device)).unwrap().is_none());
    });
}
