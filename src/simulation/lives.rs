//! Simulates very many lives, none of which may break a rule.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::marks::Mark;
use super::{generate, lived, mutant, tell};

/// The first seed.
pub(super) const SEEDS: u64 = 0;
/// The number of lives of a plain test run.
const LIVES: u64 = 100_000;
/// The number of seeds that a thread takes at a time.
const CHUNK: u64 = 256;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// The result of many lives.
#[derive(Default)]
struct Census {
    refused: u64,
    marks: Vec<u64>,
    /// The first seed whose life breaks a rule.
    broken: Option<u64>,
}

/// Simulates these lives on all processors.
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
                let Some(life) = lived(&plan, &mutant::NONE, false) else {
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
            let one = worker.join().expect("a worker survives its findings");
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
fn of_all_kinds_break_no_rule() {
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
