//! The models' side of the channel to a user interface.

mod choices;
mod facts;
mod files;
mod inspect;
mod pace;
mod server;
#[cfg(not(target_family = "wasm"))]
mod threads;
mod worker;

#[cfg(not(target_family = "wasm"))]
use burn::tensor::Device;
#[cfg(not(target_family = "wasm"))]
use residua_protocol::Engine;

pub use server::Server;
#[cfg(not(target_family = "wasm"))]
use threads::Threads;

/// Starts the models' thread on `device`, and the threads for files. `wake` is called after each message.
#[cfg(not(target_family = "wasm"))]
pub fn start(device: Device, wake: impl Fn() + Send + Sync + 'static) -> Engine {
    let (threads, messages) = Threads::start(device, wake);
    Engine::new(Box::new(move |order, stop: &_| threads.take(order, stop)), messages)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use residua_core::codes::CodeStack;
    use residua_core::config::{Precision, StateKind};
    use residua_core::sampling::{Filter, Forced};
    use residua_core::task::Task;
    use residua_io::image_io::Picture;
    use residua_io::image_io::framing::Framing;
    use residua_metrics::psnr;
    use residua_protocol::condition::tokenizer;
    use residua_protocol::{
        Answer, Command, Condition, Content, Encoded, Event, JobId, Layers, Made, Opened, Options, Order,
        Output, Reading, SamplePlan, Seen, View, wire,
    };

    use super::*;
    use crate::models::Stage1;
    use crate::reconstruct::{Reconstruction, reconstruct};

    /// An autoregressive model, and a caption for it.
    const MODEL: &str = "characters-128-ar";
    const CAPTION: &str = "a red cat";

    fn engine() -> Engine {
        let mut engine = start(residua_kernels::device::cpu(), || ());
        let loaded = engine.send(Command::Load(options(MODEL)));
        assert!(matches!(outputs(&mut engine, loaded).unwrap()[..], [Output::Loaded(_)]));
        engine
    }

    fn options(model: &str) -> Options {
        Options { model: model.into(), rqvae: None, state: StateKind::Auto, precision: Precision::Stored }
    }

    /// All outputs of `job`, or why it failed.
    fn outputs(engine: &mut Engine, job: JobId) -> Result<Vec<Output>, String> {
        let mut outputs = Vec::new();
        while let Some(message) = engine.wait() {
            match message.event {
                _ if message.job != job => (),
                Event::Output(output) => outputs.push(output),
                Event::Done(_) => return Ok(outputs),
                Event::Failed(reason) => return Err(reason),
                Event::Cancelled => return Err("cancelled".into()),
                Event::Begun | Event::Progress(..) => (),
            }
        }
        Err("the worker exited".into())
    }

    fn sample() -> PathBuf {
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/samples/red-cat.png").into()
    }

    fn cat() -> Arc<Picture> {
        Arc::new(Picture::read(&sample()).unwrap())
    }

    /// What `residua reconstruct` makes of the cat.
    fn reconstructed() -> Reconstruction {
        let (device, mut task) = (residua_kernels::device::cpu(), Task::unwatched());
        let stage1 = Stage1::load(&options(MODEL), &device, &mut task).unwrap();
        pollster::block_on(reconstruct(&stage1.model, &cat(), &mut task)).unwrap()
    }

    fn encoded(engine: &mut Engine) -> Arc<Encoded> {
        let job = engine.send(Command::Encode(cat(), Framing::Middle));
        match &outputs(engine, job).unwrap()[..] {
            [Output::Encoded(encoded)] => encoded.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn shown(engine: &mut Engine, view: View) -> (Arc<Seen>, Arc<Layers>) {
        let job = engine.send(Command::Show(view));
        match &outputs(engine, job).unwrap()[..] {
            [Output::Seen(seen), Output::Layers(layers)] => (seen.clone(), layers.clone()),
            other => panic!("{other:?}"),
        }
    }

    fn plan(count: u32, preview: bool) -> SamplePlan {
        SamplePlan {
            condition: Condition::Prompt(CAPTION.into()),
            seed: 3,
            first: 0,
            count,
            filters: vec![Filter::NONE; 4],
            revise: None,
            forced: None,
            preview,
        }
    }

    fn sampled(engine: &mut Engine, plan: SamplePlan) -> (Vec<Vec<Arc<Picture>>>, Vec<Made>) {
        let (mut previews, mut made) = (Vec::new(), Vec::new());
        let job = engine.send(Command::Sample(plan));
        for output in outputs(engine, job).unwrap() {
            match output {
                Output::Preview(pictures) => previews.push(pictures),
                Output::Sampled(more) => made.extend(more),
                other => panic!("{other:?}"),
            }
        }
        (previews, made)
    }

    #[test]
    fn a_picture_is_decoded_depth_by_depth() {
        let mut engine = engine();
        let found = encoded(&mut engine);
        let view = View { original: Some(found.original.clone()), ..View::from(found.stack.clone()) };
        let (seen, layers) = shown(&mut engine, view.clone());
        assert_eq!(layers.add[3], seen.picture);
        let expected = reconstructed();
        let (of_all, _) = seen.quality.expect("view with an original");
        assert!((of_all - expected.psnr).abs() < 0.02, "{of_all} dB, expected {}", expected.psnr);
        assert_eq!(layers.rate_distortion.len(), 4);
        for (depth, (_, found)) in layers.rate_distortion.iter().enumerate() {
            let to_here = psnr(&expected.original, &expected.partials[depth]).unwrap();
            assert!((found - to_here).abs() < 0.02, "depth {depth}: {found} dB, expected {to_here}");
            let mean = layers.residual_norms.iter().skip(depth).step_by(4).sum::<f32>() / 64.0;
            let norm = expected.residual_norms[depth];
            assert!((mean - norm).abs() < 1e-3 * norm, "depth {depth}: {mean}, expected {norm}");
        }

        let limits = Arc::new(vec![2; 64]);
        let (limited, _) = shown(&mut engine, View { limits, ..view.clone() });
        assert_eq!(limited.picture.data().len(), layers.add[1].data().len());
        let apart = limited.picture.data().iter().zip(layers.add[1].data()).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-5);

        let (_, alone) = shown(&mut engine, View { original: None, ..view });
        assert!(
            alone.residual_norms.iter().skip(3).step_by(4).all(|&norm| norm < 1e-4),
            "expected no residual after the last depth"
        );
    }

    #[test]
    fn sampling_is_previewed_and_repeatable() {
        let mut engine = engine();
        let (previews, made) = sampled(&mut engine, plan(2, true));
        assert!((1..=7).contains(&previews.len()), "one after the first row, then at most one a row");
        assert!(previews.iter().all(|pictures| pictures.len() == 2));
        assert_eq!(made.len(), 2);
        let (none, again) = sampled(&mut engine, plan(2, false));
        assert!(none.is_empty());
        let stacks = |made: &[Made]| made.iter().map(|made| made.stack.clone()).collect::<Vec<_>>();
        assert_eq!(stacks(&made), stacks(&again));
        assert_eq!(made[1].recipe.sampling.as_ref().map(|sampling| sampling.image), Some(1));

        let keep = (0..256).map(|place| place < 128).collect();
        let forced = Some(Forced { stack: (*made[0].stack).clone(), keep });
        let (_, completed) = sampled(&mut engine, SamplePlan { seed: 4, forced, ..plan(1, false) });
        assert_eq!(completed[0].stack.codes()[..128], made[0].stack.codes()[..128]);
        assert_ne!(completed[0].stack, made[0].stack);
        assert_eq!(completed[0].recipe.made_by, "complete");
    }

    #[test]
    fn a_sampled_picture_is_not_decoded_again_to_show_it() {
        let mut engine = engine();
        let (_, made) = sampled(&mut engine, plan(1, false));
        let (view, picture) = (View::from(made[0].stack.clone()), &made[0].picture);
        let (seen, _) = shown(&mut engine, view.clone());
        assert!(Arc::ptr_eq(&seen.picture, picture));
        let (limited, _) = shown(&mut engine, View { limits: Arc::new(vec![2; 64]), ..view.clone() });
        assert_ne!(limited.picture, *picture, "other codes of the same stack");
        let loaded = engine.send(Command::Load(options(MODEL)));
        outputs(&mut engine, loaded).unwrap();
        let (decoded, _) = shown(&mut engine, view);
        assert!(!Arc::ptr_eq(&decoded.picture, picture), "the models that made it are gone");
        assert_eq!(decoded.picture, *picture);
    }

    #[test]
    fn layers_give_way_to_the_next_command() {
        let mut engine = engine();
        let view = View::from(encoded(&mut engine).stack.clone());
        // Keeps the models busy until the others are sent.
        engine.send(Command::Sample(plan(1, false)));
        let show = engine.send(Command::Show(view.clone()));
        engine.send(Command::Neighbours { depth: 0, code: 7, count: 6 });
        let found = outputs(&mut engine, show).unwrap();
        let [Output::Seen(seen), Output::Postponed] = &found[..] else { panic!("{found:?}") };
        let (again, layers) = shown(&mut engine, view);
        assert!(Arc::ptr_eq(&again.picture, &seen.picture), "it is not decoded again");
        assert_eq!(layers.stack, seen.stack);
    }

    #[test]
    fn codes_are_explained() {
        let mut engine = engine();
        let stack = encoded(&mut engine).stack.clone();
        let condition = Condition::Prompt(CAPTION.into());
        let job = engine.send(Command::Surprise { stack: stack.clone(), condition: condition.clone() });
        let [Output::Surprise(surprise)] = &outputs(&mut engine, job).unwrap()[..] else {
            panic!("one answer")
        };
        let job =
            engine.send(Command::Explain { stack: stack.clone(), condition, place: [2, 3, 1], count: 5 });
        let [Output::Explained { explanation, .. }] = &outputs(&mut engine, job).unwrap()[..] else {
            panic!("one answer")
        };
        let place = (2 * 8 + 3) * 4 + 1;
        assert!((surprise.entropy[place] - explanation.entropy).abs() < 1e-4);
        assert_eq!(surprise.chosen[place].code, stack.at(2, 3, 1).unwrap());
        assert!((surprise.chosen[place].probability - explanation.chosen.probability).abs() < 1e-5);
        assert_eq!(explanation.suggestions.len(), 5);
    }

    #[test]
    fn codes_have_neighbours_and_patches() {
        let mut engine = engine();
        let job = engine.send(Command::Neighbours { depth: 0, code: 7, count: 6 });
        let [Output::Neighbours(found)] = &outputs(&mut engine, job).unwrap()[..] else {
            panic!("one answer")
        };
        let codes: Vec<u32> = found.nearest.iter().map(|(code, _)| *code).collect();
        assert!(codes.len() == 6 && !codes.contains(&7));
        assert!(found.nearest.is_sorted_by(|a, b| a.1 <= b.1));
        let job = engine.send(Command::Patches { depth: 0, codes });
        let [Output::Patches(patches)] = &outputs(&mut engine, job).unwrap()[..] else {
            panic!("one answer")
        };
        assert_eq!(patches.patches.len(), 6);
        assert_eq!((patches.patches[0].1.width(), patches.patches[0].1.height()), (16, 16));
    }

    #[test]
    fn counting_a_folder_skips_unreadable_files() {
        let mut engine = engine();
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(sample(), folder.path().join("a.png")).unwrap();
        std::fs::write(folder.path().join("b.png"), b"not a picture").unwrap();
        let job = engine.send(Command::Usage(folder.path().into()));
        let [Output::Usage(usage)] = &outputs(&mut engine, job).unwrap()[..] else { panic!("one answer") };
        assert_eq!((usage.pictures, usage.unreadable), (1, 1));
        assert_eq!(usage.counts[0].iter().sum::<u32>(), 64);
    }

    #[test]
    fn jobs_can_be_stopped_and_superseded() {
        let mut engine = engine();
        let long = engine.send(Command::Sample(plan(1000, false)));
        engine.stop(long);
        assert_eq!(outputs(&mut engine, long).unwrap_err(), "cancelled");
        let stack = encoded(&mut engine).stack.clone();
        let first = engine.send(Command::Show(stack.clone().into()));
        let second = engine.send(Command::Show(stack.into()));
        let ends: Vec<(JobId, bool)> = std::iter::from_fn(|| engine.wait())
            .filter(|message| message.event.is_last())
            .map(|message| (message.job, matches!(message.event, Event::Done(_))))
            .take(2)
            .collect();
        assert_eq!(ends, [(first, false), (second, true)]);
        assert!(!engine.is_busy());
    }

    #[test]
    fn token_counts_match_the_tokenizer() {
        let mut engine = start(residua_kernels::device::cpu(), || ());
        let fixture = |name: &str| format!("{}/../../tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        let loaded = engine.send(Command::Load(Options {
            rqvae: Some(fixture("rqvae-shared")),
            ..options(&fixture("rqt-text"))
        }));
        let loaded = outputs(&mut engine, loaded).unwrap();
        let [Output::Loaded(loaded)] = &loaded[..] else { panic!("{loaded:?}") };
        let config = &loaded.stage2.as_ref().expect("a stage 2").config;
        let tokenizer = tokenizer(config).unwrap().expect("a caption tokenizer");
        for caption in ["", "a painting of a cathedral"] {
            let job = engine.send(Command::CountTokens(caption.into()));
            let found = outputs(&mut engine, job).unwrap();
            let [Output::Tokens(found)] = &found[..] else { panic!("{found:?}") };
            assert_eq!((found.caption.as_str(), found.tokens), (caption, tokenizer.ids(caption).len()));
            assert!(found.unknown.is_empty());
        }
    }

    /// A server behind the wire gives the same answers as a thread.
    #[test]
    fn orders_and_answers_survive_serialization() {
        let mut engine = self::engine();
        let job = engine.send(Command::Encode(cat(), Framing::Middle));
        let expected = format!("{:?}", outputs(&mut engine, job).unwrap());
        let (mut remote, orders, messages) = Engine::remote();
        let answer = move |message| {
            let bytes = wire::to_bytes(&Answer::Message(message)).unwrap();
            let Answer::Message(message) = wire::from_bytes(&bytes).unwrap() else { panic!("not a message") };
            messages.try_send(message).unwrap();
        };
        let (mut server, models, files) = Server::new(residua_kernels::device::cpu(), answer);
        remote.send(Command::Load(options(MODEL)));
        let job = remote.send(Command::Encode(cat(), Framing::Middle));
        let read = remote.send(Command::Read(Reading::File(sample())));
        while let Ok(order) = orders.try_recv() {
            let order: Order = wire::from_bytes(&wire::to_bytes(&order).unwrap()).unwrap();
            if let Order::Do(_, Command::Encode(picture, _)) = &order {
                assert_eq!(*picture, cat());
            }
            server.take(order);
        }
        // Dropping the server closes the queues, so the work ends.
        drop(server);
        pollster::block_on(models);
        assert_eq!(format!("{:?}", outputs(&mut remote, job).unwrap()), expected);
        pollster::block_on(files);
        let opened = outputs(&mut remote, read).unwrap();
        let [Output::Opened(Opened { content: Content::Picture(picture), .. })] = &opened[..] else {
            panic!("{opened:?}")
        };
        assert_eq!(*picture, cat());
    }

    #[test]
    fn impossible_commands_fail_with_a_reason() {
        let mut engine = start(residua_kernels::device::cpu(), || ());
        let job = engine.send(Command::Encode(cat(), Framing::Middle));
        assert!(outputs(&mut engine, job).unwrap_err().contains("no model is loaded"));
        let job = engine.send(Command::Load(options("no-such-model")));
        assert!(outputs(&mut engine, job).unwrap_err().contains("no-such-model"));
        let mut engine = self::engine();
        let small = CodeStack::new(1, 1, 1, vec![0]).unwrap();
        let job = engine.send(Command::Show(Arc::new(small).into()));
        assert!(outputs(&mut engine, job).unwrap_err().contains("expected codes of shape [8, 8, 4]"));
        let job = engine.send(Command::Neighbours { depth: 4, code: 0, count: 1 });
        assert!(outputs(&mut engine, job).unwrap_err().contains("depth from 0 to 3"));
    }
}
