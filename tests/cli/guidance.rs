//! Models trained with condition dropout: guided samples follow the condition more closely.

use super::brought;
use super::desk::{Desk, stacks};
use super::training::STAGE2;

/// A desk with `two`, a model of word captions trained for a few steps with condition dropout.
fn desk() -> Desk {
    let desk = brought::desk();
    desk.does("train rqvae stage1.yaml --data data --out one --steps 4");
    let text = STAGE2
        .replace("vocab_size_cond: 2", "vocab_size_cond: 5\n  cond_dropout: 0.3")
        .replace("block_size_cond: 1", "block_size_cond: 3")
        .replace("dataset: {", "dataset: {txt_tok_name: words, words: [a, red, cat, dog], ");
    desk.write("text.yaml", text);
    let row = |i: usize| {
        let animal = ["cat", "dog"][i % 2];
        format!("{animal}/p{i:03}.png\ta red {animal}\n{animal}/p{i:03}.png\t{animal}\n")
    };
    desk.write("data/captions.tsv", (0..16).map(row).collect::<String>());
    desk.does("train rqtransformer text.yaml --data data --rqvae one --steps 12 --out two");
    desk
}

#[test]
fn samples_are_guided_and_repeated() {
    let desk = desk();
    let sampled = |options: &str| stacks(&desk.json(&format!("sample --model two -n 9 --seed 3 {options}")));
    let plain = sampled("--prompt red-cat");
    assert_eq!(plain, sampled("--prompt red-cat --guidance 1 --out one-fold"));
    let guided = sampled("--prompt red-cat --guidance 20 --out guided");
    assert_ne!(plain, guided);
    assert_eq!(guided[8..], stacks(&desk.json("sample --from guided/008.png --out again")));
    assert_eq!(desk.recipe("guided/008.png")["sampling"]["filters"][0]["guidance"], 20.0);
    // Without a caption, and with a caption of guidance 0.
    assert_eq!(sampled("--out without"), sampled("--prompt red-cat --guidance 0 --out nothing"));
    // Only the first depth is guided.
    assert_ne!(guided, sampled("--prompt red-cat --guidance 20,1 --out first"));
    desk.does("sample --model two --prompt red-dragon")
        .warns("not in this model's vocabulary, so left out: dragon");
    desk.json("eval likelihood --data data --model two");
}

#[test]
fn impossible_guidance_is_rejected() {
    let desk = Desk::new();
    desk.refuses(
        "sample --model fixtures/rqt-class --class 1 --guidance 3",
        2,
        "trained only with its condition (arch.cond_dropout)",
    );
    desk.refuses(
        "sample --model fixtures/rqt-class --class 1 --guidance -1",
        2,
        "guidance: expected 0 to 100, found -1",
    );
    desk.refuses(
        "sample --model fixtures/rqt-class --class 1 --guidance 1,2",
        2,
        "guidance: expected one value, or 4",
    );
    desk.write("text.yaml", STAGE2.replace("vocab_size_cond: 2", "vocab_size_cond: 1\n  cond_dropout: 0.1"));
    let train = "train rqtransformer text.yaml --data . --rqvae fixtures/rqvae-shared --out run";
    desk.refuses(train, 1, "cond_dropout: expected 0");
}
