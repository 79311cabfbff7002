//! The capabilities of real adapters that affect how models run.
//!
//! Limits, subgroups and f16 come from the table of adapter families in wgpu-core 30.0.1 (`src/limits.rs`,
//! "limit bucketing") and from `vulkaninfo` reports in public issues: ValveSoftware/gamescope#361 and
//! KhronosGroup/Vulkan-Tools#491 for Intel UHD 620 and 630, gpuweb/gpuweb#2832 for Adreno 610. Missing values
//! are WebGPU's defaults, the minimum. These sources do not list 64-bit types and atomic floats, which are
//! enabled for the families known to support them.

use wgpu::{DeviceType, Features, Limits};

/// A kind of adapter.
pub struct Profile {
    pub name: &'static str,
    pub kind: DeviceType,
    pub features: Features,
    pub limits: Limits,
}

const MIB: u64 = 1 << 20;

/// Limits that most current desktop adapters share.
const COMMON: Limits = Limits {
    max_buffer_size: 1024 * MIB,
    max_compute_invocations_per_workgroup: 1024,
    max_compute_workgroup_size_x: 1024,
    max_compute_workgroup_size_y: 1024,
    max_compute_workgroup_storage_size: 32 << 10,
    max_storage_buffer_binding_size: 1024 * MIB,
    max_storage_buffers_per_shader_stage: 16,
    max_texture_dimension_2d: 16384,
    ..Limits::defaults()
};

const SUBGROUPS: Features = Features::SUBGROUP.union(Features::TIMESTAMP_QUERY);
const HALF: Features = SUBGROUPS.union(Features::SHADER_F16);

/// The profiles that models are tested with.
pub const PROFILES: &[Profile] = &[
    Profile {
        name: "webgpu-defaults",
        kind: DeviceType::Other,
        features: Features::empty(),
        limits: Limits::defaults(),
    },
    Profile {
        name: "intel-uhd-630",
        kind: DeviceType::IntegratedGpu,
        features: HALF.union(Features::SHADER_INT64),
        limits: Limits {
            max_compute_workgroup_size_z: 1024,
            max_storage_buffers_per_shader_stage: 64,
            ..COMMON
        },
    },
    Profile {
        name: "apple-m2",
        kind: DeviceType::IntegratedGpu,
        features: HALF.union(Features::SHADER_INT64).union(Features::SHADER_FLOAT32_ATOMIC),
        limits: Limits { max_storage_buffers_per_shader_stage: 9, ..COMMON },
    },
    Profile {
        name: "geforce-rtx-4070",
        kind: DeviceType::DiscreteGpu,
        features: HALF
            .union(Features::SHADER_INT64)
            .union(Features::SHADER_F64)
            .union(Features::SHADER_FLOAT32_ATOMIC),
        limits: Limits { max_compute_workgroup_storage_size: 48 << 10, ..COMMON },
    },
    Profile {
        name: "radeon-vega",
        kind: DeviceType::DiscreteGpu,
        features: HALF.union(Features::SHADER_INT64).union(Features::SHADER_F64),
        limits: Limits { max_compute_workgroup_storage_size: 64 << 10, ..COMMON },
    },
    Profile { name: "geforce-gtx-1050", kind: DeviceType::DiscreteGpu, features: SUBGROUPS, limits: COMMON },
    Profile {
        name: "adreno-610",
        kind: DeviceType::IntegratedGpu,
        features: Features::SUBGROUP,
        limits: Limits::defaults(),
    },
];
