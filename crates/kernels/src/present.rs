//! Draws images on a graphics device into a window of the same device, without a copy.

use burn::tensor::Tensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::server::BufferBinding;
use burn_cubecl::cubecl::wgpu::{AutoCompiler, WgpuResource, WgpuServer};
use burn_cubecl::tensor::CubeTensor;
use bytemuck::{Pod, Zeroable};

use super::cpu::present::Shown;
use super::cube::launch::plain;
#[cfg(test)]
use super::cube::texts::Text;
use residua_shaders::PRESENT;

/// An image on the graphics device. The image lives as long as this handle.
#[derive(Debug)]
pub struct DeviceImage {
    /// Rows and columns.
    size: [usize; 2],
    resource: WgpuResource,
    /// Held so that no operation reuses its buffer.
    _tensor: CubeTensor,
    /// Held so that the buffer is not moved.
    _binding: BufferBinding,
}

impl DeviceImage {
    /// Holds an image `[1, 3, H, W]` in `[-1, 1]` in place, and submits the work that computes it. `None` if it
    /// is not on a graphics device.
    pub fn new(image: Tensor<4>) -> Option<Self> {
        let [_, _, height, width] = image.dims();
        let tensor = plain(image.try_into_primitive::<CubeBackend>().ok()?);
        let resource = tensor.client.get_resource::<WgpuServer<AutoCompiler>>(tensor.handle.clone()).ok()?;
        tensor.client.flush().ok()?;
        let _binding = tensor.handle.clone().binding();
        Some(Self { size: [height, width], resource: resource.resource().clone(), _tensor: tensor, _binding })
    }

    /// Rows and columns.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }
}

/// Position and size of a whole image on a target, in target pixels. The image may extend outside the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The first column.
    pub left: i32,
    /// The first row.
    pub top: i32,
    /// Columns; at least one.
    pub columns: u32,
    /// Rows; at least one.
    pub rows: u32,
}

/// The `Parameters` of `shaders/present.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Parameters {
    width: u32,
    height: u32,
    left: i32,
    top: i32,
    columns: u32,
    rows: u32,
    shown: u32,
    amount: f32,
    linear: u32,
}

impl Parameters {
    fn new([height, width]: [usize; 2], place: Place, shown: Shown, target: wgpu::TextureFormat) -> Self {
        let (shown, amount) = match shown {
            Shown::Original => (0, 0.0),
            Shown::Picture => (1, 0.0),
            Shown::Errors { brightest } => (2, brightest),
            Shown::Wipe { place } => (3, place),
        };
        let Place { left, top, columns, rows } = place;
        let linear = u32::from(target.is_srgb());
        Self { width: width as u32, height: height as u32, left, top, columns, rows, shown, amount, linear }
    }
}

/// Draws images on targets of one format.
pub struct Presenter {
    device: wgpu::Device,
    target: wgpu::TextureFormat,
    pipeline: wgpu::RenderPipeline,
}

impl Presenter {
    /// A presenter for targets of format `target` on `device`.
    pub fn new(device: &wgpu::Device, target: wgpu::TextureFormat) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("present"),
            source: wgpu::ShaderSource::Wgsl(PRESENT.source.into()),
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("present"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("vertex"),
                compilation_options: Default::default(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("fragment"),
                compilation_options: Default::default(),
                targets: &[Some(target.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        Self { device: device.clone(), target, pipeline }
    }

    /// Fills the viewport of `pass` with an image and its original, placed at `place`. Both must be on this
    /// device.
    ///
    /// # Panics
    /// If the two differ in size.
    pub fn draw(
        &self,
        pass: &mut wgpu::RenderPass,
        picture: &DeviceImage,
        original: &DeviceImage,
        place: Place,
        shown: Shown,
    ) {
        assert_eq!(picture.size, original.size, "the image and its original differ in size");
        let parameters = self.uniform(&Parameters::new(picture.size, place, shown, self.target));
        let bind = |binding, resource| wgpu::BindGroupEntry { binding, resource };
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("present"),
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &[
                bind(0, picture.resource.as_wgpu_bind_resource()),
                bind(1, original.resource.as_wgpu_bind_resource()),
                bind(2, parameters.as_entire_binding()),
            ],
        });
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &bindings, &[]);
        pass.draw(0..3, 0..1);
    }

    fn uniform(&self, parameters: &Parameters) -> wgpu::Buffer {
        let bytes = bytemuck::bytes_of(parameters);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("present"),
            size: bytes.len() as u64,
            usage: wgpu::BufferUsages::UNIFORM,
            mapped_at_creation: true,
        });
        let mut mapped = buffer.get_mapped_range_mut(..).expect("the buffer is mapped at creation");
        mapped.copy_from_slice(bytes);
        drop(mapped);
        buffer.unmap();
        buffer
    }
}

/// The shader sources that the host uses.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    vec![Text::fixed("present", 0, PRESENT.source)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::present::VIRIDIS;
    use crate::cube::checks::assert_same_parameters;

    #[test]
    fn parameters_match_the_shader() {
        assert_same_parameters!(
            PRESENT.source,
            Parameters {
                width: Uint,
                height: Uint,
                left: Sint,
                top: Sint,
                columns: Uint,
                rows: Uint,
                shown: Uint,
                amount: Float,
                linear: Uint,
            }
        );
    }

    #[test]
    fn the_shader_has_the_same_colours() {
        let table = PRESENT.source.split("const VIRIDIS").nth(1).and_then(|text| text.split(");\n\n").next());
        let rows = table.expect("the table").lines().filter_map(|line| line.trim().strip_prefix("vec3("));
        let colours: Vec<Vec<f32>> = rows
            .map(|row| row.trim_end_matches("),").split(", ").map(|value| value.parse().unwrap()).collect())
            .collect();
        assert_eq!(colours, VIRIDIS.map(|colour| colour.map(f32::from).to_vec()));
    }
}
