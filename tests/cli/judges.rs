//! CLIP and classifiers match PyTorch for the same images, captions and weights.

use burn::tensor::{Device, Tensor};
use residua_core::config::StateKind;
use residua_core::task::Task;
use residua_engine::judge::{Judge, load_clip};
use residua_io::image_io::Picture;
use residua_judges::clip::{Clip, clip_score};
use residua_judges::resnet::ResNet;
use residua_kernels::device::{DeviceChoice, cpu, open};
use residua_kernels::values;
use residua_weights::WeightFile;
use serde_json::Value;

use super::desk::{Desk, given};
use super::made_up::{MadeUp, golden, numbers};

const TOLERANCE: f32 = 1e-4;

/// The images that a golden file refers to.
fn pictures(golden: &Value) -> Vec<Picture> {
    let paths: Vec<String> = serde_json::from_value(golden["pictures"].clone()).unwrap();
    paths.iter().map(|path| Picture::read(&given(short(path))).unwrap()).collect()
}

/// A fixture path relative to the folders that tests use.
fn short(path: &str) -> &str {
    path.strip_prefix("tests/").or(path.strip_prefix("assets/")).unwrap()
}

fn load(desk: &Desk, weights: &MadeUp, device: &Device) -> residua_core::Result<Clip> {
    let path = desk.path("clip.safetensors");
    weights.write(&path);
    let file = WeightFile::open(&path, StateKind::Auto)?;
    load_clip(&file, device, &mut Task::unwatched())
}

/// Differences are relative to the largest magnitude.
fn assert_close(found: Tensor<2>, expected: &Value, what: &str) {
    let (found, expected) = (values(found), numbers(expected));
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f32, |most, value| most.max(value.abs()));
    let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest;
    println!("{what}: {worst:.1e}");
    assert!(worst < TOLERANCE, "{what}: {worst}");
}

fn embeds_as_pytorch_does(clip: &Clip, golden: &Value) {
    let captions: Vec<String> = serde_json::from_value(golden["captions"].clone()).unwrap();
    let captions = Tensor::cat(captions.iter().map(|caption| clip.caption(caption)).collect(), 0);
    let pictures = clip.pictures(&pictures(golden)).unwrap();
    assert_close(pictures.clone(), &golden["picture_embeddings"], "pictures");
    assert_close(captions.clone(), &golden["caption_embeddings"], "captions");
    let rows = captions.split(1, 0).into_iter().map(|caption| clip_score(pictures.clone(), caption));
    assert_close(Tensor::cat(rows.collect(), 1), &golden["scores"], "scores");
}

#[test]
fn clip_embeds_as_pytorch_does_on_either_device() {
    let golden = golden("clip.json");
    for device in [cpu(), open(DeviceChoice::Gpu).unwrap()] {
        embeds_as_pytorch_does(&load(&Desk::new(), &MadeUp::of(&golden), &device).unwrap(), &golden);
    }
}

/// OpenCLIP models, such as LAION's, have the same shapes. Only the configuration next to them differs, in
/// either of two formats.
#[test]
fn clip_with_other_heads_and_activations_embeds_as_pytorch_does() {
    let golden = golden("clip-openclip.json");
    let weights = MadeUp::of(&golden);
    let encoder = r#"{"hidden_act": "gelu", "num_attention_heads": 4}"#;
    let configurations = [
        ("config.json", format!(r#"{{"text_config": {encoder}, "vision_config": {encoder}}}"#)),
        (
            "open_clip_config.json",
            r#"{"model_cfg": {"vision_cfg": {"head_width": 16}, "text_cfg": {"heads": 4}}}"#.into(),
        ),
    ];
    for (name, configuration) in configurations {
        let desk = Desk::new();
        desk.write(name, configuration);
        embeds_as_pytorch_does(&load(&desk, &weights, &cpu()).unwrap(), &golden);
    }
    for (configuration, expected) in [
        (r#"{"model_type": "siglip"}"#.to_string(), "expected a CLIP configuration"),
        (
            format!(r#"{{"text_config": {encoder}, "vision_config": {{"hidden_act": "silu"}}}}"#),
            "hidden_act: expected quick_gelu or gelu for both encoders, found [\"silu\", \"gelu\"]",
        ),
        (
            r#"{"model_cfg": {"vision_cfg": {"head_width": 16}, "text_cfg": {"heads": 5}}}"#.into(),
            "], found [4, 5]",
        ),
    ] {
        let desk = Desk::new();
        desk.write("config.json", configuration);
        let error = load(&desk, &weights, &cpu()).err().expect("the weights should be rejected").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_folder_is_scored_by_its_captions() {
    let (desk, golden) = (Desk::new(), golden("clip.json"));
    MadeUp::of(&golden).write(&desk.path("clip.safetensors"));
    let names: Vec<String> = serde_json::from_value(golden["pictures"].clone()).unwrap();
    let captions: Vec<String> = serde_json::from_value(golden["captions"].clone()).unwrap();
    let mut lines = String::new();
    // The third caption is empty, which means no caption in a table.
    for (number, (name, caption)) in names.iter().zip(&captions).take(2).enumerate() {
        desk.copy(short(name), &format!("seen/{number}.png"));
        lines += &format!("{number}.png\t{caption}\n");
    }
    let line = "eval clip --data seen --clip clip.safetensors";
    desk.refuses(line, 1, "0.png: expected a caption in captions.tsv");
    desk.write("seen/captions.tsv", lines);
    let found = desk.json(line);
    let expected = numbers(&golden["scores"]);
    let own: Vec<f32> = (0..2).map(|at| expected[4 * at]).collect();
    for (at, picture) in found["pictures"].as_array().unwrap().iter().enumerate() {
        assert_eq!(picture["caption"], captions[at].as_str());
        assert!((picture["score"].as_f64().unwrap() as f32 - own[at]).abs() < TOLERANCE, "{picture}");
    }
    let mean = own.iter().sum::<f32>() / 2.0;
    assert!((found["clip_score"].as_f64().unwrap() as f32 - mean).abs() < TOLERANCE, "{found}");
}

/// Hugging Face has separate queries, keys and values, and transposed projections.
#[test]
fn clip_is_read_with_hugging_faces_names_too() {
    const WORDS: [(&str, &str); 16] = [
        ("visual.transformer.resblocks.", "vision_model.encoder.layers."),
        ("transformer.resblocks.", "text_model.encoder.layers."),
        ("visual.conv1.", "vision_model.embeddings.patch_embedding."),
        ("visual.class_embedding", "vision_model.embeddings.class_embedding"),
        ("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
        ("visual.ln_pre", "vision_model.pre_layrnorm"),
        ("visual.ln_post", "vision_model.post_layernorm"),
        ("visual.proj", "visual_projection.weight"),
        ("token_embedding.", "text_model.embeddings.token_embedding."),
        ("ln_final", "text_model.final_layer_norm"),
        ("text_projection", "text_projection.weight"),
        ("attn.out_proj", "self_attn.out_proj"),
        ("ln_1", "layer_norm1"),
        ("ln_2", "layer_norm2"),
        ("mlp.c_fc", "mlp.fc1"),
        ("mlp.c_proj", "mlp.fc2"),
    ];
    let golden = golden("clip.json");
    let mut renamed = MadeUp(Default::default());
    for (name, (shape, values)) in MadeUp::of(&golden).0 {
        let new = match name.as_str() {
            "positional_embedding" => "text_model.embeddings.position_embedding.weight".into(),
            name => WORDS.iter().fold(name.to_string(), |name, (ours, theirs)| {
                if name.contains(theirs) { name } else { name.replacen(ours, theirs, 1) }
            }),
        };
        if let Some((block, kind)) = new.split_once("attn.in_proj_") {
            let part: Vec<usize> = [&[shape[0] / 3], &shape[1..]].concat();
            for (letter, rows) in ["q", "k", "v"].iter().zip(values.chunks(values.len() / 3)) {
                let name = format!("{block}self_attn.{letter}_proj.{kind}");
                renamed.0.insert(name, (part.clone(), rows.to_vec()));
            }
        } else if new.ends_with("projection.weight") {
            let columns = (0..shape[1]).flat_map(|at| values.iter().skip(at).step_by(shape[1]));
            renamed.0.insert(new, (vec![shape[1], shape[0]], columns.copied().collect()));
        } else {
            renamed.0.insert(new, (shape, values));
        }
    }
    let desk = Desk::new();
    embeds_as_pytorch_does(&load(&desk, &renamed, &cpu()).unwrap(), &golden);

    // These names do not say who trained the model, but its configuration does.
    desk.copy("samples/red-cat.png", "seen/0.png");
    desk.write("seen/captions.tsv", "0.png\ta red cat\n");
    let score = || desk.does("eval clip --data seen --clip clip.safetensors");
    score().warns("assuming OpenAI, with QuickGELU");
    let encoder = r#"{"num_attention_heads": 1}"#;
    desk.write("config.json", format!(r#"{{"text_config": {encoder}, "vision_config": {encoder}}}"#));
    assert!(!score().stderr.contains("assuming"));
}

#[test]
fn weights_that_are_not_clip_are_rejected() {
    type Harm = fn(&mut MadeUp);
    let cases: [(Harm, &str); 6] = [
        (
            |made| drop(made.0.remove("visual.class_embedding")),
            "expected CLIP with a vision transformer (ViT)",
        ),
        (
            |made| drop(made.0.remove("transformer.resblocks.1.mlp.c_fc.bias")),
            "does not fit CLIP; missing: transformer.resblocks.1.mlp.c_fc.bias",
        ),
        (
            |made| drop(made.0.remove("visual.proj")),
            "expected a tensor visual.proj with 2 dimensions, found none",
        ),
        (
            |made| drop(made.0.insert("positional_embedding".into(), (vec![7, 70], vec![0.0; 490]))),
            "expected numbers of heads that divide the widths [64, 70], found [1, 0]",
        ),
        (
            |made| drop(made.0.insert("token_embedding.weight".into(), (vec![9, 64], vec![0.0; 576]))),
            "tokens in its vocabulary: expected 49408, found 9",
        ),
        (
            |made| drop(made.0.insert("visual.conv1.weight".into(), (vec![64, 3, 2, 1], vec![0.0; 384]))),
            "square patches: columns: expected 2, found 1",
        ),
    ];
    let golden = golden("clip.json");
    for (harm, message) in cases {
        let mut made = MadeUp::of(&golden);
        harm(&mut made);
        let error = load(&Desk::new(), &made, &cpu()).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn classifier_logits_match_torchvision_on_either_device() {
    let golden = golden("resnet.json");
    let pictures = pictures(&golden);
    for kind in ["basic", "bottleneck", "grouped"] {
        let desk = Desk::new();
        let path = desk.path("resnet.safetensors");
        MadeUp::of(&golden[kind]).write(&path);
        let file = WeightFile::open(&path, StateKind::Auto).unwrap();
        // A software rasterizer is slow.
        let devices =
            if kind == "basic" { vec![cpu(), open(DeviceChoice::Gpu).unwrap()] } else { vec![cpu()] };
        for device in devices {
            let classifier = ResNet::load(&file, &device, || Ok(())).unwrap();
            assert_close(classifier.logits(&pictures).unwrap(), &golden[kind]["logits"], kind);
        }
    }
}

#[test]
fn a_classifier_scores_the_probability_of_the_class() {
    let (desk, golden) = (Desk::new(), golden("resnet.json"));
    let path = desk.path("resnet.safetensors");
    MadeUp::of(&golden["basic"]).write(&path);
    let task = &mut Task::unwatched();
    let judge = Judge::of_class(&path, 4, 10, &cpu(), task).unwrap();
    let scores = pollster::block_on(judge.scores(&pictures(&golden))).unwrap();
    let logits = numbers(&golden["basic"]["logits"]);
    for (score, logits) in scores.iter().zip(logits.chunks(10)) {
        let total: f32 = logits.iter().map(|logit| logit.exp()).sum();
        assert!((score - logits[4].exp() / total).abs() < TOLERANCE, "{score}");
    }
    let error = Judge::of_class(&path, 4, 1000, &cpu(), task).err().unwrap().to_string();
    assert!(
        error.contains("expected a classifier of the transformer's 1000 classes, found one of 10"),
        "{error}"
    );
}

#[test]
fn weights_that_are_not_a_classifier_are_rejected() {
    type Harm = fn(&mut MadeUp);
    let cases: [(Harm, &str); 4] = [
        (
            |made| drop(made.0.remove("layer1.1.bn2.running_var")),
            "does not fit a torchvision ResNet; missing: layer1.1.bn2.running_var",
        ),
        (
            |made| drop(made.0.remove("conv1.weight")),
            "expected a tensor conv1.weight with 4 dimensions, found none",
        ),
        (
            |made| {
                let odd = (vec![8, 5, 3, 3], vec![0.0; 360]);
                drop(made.0.insert("layer1.1.conv1.weight".into(), odd));
            },
            "layer1.1.conv1.weight of [8, 5, 3, 3] does not take 8 channels",
        ),
        (|made| drop(made.0.remove("layer2.0.downsample.0.weight")), "layer2.0 adds 16 channels to 8"),
    ];
    let golden = golden("resnet.json");
    for (harm, message) in cases {
        let desk = Desk::new();
        let path = desk.path("resnet.safetensors");
        let mut made = MadeUp::of(&golden["basic"]);
        harm(&mut made);
        made.write(&path);
        let file = WeightFile::open(&path, StateKind::Auto).unwrap();
        let error = ResNet::load(&file, &cpu(), || Ok(())).err().unwrap().to_string();
        assert!(error.contains(message), "{error}");
    }
}
