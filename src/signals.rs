//! The signals by which a system, a service manager, a closed terminal or a closed console ends a program.

#[cfg(unix)]
pub use unix::{fail_beyond_limits, stopping};
#[cfg(windows)]
pub use windows::before_end;

#[cfg(unix)]
mod unix {
    use signal_hook::consts::{SIGHUP, SIGTERM, SIGUSR1, SIGXCPU};

    /// Makes writing beyond the largest allowed file size (`ulimit -f`) an error, as on a full disk, rather than the end
    /// of the program.
    pub fn fail_beyond_limits() {
        // SAFETY: ignoring a signal runs no code.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    }

    /// The signals to stop at: SIGTERM, SIGXCPU at the limit of processor time (`ulimit -t`), and SIGHUP except under
    /// `nohup`, which keeps programs running without their terminal. For one of several ranks also SIGUSR1, which
    /// `mpirun` passes on; soon after SIGTERM, it kills its ranks.
    pub fn stopping(is_rank: bool) -> Vec<i32> {
        let signals =
            [SIGTERM, SIGXCPU, SIGHUP].into_iter().filter(|&signal| signal != SIGHUP || !is_ignored(signal));
        signals.chain(is_rank.then_some(SIGUSR1)).collect()
    }

    /// Whether `signal` is ignored. Before there is a handler, that is how the program was started.
    fn is_ignored(signal: i32) -> bool {
        // SAFETY: zeros are a valid action, and without a new one the call only reads the current one.
        unsafe {
            let mut found: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &raw mut found) == 0
                && found.sa_sigaction == libc::SIG_IGN
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::io::{Error, Result};
    use std::sync::OnceLock;

    use windows_sys::Win32::System::Console::{
        CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT, SetConsoleCtrlHandler,
    };

    /// What stops the work.
    static STOP: OnceLock<Box<dyn Fn() + Send + Sync>> = OnceLock::new();

    /// Calls `stop` when the console is closed or the session ends, and gives the program the time that Windows allows,
    /// about five seconds, to end by itself. Only the first call has an effect. Call it after [`ctrlc::set_handler`]:
    /// Windows asks the latest handler first, and that of `ctrlc` does not wait.
    ///
    /// # Errors
    /// Windows refuses the handler.
    pub fn before_end(stop: impl Fn() + Send + Sync + 'static) -> Result<()> {
        STOP.get_or_init(|| Box::new(stop));
        // SAFETY: `handle` has the expected signature and is never unloaded.
        match unsafe { SetConsoleCtrlHandler(Some(handle), 1) } {
            0 => Err(Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Windows calls it on a thread of its own and ends the program as soon as it returns. So it never returns: the
    /// program ends by itself, or Windows ends it when the time is over.
    unsafe extern "system" fn handle(event: u32) -> i32 {
        // Ctrl-C and Ctrl-Break are for the next handler.
        if !matches!(event, CTRL_CLOSE_EVENT | CTRL_LOGOFF_EVENT | CTRL_SHUTDOWN_EVENT) {
            return 0;
        }
        if let Some(stop) = STOP.get() {
            stop();
        }
        loop {
            std::thread::park();
        }
    }
}
