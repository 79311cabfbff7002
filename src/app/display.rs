//! Why there is no window, in one line that says what to do.

use std::env;

use crate::error::Error;

/// The variables that name the display on Linux, in the order in which they are tried.
const DISPLAYS: [&str; 2] = ["WAYLAND_DISPLAY", "DISPLAY"];

/// What may be wrong with a display, by words of the system's reason.
const ADVICE: [(&str, &str); 2] = [
    (
        "librar",
        "Install libX11, libXcursor, libXi and libxkbcommon-x11, or for Wayland libwayland-client and libxkbcommon",
    ),
    ("", "Check that it is running and that you may connect to it"),
];

/// What works without a window.
const OTHERWISE: &str = "Commands work without a window: see residua --help";

/// Says in one line why the window could not be opened.
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

/// The system's reason, without the source location in front of it.
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
    fn no_place_in_the_source_is_told() {
        assert_eq!(reason("winit error: os error at /home/x/linux/mod.rs:788: No server."), "No server");
        assert_eq!(reason("no adapter: none found"), "no adapter: none found");
    }

    #[test]
    fn what_the_studio_itself_says_is_told_whole() {
        let failure = eframe::Error::AppCreation("no GPU was found".into());
        let told = explain(&failure, Some("DISPLAY=:0"));
        assert!(
            told.starts_with("no window could be opened: no GPU was found. Commands work without"),
            "{told}"
        );
    }
}
