//! Asks the transformer which codes fit at the middle of an image, and tries each: `cargo run --release --example edit_codes`.

use residua::{Error, Model};

fn main() -> Result<(), Error> {
    let model = Model::load("characters-128")?;
    let caption = "a blue cat with a red scarf";
    let sample = model.sample().prompt(caption).seed(3).run()?.remove(0);
    let [h, w, _] = model.code_shape();
    let place = [h / 2, w / 2, 0];
    let explanation = model.explain(&sample.codes, place).prompt(caption).count(5).run()?;
    let chosen = explanation.chosen;
    println!(
        "code {} has {:.1} %, entropy {:.2} bits",
        chosen.code,
        100.0 * chosen.probability,
        explanation.entropy
    );
    for suggestion in explanation.suggestions {
        let edited = model.edit(&sample.codes).set(place, suggestion.code).run()?;
        let pairs = edited.image.iter().zip(sample.image.iter());
        let largest = pairs.map(|(after, before)| after.abs_diff(*before)).max().unwrap_or(0);
        let percent = 100.0 * suggestion.probability;
        println!("code {} ({percent:.1} %) changes a pixel by up to {largest} of 255", suggestion.code);
        edited.save(std::env::temp_dir().join(format!("residua-code-{}.png", suggestion.code)))?;
    }
    println!("{}", std::env::temp_dir().display());
    Ok(())
}
