//! The program of a page's worker: the models, and all that computes. `web/worker.js` runs it.

mod models;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use residua::app::{Warnings, listen};
use residua::checkpoint::bundled;
use residua::device::{self, DeviceChoice, Opened, kind};
use residua::engine::memory::resident;
use residua::engine::start::{checked, trust};
use residua::engine::studio::{Answer, Ready, Server, wire};
use residua::error::Result;
use residua::files::{self, Content};
use residua::host::{self, Host};
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
    /// Opens `device` (`auto`, `cpu` or `gpu`), checks the GPU kernels, and says what was found. Where there is no GPU to
    /// work with, it is the CPU.
    pub async fn start(host: Host, device: &str) -> Engine {
        begin(host);
        let opened = open_any(device).await;
        answer(&Answer::Ready(Ready {
            device: kind(&opened.device).into(),
            said: opened.said,
            lacking: opened.lacking,
            kernels: checked(),
        }));
        let told = AtomicU64::new(0);
        let (server, work) = Server::new(opened.device, move |message| {
            answer(&Answer::Message(message));
            let memory = resident().unwrap_or_default();
            if told.swap(memory, Ordering::Relaxed) != memory {
                answer(&Answer::Memory(memory));
            }
        });
        spawn_local(work);
        Self { server }
    }

    /// Takes an order of the page.
    pub fn take(&mut self, order: &[u8]) -> Result<(), JsError> {
        self.server.take(wire::from_bytes(order)?);
        Ok(())
    }
}

/// Paths of the files that a bundled model is made of; none of another place.
#[wasm_bindgen]
pub fn assets(place: &str) -> Vec<String> {
    let files = bundled::find(place).map_or_else(Vec::new, |bundled| bundled.files().to_vec());
    files.into_iter().map(|asset| asset.path.into()).collect()
}

/// Gives a file of the page a path.
#[wasm_bindgen]
pub fn put(path: &str, content: Blob) {
    files::put(Path::new(path), Content::Blob(content));
}

/// The SHA-256 of what is fed to it piece by piece.
#[wasm_bindgen]
#[derive(Default)]
pub struct Hasher {
    state: sha2::Sha256,
}

#[wasm_bindgen]
impl Hasher {
    /// Of nothing yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Of these bytes too.
    pub fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.state, bytes);
    }

    /// In hexadecimal digits.
    pub fn finish(self) -> String {
        sha2::Digest::finalize(self.state).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Bytes of memory that this program has been given.
#[wasm_bindgen]
pub fn heap() -> f64 {
    resident().unwrap_or_default() as f64
}

/// Opens a device by its name and checks the kernels on it.
async fn open(device: &str) -> Result<Opened> {
    let choice = match device {
        "cpu" => DeviceChoice::Cpu,
        "gpu" => DeviceChoice::Gpu,
        _ => DeviceChoice::Auto,
    };
    let lost = |why| host::lost(&format!("the graphics device was lost ({why})"));
    let opened = device::open(choice, lost).await?;
    trust(&opened.device).await?;
    Ok(opened)
}

/// [`open`], but the CPU in place of a GPU that isn't there, refuses, or cannot be trusted.
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
    // A second program of the same worker finds it there.
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
