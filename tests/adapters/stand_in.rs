//! An adapter that reports the limits and features of another one.

use std::pin::Pin;

use burn::tensor::Device;
use residua_core::Error;
use residua_kernels::device::{descriptor, instance, share};
use wgpu::custom::{AdapterInterface, DispatchSurface, RequestDeviceFuture};
use wgpu::{
    Adapter, AdapterInfo, Backend, Backends, CooperativeMatrixProperties, DeviceDescriptor, DeviceType,
    DownlevelCapabilities, Features, Limits, PresentationTimestamp, TextureFormat, TextureFormatFeatures,
};

use crate::profiles::Profile;

/// This machine's first adapter, restricted to `limits` and `features`, of another kind and API.
#[derive(Debug)]
struct StandIn {
    adapter: Adapter,
    kind: DeviceType,
    backend: Backend,
    limits: Limits,
    features: Features,
}

impl AdapterInterface for StandIn {
    fn request_device(&self, _: &DeviceDescriptor<'_>) -> Pin<Box<dyn RequestDeviceFuture>> {
        unreachable!("the underlying adapter creates the device")
    }

    fn is_surface_supported(&self, _: &DispatchSurface) -> bool {
        false
    }

    fn features(&self) -> Features {
        self.features
    }

    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    fn downlevel_capabilities(&self) -> DownlevelCapabilities {
        self.adapter.get_downlevel_capabilities()
    }

    /// CubeCL uses subgroups only if the adapter is not a CPU.
    fn get_info(&self) -> AdapterInfo {
        AdapterInfo { device_type: self.kind, backend: self.backend, ..self.adapter.get_info() }
    }

    fn get_texture_format_features(&self, format: TextureFormat) -> TextureFormatFeatures {
        self.adapter.get_texture_format_features(format)
    }

    fn get_presentation_timestamp(&self) -> PresentationTimestamp {
        self.adapter.get_presentation_timestamp()
    }

    fn cooperative_matrix_properties(&self) -> Vec<CooperativeMatrixProperties> {
        Vec::new()
    }
}

/// This machine's first adapter.
pub fn first() -> (wgpu::Instance, Adapter) {
    let instance = wgpu::Instance::new(instance(Backends::PRIMARY));
    let adapters = pollster::block_on(instance.enumerate_adapters(Backends::PRIMARY));
    (instance, adapters.into_iter().next().expect("a graphics adapter"))
}

/// Opens this process's GPU as if it had `profile`.
pub fn open(profile: &Profile) -> Device {
    let (instance, adapter) = first();
    let backend = adapter.get_info().backend;
    open_as(profile, backend, instance, adapter).unwrap()
}

/// Opens this process's GPU as if it had `profile` and OpenGL.
pub fn open_by_opengl(profile: &Profile) -> Result<Device, Error> {
    let (instance, adapter) = first();
    open_as(profile, Backend::Gl, instance, adapter)
}

fn open_as(
    profile: &Profile,
    backend: Backend,
    instance: wgpu::Instance,
    adapter: Adapter,
) -> Result<Device, Error> {
    let limits = profile.limits.clone().or_worse_values_from(&adapter.limits());
    let features = profile.features & adapter.features();
    let stand_in = StandIn { adapter: adapter.clone(), kind: profile.kind, backend, limits, features };
    let stand_in = Adapter::from_custom(stand_in);
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor(&stand_in))).unwrap();
    share(instance, stand_in, device, queue)
}
