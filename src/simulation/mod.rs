//! The engine's whole life, simulated: random graphs, children, signals and failures, each
//! life determined by its seed, in virtual time.
//!
//! - `plan`, `generate`: what is written and what the world will do, from a seed; `drill`
//!   and `suite` for test runs.
//! - `build`: what that means, for the engine, and by other means for the witness; `awaited`
//!   has what tests wait for.
//! - `world`, `kernel`, `speak`, `tries`: what happens around trc. Where a real kernel might
//!   do either, luck decides.
//! - `witness`, with `ends`, `signalled`, `watched`, `restarted`, `policy` for events,
//!   `acts`, `stops` for actions and `rests` in between: what must hold, and the right exit
//!   status, from its own books. Of test runs: `turns` and `tested` for tests, `looks` and
//!   `found` for what is found beside them.
//! - `life`: the engine between these two.
//! - `shrink`, `story`: a life that breaks a rule, made small and told to people.
//! - `marks`: what lives have come across, so that none of this goes blind.
//! - `mutants`, `test_mutants`: wrong engines, all of which must be found out.
//!
//! `TRC_SIM_LIVES` sets how many lives there are, `TRC_SIM_SEED` tells one of them.

mod acts;
mod awaited;
mod build;
mod drill;
mod ends;
mod found;
mod generate;
mod kernel;
mod life;
mod looks;
mod marks;
mod mutants;
mod plan;
mod policy;
mod random;
mod restarted;
mod rests;
mod shrink;
mod signalled;
mod speak;
mod stops;
mod story;
mod suite;
mod test_mutants;
mod tested;
mod tries;
mod turns;
mod watched;
mod witness;
mod world;

use std::cell::Cell;
use std::fmt::Write;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use life::Lived;
use marks::{Mark, Marks};
use mutants::Mutant;
use plan::Plan;
use witness::Broken;

/// The first seed.
const SEEDS: u64 = 0;
/// How many lives a plain test run has.
const LIVES: u64 = 100_000;
/// So many seeds are taken at a time.
const CHUNK: u64 = 256;

thread_local! {
    /// A panic of a life is a finding, and told as one.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Lives a plan. A panic breaks a rule as anything else does.
fn lived(plan: &Plan, mutant: &Mutant, told: bool) -> Option<Lived> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    let quiet = QUIET.replace(!told);
    let lived = panic::catch_unwind(AssertUnwindSafe(|| life::live(plan, mutant, told)));
    QUIET.set(quiet);
    lived.unwrap_or_else(|_| {
        let broken = Broken { rule: "the engine does not panic", unit: None };
        Some(Lived { marks: Marks::default(), broken: Some(broken), story: String::new() })
    })
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Everything there is to say about the life of a seed.
fn tell(seed: u64) -> String {
    let plan = generate::plan(seed);
    let mut text = format!("the life of seed {seed}:\n\n{}", told(&plan));
    if let Some(broken) = lived(&plan, &mutants::NONE, false).and_then(|lived| lived.broken) {
        let small = shrink::shrink(&plan, broken, &mutants::NONE);
        text.push_str("\nthe smallest life that breaks the same rule:\n\n");
        text.push_str(&told(&small));
        text.push_str("\nto see it again:\n  TRC_SIM_SEED=");
        text.push_str(&seed.to_string());
        text.push_str(" cargo test --lib simulation::lives -- --nocapture\n");
    }
    text
}

/// A plan, what came of it, and what is wrong with that.
fn told(plan: &Plan) -> String {
    let mut text = story::plan(plan);
    match lived(plan, &mutants::NONE, true) {
        None => text.push_str("its graph is refused\n"),
        Some(lived) => {
            text.push('\n');
            text.push_str(&lived.story);
            if let Some(broken) = lived.broken {
                let _ = writeln!(text, "*** {}", story::broken(plan, broken));
            }
        }
    }
    text
}

/// What came of many lives.
#[derive(Default)]
struct Census {
    refused: u64,
    marks: Vec<u64>,
    /// The first seed whose life breaks a rule.
    broken: Option<u64>,
}

/// Lives all these lives, on all processors.
fn census(lives: u64) -> Census {
    let next = AtomicU64::new(SEEDS);
    let stop = AtomicBool::new(false);
    let work = || {
        let mut census = Census { marks: vec![0; Mark::ALL.len()], ..Census::default() };
        loop {
            let start = next.fetch_add(CHUNK, Ordering::Relaxed);
            let end = (start + CHUNK).min(SEEDS + lives);
            if start >= end || stop.load(Ordering::Relaxed) {
                return census;
            }
            for seed in start..end {
                let plan = generate::plan(seed);
                let Some(life) = lived(&plan, &mutants::NONE, false) else {
                    census.refused += 1;
                    continue;
                };
                for (count, mark) in census.marks.iter_mut().zip(Mark::ALL) {
                    *count += u64::from(life.marks.has(*mark));
                }
                if life.broken.is_some() {
                    stop.store(true, Ordering::Relaxed);
                    census.broken = Some(seed);
                    return census;
                }
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Census { marks: vec![0; Mark::ALL.len()], ..Census::default() };
        for worker in workers {
            let one = worker.join().expect("a worker survives what it finds");
            all.refused += one.refused;
            all.broken = all.broken.into_iter().chain(one.broken).min();
            for (sum, count) in all.marks.iter_mut().zip(one.marks) {
                *sum += count;
            }
        }
        all
    })
}

#[test]
fn lives_of_all_kinds_break_no_rule() {
    if let Some(seed) = number("TRC_SIM_SEED") {
        println!("{}", tell(seed));
        return;
    }
    let lives = number("TRC_SIM_LIVES").unwrap_or(LIVES);
    let census = census(lives);
    if let Some(seed) = census.broken {
        panic!("{}", tell(seed));
    }
    let seen = || Mark::ALL.iter().zip(&census.marks);
    for (mark, count) in seen() {
        println!("{count:>9} {mark:?}");
    }
    println!("{:>9} refused", census.refused);
    let blind: Vec<_> = seen().filter(|(_, count)| **count == 0).map(|(mark, _)| mark).collect();
    assert!(lives < LIVES || blind.is_empty(), "no life has come across {blind:?}");
    assert!(census.refused * 20 <= lives, "{} of {lives} graphs are refused", census.refused);
}
