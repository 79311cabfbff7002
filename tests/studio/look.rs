//! Throw-away: pictures of panels.
use crate::desk::Desk;
use eframe::egui::{ThemePreference, Vec2};
use residua::app::Start;

fn save(desk: &mut Desk, name: &str) {
    for (theme, what) in [(ThemePreference::Light, "light"), (ThemePreference::Dark, "dark")] {
        desk.harness.ctx.set_theme(theme);
        desk.harness.run();
        desk.harness.render().unwrap().save(format!("/tmp/look4/{name}-{what}.png")).unwrap();
    }
}

#[test]
fn look() {
    std::fs::create_dir_all("/tmp/look4").unwrap();
    for (size, name) in [(Vec2::new(1280.0, 800.0), "small"), (Vec2::new(2200.0, 1500.0), "wide")] {
        let mut desk = Desk::with(Start::default(), size);
        desk.harness.state_mut().state.settings.hint = false;
        desk.click("Models");
        save(&mut desk, &format!("{name}-models"));
        desk.drop_file(std::path::Path::new("/tmp/look4/misfit"));
        save(&mut desk, &format!("{name}-misfit"));
        desk.click("Log and device");
        save(&mut desk, &format!("{name}-log"));
        desk.harness.state_mut().state.pin(Some([3, 4]));
        desk.settle();
        desk.click("Explain");
        desk.click("Explain depth 1");
        desk.click("Where was the model unsure?");
        save(&mut desk, &format!("{name}-explain"));
        desk.click("Codebook");
        use egui_kittest::kittest::Queryable;
        desk.harness.get_by_label_contains("Code 3 of depth 0").click();
        desk.settle();
        save(&mut desk, &format!("{name}-codebook"));
        desk.click("Most used first");
        let mut loaded = (**desk.state().loaded.as_ref().unwrap()).clone();
        loaded.codebook_sizes = vec![16384; 4];
        desk.harness.state_mut().state.loaded = Some(std::sync::Arc::new(loaded));
        desk.harness.state_mut().state.session_usage = None;
        desk.settle();
        let begun = std::time::Instant::now();
        for _ in 0..20 {
            desk.harness.step();
        }
        println!("{name} codebook 16384: {:?} a frame", begun.elapsed() / 20);
    }
}
