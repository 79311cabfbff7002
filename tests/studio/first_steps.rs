//! What a new person sees.

use crate::desk::Desk;

#[test]
fn the_sample_is_open_and_seen() {
    let desk = Desk::new();
    let state = &desk.harness.state().state;
    let document = state.document.as_ref().expect("the sample is open");
    let seen = document.seen.as_ref().expect("it is decoded");
    assert_eq!(seen.stack, *document.stack());
    let (psnr, _) = seen.quality.expect("there is an original");
    assert!((psnr - 22.10).abs() < 0.02, "as `residua reconstruct` prints: {psnr}");
    assert!(document.layers.is_some());
    assert!(!state.is_busy() && state.log.notice.is_none(), "{:?}", state.log.notice);
}
