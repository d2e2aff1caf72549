//! Simulates the engine's whole life: random graphs, children, signals and failures, in virtual
//! time. The seed of a life determines all of it.
//!
//! - `plan`, and `drill` for test runs: the configuration, and what the world will do.
//! - `generate`: makes a plan from a seed.
//! - `build`: the meaning of a plan for the engine, and, worked out independently, for the witness.
//! - `world`, `kernel`, `speak`, `background`, `tries`: everything that happens around trc. If a real kernel
//!   could do one thing or another, chance decides.
//! - `witness`: the rules that must hold, and the right exit status, from a record of its own.
//! - `life`: the engine between these two.
//! - `shrink`, `story`: shrink a life that breaks a rule, and describe it for people.
//! - `marks`: the situations that lives have come across, which show that the simulation still
//!   reaches all of them.
//! - `mutant`, and for tests only `mutants`: engines that are wrong on purpose, each of which must
//!   be found.
//! - `lives`: simulates very many lives.
//! - `suppose`: what trc would do with a real configuration if its units behaved in a certain way.
//!
//! Most of it belongs to the library, so that people can simulate, record and replay the same lives
//! as the tests. `trc` itself uses none of it.
//!
//! `TRC_SIM_LIVES` sets the number of lives, and `TRC_SIM_SEED` tells one of them.

mod background;
mod build;
mod drill;
mod generate;
mod kernel;
mod life;
#[cfg(test)]
mod lives;
mod marks;
mod ms;
mod mutant;
#[cfg(test)]
mod mutants;
mod plan;
mod random;
mod shrink;
mod speak;
mod story;
#[cfg(feature = "ctl")]
pub(crate) mod suppose;
mod tries;
mod witness;
mod world;

use std::cell::Cell;
use std::fmt::Write;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use life::Lived;
use marks::{Mark, Marks};
use mutant::Mutant;
use plan::Plan;
use witness::Broken;

thread_local! {
    /// Whether panics are silent: a panic in a life is reported as a broken rule.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Lives a plan. A panic breaks a rule like any other violation. Returns `None` if the graph is
/// refused.
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

/// Returns whether the life of this seed keeps every rule. A life whose graph is refused keeps them
/// all.
pub fn is_sound(seed: u64) -> bool {
    let lived = lived(&generate::plan(seed), &mutant::NONE, false);
    lived.is_none_or(|lived| lived.broken.is_none())
}

/// Describes the life of a seed in full.
pub fn tell(seed: u64) -> String {
    let plan = generate::plan(seed);
    let mut text = format!("the life of seed {seed}:\n\n{}", told(&plan));
    if let Some(broken) = lived(&plan, &mutant::NONE, false).and_then(|lived| lived.broken) {
        let small = shrink::shrink(&plan, broken, &mutant::NONE);
        text.push_str("\nthe smallest life that breaks the same rule:\n\n");
        text.push_str(&told(&small));
        text.push_str("\nto see it again:\n  TRC_SIM_SEED=");
        text.push_str(&seed.to_string());
        text.push_str(" cargo test --lib simulation::lives -- --nocapture\n");
    }
    text
}

/// Describes a plan, its life, and the rule that the life breaks, if there is one.
fn told(plan: &Plan) -> String {
    let mut text = story::plan(plan);
    match lived(plan, &mutant::NONE, true) {
        None => text.push_str("its graph is refused\n"),
        Some(lived) => {
            text.push('\n');
            text.push_str(&lived.story);
            let seen: Vec<_> = Mark::ALL.iter().filter(|mark| lived.marks.has(**mark)).collect();
            let _ = writeln!(text, "it has come across {seen:?}");
            if let Some(broken) = lived.broken {
                let _ = writeln!(text, "*** {}", story::broken(plan, broken));
            }
        }
    }
    text
}
