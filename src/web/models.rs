//! The engine without the studio, for use in other pages; `web/residua.js` wraps it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use image::RgbImage;
use js_sys::{Array, Function, JSON, Object, Reflect, Uint8ClampedArray, Uint16Array};
use residua_core::codes::CodeStack;
use residua_core::config::{Precision, StateKind};
use residua_core::error::{Error, Result};
use residua_core::host::Host;
use residua_core::task::Task;
use residua_engine::api::{Choice, Coded, Model, Sampling};
use residua_io::image_io::decode;
use residua_protocol::Options;
use wasm_bindgen::prelude::*;

use super::requests::{Change, Question, Wish, read};

/// A loaded model and its device.
#[wasm_bindgen]
pub struct Models {
    device: Device,
    said: String,
    loaded: Option<Model>,
}

#[wasm_bindgen]
extern "C" {
    /// JavaScript's pixels.
    type ImageData;
    #[wasm_bindgen(constructor)]
    fn new(rgba: &Uint8ClampedArray, width: u32, height: u32) -> ImageData;
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
        let facts = object([
            ("device", self.device().into()),
            ("resolution", (loaded.resolution() as u32).into()),
            ("shape", shape(loaded.code_shape())),
            ("canSample", loaded.can_sample().into()),
            ("classes", array(loaded.classes(), |name| name.into())),
        ]);
        self.loaded = Some(loaded);
        Ok(facts)
    }

    /// Encodes the central square of a picture; `picture` is the contents of an image file.
    pub async fn encode(&self, picture: &[u8], progress: Function) -> Result<JsValue, JsError> {
        let image = decode::decode(picture)?;
        let found = self.loaded()?.encode_with(&image, Choice::Nearest, &mut watched(&progress)).await?;
        Ok(object(codes(&found)?))
    }

    /// Decodes codes, row-major in (row, column, depth), to a picture.
    pub async fn decode(
        &self,
        codes: &[u16],
        shape: &[usize],
        progress: Function,
    ) -> Result<JsValue, JsError> {
        let stack = stack(codes, shape)?;
        Ok(pixels(&self.loaded()?.decode_with(&stack, &mut watched(&progress)).await?))
    }

    /// Encodes a picture, and decodes it from one code per cell, from two, and so on.
    pub async fn reconstruct(&self, picture: &[u8], progress: Function) -> Result<JsValue, JsError> {
        let image = decode::decode(picture)?;
        let made = self.loaded()?.reconstruct_with(&image, &mut watched(&progress)).await?;
        let facts = [
            ("picture", pixels(&made.image())),
            ("original", pixels(&made.original.to_rgb8())),
            ("partials", array(&made.partials, |partial| pixels(&partial.to_rgb8()))),
            ("residualNorms", array(&made.residual_norms, |&norm| norm.into())),
            ("latentNorm", made.latent_norm.into()),
            ("psnr", made.psnr.into()),
            ("ssim", made.ssim.into()),
            ("bitsPerPixel", made.bits_per_pixel.into()),
        ];
        Ok(object(codes(&made.codes)?.into_iter().chain(facts)))
    }

    /// Samples new pictures as `wish` (JSON) specifies.
    pub async fn sample(&self, wish: &str, progress: Function) -> Result<JsValue, JsError> {
        let model = self.loaded()?;
        self.run(model.sample(), wish, &progress).await
    }

    /// Samples the cells of a stack for which `keep`, row-major, has 0, as `wish` (JSON) specifies.
    pub async fn complete(
        &self,
        codes: &[u16],
        shape: &[usize],
        keep: &[u8],
        wish: &str,
        progress: Function,
    ) -> Result<JsValue, JsError> {
        let (model, stack) = (self.loaded()?, stack(codes, shape)?);
        let sampling = model.complete(&stack, |row, col| keep[row * stack.w() + col] != 0);
        self.run(sampling, wish, &progress).await
    }

    /// Explains a code of a stack, as `question` (JSON) asks.
    pub async fn explain(
        &self,
        codes: &[u16],
        shape: &[usize],
        question: &str,
        progress: Function,
    ) -> Result<JsValue, JsError> {
        let (stack, mut task) = (stack(codes, shape)?, watched(&progress));
        let question: Question = read(question)?;
        let explanation = question.ask(self.loaded()?, &stack)?.run_with(&task).await?;
        task.report(1, 1);
        let text = serde_json::to_string(&explanation)?;
        Ok(JSON::parse(&text).expect("serde_json writes JSON"))
    }

    /// Applies `changes` (JSON) to a stack, and decodes it.
    pub async fn edit(
        &self,
        codes: &[u16],
        shape: &[usize],
        changes: &str,
        progress: Function,
    ) -> Result<JsValue, JsError> {
        let changes: Vec<Change> = read(changes)?;
        let editing = self.loaded()?.edit(&stack(codes, shape)?);
        let editing =
            changes.into_iter().fold(editing, |editing, Change { place, code }| editing.set(place, code));
        Ok(coded(&editing.run_with(&mut watched(&progress)).await?)?)
    }

    /// Samples as `wish` (JSON) specifies.
    async fn run(&self, sampling: Sampling<'_>, wish: &str, progress: &Function) -> Result<JsValue, JsError> {
        let wish: Wish = read(wish)?;
        let made = wish.apply(sampling, self.loaded()?)?.run_with(&mut watched(progress)).await?;
        Ok(made.iter().map(coded).collect::<Result<Array>>()?.into())
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

/// The stack of `codes` that JavaScript describes.
fn stack(codes: &[u16], shape: &[usize]) -> Result<CodeStack> {
    let &[h, w, depth] = shape else {
        return Err(Error::usage("expected a shape of height, width and depth"));
    };
    CodeStack::new(h, w, depth, codes.iter().map(|&code| code.into()).collect())
}

/// The entries that describe a stack.
fn codes(stack: &CodeStack) -> Result<[Entry; 2]> {
    let narrow = stack.codes().iter().map(|&code| {
        u16::try_from(code).map_err(|_| Error::invalid(format!("expected codes below 65536, found {code}")))
    });
    let narrow: Vec<u16> = narrow.collect::<Result<_>>()?;
    Ok([("codes", Uint16Array::from(&narrow[..]).into()), ("shape", shape(stack.shape()))])
}

/// A picture and its codes.
fn coded(coded: &Coded) -> Result<JsValue> {
    Ok(object(codes(&coded.codes)?.into_iter().chain([("picture", pixels(&coded.image))])))
}

fn shape(shape: [usize; 3]) -> JsValue {
    array(&shape, |&size| JsValue::from(size as u32))
}

fn pixels(image: &RgbImage) -> JsValue {
    let rgba: Vec<u8> = image.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
    ImageData::new(&Uint8ClampedArray::from(&rgba[..]), image.width(), image.height()).into()
}

fn array<T>(items: &[T], value: impl Fn(&T) -> JsValue) -> JsValue {
    items.iter().map(value).collect::<Array>().into()
}

/// A key of an object, and its value.
type Entry = (&'static str, JsValue);

fn object(entries: impl IntoIterator<Item = Entry>) -> JsValue {
    let object = Object::new();
    for (key, value) in entries {
        Reflect::set(&object, &key.into(), &value).expect("a new object takes all keys");
    }
    object.into()
}
