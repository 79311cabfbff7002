//! Pictures and code stacks to tensors and back.

use burn::tensor::{Device, Int, Tensor, TensorData};

use residua_core::codes::CodeStack;
use residua_core::error::{Error, Result};
use residua_io::image_io::Picture;
use residua_kernels::arrived;

/// Pictures of one size as images `[B, 3, H, W]` in `[-1, 1]`.
pub fn to_tensor(pictures: &[Picture], device: &Device) -> Tensor<4> {
    let (height, width) = pictures.first().map_or((0, 0), |picture| (picture.height(), picture.width()));
    let values: Vec<f32> = pictures.iter().flat_map(|picture| picture.data().iter().copied()).collect();
    Tensor::from_data(TensorData::new(values, [pictures.len(), 3, height, width]), device)
}

/// Images `[B, 3, H, W]` as pictures, read back from the device.
pub async fn from_tensor(images: Tensor<4>) -> Result<Vec<Picture>> {
    let [_, channels, height, width] = images.dims();
    if channels != 3 {
        return Err(Error::invalid(format!("expected a model of 3 colour channels, found {channels}")));
    }
    let values = read(images).await?;
    values.chunks(3 * height * width).map(|picture| Picture::new(width, height, picture.to_vec())).collect()
}

/// Stacks of one shape as `[B, h, w, D]`.
pub fn codes_to_tensor(stacks: &[CodeStack], device: &Device) -> Tensor<4, Int> {
    let [h, w, depth] = stacks.first().map_or([0; 3], CodeStack::shape);
    let codes: Vec<i32> =
        stacks.iter().flat_map(|stack| stack.codes().iter().map(|&code| code as i32)).collect();
    Tensor::from_data(TensorData::new(codes, [stacks.len(), h, w, depth]), device)
}

/// Stacks `[B, h, w, D]`, read back from the device in one transfer.
///
/// # Errors
/// The device failed, or a code is none, as when the model's logits are NaN.
pub async fn codes_from_tensor(codes: Tensor<4, Int>) -> Result<Vec<CodeStack>> {
    let ([_, h, w, depth], device) = (codes.dims(), codes.device());
    let data = arrived(&device, codes.into_data_async()).await?;
    let codes: Vec<i64> = data.convert::<i64>().try_to_vec().expect("converted to i64 just above");
    let code = |&code: &i64| {
        u32::try_from(code).map_err(|_| Error::invalid("the model computed NaN; its weights may be damaged"))
    };
    let stack = |codes: &[i64]| CodeStack::new(h, w, depth, codes.iter().map(code).collect::<Result<_>>()?);
    codes.chunks(h * w * depth).map(stack).collect()
}

/// The values of a tensor, read back from the device.
pub async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let device = tensor.device();
    let data = arrived(&device, tensor.into_data_async()).await?;
    Ok(data.convert::<f32>().try_to_vec().expect("converted to f32 just above"))
}
