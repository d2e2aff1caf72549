//! Random configurations and stories: trc does with real processes what `trcctl simulate` says.
//!
//! A story is used only if it leaves nothing to chance: whatever has causes of its own is at least
//! 150 ms apart, whichever delays trc chooses for restarts. `TRC_TEST_STORIES` sets the number of
//! stories, and `TRC_TEST_STORY` names the first one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use regex::Regex;
use serde_json::Value;

use crate::common::{TERM, Trc, alone, number_from};

/// The least time between two causes.
const APART: Duration = Duration::from_millis(150);

/// A process that behaves as its arguments say: the file that counts the processes of the unit, the
/// stop signal, what it does then, when and how it is ready, and when and how each process ends.
const LIFE: &str = r#"
use strict;
use Time::HiRes 'time';
$| = 1;
my $begun = time;
my ($count, $signal, $stop, $ready, @lives) = @ARGV;
my ($mode, $takes, $code) = split /:/, $stop;
my ($end, $how);
sub now() { (time - $begun) * 1000 }
sub nap_until($) { my $rest = $_[0] - now; select undef, undef, undef, $rest / 1000 if $rest > 0 }
sub finish() {
    nap_until $end;
    exit $how if $how =~ /^\d/;
    $SIG{$how} = 'DEFAULT';
    kill $how, $$;
    nap_until now + 1000;
}
$SIG{$signal} = 'IGNORE' if $mode eq 'ignores';
$SIG{$signal} = sub {
    my $last = now + $takes;
    finish if $end ne '-' && $end < $last;
    nap_until $last;
    exit $code;
} if $mode eq 'takes';
open my $file, '>>', $count or die;
print $file 'x';
close $file;
($end, $how) = split /:/, ($lives[(-s $count) - 1] // $lives[-1]);
my ($kind, $when, $path) = split /:/, $ready;
if ($kind ne 'never' && ($end eq '-' || $when <= $end)) {
    nap_until $when;
    print "up\n" if $kind eq 'log';
    open my $made, '>', $path if $kind eq 'file';
}
finish if $end ne '-';
nap_until now + 1000000 while 1;
"#;

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }
}

/// A configuration, with `DIR` for its directory, and a story.
struct Story {
    seed: u64,
    toml: String,
    arguments: Vec<String>,
    /// When trc gets SIGTERM.
    signals: Vec<Duration>,
    units: BTreeMap<String, Unit>,
}

/// When something happens to the processes of a unit.
#[derive(Default)]
struct Unit {
    /// When each of them exits by itself, and the later ones like the last.
    ends: Vec<Option<Duration>>,
    /// The time from its stop signal to its exit or to SIGKILL, if it does not die at once.
    reacts: Option<Duration>,
    /// The time limits of a process.
    limits: Vec<Duration>,
}

/// A process of a unit.
struct Process {
    /// The number of processes before it.
    number: usize,
    since: Duration,
    told: Option<Duration>,
}

impl Unit {
    /// Returns whether something that happens to a process at a moment comes long enough before or
    /// after its own exit, and so would whatever does not happen because of that.
    fn is_certain(&self, process: &Process, event: &str, at: Duration) -> bool {
        let after = self.ends.get(process.number).or(self.ends.last()).copied().flatten();
        let Some(end) = after.map(|after| process.since + after) else { return true };
        let apart = |other: Duration| end.abs_diff(other) >= APART;
        let limits = self.limits.iter().map(|limit| process.since + *limit);
        let reacts = process.told.zip(self.reacts).map(|(told, reacts)| told + reacts);
        let own = event == "exited" && end == at;
        (own || apart(at)) && limits.chain(reacts).all(apart)
    }
}

/// Returns a story, which may be impossible or leave something to chance.
fn story(seed: u64) -> Story {
    let random = &mut Random(seed);
    let mut toml = String::new();
    let mut arguments = Vec::new();
    let mut units = BTreeMap::new();
    _ = writeln!(toml, "wait = '{}'", random.pick(&["any", "any", "all", "err", "forever"]));
    if random.chance(15) {
        _ = writeln!(toml, "shutdown.timeout = '{}'", random.pick(&["1s", "2500ms"]));
    }
    if random.chance(15) {
        _ = writeln!(toml, "exit.stopped = 0");
    }
    let count = 2 + random.below(4);
    let stages: Vec<&str> = (0..count)
        .map(|_| random.pick(&["boot", "async", "async", "async", "async", "sync", "sync", "halt"]))
        .collect();
    // Who waits for whom, and who has to end because of it.
    let mut after = vec![Vec::new(); count];
    let mut ends = vec![false; count];
    for (at, after) in after.iter_mut().enumerate().skip(1) {
        if random.chance(45) {
            let other = random.below(at);
            let condition = random.pick(&[
                "",
                "",
                "",
                "started",
                "ready",
                "succeeded",
                "exited",
                "failed",
                "settled",
            ]);
            after.push((other, condition));
            ends[other] |= matches!(condition, "succeeded" | "exited");
        }
    }
    // Different units have different times.
    let mut times: Vec<u32> = (2..=12).map(|step| step * 200).collect();
    for at in 0..count {
        let (stage, name) = (stages[at], format!("u{at}"));
        let short = matches!(stage, "boot" | "halt");
        let oneshot = short || ends[at] || random.chance(15);
        _ = writeln!(toml, "\n[{stage}.{name}]");
        if oneshot && !short {
            _ = writeln!(toml, "oneshot = true");
        }
        let is_there = !random.chance(7);
        let signal = random.pick(&["TERM", "TERM", "TERM", "QUIT", "USR1"]);
        let timeout: u64 = random.pick(&[650, 850, 1050]);
        _ = writeln!(toml, "stop = {{ signal = '{signal}', timeout = '{timeout}ms' }}");
        if stage != "halt" && random.chance(30) {
            let when = if oneshot { "on-failure" } else { random.pick(&["on-failure", "always"]) };
            let max = random.below(3);
            _ = writeln!(
                toml,
                "restart = {{ when = '{when}', max = {max}, backoff = '400ms..400ms' }}"
            );
        }
        if random.chance(30) {
            _ = writeln!(toml, "on_failure = '{}'", random.pick(&["stop", "ignore"]));
        }
        if random.chance(10) {
            _ = writeln!(toml, "success = [0, 3]");
        }
        let mut unit = Unit::default();
        if random.chance(8) {
            _ = writeln!(toml, "max_runtime = '950ms'");
            unit.limits.push(Duration::from_millis(950));
        }
        if random.chance(10) {
            _ = writeln!(toml, "pre_start = 'true'");
        }
        if random.chance(10) {
            _ = writeln!(toml, "post_stop = 'true'");
        }
        let stop = match random.below(5) {
            0 => "ignores".to_owned(),
            1 => format!("takes:{}:0", random.pick(&[250, 450])),
            _ => "dies".to_owned(),
        };
        let mut ready = "never".to_owned();
        if !short && random.chance(40) {
            // Not when a process ends.
            let after = random.pick(&[150, 350, 550]);
            // The file of an earlier process would be there.
            let file = !toml[toml.rfind('[').unwrap()..].contains("restart") && random.chance(50);
            let never = random.chance(20);
            let probe =
                if file { format!("file = 'DIR/{name}.up'") } else { "log = '^up'".to_owned() };
            _ = writeln!(toml, "ready = {{ {probe}, every = '20ms', within = '1050ms' }}");
            if never {
                arguments.extend(["--never-ready".to_owned(), name.clone()]);
                unit.limits.push(Duration::from_millis(1050));
            } else {
                arguments.extend(["--ready".to_owned(), format!("{name}@{after}ms")]);
                let kind = if file { "file" } else { "log" };
                ready = format!("{kind}:{after}:DIR/{name}.up");
            }
        }
        let mut lives = Vec::new();
        if oneshot || random.chance(50) {
            for _ in 0..=random.below(2) {
                let end = if short {
                    random.pick(&[200, 400])
                } else {
                    times.remove(random.below(times.len()))
                };
                let how = match random.below(100) {
                    0..40 => "0",
                    40..60 => "1",
                    60..70 => "3",
                    70..85 => "KILL",
                    85.. if short => "0",
                    _ => "USR2",
                };
                lives.push(format!("{end}:{how}"));
                unit.ends.push(Some(Duration::from_millis(end.into())));
                arguments.extend(["--ends".to_owned(), format!("{name}:{how}@{end}ms")]);
            }
            if oneshot || random.chance(40) {
                arguments.last_mut().unwrap().push('+');
            } else {
                lives.push("-".to_owned());
                unit.ends.push(None);
            }
        } else {
            lives.push("-".to_owned());
        }
        match stop.split(':').collect::<Vec<_>>()[..] {
            ["ignores"] => {
                arguments.extend(["--ignores-stop".to_owned(), name.clone()]);
                unit.reacts = Some(Duration::from_millis(timeout));
            }
            ["takes", time, _] => {
                arguments.extend(["--stop-takes".to_owned(), format!("{name}:{time}ms")]);
                unit.reacts = Some(Duration::from_millis(time.parse().unwrap()));
            }
            _ => {}
        }
        if is_there {
            let words =
                ["perl", "DIR/life.pl", &format!("DIR/{name}.count"), signal, &stop, &ready];
            let words = words.into_iter().map(str::to_owned).chain(lives);
            let words: Vec<String> = words.map(|word| format!("'{word}'")).collect();
            _ = writeln!(toml, "exec = [{}]", words.join(", "));
        } else {
            _ = writeln!(toml, "exec = '/not/there'");
            arguments.extend(["--not-started".to_owned(), name.clone()]);
        }
        units.insert(format!("{stage}.{name}"), unit);
        for (other, condition) in &after[at] {
            let other = format!("{}.u{other}", stages[*other]);
            match *condition {
                "" => _ = writeln!(toml, "after = ['{other}']"),
                condition => _ = writeln!(toml, "after = {{ '{other}' = '{condition}' }}"),
            }
        }
    }
    let mut signals = vec![Duration::from_millis(1550 + 200 * random.below(7) as u64)];
    if random.chance(25) {
        signals.push(signals[0] + Duration::from_millis(300));
    }
    for at in &signals {
        arguments.extend(["--signal".to_owned(), format!("TERM@{}ms", at.as_millis())]);
    }
    Story { seed, toml, arguments, signals, units }
}

/// A line, without whatever is different each time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Line {
    unit: String,
    event: String,
    status: Option<u64>,
    message: String,
}

impl Line {
    /// Reads a line of trc's log, or of a simulation. Returns `None` if it is none that a simulation
    /// can have.
    fn of(value: &Value) -> Option<Self> {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let event = text("event");
        if matches!(event.as_str(), "output" | "waiting" | "configuration") {
            return None;
        }
        // Only a real run knows the last output, the result of the last probe, who has sent a signal,
        // the time to the millisecond, and the directory.
        let mut message = text("message");
        for (pattern, instead) in [
            (r"; (its last output|the last output of \S+): .*", ""),
            (r"within 1.05 s: .*", "within 1.05 s"),
            (r"was not ready in time: .*?(; before that| <- |$)", "was not ready in time$1"),
            (r"(stopped by SIG\w+ from) .*", "$1"),
            (r"\d+(\.\d+)? s\b", "N s"),
            (r"pid=\d+", "pid=N"),
            (r"trc-test-\w+", "DIR"),
        ] {
            message = Regex::new(pattern).unwrap().replace_all(&message, instead).into_owned();
        }
        Some(Self { unit: text("unit"), event, status: value["exitcode"].as_u64(), message })
    }
}

/// What `trcctl simulate` says: the lines with their times, and the status.
struct Said {
    lines: Vec<(Duration, Line)>,
    status: Option<u64>,
}

/// Simulates a story. Returns `None` if its configuration is wrong.
fn simulated(trc: &Trc, story: &Story, chance: u32) -> Option<Said> {
    let output = Command::new(env!("CARGO_BIN_EXE_trcctl"))
        .args(["simulate", "--format", "json", "--chance", &chance.to_string(), "-w"])
        .arg(trc.dir())
        .args(&story.arguments)
        .env_clear()
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => {}
        // Such as a condition that can never hold.
        Some(78) => return None,
        other => panic!("{other:?}\n{}\n{:?}\n{err}", story.toml, story.arguments),
    }
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines = value["lines"].as_array().unwrap().iter();
    let lines = lines.filter_map(|line| {
        Some((Duration::from_secs_f64(line["at"].as_f64().unwrap()), Line::of(line)?))
    });
    Some(Said { lines: lines.collect(), status: value["exitcode"].as_u64() })
}

/// Returns the lines of each moment, in which they may come in another order.
fn moments(lines: &[(Duration, Line)]) -> Vec<(Duration, Vec<&Line>)> {
    let mut moments: Vec<(Duration, Vec<&Line>)> = Vec::new();
    for (at, line) in lines {
        match moments.last_mut() {
            Some((moment, lines)) if moment == at => lines.push(line),
            _ => moments.push((*at, vec![line])),
        }
    }
    moments
}

/// Returns whether a real run cannot take another course because something is a moment late.
fn leaves_nothing_to_chance(story: &Story, said: &Said) -> bool {
    let moments = moments(&said.lines);
    if moments.windows(2).any(|two| two[1].0.abs_diff(two[0].0) < APART) {
        return false;
    }
    let mut processes: BTreeMap<&str, Process> = BTreeMap::new();
    let mut backoff = Vec::new();
    let signals = &story.signals;
    for (at, lines) in moments {
        let mut causes = signals.iter().filter(|signal| signal.abs_diff(at) < APART).count();
        if signals.iter().any(|signal| *signal != at && signal.abs_diff(at) < APART) {
            return false;
        }
        for line in lines {
            let (name, event) = (line.unit.as_str(), line.event.as_str());
            let Some(unit) = story.units.get(name) else { continue };
            if matches!(event, "pre-start" | "started") {
                causes += usize::from(backoff.contains(&name));
                backoff.retain(|other| *other != name);
            }
            match (event, processes.get_mut(name)) {
                ("started", before) => {
                    let number = before.map_or(0, |before| before.number + 1);
                    processes.insert(name, Process { number, since: at, told: None });
                }
                ("restarting", _) => backoff.push(name),
                ("ready", _) => causes += 1,
                (
                    "stopping-unit" | "exited" | "not-ready" | "overran" | "killing",
                    Some(process),
                ) => {
                    let told = process.told.is_some();
                    causes += usize::from(matches!(event, "exited") && !told);
                    causes += usize::from(matches!(event, "not-ready" | "overran"));
                    if event == "stopping-unit" {
                        // It needs a moment until it can react in its own way.
                        if unit.reacts.is_some() && at.abs_diff(process.since) < APART {
                            return false;
                        }
                        process.told = Some(at);
                    }
                    if !unit.is_certain(process, event, at) {
                        return false;
                    }
                }
                _ => {}
            }
        }
        if causes > 1 {
            return false;
        }
    }
    true
}

/// Returns the lines and the status of a real run.
fn real(story: &Story) -> (Vec<Line>, i32, String) {
    let running = configured(Trc::new(), story).pid1().spawn();
    running.wait_for("The wait policy");
    let begun = Instant::now();
    for at in &story.signals {
        if running.ends_within(at.saturating_sub(begun.elapsed())) {
            break;
        }
        running.signal_if_there(TERM);
    }
    let outcome = running.finish();
    let text = outcome.err();
    let values = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines = values.filter_map(|value| Line::of(&value)).collect();
    let status = outcome.status;
    (lines, status, text)
}

fn configured(trc: Trc, story: &Story) -> Trc {
    let toml = story.toml.replace("DIR", trc.dir().to_str().unwrap());
    let trc = trc.file("trc.toml", toml).file("life.pl", LIFE);
    trc.env("TRC_LOG__FORMAT", "json").env("TRC_LOG__TO", "stderr")
}

/// Returns the difference between a real run and what was said about it.
fn difference(said: &Said, lines: &[Line], status: i32) -> Option<String> {
    if said.status != u64::try_from(status).ok() {
        return Some(format!("it exits with {status}"));
    }
    let mut rest = lines;
    for (at, expected) in moments(&said.lines) {
        let (now, later) = rest.split_at(expected.len().min(rest.len()));
        rest = later;
        let mut units: Vec<&str> = expected.iter().map(|line| line.unit.as_str()).collect();
        units.extend(now.iter().map(|line| line.unit.as_str()));
        for unit in units {
            let theirs: Vec<&Line> = now.iter().filter(|line| line.unit == unit).collect();
            let ours: Vec<&Line> =
                expected.iter().copied().filter(|line| line.unit == unit).collect();
            if ours != theirs {
                return Some(format!("at {at:?}:\n  simulated {ours:#?}\n  real {theirs:#?}"));
            }
        }
    }
    rest.first().map(|line| format!("then comes {line:?}"))
}

/// Returns what is said about a story that leaves nothing to chance.
fn certain(story: &Story) -> Option<Said> {
    let trc = configured(Trc::new(), story);
    let first = simulated(&trc, story, 0).filter(|said| leaves_nothing_to_chance(story, said))?;
    let order = |said: &Said| said.lines.iter().map(|(_, line)| line.clone()).collect::<Vec<_>>();
    // Restarts may come sooner or later.
    let restarts = first.lines.iter().any(|(_, line)| line.event == "restarting");
    let same = !restarts
        || (1..4).all(|chance| {
            let other = simulated(&trc, story, chance).unwrap();
            leaves_nothing_to_chance(story, &other) && order(&other) == order(&first)
        });
    (same && first.status.is_some()).then_some(first)
}

/// Runs a story, and panics if the run differs from what was said.
fn compare(story: &Story, said: &Said) {
    let mut last = String::new();
    // On a busy machine, something may come too late.
    for _ in 0..5 {
        let (lines, status, text) = real(story);
        let Some(difference) = difference(said, &lines, status) else { return };
        last = format!("{difference}\n{text}");
    }
    let Story { seed, toml, arguments, .. } = story;
    panic!("=== story {seed}\n{toml}\n{arguments:?}\nsimulated: {:?}\n{last}", said.status);
}

/// Compares the first stories from a seed on, several at a time: most of a run is waiting.
fn compare_all(from: u64, count: usize) {
    let _alone = alone();
    let (next, done) = (AtomicU64::new(from), AtomicUsize::new(0));
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while done.load(Ordering::Relaxed) < count {
                    let story = story(next.fetch_add(1, Ordering::Relaxed));
                    let Some(said) = certain(&story) else { continue };
                    if done.fetch_add(1, Ordering::Relaxed) >= count {
                        break;
                    }
                    if let Err(why) = catch_unwind(AssertUnwindSafe(|| compare(&story, &said))) {
                        let why = why.downcast_ref::<String>().cloned();
                        failures.lock().unwrap().push(why.unwrap_or_default());
                    }
                }
            });
        }
    });
    println!("{count} of {} stories leave nothing to chance", next.into_inner() - from);
    let failures = failures.into_inner().unwrap();
    let many = failures.len();
    assert!(many == 0, "{many} of {count} runs differ\n{}", failures.join("\n"));
}

#[test]
fn trc_does_with_real_processes_what_was_simulated() {
    let from = number_from("TRC_TEST_STORY", 0) as u64;
    compare_all(from, number_from("TRC_TEST_STORIES", 12));
}

#[test]
#[ignore = "takes minutes"]
fn trc_does_with_200_stories_what_was_simulated() {
    compare_all(1_000_000, 200);
}
