//! The shader draws what its twin computes, also in the studio. This is a separate process because models and
//! window share one device.

use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Tensor};
use eframe::egui::Vec2;
use eframe::egui::accesskit::Role;
use eframe::egui::mutex::RwLock;
use eframe::egui_wgpu::{RenderState, Renderer, RendererOptions, WgpuSetup};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use residua::app::{Start, Studio};
use residua_core::codes::CodeStack;
use residua_core::config::{Precision, StateKind};
use residua_core::sampling::Filter;
use residua_core::task::Task;
use residua_engine::Stage2;
use residua_engine::start::checked;
use residua_kernels::cpu::present::{Shown, present};
use residua_kernels::device::{cpu, descriptor, share};
use residua_kernels::present::{DeviceImage, Place, Presenter};
use residua_kernels::{noise, values};
use residua_model::generate::{Request, Session, Steps};
use residua_protocol::Options;

/// A small model with ten classes, of pictures of 32x32 pixels.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rqt-class");

/// Rows and columns of the render target.
const TARGET: [u32; 2] = [150, 192];

/// A window's device, and the same device for the models.
struct Shared {
    window: RenderState,
    models: Device,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let WgpuSetup::CreateNew(mut setup) = default_wgpu_setup() else { panic!("a new device") };
        setup.device_descriptor = Arc::new(descriptor);
        let window = create_render_state(WgpuSetup::CreateNew(setup), RendererOptions::PREDICTABLE);
        let RenderState { instance, adapter, device, queue, .. } = window.clone();
        Shared { window, models: share(instance, adapter, device, queue).unwrap() }
    })
}

/// An image `[1, 3, height, width]` that slightly exceeds [-1, 1] and is not contiguous in memory.
fn image([height, width]: [usize; 2], seed: u32) -> Tensor<4> {
    (noise([1, height, width, 3], seed, &shared().models) * 1.2).permute([0, 3, 1, 2])
}

/// The colours of a black render target after drawing an image at `place`; row-major.
fn drawn(
    picture: &DeviceImage,
    original: &DeviceImage,
    place: Place,
    shown: Shown,
    format: wgpu::TextureFormat,
) -> Vec<[u8; 4]> {
    let RenderState { device, queue, .. } = &shared().window;
    let [rows, columns] = TARGET;
    let size = wgpu::Extent3d { width: columns, height: rows, depth_or_array_layers: 1 };
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let presenter = Presenter::new(device, format);
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let view = texture.create_view(&Default::default());
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                    store: wgpu::StoreOp::Store,
                },
                depth_slice: None,
            })],
            ..Default::default()
        });
        // As in a window: what is outside is clipped.
        let [left, right] =
            [place.left, place.left + place.columns as i32].map(|x| x.clamp(0, columns as i32));
        let [top, bottom] = [place.top, place.top + place.rows as i32].map(|y| y.clamp(0, rows as i32));
        let [x, y, width, height] = [left, top, right - left, bottom - top].map(|value| value as f32);
        pass.set_viewport(x, y, width, height, 0.0, 1.0);
        presenter.draw(&mut pass, picture, original, place, shown);
    }
    queue.submit([encoder.finish()]);
    colours(&texture)
}

/// The colours of a render target; row-major.
fn colours(texture: &wgpu::Texture) -> Vec<[u8; 4]> {
    let RenderState { device, queue, .. } = &shared().window;
    let [rows, columns] = TARGET;
    let read = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(4 * rows * columns),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    let layout =
        wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(4 * columns), rows_per_image: None };
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo { buffer: &read, layout },
        texture.size(),
    );
    queue.submit([encoder.finish()]);
    read.map_async(wgpu::MapMode::Read, .., |mapped| mapped.unwrap());
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    read.get_mapped_range(..).unwrap().as_chunks().0.to_vec()
}

/// The expected colours of the target.
fn expected(picture: &[f32], original: &[f32], size: [usize; 2], place: Place, shown: Shown) -> Vec<[u8; 4]> {
    let colours = present(picture, original, size, [place.rows as usize, place.columns as usize], shown);
    let colours: &[[u8; 4]] = colours.as_chunks().0;
    let at = |start: i32, size: u32, at: u32| {
        u32::try_from(at as i32 - start).ok().filter(|&at| at < size).map(|at| at as usize)
    };
    let [rows, columns] = TARGET;
    (0..rows * columns)
        .map(|i| match (at(place.top, place.rows, i / columns), at(place.left, place.columns, i % columns)) {
            (Some(y), Some(x)) => colours[y * place.columns as usize + x],
            _ => [0, 0, 0, 255],
        })
        .collect()
}

/// The largest difference between two pictures.
fn apart(a: &[[u8; 4]], b: &[[u8; 4]]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn the_shader_draws_what_the_twin_computes() {
    let size = [37, 53];
    let (picture, original) = (image(size, 1), image(size, 2));
    let images = [&picture, &original].map(|image| DeviceImage::new(image.clone()).expect("on the device"));
    // Work in between must not reuse their buffers.
    let between = values(image(size, 3) + 1.0);
    let [picture, original] = [picture, original].map(values);
    assert!(between != picture && images[0].size() == size);
    let place = |left, top, columns, rows| Place { left, top, columns, rows };
    let places = [
        place(0, 0, 53, 37),
        place(11, 5, 53, 37),
        place(7, 9, 159, 111),
        place(30, 40, 71, 90),
        place(3, 2, 20, 11),
        place(-40, -13, 300, 170),
    ];
    let all = [
        Shown::Original,
        Shown::Picture,
        Shown::Errors { brightest: 0.3 },
        Shown::Errors { brightest: 1.0 },
        Shown::Wipe { place: 0.37 },
        Shown::Wipe { place: 0.0 },
        Shown::Wipe { place: 1.0 },
    ];
    for format in [wgpu::TextureFormat::Rgba8Unorm, wgpu::TextureFormat::Rgba8UnormSrgb] {
        for place in places {
            for shown in all {
                let found = drawn(&images[0], &images[1], place, shown, format);
                let expected = expected(&picture, &original, size, place, shown);
                let most = apart(&found, &expected);
                assert!(most <= 1, "{shown:?} at {place:?} on {format:?}: {most}");
            }
        }
    }
}

/// A studio that draws pictures straight from its models' buffers, with the sample picture open.
fn studio() -> Harness<'static, Studio> {
    let Shared { window, models } = shared();
    // Each harness needs a renderer of its own.
    let renderer = Renderer::new(&window.device, window.target_format, RendererOptions::PREDICTABLE);
    let window = RenderState { renderer: Arc::new(RwLock::new(renderer)), ..window.clone() };
    let harness = Harness::builder().with_size(Vec2::new(1280.0, 800.0)).with_max_steps(64);
    let renderer = WgpuTestRenderer::from_render_state(window.clone());
    let mut harness = harness.renderer(renderer).build_eframe(|context| {
        let engine = residua_engine::studio::start(models.clone(), || ());
        let image = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/samples/red-cat.png");
        let start = Start { model: Some(MODEL.into()), file: Some(image.into()), ..Start::default() };
        let mut studio = Studio::new(&context.egui_ctx, engine, "gpu", start, None);
        studio.draw_on_device(&window);
        studio
    });
    settle(&mut harness);
    harness
}

/// Shows frames until nothing changes.
fn settle(harness: &mut Harness<'_, Studio>) {
    harness.run();
    while harness.state().state.is_busy() {
        harness.state_mut().state.wait();
        harness.run();
    }
}

/// The rows and columns of the widget with this name, and its colours; row-major.
fn shown_in(harness: &mut Harness<'_, Studio>, name: &str) -> ([usize; 2], Vec<[u8; 4]>) {
    let rect = harness.get_by_label(name).rect();
    let frame = &harness.render().unwrap();
    let [left, top, right, bottom] =
        [rect.left(), rect.top(), rect.right(), rect.bottom()].map(|edge| edge.round() as u32);
    let colours = (top..bottom).flat_map(|y| (left..right).map(move |x| frame.get_pixel(x, y).0));
    ([bottom - top, right - left].map(|size| size as usize), colours.collect())
}

#[test]
fn the_studio_draws_images_straight_from_the_device() {
    let mut harness = studio();
    assert!(checked().len() > 5 && checked().iter().all(|checked| checked.ok), "{:?}", checked());
    let document = harness.state().state.document.as_ref().expect("the sample image is open");
    let seen = document.seen.clone().expect("the image is decoded");
    let original = document.original.clone().expect("the document has an original");
    assert!(seen.on_device.as_ref().is_some_and(|seen| seen.original.is_some()));
    let expected = |size, shown| -> Vec<[u8; 4]> {
        present(seen.picture.data(), original.data(), [32, 32], size, shown).as_chunks().0.to_vec()
    };
    let errors = Shown::Errors { brightest: 64.0 / 255.0 };
    harness.get_by_label("Grid lines").click();
    for (view, name, shown) in [
        ("Original", "Original picture", Shown::Original),
        ("Reconstruction", "Reconstruction picture", Shown::Picture),
        ("Errors", "Errors of the reconstruction", errors),
    ] {
        harness.get_by_label(view).click();
        harness.remove_cursor();
        settle(&mut harness);
        let (size, found) = shown_in(&mut harness, name);
        assert!(size[1] > 150, "{size:?}");
        let most = apart(&found, &expected(size, shown));
        assert!(most <= 1, "{name}: {most}");
    }

    // The wipe of a map: errors on the left, the reconstruction on the right of a line.
    harness.get_by_role_and_label(Role::Slider, "Wipe").set_value_accesskit(50.0);
    settle(&mut harness);
    let (size, found) = shown_in(&mut harness, "Errors of the reconstruction");
    for (x, shown) in [(size[1] / 4, errors), (size[1] * 3 / 4, Shown::Picture)] {
        let column = |colours: &[[u8; 4]]| -> Vec<[u8; 4]> {
            colours.iter().skip(x).step_by(size[1]).copied().collect()
        };
        let most = apart(&column(&found), &column(&expected(size, shown)));
        assert!(most <= 1, "column {x}: {most}");
    }
}

#[test]
fn the_studio_samples_on_the_windows_device() {
    let mut harness = studio();
    harness.state_mut().state.settings.count = 1;
    let (seed, filters) = (harness.state().state.settings.seed, harness.state().state.filters().draft);
    harness.get_by_label("Generate (Ctrl+Enter)").click();
    settle(&mut harness);
    let made: Vec<_> = harness.state().state.gallery.items.iter().map(|item| item.stack.clone()).collect();
    assert_eq!(made, [Some(Arc::new(sampled_on_the_cpu(seed, filters)))]);
}

/// The first image of the model's first class, sampled on the CPU.
fn sampled_on_the_cpu(seed: u64, filters: Vec<Filter>) -> CodeStack {
    let options =
        Options { model: MODEL.into(), rqvae: None, state: StateKind::Auto, precision: Precision::Stored };
    let model = Stage2::load(&options, &cpu(), &mut Task::unwatched()).unwrap().model;
    let request = Request { condition: vec![0], filters, seed, images: (0..1).into(), forced: None };
    let mut session = Session::new(&model, request).unwrap();
    (0..model.config.cells()).for_each(|_| session.step());
    pollster::block_on(session.stacks()).unwrap().remove(0)
}

#[test]
fn a_cpu_tensor_is_not_a_device_image() {
    assert!(DeviceImage::new(noise([1, 3, 2, 2], 1, &residua_kernels::device::cpu())).is_none());
}
