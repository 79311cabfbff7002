//! Launches `shaders/embed_codes.wgsl`.

use burn::tensor::{DType, Shape};
use burn_cubecl::kernel::{cast, into_contiguous};
use burn_cubecl::tensor::CubeTensor;

use super::launch::{Bound, empty, launch, plain, shader};
#[cfg(test)]
use super::texts::Text;
use crate::embed::{Lookup, Reading};

const THREADS: u32 = 64;

shader!(EmbedCodes, EMBED_CODES);

/// The `Parameters` of `shaders/embed_codes.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct EmbedCodesParameters {
    rows: u32,
    columns: u32,
    first_column: u32,
    first_depth: u32,
    depths: u32,
    channels: u32,
    reading: u32,
    onto_rows: u32,
}

/// [`crate::operations::Kernels::residua_embed_codes`].
pub fn embed_codes(
    codes: CubeTensor,
    table: CubeTensor,
    places: CubeTensor,
    lookup: Lookup,
    onto: Option<CubeTensor>,
) -> CubeTensor {
    let [codes, places] = [codes, places].map(|ints| into_contiguous(cast(ints, DType::I32)));
    let (table, onto) = (plain(table), onto.map(plain));
    let [rows, columns] = [0, 1].map(|dim| codes.meta.shape()[dim]);
    let channels = table.meta.shape()[1];
    assert!(lookup.first_column + lookup.depths <= columns, "the lookup exceeds the columns");
    assert!(lookup.first_depth + lookup.depths <= places.meta.shape()[0], "the lookup exceeds the depths");
    assert!(onto.as_ref().is_none_or(|onto| onto.meta.shape()[1] == channels), "onto must be [n, C]");
    let parameters = EmbedCodesParameters {
        rows: rows as u32,
        columns: columns as u32,
        first_column: lookup.first_column as u32,
        first_depth: lookup.first_depth as u32,
        depths: lookup.depths as u32,
        channels: channels as u32,
        reading: match lookup.reading {
            Reading::Sum => 0,
            Reading::RunningSums => 1,
            Reading::Each => 2,
        },
        onto_rows: onto.as_ref().map_or(0, |onto| onto.meta.shape()[0]) as u32,
    };
    // Every binding needs a buffer, and no buffer may be bound twice.
    let onto = onto.unwrap_or_else(|| empty(&table, Shape::new([1]), DType::F32));
    let y = empty(&table, Shape::new([rows, lookup.outputs(), channels]), DType::F32);
    let workgroups = rows as u32 * (channels as u32).div_ceil(THREADS);
    let buffers = [
        Bound::values(&codes).part(rows * lookup.depths),
        // One row for each code.
        Bound::weights(&table).part(rows * lookup.depths * channels),
        Bound::weights(&places).part(2 * lookup.depths),
        Bound::values(&onto),
        Bound::values(&y),
    ];
    launch(EmbedCodes, THREADS, workgroups, &buffers, &parameters);
    y
}

/// The shader sources that the host launches.
#[cfg(test)]
pub(super) fn texts() -> Vec<Text> {
    vec![Text::fixed("embed_codes", THREADS, EmbedCodes::SOURCE)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cube::checks::assert_same_parameters;

    #[test]
    fn host_and_shader_agree() {
        assert_same_parameters!(
            EmbedCodes::SOURCE,
            EmbedCodesParameters {
                rows: Uint,
                columns: Uint,
                first_column: Uint,
                first_depth: Uint,
                depths: Uint,
                channels: Uint,
                reading: Uint,
                onto_rows: Uint,
            }
        );
    }
}
