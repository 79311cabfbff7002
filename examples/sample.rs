//! Samples images of a caption: `cargo run --release --example sample [CAPTION]`.

use residua::{Error, Model};

fn main() -> Result<(), Error> {
    let model = Model::load("characters-128")?;
    let caption = std::env::args().nth(1).unwrap_or_else(|| "a blue cat with a red scarf".into());
    let samples = model.sample().prompt(&caption).count(4).seed(7).temperature(0.9).run()?;
    for (number, sample) in samples.iter().enumerate() {
        let path = std::env::temp_dir().join(format!("residua-sample-{number}.png"));
        sample.save(&path)?;
        println!("{}", path.display());
    }
    // Keeps the upper half of the first image and samples the rest.
    let half = model.code_shape()[0] / 2;
    let completed = model.complete(&samples[0].codes, |row, _| row < half).prompt(&caption).seed(8).run()?;
    let changed = samples[0].codes.diff(&completed[0].codes)?;
    println!("the completion changed {} codes, the first of them in row {half} or below", changed.len());
    assert!(changed.iter().all(|&(row, ..)| row >= half));
    Ok(())
}
