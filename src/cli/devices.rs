//! `residua devices`: where models can run.

use clap::Args;
use serde_json::{Value, json};

use super::output::{Console, size};
use crate::device::{Adapter, adapters};
use crate::error::Result;

/// List the CPU and the graphics adapters.
#[derive(Args)]
pub struct Devices {}

impl Devices {
    /// Prints them, and which one `--device auto` takes.
    pub fn run(&self, console: &Console) -> Result<()> {
        let adapters = adapters();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let auto = adapters.iter().find(|adapter| adapter.hardware).map_or("cpu", |_| "gpu");
        let mut lines = vec![format!("cpu  {threads} threads, Burn flex with Residua's kernels")];
        lines.extend(adapters.iter().map(line));
        if adapters.is_empty() {
            lines.push("gpu  none found".into());
        }
        lines.push(format!("--device auto takes the {auto}"));
        let gpus: Vec<Value> = adapters.iter().map(value).collect();
        console.result(json!({"cpu_threads": threads, "gpus": gpus, "auto": auto}), &lines.join("\n"))
    }
}

fn line(adapter: &Adapter) -> String {
    let Adapter { name, api, kind, driver, max_binding, shader_f16, hardware } = adapter;
    let software = if *hardware { "" } else { ", software: used only with --device gpu" };
    let f16 = if *shader_f16 { "f16" } else { "no f16" };
    format!("gpu  {name} ({kind}, {api}, {driver}), bindings of {}, {f16}{software}", size(*max_binding))
}

fn value(adapter: &Adapter) -> Value {
    json!({
        "name": adapter.name, "api": adapter.api, "kind": adapter.kind, "driver": adapter.driver,
        "max_binding": adapter.max_binding, "shader_f16": adapter.shader_f16, "hardware": adapter.hardware,
    })
}
