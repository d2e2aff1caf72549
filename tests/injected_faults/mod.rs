//! Lets one system call of trc fail, once: strace(1) injects the error. Whatever fails, trc exits
//! within a bounded time, does not panic, and leaves nothing behind. Either the run goes as it
//! would have gone anyway, or a message and the exit status say what went wrong.
//!
//! A case is named `SITUATION/CALL:ERRNO:N`: the Nth such call fails, counted from the beginning of
//! trc's `main`.
//!
//! CONTRIBUTING.md lists the environment variables that choose the cases.

#![allow(clippy::disallowed_methods)]

mod calls;
mod regressions;
mod situations;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common;
use crate::common::{Outcome, Running, TERM, has, number_from, root};
use regex::Regex;
use situations::{SITUATIONS, Situation};

/// A stop from outside takes at most 9 s, and the last lines are written within another 3 s. The
/// rest is for a busy machine.
const STOP: Duration = Duration::from_secs(16);
/// The time within which `::up` has to be printed.
const UP: Duration = Duration::from_secs(8);
/// The calls that fail, of many equal ones: each of the first ones, and then fewer and fewer.
const PLACES: [usize; 18] = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 70, 100, 150];
/// The exit statuses of a run that could not go as it should: a failure without a status of its
/// own, an internal error of trc, a configuration that cannot be read, a timeout, a command that
/// cannot be executed or does not exist, SIGKILL and SIGTERM.
const FAILURES: [i32; 8] = [1, 70, 78, 124, 126, 127, 137, 143];

/// One injection.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
struct Case {
    situation: usize,
    call: &'static str,
    errno: &'static str,
    place: usize,
}

impl Case {
    fn situation(&self) -> &'static Situation {
        &SITUATIONS[self.situation]
    }

    fn name(&self) -> String {
        format!("{}/{}:{}:{}", self.situation().name, self.call, self.errno, self.place)
    }
}

/// A run of a situation without a fault.
struct Plain {
    status: i32,
    said: Vec<String>,
    lines: BTreeSet<String>,
    /// How many times each call was made before trc's `main` began, and since then.
    counts: BTreeMap<String, [usize; 2]>,
}

/// The result of an injection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Came {
    /// There was no such call.
    NotMade,
    /// The run went as it does without the fault.
    NoDifference,
    /// trc reported it, with this exit status.
    Said(i32),
}

#[test]
fn whatever_call_fails_trc_ends_in_time_leaves_nothing_and_says_so() {
    if !has("strace") || !can_trace() {
        return;
    }
    let wanted = std::env::var("TRC_TEST_INJECTIONS").unwrap_or_else(|_| "30".to_owned());
    let seed = number_from("TRC_TEST_SEED", 1);
    let all = SITUATIONS.iter().enumerate().filter(|(_, situation)| usable(situation));
    let plain: BTreeMap<usize, Plain> =
        all.map(|(at, situation)| (at, without_fault(situation))).collect();
    let cases = chosen(matrix(&plain), &wanted, seed);
    assert!(!cases.is_empty(), "there is no case {wanted}");

    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let counts = Mutex::new(BTreeMap::<Came, usize>::new());
    std::thread::scope(|scope| {
        for _ in 0..number_from("TRC_TEST_JOBS", 2) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match catch_unwind(AssertUnwindSafe(|| {
                        judge_case(case, &plain[&case.situation])
                    })) {
                        Ok((came, _)) => {
                            println!("{}: {came:?}", case.name());
                            *counts.lock().unwrap().entry(came).or_default() += 1;
                        }
                        Err(why) => {
                            let text = why.downcast_ref::<String>().cloned();
                            let text = text
                                .or_else(|| why.downcast_ref::<&str>().map(ToString::to_string));
                            let why = text.unwrap_or_default();
                            println!("{}: FAILED", case.name());
                            failures.lock().unwrap().push((case.name(), why));
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    println!("{} injections: {:?}", cases.len(), counts.into_inner().unwrap());
    let mut text = String::new();
    for (name, why) in &failures {
        writeln!(
            text,
            "=== {name}: {why}\nthis one alone: TRC_TEST_INJECTIONS={name} cargo test --test suite injected_faults::"
        )
        .unwrap();
    }
    for (name, why) in &failures {
        writeln!(text, "{name}: {}", why.lines().next().unwrap_or("")).unwrap();
    }
    assert!(failures.is_empty(), "{text}{} of {} failed", failures.len(), cases.len());
}

/// Returns whether this user can run it.
fn usable(situation: &Situation) -> bool {
    root() || !situation.root
}

/// Returns whether this machine lets strace attach to a process of the same user that strace has
/// not started.
fn can_trace() -> bool {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let may = root() || matches!(scope.trim(), "" | "0");
    assert!(
        may || std::env::var_os("CI").is_none(),
        "strace must be able to attach where CI is set"
    );
    if !may {
        eprintln!("skipped: strace may not attach to processes here");
    }
    may
}

/// All cases.
fn matrix(plain: &BTreeMap<usize, Plain>) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut unknown = BTreeSet::new();
    for (&situation, plain) in plain {
        let children = SITUATIONS[situation].children;
        let known = if children { calls::CHILD_CALLS } else { calls::CALLS };
        if !children {
            let known_or_spared = |call: &str| {
                known.iter().any(|(name, _)| *name == call)
                    || calls::SPARED.iter().any(|(name, _)| *name == call)
            };
            let made = plain.counts.iter().filter(|(_, [_, since])| *since > 0);
            unknown.extend(made.map(|(call, _)| call).filter(|call| !known_or_spared(call)));
        }
        for (call, errnos) in known {
            let made = plain.counts.get(*call).map_or(0, |[_, since]| *since);
            let places = PLACES.into_iter().filter(|place| *place <= made);
            for place in places {
                for errno in *errnos {
                    cases.push(Case { situation, call, errno, place });
                }
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "trc calls {unknown:?}: what can they be answered? (tests/injected_faults/calls.rs)"
    );
    cases
}

/// Chooses some of them, or those whose names begin with a prefix. The choice depends only on the
/// seed, and is spread evenly over situations and calls, however many times each call is made.
fn chosen(mut cases: Vec<Case>, wanted: &str, seed: usize) -> Vec<Case> {
    if wanted == "all" {
        return cases;
    }
    let Ok(count) = wanted.parse() else {
        let begins = |case: &Case| wanted.split(',').any(|start| case.name().starts_with(start));
        cases.retain(begins);
        return cases;
    };
    let chance = |case: &Case| {
        let mut hasher = DefaultHasher::new();
        (seed, case.name()).hash(&mut hasher);
        hasher.finish()
    };
    cases.sort_by_cached_key(chance);
    // The turn of a case is its place among the cases of its situation and call.
    let mut turns = BTreeMap::<(usize, &str), usize>::new();
    let mut with_turn: Vec<(usize, Case)> = Vec::new();
    for case in cases {
        let turn = turns.entry((case.situation, case.call)).or_default();
        with_turn.push((*turn, case));
        *turn += 1;
    }
    with_turn.sort_by_key(|(turn, _)| *turn);
    with_turn.into_iter().map(|(_, case)| case).take(count).collect()
}

/// Runs trc in a situation. A gate holds it until strace has attached: before its first
/// instruction, or while its first unit waits.
fn begin(situation: &Situation, tracer: &[&str]) -> (Running, i32, Child) {
    let trc = (situation.make)().mode(situation.mode);
    let running = if situation.children {
        let running = trc.spawn();
        running.wait_for("::held");
        running
    } else {
        trc.before(r#"read gate < "$W/go""#).spawn()
    };
    let pid = running.pid();
    let comm = PathBuf::from(format!("/proc/{pid}/comm"));
    running.wait_until("trc is held", || {
        let shell = fs::read_to_string(&comm).is_ok_and(|comm| comm == "sh\n");
        (shell || situation.children) && common::state_of(pid) == Some('S')
    });
    let mut command = Command::new("strace");
    command.args(["-o", running.path("trace").to_str().unwrap(), "-p", &pid.to_string()]);
    command.args(tracer).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut tracer = command.spawn().unwrap();
    let mut said = String::new();
    let mut reader = BufReader::new(tracer.stderr.take().unwrap());
    while !said.contains("attached") {
        if reader.read_line(&mut said).unwrap() == 0 {
            running.fail(&format!("strace did not attach: {said}"));
        }
    }
    // The rest of its output must not fill the pipe.
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    running.open_gate("go");
    (running, pid, tracer)
}

/// From the start to the end.
fn live(situation: &Situation, tracer: &[&str], keep: &Path) -> Outcome {
    let (running, pid, mut tracer) = begin(situation, tracer);
    let trace = running.path("trace");
    let mut told = None;
    if situation.stopped {
        running.says("::up", UP);
        if !running.ended() {
            common::kill(pid, TERM);
        }
        told = Some(Instant::now());
    }
    // The directory is removed with the run.
    running.wait_for_end();
    let took = told.map(|told| told.elapsed());
    tracer.wait().unwrap();
    fs::copy(&trace, keep).unwrap();
    let outcome = running.finish();
    if let Some(took) = took.filter(|took| *took > STOP) {
        outcome.fail(&format!("it took {took:?} to stop"));
    }
    outcome
}

/// The processes that strace traces. These include children until they execute their commands,
/// which is the last call that may fail.
fn options(situation: &Situation, call: &str) -> &'static [&'static str] {
    match (situation.children, call) {
        (false, _) => &[],
        (true, "execve" | "") => &["-f"],
        (true, _) => &["-f", "-b", "execve"],
    }
}

fn without_fault(situation: &Situation) -> Plain {
    let keep = tempfile::NamedTempFile::new().unwrap();
    let outcome = live(situation, options(situation, ""), keep.path());
    let trace = fs::read_to_string(keep.path()).unwrap();
    let counts = if situation.children { counts_of_child(&trace) } else { counts(&trace) };
    if outcome.status == 78 {
        outcome.fail("the situation itself is wrong");
    }
    assert!(counts.len() > 5, "{}: {counts:?}\n{trace}", situation.name);
    let (status, said, lines) = (outcome.status, essential(&outcome), messages(&outcome));
    Plain { status, said, lines, counts }
}

/// Returns how many times each call was made before and after the beginning of trc's `main`, which
/// first checks its standard streams.
fn counts(trace: &str) -> BTreeMap<String, [usize; 2]> {
    let call = Regex::new(r"(?m)^(?:\d+ +)?(\w+)\(").unwrap();
    let executed = trace.find("execve(").expect("trc is executed");
    let main = executed + trace[executed..].find("fcntl(0, F_GETFD)").expect("trc's main begins");
    let mut counts = BTreeMap::<String, [usize; 2]>::new();
    for found in call.captures_iter(trace) {
        let since = usize::from(found.get(0).unwrap().start() >= main);
        counts.entry(found[1].to_owned()).or_default()[since] += 1;
    }
    counts
}

/// Returns how many times the first child makes each call before it executes its command.
fn counts_of_child(trace: &str) -> BTreeMap<String, [usize; 2]> {
    let call = Regex::new(r"(?m)^(\d+) +(\w+)\(.*$").unwrap();
    let own = call.captures(trace).expect("calls")[1].to_owned();
    let mut counts = BTreeMap::<String, [usize; 2]>::new();
    let mut child = None;
    for found in call.captures_iter(trace) {
        if found[1] == own || child.get_or_insert_with(|| found[1].to_owned()) != &found[1] {
            continue;
        }
        counts.entry(found[2].to_owned()).or_default()[1] += 1;
        if &found[2] == "execve" && found[0].ends_with("= 0") {
            break;
        }
    }
    counts
}

/// Runs one case.
fn judge_case(case: &Case, plain: &Plain) -> (Came, Outcome) {
    let situation = case.situation();
    let before = if situation.children { 0 } else { plain.counts[case.call][0] };
    let answer = calls::answer(case.call, case.errno);
    let inject = format!("inject={}:{answer}:when={}", case.call, before + case.place);
    let trace = format!("trace={}", case.call);
    let mut tracer = vec!["-e", &trace, "-e", &inject];
    tracer.extend(options(situation, case.call));
    let keep = tempfile::NamedTempFile::new().unwrap();
    let outcome = live(situation, &tracer, keep.path());
    let calls_made = fs::read_to_string(keep.path()).unwrap();
    if !calls_made.contains("(INJECTED)") {
        // The number of calls may depend on the time.
        return (Came::NotMade, outcome);
    }
    // EIO is how a pseudo-terminal, which units have there, says that nobody has its other side any
    // more: pty(7).
    let hung_up = situation.name == "output" && case.call == "read" && case.errno == "EIO";
    (judge(&outcome, plain, hung_up || case.errno == "EPIPE"), outcome)
}

/// If `unread`, one side of an output has left, so nobody misses the rest.
fn judge(outcome: &Outcome, plain: &Plain, unread: bool) -> Came {
    for text in ["panicked", "this is a bug in trc", "impossible event"] {
        if outcome.err().contains(text) || outcome.out().contains(text) {
            outcome.fail("it is a bug in trc");
        }
    }
    if outcome.killed.is_some() {
        outcome.fail("trc was killed");
    }
    let said = essential(outcome);
    let same = said == plain.said || unread && said.iter().all(|word| plain.said.contains(word));
    if same && outcome.status == plain.status {
        return Came::NoDifference;
    }
    let shown = format!(" instead of status {} and {:?}", plain.status, plain.said);
    if messages(outcome).is_subset(&plain.lines) {
        outcome.fail(&format!("nothing is said of it{shown}"));
    }
    if outcome.status != plain.status && !FAILURES.contains(&outcome.status) {
        outcome.fail(&format!("its status is wrong{shown}"));
    }
    Came::Said(outcome.status)
}

/// Returns the lines that have to be the same: the output of units, and the test points.
fn essential(outcome: &Outcome) -> Vec<String> {
    let text = format!("{}{}", outcome.out(), outcome.err());
    // The text must not be in the commands that log lines show.
    let spoken =
        Regex::new(r"(?m)^(?:.* (?:info|warn|err)?.*\]: )?(::[\w-]+|(?:not )?ok .*)$").unwrap();
    let mut said: Vec<String> =
        spoken.captures_iter(&text).map(|found| found[1].to_owned()).collect();
    said.sort();
    said
}

/// Returns trc's own messages, without the parts that differ from run to run.
fn messages(outcome: &Outcome) -> BTreeSet<String> {
    let numbers = Regex::new(r"\d+").unwrap();
    let all = format!("{}{}", outcome.out(), outcome.err());
    let lines = all.lines().filter(|line| line.contains("trc") && !line.contains("::"));
    lines.map(|line| numbers.replace_all(line, "N").into_owned()).collect()
}
