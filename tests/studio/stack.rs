//! The panel "Code stack", as a person uses it.

use crate::desk::Desk;
use eframe::egui::{Key, Modifiers, Role, Vec2};
use egui_kittest::kittest::Queryable;
use residua::app::Start;
use residua::app::document::Document;
use std::time::Instant;

fn wide() -> Desk {
    Desk::with(Start::default(), Vec2::new(1600.0, 1000.0))
}

#[test]
fn probe() {
    let mut desk = Desk::new();
    let shot = |desk: &mut Desk, name: &str| {
        let _ = desk.harness.render().unwrap().save(format!("/tmp/p1-{name}.png"));
    };
    shot(&mut desk, "open");
    desk.harness.get_by_label("row 3, column 4").click();
    let t = Instant::now();
    desk.settle();
    eprintln!("settled after pin {:?}", t.elapsed());
    shot(&mut desk, "pinned");
    eprintln!("{:?}", desk.harness.state().state.log.times);
    let before = desk.harness.state().state.document.as_ref().unwrap().seen.clone().unwrap().picture.clone();
    for depth in 1..=4 {
        let name = format!("show depth {depth}");
        desk.harness.get_by_label(&name).click();
        desk.settle();
        let code = desk.harness.state().state.neighbours.as_ref().unwrap().nearest[0].0;
        let name = format!("use code {code} (neighbour)");
        desk.harness.get_by_label(&name).click();
        let t = Instant::now();
        desk.harness.run();
        while {
            let document = desk.harness.state().state.document.as_ref().unwrap();
            !std::sync::Arc::ptr_eq(&document.seen.as_ref().unwrap().stack, document.stack())
        } {
            desk.harness.state_mut().state.wait();
        }
        desk.harness.run();
        eprintln!("edit to picture {:?}", t.elapsed());
        desk.settle();
        let after = desk.harness.state().state.document.as_ref().unwrap().seen.clone().unwrap().picture.clone();
        let mut by = [0.0f64; 10];
        let mut n = [0; 10];
        let mut peak = [0.0f32; 10];
        for (i, (a, b)) in before.data().iter().zip(after.data()).enumerate() {
            let (y, x) = (i / 64 % 64 / 8, i % 64 / 8);
            let d = y.abs_diff(3).max(x.abs_diff(4));
            by[d] += f64::from((a - b).powi(2));
            peak[d] = peak[d].max((a - b).abs());
            n[d] += 1;
        }
        eprintln!("depth {depth}: {:?} {:?}", (0..6).map(|d| by[d] / f64::from(n[d].max(1))).collect::<Vec<_>>(), &peak[..6]);
        desk.harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
        desk.settle();
    }
    shot(&mut desk, "edited");
}
