//! `explain`: the distribution at one position matches what is sampled there.

use serde_json::Value;

use super::desk::Desk;

/// The suggested codes with their probabilities.
fn suggestions(explanation: &Value) -> Vec<(u64, f64)> {
    let pair = |s: &Value| (s["code"].as_u64().unwrap(), s["probability"].as_f64().unwrap());
    explanation["suggestions"].as_array().unwrap().iter().map(pair).collect()
}

#[test]
fn all_probabilities_sum_to_one_and_give_rank_and_entropy() {
    let place = "--row 3 --col 4 --depth 1 --class 2 --count 99999";
    let result = Desk::new().json(&format!("explain --model fixtures/rqt-class samples/red-cat.png {place}"));
    let explanation = &result["explanation"];
    let all = suggestions(explanation);
    assert_eq!(all.len(), 64);
    assert!(all.is_sorted_by(|a, b| a.1 >= b.1));
    let sum: f64 = all.iter().map(|(_, p)| p).sum();
    assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    let bits = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    let entropy: f64 = all.iter().map(|&(_, p)| bits(p)).sum();
    assert!((entropy - explanation["entropy"].as_f64().unwrap()).abs() < 1e-3, "{entropy}");
    let rank = explanation["rank"].as_u64().unwrap() as usize;
    assert_eq!(all[rank].0, explanation["chosen"]["code"].as_u64().unwrap());
}

#[test]
fn the_most_likely_code_is_the_greedy_sample() {
    let desk = Desk::new();
    desk.does("sample --model fixtures/rqt-class --class 6 --temperature 0 --out greedy");
    let stack = desk.codes("greedy/000.png");
    for (row, col, depth) in [(0, 0, 0), (0, 0, 3), (3, 5, 2), (7, 7, 3)] {
        let place = format!("--row {row} --col {col} --depth {depth} --count 3");
        let result = desk.json(&format!("explain greedy/000.png {place}"));
        let best = suggestions(&result["explanation"]);
        assert_eq!(best.len(), 3);
        assert_eq!(best[0].0, u64::from(stack.at(row, col, depth).unwrap()), "{place}");
        assert_eq!(result["explanation"]["rank"], 0, "{place}");
    }
}

#[test]
fn the_condition_matters_and_later_codes_do_not() {
    let desk = Desk::new();
    desk.does("encode samples/red-cat.png --out red-cat.npy --model fixtures/rqt-class");
    desk.does("complete --model fixtures/rqt-class red-cat.npy --rows 2 --class 2 --out completed");
    let at = |input: &str, class: u32| {
        let place = format!("--row 1 --col 7 --depth 3 --class {class}");
        desk.json(&format!("explain --model fixtures/rqt-class {input} {place}"))["explanation"].clone()
    };
    // At the position itself, only the mark on the chosen code depends on the stack, and that code was kept.
    assert_eq!(at("red-cat.npy", 2), at("completed/000.png", 2));
    assert_ne!(at("red-cat.npy", 2), at("red-cat.npy", 3));
}

#[test]
fn the_chosen_code_is_marked_in_the_text_output() {
    let place = "--row 0 --col 0 --class 2 --count 64";
    let run = Desk::new().does(&format!("explain --model fixtures/rqt-class samples/red-cat.png {place}"));
    assert_eq!(run.stdout.lines().filter(|line| line.ends_with("  chosen")).count(), 1, "{run:?}");
    assert!(run.stdout.lines().last().unwrap().contains("entropy"), "{run:?}");
}
