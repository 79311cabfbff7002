//! The program in a page's worker: the models and all computation. `web/worker.js` runs it.

mod models;
mod requests;

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use residua_core::error::Result;
use residua_core::files::{self, Content};
use residua_core::host::{self, Host};
use residua_core::memory::resident;
use residua_core::trust::checked_since;
use residua_core::warnings::{Warnings, listen};
use residua_engine::studio::Server;
use residua_io::assets::bundled;
use residua_kernels::device::{self, DeviceChoice, Opened, kind};
use residua_protocol::{Answer, Ready, wire};
use residua_weights::file::hexadecimal;
use tracing_subscriber::layer::SubscriberExt;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::Blob;

/// The models' side of the studio.
#[wasm_bindgen]
pub struct Engine {
    server: Server,
}

#[wasm_bindgen]
impl Engine {
    /// Opens `device` (`auto`, `cpu` or `gpu`), and reports what was found. Falls back to the CPU if there is no usable GPU.
    pub async fn start(host: Host, device: &str) -> Engine {
        begin(host);
        let opened = open_any(device).await;
        answer(&Answer::Ready(Ready {
            device: kind(&opened.device).into(),
            said: opened.said,
            lacking: opened.lacking,
        }));
        let (told, known) = (AtomicU64::new(0), AtomicUsize::new(0));
        let (server, models, files) = Server::new(opened.device, move |message| {
            let found = checked_since(known.load(Ordering::Relaxed));
            if !found.is_empty() {
                known.fetch_add(found.len(), Ordering::Relaxed);
                answer(&Answer::Checked(found));
            }
            answer(&Answer::Message(message));
            let memory = resident().unwrap_or_default();
            if told.swap(memory, Ordering::Relaxed) != memory {
                answer(&Answer::Memory(memory));
            }
        });
        spawn_local(models);
        spawn_local(files);
        Self { server }
    }

    /// Takes an order from the page.
    pub fn take(&mut self, order: &[u8]) -> Result<(), JsError> {
        self.server.take(wire::from_bytes(order)?);
        Ok(())
    }
}

/// Paths of a bundled model's files; empty for any other model.
#[wasm_bindgen]
pub fn assets(place: &str) -> Vec<String> {
    let files = bundled::find(place).map_or_else(Vec::new, |bundled| bundled.files().to_vec());
    files.into_iter().map(|asset| asset.path.into()).collect()
}

/// Makes a file from the page available at a path.
#[wasm_bindgen]
pub fn put(path: &str, content: Blob) {
    files::put(Path::new(path), Content::Blob(content));
}

/// An incremental SHA-256.
#[wasm_bindgen]
#[derive(Default)]
pub struct Hasher {
    state: sha2::Sha256,
}

#[wasm_bindgen]
impl Hasher {
    /// Starts with no data.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.state, bytes);
    }

    /// The hash in hexadecimal.
    pub fn finish(self) -> String {
        hexadecimal(&sha2::Digest::finalize(self.state))
    }
}

/// Size of this program's memory, in bytes.
#[wasm_bindgen]
pub fn heap() -> f64 {
    resident().unwrap_or_default() as f64
}

/// Opens a device by its name.
async fn open(device: &str) -> Result<Opened> {
    let choice = match device {
        "cpu" => DeviceChoice::Cpu,
        "gpu" => DeviceChoice::Gpu,
        _ => DeviceChoice::Auto,
    };
    let lost = |why| host::lost(&format!("the graphics device was lost ({why})"), true);
    device::open(choice, lost).await
}

/// Like [`open`], but falls back to the CPU if the GPU is missing or fails to open.
async fn open_any(device: &str) -> Opened {
    open(device).await.unwrap_or_else(|error| Opened {
        device: device::cpu(),
        said: error.to_string(),
        lacking: true,
    })
}

fn begin(host: Host) {
    console_error_panic_hook::set_once();
    host::set(host);
    listen(|line| answer(&Answer::Warning(line)));
    // Fails if another program in the same worker has already set it.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Warnings));
}

fn answer(answer: &Answer) {
    if let Ok(bytes) = wire::to_bytes(answer) {
        host::post(&bytes);
    }
}

fn main() {
    host::construct();
}
