//! The features and limits requested from a graphics device: only those in use. Most current adapters have
//! experimental features, and wgpu rejects a request for those without a token.

use wgpu::{Features, Limits};

/// Features used where the adapter has them. CubeCL generates Burn's shaders for the *adapter's* features, so
/// the device must enable every feature that CubeCL checks for.
const FEATURES: &[Features] = &[
    // For f16 weights in Burn's shaders.
    Features::SHADER_F16,
    // For reductions and matrix products in hardware.
    Features::SUBGROUP,
    // Types that CubeCL offers if they are available.
    Features::SHADER_INT64,
    Features::SHADER_F64,
    Features::SHADER_FLOAT32_ATOMIC,
    // Used by CubeCL to time kernels.
    Features::TIMESTAMP_QUERY,
];

fn features() -> Features {
    FEATURES.iter().fold(Features::empty(), |all, &feature| all | feature)
}

/// Describes a device for both models and a window, with `limits` lowered to what the adapter supports: a
/// window needs less than models.
pub fn descriptor(adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
    let has = adapter.limits();
    wgpu::DeviceDescriptor {
        label: Some("residua"),
        required_features: features() & adapter.features(),
        required_limits: limits(&has).or_worse_values_from(&has),
        // CubeCL allocates large blocks and divides them itself.
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..Default::default()
    }
}

/// Limits that models need but an adapter with limits `has` lacks, such as
/// `max_buffer_size (268435456 of 1073741824)`. Usually empty.
pub fn lacking(has: &Limits) -> Vec<String> {
    let mut lacking = Vec::new();
    limits(has).check_limits_with_fail_fn(has, false, |name, wanted, found| {
        lacking.push(format!("{name} ({found} of {wanted})"));
    });
    lacking
}

/// WebGPU's default limits, which our shaders respect, raised where more helps.
fn limits(has: &Limits) -> Limits {
    let least = Limits::default();
    Limits {
        // A tensor is one buffer, bound as a whole.
        max_buffer_size: has.max_buffer_size,
        max_storage_buffer_binding_size: has.max_storage_buffer_binding_size,
        // For windows on large screens and for contact sheets.
        max_texture_dimension_2d: has.max_texture_dimension_2d,
        // CubeCL adapts Burn's shaders to these limits of the adapter.
        max_storage_buffers_per_shader_stage: has.max_storage_buffers_per_shader_stage,
        max_compute_workgroup_storage_size: has.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: has.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: has.max_compute_workgroup_size_x,
        max_compute_workgroup_size_y: has.max_compute_workgroup_size_y,
        max_compute_workgroup_size_z: has.max_compute_workgroup_size_z,
        max_compute_workgroups_per_dimension: has.max_compute_workgroups_per_dimension,
        ..least.clone()
    }
    .or_better_values_from(&least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_limits_are_named() {
        assert_eq!(lacking(&Limits::default()), [""; 0]);
        let weak = Limits { max_storage_buffers_per_shader_stage: 4, ..Limits::default() };
        assert_eq!(lacking(&weak), ["max_storage_buffers_per_shader_stage (4 of 8)"]);
        let large = Limits { max_buffer_size: 1 << 40, ..Limits::default() };
        assert_eq!(limits(&large).max_buffer_size, 1 << 40);
    }

    #[test]
    fn no_feature_is_experimental() {
        assert!(!features().intersects(Features::all_experimental_mask()));
    }
}
