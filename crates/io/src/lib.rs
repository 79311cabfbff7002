//! What comes in and goes out: bundled files, images with the codes and recipes that they carry, and captions.

pub mod assets;
pub mod image_io;
pub mod tokenizer;
