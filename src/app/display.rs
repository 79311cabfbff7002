//! Explains in one line why no window could be opened, and what to do.

use std::env;

use residua_core::error::Error;

/// Environment variables that name the display on Linux, in the order they are tried.
const DISPLAYS: [&str; 2] = ["WAYLAND_DISPLAY", "DISPLAY"];

/// Advice, by a substring of the system's error.
const ADVICE: [(&str, &str); 2] = [
    (
        "librar",
        "Install libX11, libXcursor, libXi and libxkbcommon-x11, or for Wayland libwayland-client and libxkbcommon",
    ),
    ("", "Check that it is running and that you may connect to it"),
];

/// What still works without a window.
const OTHERWISE: &str = "Commands work without a window: see `residua help`";

/// Turns eframe's failure into a one-line error with advice.
pub fn no_window(failure: eframe::Error) -> Error {
    let display = DISPLAYS.into_iter().find_map(|name| {
        let value = env::var(name).ok().filter(|value| !value.is_empty())?;
        Some(format!("{name}={value}"))
    });
    Error::invalid(explain(&failure, display.as_deref()))
}

fn explain(failure: &eframe::Error, display: Option<&str>) -> String {
    let is_display = matches!(failure, eframe::Error::Winit(_) | eframe::Error::WinitEventLoop(_));
    let failure = match failure {
        eframe::Error::AppCreation(error) => error.to_string(),
        other => other.to_string(),
    };
    match (is_display && cfg!(target_os = "linux"), display) {
        (true, None) => format!(
            "no window could be opened: there is no display, as neither {} is set. Run this in a desktop session, \
             or through ssh -X. {OTHERWISE}",
            DISPLAYS.join(" nor ")
        ),
        (true, Some(display)) => {
            let reason = reason(&failure);
            let advice =
                ADVICE.iter().find(|(words, _)| reason.contains(words)).map_or("", |(_, advice)| advice);
            format!("no window could be opened on the display {display}: {reason}. {advice}. {OTHERWISE}")
        }
        (false, _) => format!("no window could be opened: {}. {OTHERWISE}", reason(&failure)),
    }
}

/// The system's error without its leading source location.
fn reason(failure: &str) -> &str {
    let failure = failure.trim_end_matches('.');
    match failure.split_once(".rs:") {
        Some((_, rest)) => rest.split_once(": ").map_or(rest, |(_, reason)| reason),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_locations_are_left_out() {
        assert_eq!(reason("winit error: os error at /home/x/linux/mod.rs:788: No server."), "No server");
        assert_eq!(reason("no adapter: none found"), "no adapter: none found");
    }

    #[test]
    fn the_studios_own_errors_are_kept_whole() {
        let failure = eframe::Error::AppCreation("no GPU was found".into());
        let told = explain(&failure, Some("DISPLAY=:0"));
        assert!(
            told.starts_with("no window could be opened: no GPU was found. Commands work without"),
            "{told}"
        );
    }
}
