//! How many whole lives the engine lives a second, its world and its witness included:
//! `cargo bench --bench simulation`.

#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use trc::bench::{is_sound, tell};

/// How many lives one round has; each round has the same.
const LIVES: u64 = 1000;

fn lives(c: &mut Criterion) {
    let mut group = c.benchmark_group("simulated lives");
    group.throughput(Throughput::Elements(LIVES));
    group.bench_function("from their seeds to their ends", |b| {
        b.iter(|| {
            for seed in 0..LIVES {
                assert!(is_sound(black_box(seed)), "{}", tell(seed));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, lives);
criterion_main!(benches);
