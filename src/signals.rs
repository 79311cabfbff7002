//! The signals by which a system, a service manager or a closed terminal ends a program.

use signal_hook::consts::{SIGHUP, SIGTERM};

/// The signals to stop at: SIGTERM and SIGHUP. Under `nohup`, which has a program go on without its terminal, not
/// SIGHUP.
pub fn stopping() -> Vec<i32> {
    [SIGTERM, SIGHUP].into_iter().filter(|&signal| signal != SIGHUP || !is_ignored(signal)).collect()
}

/// Whether `signal` is ignored. It is asked before there is a handler: then the program was started like that.
fn is_ignored(signal: i32) -> bool {
    // SAFETY: zeros are a valid action, and without a new one the call only reads the current one.
    unsafe {
        let mut found: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut found) == 0 && found.sa_sigaction == libc::SIG_IGN
    }
}
