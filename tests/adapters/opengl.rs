//! OpenGL may draw a window, but never runs the models: the command line does not look for such adapters, and both
//! must choose the same device.

use crate::alone;
use crate::profiles::PROFILES;
use crate::stand_in::open_by_opengl;

#[test]
fn models_do_not_run_on_opengl() {
    alone("opengl::models_do_not_run_on_opengl", "", || {
        let error = open_by_opengl(&PROFILES[0]).unwrap_err().to_string();
        let said = "it lacks a driver for Vulkan, Metal or DirectX 12; use the CPU";
        assert!(error.ends_with(said), "{error}");
    });
}
