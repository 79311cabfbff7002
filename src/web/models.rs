//! The engine without the studio, for use in other pages; `web/residua.js` wraps it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use image::RgbImage;
use js_sys::{Function, Object, Reflect, Uint8Array, Uint16Array};
use residua_core::codes::CodeStack;
use residua_core::config::{Precision, StateKind};
use residua_core::error::{Error, Result};
use residua_core::host::Host;
use residua_core::task::Task;
use residua_engine::api::{Choice, Model, Sampling};
use residua_io::image_io::decode;
use residua_protocol::{Condition, Options};
use serde::Deserialize;
use wasm_bindgen::prelude::*;

/// A loaded model and its device.
#[wasm_bindgen]
pub struct Models {
    device: Device,
    said: String,
    loaded: Option<Model>,
}

/// A page's sampling request.
#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Wish {
    count: u32,
    seed: u64,
    first: u32,
    /// Default for this and the next three: the model's configuration.
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
    guidance: Option<f32>,
    /// A class, by name or number.
    class: Option<String>,
    /// A caption.
    prompt: Option<String>,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            count: 1,
            seed: 0,
            first: 0,
            temperature: None,
            top_k: None,
            top_p: None,
            guidance: None,
            class: None,
            prompt: None,
        }
    }
}

impl Wish {
    fn sampling(self, model: &Model) -> Result<Sampling<'_>> {
        let Self { count, seed, first, temperature, top_k, top_p, guidance, class, prompt } = self;
        let condition = match (class, prompt) {
            (None, None) => Condition::Unconditional,
            (Some(class), None) => Condition::Class(class),
            (None, Some(prompt)) => Condition::Prompt(prompt),
            (Some(_), Some(_)) => return Err(Error::usage("expected a class or a prompt, found both")),
        };
        let sampling = model.sample().condition(condition).count(count).seed(seed).first(first);
        Ok(sampling.adjust(|_, filter| {
            filter.temperature = temperature.unwrap_or(filter.temperature);
            filter.top_k = top_k.unwrap_or(filter.top_k);
            filter.top_p = top_p.unwrap_or(filter.top_p);
            filter.guidance = guidance.unwrap_or(filter.guidance);
        }))
    }
}

#[wasm_bindgen]
impl Models {
    /// Opens `device`: `auto`, `cpu` or `gpu`. Only `gpu` fails if there is no usable GPU.
    pub async fn open(host: Host, device: &str) -> Result<Models, JsError> {
        super::begin(host);
        let opened = match device {
            "gpu" => super::open(device).await?,
            _ => super::open_any(device).await,
        };
        Ok(Self { device: opened.device, said: opened.said, loaded: None })
    }

    /// `cpu` or `gpu`, and details.
    pub fn device(&self) -> String {
        format!("{}: {}", residua_kernels::device::kind(&self.device), self.said)
    }

    /// Loads `model`, a name, address or path, and its RQ-VAE from `rqvae` if given. `precision` is `stored`, `f16` or
    /// `q8`.
    pub async fn load(
        &mut self,
        model: String,
        rqvae: Option<String>,
        precision: &str,
        progress: Function,
    ) -> Result<JsValue, JsError> {
        let precision = match precision {
            "stored" => Precision::Stored,
            "f16" => Precision::F16,
            "q8" => Precision::Q8,
            _ => {
                let text = format!("expected the precision stored, f16 or q8, found {precision}");
                return Err(Error::usage(text).into());
            }
        };
        let mut task = watched(&progress);
        let options = Options { model, rqvae, state: StateKind::Auto, precision };
        // Two models may not fit in memory.
        self.loaded = None;
        let loaded = Model::load_with(&options, &self.device, &mut task).await?;
        loaded.fetch_tokenizer(&mut task).await?;
        let facts = Object::new();
        set(&facts, "device", &self.device().into());
        set(&facts, "resolution", &(loaded.resolution() as u32).into());
        set(&facts, "shape", &shape(loaded.code_shape()));
        set(&facts, "canSample", &loaded.can_sample().into());
        self.loaded = Some(loaded);
        Ok(facts.into())
    }

    /// Encodes the central square of a picture; `picture` is the contents of an image file.
    pub async fn encode(&self, picture: &[u8], progress: Function) -> Result<JsValue, JsError> {
        let image = decode::decode(picture)?;
        let model = self.loaded()?;
        Ok(codes(&model.encode_with(&image, Choice::Nearest, &mut watched(&progress)).await?)?)
    }

    /// Decodes codes, row-major in (row, column, depth), to a picture.
    pub async fn decode(
        &self,
        codes: &[u16],
        shape: &[usize],
        progress: Function,
    ) -> Result<JsValue, JsError> {
        let &[h, w, depth] = shape else {
            return Err(Error::usage("expected a shape of height, width and depth").into());
        };
        let stack = CodeStack::new(h, w, depth, codes.iter().map(|&code| code.into()).collect())?;
        Ok(pixels(&self.loaded()?.decode_with(&stack, &mut watched(&progress)).await?))
    }

    /// Samples new pictures as `wish` (JSON) specifies.
    pub async fn sample(&self, wish: &str, progress: Function) -> Result<JsValue, JsError> {
        let wish: Wish = serde_json::from_str(wish).map_err(Error::usage)?;
        let made = js_sys::Array::new();
        for coded in wish.sampling(self.loaded()?)?.run_with(&mut watched(&progress)).await? {
            let one = codes(&coded.codes)?;
            set(one.unchecked_ref(), "picture", &pixels(&coded.image));
            made.push(&one);
        }
        Ok(made.into())
    }

    fn loaded(&self) -> Result<&Model> {
        self.loaded.as_ref().ok_or_else(|| Error::usage("no model is loaded; call load first"))
    }
}

/// A task that calls `progress` with the units done and in total, and stops once it returns a falsy value.
fn watched(progress: &Function) -> Task<'_> {
    let stop = Arc::new(AtomicBool::new(false));
    Task::new(stop.clone(), move |done, total| {
        let goes_on = progress.call2(&JsValue::NULL, &(done as f64).into(), &(total as f64).into());
        if goes_on.is_ok_and(|goes_on| goes_on.is_falsy()) {
            stop.store(true, Ordering::Relaxed);
        }
    })
}

fn codes(stack: &CodeStack) -> Result<JsValue> {
    let narrow = stack.codes().iter().map(|&code| {
        u16::try_from(code).map_err(|_| Error::invalid(format!("expected codes below 65536, found {code}")))
    });
    let narrow: Vec<u16> = narrow.collect::<Result<_>>()?;
    let object = Object::new();
    set(&object, "codes", &Uint16Array::from(&narrow[..]));
    set(&object, "shape", &shape(stack.shape()));
    Ok(object.into())
}

fn shape(shape: [usize; 3]) -> JsValue {
    shape.into_iter().map(|size| JsValue::from(size as u32)).collect::<js_sys::Array>().into()
}

/// Width, height and RGBA bytes, for `ImageData`.
fn pixels(image: &RgbImage) -> JsValue {
    let rgba: Vec<u8> = image.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
    let object = Object::new();
    set(&object, "width", &image.width().into());
    set(&object, "height", &image.height().into());
    set(&object, "data", &Uint8Array::from(&rgba[..]));
    object.into()
}

fn set(object: &Object, key: &str, value: &JsValue) {
    Reflect::set(object, &key.into(), value).expect("a new object takes all keys");
}
