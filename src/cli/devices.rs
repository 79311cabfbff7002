//! `residua devices`: where models can run, and whether the hand-written kernels are correct there.

use clap::Args;
use serde_json::{Value, json};

use super::output::Console;
use residua_core::config::Precision;
use residua_core::config::preset::Preset;
use residua_core::error::{Error, Result};
use residua_core::text::{counted, size};
use residua_engine::bench::tune_preset;
use residua_engine::start::auto;
use residua_kernels::check::{Checked, check, checks};
use residua_kernels::cpu::vectors;
use residua_kernels::device::{Adapter, DeviceChoice, adapters, kind, open};
use residua_kernels::tune::Timing;

/// List the CPU and the graphics adapters.
#[derive(Args)]
pub struct Devices {
    /// Check each hand-written kernel on the GPU that --device gpu picks, against a plain CPU version.
    #[arg(long)]
    check: bool,
    /// Measure the variants of GPU kernels on the GPU that --device gpu picks, for the layers of a published model with
    /// f16 weights, one image and 16 at once; the fastest are used from now on. Takes about a minute.
    #[arg(long, value_name = "PRESET", num_args = 0..=1, default_missing_value = "ffhq-355m", conflicts_with = "check")]
    tune: Option<String>,
}

/// The batches to tune for: one image, and enough to need the kernels for many rows.
const BATCHES: [usize; 2] = [1, 16];

impl Devices {
    /// Prints the devices, and which one `--device auto` picks; or the check of the kernels, which fails if
    /// one is wrong; or the time that each variant of a kernel takes.
    pub fn run(&self, console: &Console) -> Result<()> {
        let adapters = adapters();
        if self.check {
            return check_kernels(adapters.first(), console);
        }
        if let Some(preset) = &self.tune {
            return tune_kernels(Preset::find(preset)?, adapters.first(), console);
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let vectors = vectors()?;
        let (device, why) = auto()?;
        let auto = kind(&device);
        let count = counted(threads, "thread");
        let mut lines = vec![format!("cpu  {count}, {vectors}, Burn flex with Residua's kernels")];
        lines.extend(adapters.iter().map(line));
        if adapters.is_empty() {
            lines.push("gpu  none found".into());
        }
        lines.push(format!("--device auto picks the {auto}: {why}"));
        let gpus: Vec<Value> = adapters.iter().map(value).collect();
        let result =
            json!({"cpu_threads": threads, "cpu_vectors": vectors, "gpus": gpus, "auto": auto, "why": why});
        console.result(result, &lines.join("\n"))
    }
}

fn check_kernels(adapter: Option<&Adapter>, console: &Console) -> Result<()> {
    let Some(adapter) = adapter else {
        let text = "gpu  none found: there are no GPU kernels to check";
        return console.result(json!({"gpu": null, "ok": true, "kernels": []}), text);
    };
    let device = open(DeviceChoice::Gpu)?;
    let table = pollster::block_on(check(&checks(), &device));
    let wrong = table.iter().filter(|checked| !checked.ok).count();
    let result = json!({"gpu": value(adapter), "ok": wrong == 0, "kernels": table});
    let lines: Vec<String> = std::iter::once(line(adapter)).chain(table.iter().map(verdict)).collect();
    console.result(result, &lines.join("\n"))?;
    match wrong {
        0 => Ok(()),
        wrong => Err(Error::invalid(format!(
            "{wrong} of {} checks FAILED; Burn's own operations are used instead of these kernels",
            table.len()
        ))),
    }
}

fn tune_kernels(preset: &Preset, adapter: Option<&Adapter>, console: &Console) -> Result<()> {
    let Some(adapter) = adapter else {
        let text = "gpu  none found: there are no GPU kernels to tune";
        return console.result(json!({"gpu": null, "kernels": []}), text);
    };
    let device = open(DeviceChoice::Gpu)?;
    let table = tune_preset(preset, &BATCHES, Precision::F16, &device)?;
    let result = json!({"gpu": value(adapter), "preset": preset.name, "kernels": table});
    let lines: Vec<String> = std::iter::once(line(adapter)).chain(table.iter().map(measured)).collect();
    console.result(result, &lines.join("\n"))
}

fn measured(timing: &Timing) -> String {
    let Timing { kernel, layer, variant, microseconds, chosen } = timing;
    let time = microseconds.map_or("WRONG".into(), |time| format!("{time:.1} us"));
    let name = format!("{kernel:?}");
    let chosen = if *chosen { "  chosen" } else { "" };
    format!("  {name:<16} {layer:<40} {variant:<20} {time:>12}{chosen}")
}

fn verdict(checked: &Checked) -> String {
    let Checked { kernel, shape, ok, difference, tolerance, ms } = checked;
    let verdict = if *ok { "ok" } else { "FAILED" };
    let name = format!("{kernel:?}");
    format!("  {name:<16} {shape:<32} {difference:>9.1e}  of {tolerance:>7.0e}  {ms:>7.1} ms  {verdict}")
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

#[cfg(test)]
mod tests {
    use super::*;
    use residua_core::trust::GpuKernel;

    #[test]
    fn a_measured_variant_is_a_line() {
        let line = |microseconds, chosen| {
            let (kernel, layer) = (GpuKernel::Conv2d, "1 x 3x3 4->8 at 16x16".into());
            measured(&Timing { kernel, layer, variant: "large blocks", microseconds, chosen })
        };
        let [chosen, wrong] = [line(Some(12.34), true), line(None, false)];
        assert!(chosen.ends_with("large blocks              12.3 us  chosen"), "{chosen}");
        assert!(wrong.starts_with("  Conv2d ") && wrong.ends_with("WRONG"), "{wrong}");
    }
}
