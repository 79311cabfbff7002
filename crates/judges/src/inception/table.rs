//! The network's layers, as data.

/// An operation on a tensor.
#[derive(Clone, Copy)]
pub enum Row {
    /// Convolution: output channels and kernel size; stride 1, padded to keep the size.
    Same(&'static str, usize, [usize; 2]),
    /// Convolution without padding: output channels, kernel size and stride.
    Within(&'static str, usize, [usize; 2], usize),
    /// 3x3 max pooling without padding, stride 2.
    LargestWithin,
    /// 3x3 max pooling, padded to keep the size.
    Largest,
    /// 3x3 average pooling, padded to keep the size; the mean excludes the padding.
    Mean,
    /// Two convolutions of the same input, concatenated.
    Fork([(&'static str, usize, [usize; 2]); 2]),
}

use Row::{Fork, Largest, LargestWithin, Mean, Same, Within};

/// Features after the last pool.
pub const FEATURES: usize = 2048;

/// Classes of the last layer.
pub const CLASSES: usize = 1008;

/// The layers before the blocks.
pub const STEM: &[Row] = &[
    Within("Conv2d_1a_3x3", 32, [3, 3], 2),
    Within("Conv2d_2a_3x3", 32, [3, 3], 1),
    Same("Conv2d_2b_3x3", 64, [3, 3]),
    LargestWithin,
    Same("Conv2d_3b_1x1", 80, [1, 1]),
    Within("Conv2d_4a_3x3", 192, [3, 3], 1),
    LargestWithin,
];

/// The branches of a block: each a sequence of rows; their outputs are concatenated.
pub type Branches = &'static [&'static [Row]];

/// The blocks by name.
pub const BLOCKS: [(&str, Branches); 11] = [
    ("Mixed_5b", &[ONE_64, FIVE, TWICE_THREE, &[Mean, Same("branch_pool", 32, [1, 1])]]),
    ("Mixed_5c", &[ONE_64, FIVE, TWICE_THREE, &[Mean, Same("branch_pool", 64, [1, 1])]]),
    ("Mixed_5d", &[ONE_64, FIVE, TWICE_THREE, &[Mean, Same("branch_pool", 64, [1, 1])]]),
    (
        "Mixed_6a",
        &[
            &[Within("branch3x3", 384, [3, 3], 2)],
            &[
                Same("branch3x3dbl_1", 64, [1, 1]),
                Same("branch3x3dbl_2", 96, [3, 3]),
                Within("branch3x3dbl_3", 96, [3, 3], 2),
            ],
            &[LargestWithin],
        ],
    ),
    ("Mixed_6b", &[ONE_192, &seven(128), &twice_seven(128), POOL_192]),
    ("Mixed_6c", &[ONE_192, &seven(160), &twice_seven(160), POOL_192]),
    ("Mixed_6d", &[ONE_192, &seven(160), &twice_seven(160), POOL_192]),
    ("Mixed_6e", &[ONE_192, &seven(192), &twice_seven(192), POOL_192]),
    (
        "Mixed_7a",
        &[
            &[Same("branch3x3_1", 192, [1, 1]), Within("branch3x3_2", 320, [3, 3], 2)],
            &[
                Same("branch7x7x3_1", 192, [1, 1]),
                Same("branch7x7x3_2", 192, [1, 7]),
                Same("branch7x7x3_3", 192, [7, 1]),
                Within("branch7x7x3_4", 192, [3, 3], 2),
            ],
            &[LargestWithin],
        ],
    ),
    ("Mixed_7b", &[ONE_320, THREE_FORKED, TWICE_THREE_FORKED, &[Mean, Same("branch_pool", 192, [1, 1])]]),
    ("Mixed_7c", &[ONE_320, THREE_FORKED, TWICE_THREE_FORKED, &[Largest, Same("branch_pool", 192, [1, 1])]]),
];

const ONE_64: &[Row] = &[Same("branch1x1", 64, [1, 1])];
const ONE_192: &[Row] = &[Same("branch1x1", 192, [1, 1])];
const ONE_320: &[Row] = &[Same("branch1x1", 320, [1, 1])];
const POOL_192: &[Row] = &[Mean, Same("branch_pool", 192, [1, 1])];
const FIVE: &[Row] = &[Same("branch5x5_1", 48, [1, 1]), Same("branch5x5_2", 64, [5, 5])];
const TWICE_THREE: &[Row] = &[
    Same("branch3x3dbl_1", 64, [1, 1]),
    Same("branch3x3dbl_2", 96, [3, 3]),
    Same("branch3x3dbl_3", 96, [3, 3]),
];
const THREE_FORKED: &[Row] =
    &[Same("branch3x3_1", 384, [1, 1]), Fork([("branch3x3_2a", 384, [1, 3]), ("branch3x3_2b", 384, [3, 1])])];
const TWICE_THREE_FORKED: &[Row] = &[
    Same("branch3x3dbl_1", 448, [1, 1]),
    Same("branch3x3dbl_2", 384, [3, 3]),
    Fork([("branch3x3dbl_3a", 384, [1, 3]), ("branch3x3dbl_3b", 384, [3, 1])]),
];

/// 7x7 factored into 1x7 and 7x1, with `channels` in between.
const fn seven(channels: usize) -> [Row; 3] {
    [
        Same("branch7x7_1", channels, [1, 1]),
        Same("branch7x7_2", channels, [1, 7]),
        Same("branch7x7_3", 192, [7, 1]),
    ]
}

/// The same, applied twice.
const fn twice_seven(channels: usize) -> [Row; 5] {
    [
        Same("branch7x7dbl_1", channels, [1, 1]),
        Same("branch7x7dbl_2", channels, [7, 1]),
        Same("branch7x7dbl_3", channels, [1, 7]),
        Same("branch7x7dbl_4", channels, [7, 1]),
        Same("branch7x7dbl_5", 192, [1, 7]),
    ]
}
