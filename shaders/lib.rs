//! The WGSL of Residua's GPU kernels. What each does is in the header of its file; `residua-kernels` launches them.

/// The text of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Its file.
    pub file: &'static str,
    /// The contents of its file, followed by those of the files in `shared` that it needs.
    pub source: &'static str,
}

/// Defines a constant for each kernel, from its file and the files in `shared` that it needs.
macro_rules! texts {
    ($($name:ident = $file:literal $(+ $shared:literal)*;)*) => {
        $(
            #[doc = $file]
            pub const $name: Text =
                Text { file: $file, source: concat!(include_str!($file) $(, include_str!($shared))*) };
        )*
    };
}

texts! {
    ATTENTION = "attention.wgsl";
    CONV2D = "conv2d.wgsl" + "shared/outer.wgsl";
    CONV2D_GATHERED = "conv2d_gathered.wgsl" + "shared/outer.wgsl";
    DECODE_ATTENTION = "decode_attention.wgsl" + "shared/total.wgsl";
    DECODE_LINEAR = "decode_linear.wgsl" + "shared/few_rows.wgsl" + "shared/activated.wgsl";
    EMBED_CODES = "embed_codes.wgsl";
    GROUP_NORM_SILU = "group_norm_silu.wgsl" + "shared/total.wgsl";
    GROUP_NORM_STATISTICS = "group_norm_statistics.wgsl" + "shared/total.wgsl";
    LAYER_NORM = "layer_norm.wgsl" + "shared/total.wgsl";
    MATMUL = "matmul.wgsl" + "shared/added.wgsl";
    NORMED_LINEAR = "normed_linear.wgsl" + "shared/few_rows.wgsl" + "shared/activated.wgsl";
    PRESENT = "present.wgsl";
    RESIDUAL_QUANTIZE = "residual_quantize.wgsl" + "shared/added.wgsl";
    RESIDUAL_TAKE = "residual_take.wgsl";
    SAMPLE_TOKEN = "sample_token.wgsl";
    TILED_LINEAR = "tiled_linear.wgsl" + "shared/activated.wgsl" + "shared/added.wgsl";
    WIDEN = "widen.wgsl";
    WIDEN_BLOCKS = "widen_blocks.wgsl";
}
