//! What JavaScript does for the programs in a browser: `web/page.js` for the studio, `web/worker.js` for the engine.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use js_sys::{Array, Function, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::Blob;

use crate::error::{Error, Result};
use crate::files::{self, Content};

#[wasm_bindgen]
extern "C" {
    /// The object that JavaScript gives at the start.
    #[derive(Clone)]
    pub type Host;

    #[wasm_bindgen(method, catch)]
    async fn fetch(this: &Host, place: &str, progress: &Function) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method)]
    async fn breathe(this: &Host) -> JsValue;
    #[wasm_bindgen(method)]
    fn post(this: &Host, bytes: Uint8Array);
    #[wasm_bindgen(method)]
    fn save(this: &Host, name: &str, bytes: Uint8Array);
    #[wasm_bindgen(method)]
    fn choose(this: &Host, wanted: &str, endings: &str, folder: bool);
    #[wasm_bindgen(method)]
    fn font(this: &Host, path: &str);
    #[wasm_bindgen(method)]
    fn forget(this: &Host, place: &str);
    #[wasm_bindgen(method)]
    fn mirror(this: &Host, update: &str);
    #[wasm_bindgen(method)]
    fn lost(this: &Host, why: &str);
}

unsafe extern "C" {
    /// Made by the linker: runs what the crates have registered to be run before anything else.
    fn __wasm_call_ctors();
}

/// Runs what the crates have registered; the first thing that a program does. One that does not do it has it done by
/// the linker at the beginning of every function that JavaScript calls, which takes a millisecond each time.
pub fn construct() {
    // SAFETY: the linker defines it, without parameters and results; the program's `main` runs once.
    unsafe { __wasm_call_ctors() }
}

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// Takes the host; before anything else.
pub fn set(host: Host) {
    HOST.replace(Some(host));
}

fn host() -> Result<Host> {
    HOST.with_borrow(Option::clone).ok_or_else(|| Error::invalid("the page has given no host: reload it"))
}

/// Opens the files of a model: an address is downloaded or found in the browser's storage, a bundled model fetched. Of
/// other places nothing is done. `progress` is told bytes done and bytes in all, and says whether to go on.
///
/// # Errors
/// What the download failed with, or that it was not to go on.
pub async fn fetch(place: &str, progress: impl FnMut(f64, f64) -> bool) -> Result<()> {
    let mut progress = progress;
    let progress = ScopedClosure::borrow_mut(&mut progress);
    let found = host()?.fetch(place, progress.as_ref().unchecked_ref()).await.map_err(said)?;
    for pair in Array::from(&found).iter().map(|pair| Array::from(&pair)) {
        let path = pair.get(0).as_string();
        if let (Some(path), Ok(blob)) = (path, pair.get(1).dyn_into::<Blob>()) {
            files::put(&PathBuf::from(path), Content::Blob(blob));
        }
    }
    Ok(())
}

/// Lets the browser do what waits: messages, drawing.
pub async fn breathe() {
    if let Ok(host) = host() {
        host.breathe().await;
    }
}

/// Sends bytes to the other side: orders to the worker, answers to the page.
pub fn post(bytes: &[u8]) {
    if let Ok(host) = host() {
        host.post(Uint8Array::from(bytes));
    }
}

/// Hands a file to the browser's downloads.
///
/// # Errors
/// There is no page.
pub fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    host()?.save(&name, Uint8Array::from(bytes));
    Ok(())
}

/// Lets the person choose files with one of these `endings` (".png,.npy"), or a folder of them. What is chosen comes back
/// under the name `wanted`.
pub fn choose(wanted: &str, endings: &str, folder: bool) {
    if let Ok(host) = host() {
        host.choose(wanted, endings, folder);
    }
}

/// Has the page fetch a font that comes with it, and put it where the window finds it.
pub fn font(path: &str) {
    if let Ok(host) = host() {
        host.font(path);
    }
}

/// Deletes a model from the browser's storage.
pub fn forget(place: &str) {
    if let Ok(host) = host() {
        host.forget(place);
    }
}

/// Tells the page what changed for assistive technology; see [`crate::app::accessible`].
pub fn mirror(update: &str) {
    if let Ok(host) = host() {
        host.mirror(update);
    }
}

/// The graphics device was taken away: this worker is of no more use.
pub fn lost(why: &str) {
    if let Ok(host) = host() {
        host.lost(why);
    }
}

/// What JavaScript says of an error.
fn said(error: JsValue) -> Error {
    let message = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    Error::invalid(message.unwrap_or_else(|| format!("{error:?}")))
}
