//! When the run ends, and with which exit status: every wait policy with every stage, form and
//! ending, and the rules for several units.
//!
//! The expected statuses are written out, not computed.

use crate::common;
use crate::common::{INT, NEVER, TERM, Trc, UNTIL_TRAP, USR1, table};

const POLICIES: [&str; 4] = ["any", "all", "err", "forever"];

/// The way in which a unit exits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    Exit0,
    Exit3,
    /// Killed by a signal.
    Killed,
    CannotExecute,
    NotFound,
    /// It does not exit until it is stopped.
    Never,
}

use Ending::{CannotExecute, Exit0, Exit3, Killed, Never, NotFound};

const ENDINGS: [Ending; 6] = [Exit0, Exit3, Killed, CannotExecute, NotFound, Never];

/// The form of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// `-B`, `-D`, `-F`, `-H`.
    Flag,
    /// A drop-in script.
    Script,
    /// `script` in trc.toml.
    DeclaredScript,
    /// `exec` in trc.toml.
    DeclaredExec,
    /// The trailing command, without any other unit.
    Trailing,
}

use Form::{DeclaredExec, DeclaredScript, Flag, Script, Trailing};

/// Returns the script for an ending.
fn text(ending: Ending) -> &'static str {
    match ending {
        Exit0 => "exit 0",
        Exit3 => "exit 3",
        Killed => "kill -KILL $BASHPID",
        CannotExecute => "$W/plain",
        NotFound => "no-such-command",
        Never => NEVER,
    }
}

/// Returns the words of a command without a shell for an ending.
fn words(ending: Ending) -> &'static [&'static str] {
    match ending {
        Exit0 => &["true"],
        Exit3 => &["sh", "-c", "exit 3"],
        Killed => &["sh", "-c", "kill -KILL $$"],
        CannotExecute => &["./plain"],
        NotFound => &["/no/such/command"],
        Never => &["sh", "-c", "echo ready; exec cat $W/never"],
    }
}

/// A single unit of a stage, and no others.
fn one(stage: &str, form: Form, ending: Ending) -> Trc {
    let trc = Trc::new().file("plain", "this is no program\n");
    match form {
        Flag => {
            let flag = match stage {
                "boot" => "-B",
                "async" => "-D",
                "sync" => "-F",
                _ => "-H",
            };
            trc.args(&[flag, text(ending)])
        }
        Script => trc.file(format!("trc.d/{stage}.x"), text(ending)),
        DeclaredScript => {
            trc.file("trc.toml", format!("[{stage}.x]\nscript = '''{}'''\n", text(ending)))
        }
        DeclaredExec => {
            // In a template `$$` is a dollar sign.
            let words: Vec<String> =
                words(ending).iter().map(|word| word.replace("$$", "$$$$")).collect();
            trc.file("trc.toml", format!("[{stage}.x]\nexec = {words:?}\n"))
        }
        Trailing => trc.args(words(ending)),
    }
}

struct Cell {
    policy: &'static str,
    stage: &'static str,
    form: Form,
    ending: Ending,
    /// A stop signal that arrives while the unit runs or, if it exits by itself, once it has
    /// exited.
    signal: Option<i32>,
    expected: i32,
}

impl Cell {
    fn name(&self) -> String {
        let Self { policy, stage, form, ending, signal, expected } = self;
        format!("{policy}, {stage} unit as {form:?}, {ending:?}, signal {signal:?} → {expected}")
    }

    fn run(&self) {
        let trc = one(self.stage, self.form, self.ending);
        let trc = trc.env("TRC_WAIT", self.policy);
        let Some(signal) = self.signal else {
            trc.run().status(self.expected);
            return;
        };
        if self.ending == Never {
            trc.signalled("ready", signal).status(self.expected);
        } else {
            // This is under `forever`, and the log says when the unit has exited.
            let running = trc.env("TRC_LOG_LEVEL", "info").spawn();
            match self.stage {
                "boot" => wait_until_boot_is_over(&running),
                // The command could not be executed, for which the log has its own line.
                _ if self.ending == CannotExecute => running.wait_for("plain"),
                _ if self.ending == NotFound => running.wait_for("such"),
                _ => running.wait_for("(exitcode="),
            };
            running.signal(signal);
            running.finish().status(self.expected);
        }
    }
}

/// A boot unit that succeeds logs nothing.
fn wait_until_boot_is_over(running: &common::Running) -> &common::Running {
    running.wait_for("Launching in the boot");
    let pid = running.pid();
    running.wait_until("the boot unit is gone", || common::children_of(pid).is_empty())
}

/// A row of the table: a form, and the result of each ending. Five numbers: exit 0,
/// exit 3, killed, can't be executed, not found.
type Row = (&'static str, &'static str, Form, [i32; 5]);

fn cells(rows: &[Row]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &(policy, stage, form, expected) in rows {
        for (ending, expected) in ENDINGS.into_iter().zip(expected) {
            cells.push(Cell { policy, stage, form, ending, signal: None, expected });
        }
    }
    cells
}

fn run(cells: &[Cell]) {
    table(cells, Cell::name, Cell::run);
}

/// A boot unit that fails ends the run with its exit status. After one that succeeds, there is
/// nothing to wait for.
#[test]
fn a_lone_boot_unit_under_every_policy() {
    let mut rows: Vec<Row> = Vec::new();
    for policy in ["any", "all", "err"] {
        for form in [Flag, Script, DeclaredScript, DeclaredExec] {
            rows.push((policy, "boot", form, [0, 3, 137, 126, 127]));
        }
    }
    let mut cells = cells(&rows);
    for form in [Flag, Script, DeclaredScript, DeclaredExec] {
        for (ending, expected) in [(Exit3, 3), (Killed, 137), (CannotExecute, 126), (NotFound, 127)]
        {
            let policy = "forever";
            cells.push(Cell { policy, stage: "boot", form, ending, signal: None, expected });
        }
        let signal = Some(USR1);
        let (policy, stage, ending) = ("forever", "boot", Exit0);
        cells.push(Cell { policy, stage, form, ending, signal, expected: 138 });
    }
    run(&cells);
}

#[test]
fn a_lone_background_unit_under_every_policy() {
    let services = [143, 143, 143, 143, 143];
    let own = [0, 3, 137, 126, 127];
    run(&cells(&[
        // As in TrivialRC, the exit of a service is a failure, whatever its exit status is.
        ("any", "async", Flag, services),
        ("any", "async", Script, services),
        ("any", "async", DeclaredScript, [143, 3, 137, 126, 127]),
        ("any", "async", DeclaredExec, [143, 3, 137, 126, 127]),
        ("all", "async", Flag, own),
        ("all", "async", Script, own),
        ("all", "async", DeclaredScript, own),
        ("all", "async", DeclaredExec, own),
        ("err", "async", Flag, own),
        ("err", "async", Script, own),
        ("err", "async", DeclaredScript, own),
        ("err", "async", DeclaredExec, own),
    ]));
}

#[test]
fn a_lone_foreground_unit_under_every_policy() {
    let own = [0, 3, 137, 126, 127];
    let mut rows: Vec<Row> = Vec::new();
    for policy in ["any", "all", "err"] {
        for form in [Flag, Script, DeclaredScript, DeclaredExec] {
            rows.push((policy, "sync", form, own));
        }
    }
    run(&cells(&rows));
}

/// Transparent mode: trc exits with the command's exit status, whatever the policy is.
#[test]
fn a_trailing_command_alone_under_every_policy() {
    let rows: Vec<Row> =
        POLICIES.map(|policy| (policy, "sync", Trailing, [0, 3, 137, 126, 127])).to_vec();
    run(&cells(&rows));
}

#[test]
fn a_lone_halt_unit_under_every_policy() {
    let own = [0, 3, 137, 126, 127];
    let mut rows: Vec<Row> = Vec::new();
    for policy in ["any", "all", "err"] {
        for form in [Flag, Script, DeclaredScript, DeclaredExec] {
            rows.push((policy, "halt", form, own));
        }
    }
    run(&cells(&rows));
}

/// The first cause counts: nothing that a unit does on its stop signal changes it.
#[test]
fn a_stop_signal_while_a_unit_runs_is_the_status() {
    let mut cells = Vec::new();
    for policy in POLICIES {
        for (stage, forms) in [
            ("boot", &[Flag, Script, DeclaredScript, DeclaredExec][..]),
            ("async", &[Flag, Script, DeclaredScript, DeclaredExec]),
            ("sync", &[Flag, Script, DeclaredScript, DeclaredExec]),
        ] {
            for &form in forms {
                for (signal, expected) in [(USR1, 138), (TERM, 143)] {
                    let signal = Some(signal);
                    cells.push(Cell { policy, stage, form, ending: Never, signal, expected });
                }
            }
        }
        // As with tini, the signal is passed on, and the command dies of it.
        let (stage, form, ending) = ("sync", Trailing, Never);
        cells.push(Cell { policy, stage, form, ending, signal: Some(TERM), expected: 143 });
    }
    run(&cells);
}

/// Only `forever` still keeps the run going then.
#[test]
fn a_stop_signal_after_the_last_unit_has_ended_is_the_status() {
    let mut cells = Vec::new();
    for stage in ["async", "sync"] {
        for form in [Flag, Script, DeclaredScript, DeclaredExec] {
            for ending in [Exit0, Exit3, Killed, CannotExecute, NotFound] {
                let (policy, signal) = ("forever", Some(INT));
                cells.push(Cell { policy, stage, form, ending, signal, expected: 130 });
            }
        }
    }
    run(&cells);
}

/// With a halt unit in turn after the signal.
#[test]
fn under_forever_a_halt_script_has_the_last_word_and_a_declared_one_has_not() {
    let mut rows = Vec::new();
    for form in [Flag, Script] {
        let own = [(Exit0, 0), (Exit3, 3), (Killed, 137), (CannotExecute, 126), (NotFound, 127)];
        rows.extend(own.map(|(ending, expected)| (form, ending, expected)));
    }
    for form in [DeclaredScript, DeclaredExec] {
        rows.extend(ENDINGS[..5].iter().map(|&ending| (form, ending, 143)));
    }
    table(
        &rows,
        |row| format!("halt unit as {:?}, {:?} → {}", row.0, row.1, row.2),
        |&(form, ending, expected)| {
            one("halt", form, ending)
                .env("TRC_WAIT", "forever")
                .args(&["-F", "echo started"])
                .signalled("started", TERM)
                .status(expected);
        },
    );
}

/// A halt unit that does not exit is cut short when the time is up.
#[test]
fn a_halt_that_is_cut_short_leaves_a_failure_and_turns_success_into_the_signal() {
    let mut rows = Vec::new();
    for form in [Flag, Script, DeclaredScript, DeclaredExec] {
        for (before, expected) in [("exit 0", 138), ("exit 5", 5)] {
            rows.push((form, before, expected));
        }
    }
    table(
        &rows,
        |row| format!("halt unit as {:?} after `{}` → {}", row.0, row.1, row.2),
        |&(form, before, expected)| {
            let running = one("halt", form, Never)
                .args(&["--config", "shutdown.timeout='3s'", "-F", before, "-H", "echo last"])
                .spawn();
            running.wait_for("ready").signal(USR1);
            let outcome = running.finish();
            outcome.status(expected).stdout_lacks("last");
            outcome.stderr_has("no time is left for the halt units: killing halt.");
            outcome.stderr_has(", not running halt.");
        },
    );
}

/// The run has ended with a failure. A signal during the halt units is not its cause.
#[test]
fn a_stop_signal_during_the_halts_does_not_replace_a_failure() {
    let rows = [
        ("any", "async", DeclaredExec, 3),
        ("any", "async", Flag, 143),
        ("any", "sync", Flag, 3),
        ("all", "async", Flag, 3),
        ("all", "sync", DeclaredExec, 3),
        ("err", "async", Script, 3),
        ("err", "sync", Script, 3),
    ];
    table(
        &rows,
        |row| format!("{row:?}"),
        |&(policy, stage, form, expected)| {
            let running = one(stage, form, Exit3)
                .file("trc.d/halt.gate.toml", r#"script = "echo halting; read x <$W/go""#)
                .env("TRC_WAIT", policy)
                .spawn();
            running.wait_for("halting").signal(USR1).open_gate("go");
            running.finish().status(expected);
        },
    );
}

// ---- several units together ---------------------------------------------------

/// A run of several units that ends by itself.
struct Several {
    name: &'static str,
    policy: &'static str,
    toml: &'static str,
    args: &'static [&'static str],
    expected: i32,
    /// All of standard output, at level warn.
    says: Option<&'static str>,
}

/// Returns a run of this name without units, under the policy `any`.
fn several(name: &'static str) -> Several {
    Several { name, policy: "any", toml: "", args: &[], expected: 0, says: None }
}

impl Several {
    fn policy(self, policy: &'static str) -> Self {
        Self { policy, ..self }
    }

    fn toml(self, toml: &'static str) -> Self {
        Self { toml, ..self }
    }

    fn args(self, args: &'static [&'static str]) -> Self {
        Self { args, ..self }
    }

    fn says(self, text: &'static str) -> Self {
        Self { says: Some(text), ..self }
    }

    fn status(self, expected: i32) -> Self {
        Self { expected, ..self }
    }
}

const NEVER_D: &str = r#"exec 9<>"$W/never"; read x <&9"#;

fn run_each(rows: &[Several]) {
    table(
        rows,
        |row| row.name.to_owned(),
        |row| {
            let trc = Trc::new().env("TRC_WAIT", row.policy).env("TRC_LOG_LEVEL", "warn");
            let trc = if row.toml.is_empty() { trc } else { trc.file("trc.toml", row.toml) };
            let outcome = trc.args(row.args).run();
            outcome.status(row.expected);
            if let Some(says) = row.says {
                outcome.stdout_is(says);
            }
        },
    );
}

#[test]
fn any_ends_with_the_foreground_or_else_with_the_first_service() {
    run_each(&[
        several("the foreground ends while a service runs")
            .args(&["-D", NEVER_D, "-F", "exit 0"])
            .status(0),
        several("the foreground fails while a service runs")
            .args(&["-D", NEVER_D, "-F", "exit 5"])
            .status(5),
        several("a service that failed earlier is the status of a good foreground")
            .toml(
                "[async.bad]\nexec = ['sh', '-c', 'exit 3']\n\
                 [sync.main]\nafter = { bad = 'failed' }\nexec = 'true'\n",
            )
            .status(3),
        several("a flag's service that failed earlier is the status of a good foreground")
            .toml("[sync.main]\nafter = { D1 = 'failed' }\nexec = 'true'\n")
            .args(&["-D", "exit 33"])
            .status(33),
        several("a service that ended well earlier changes nothing")
            .toml(
                "[async.good]\nexec = 'true'\n\
                 [sync.main]\nafter = { good = 'exited' }\nexec = 'true'\n",
            )
            .status(0),
        several("the foreground's own failure goes before a service's")
            .toml(
                "[async.bad]\nexec = ['sh', '-c', 'exit 3']\n\
                 [sync.main]\nafter = { bad = 'failed' }\nexec = ['sh', '-c', 'exit 5']\n",
            )
            .status(5),
        several("the first of two foreground units ends it, as in TrivialRC")
            .args(&["-F", "echo 11; exit 11", "-F", "echo 22; exit 22"])
            .says("11\n")
            .status(11),
        several("as in TrivialRC, with a service that fails")
            .args(&["-D", "exit 33", "-F", "echo 11; exit 11", "-F", "echo 22; exit 22"])
            .says("11\n")
            .status(11),
        several("the first service to end ends it")
            .args(&["-D", "echo 11; exit 11", "-D", NEVER_D])
            .says("11\n")
            .status(143),
        several("the first declared service to fail ends it with its status")
            .toml(
                "[async.bad]\nexec = ['sh', '-c', 'exit 3']\n\
                 [async.never]\nexec = 'cat ${W}/never'\n",
            )
            .status(3),
    ]);
}

#[test]
fn all_waits_for_every_unit_and_the_last_declared_failure_is_the_status() {
    run_each(&[
        several("a background failure goes before a foreground one")
            .policy("all")
            .args(&["-D", "exit 2", "-D", "exit 0", "-F", "exit 0", "-F", "exit 4"])
            .status(2),
        several("the last-declared background failure, not the last in time")
            .policy("all")
            .toml(
                "[async.a]\nafter = { b = 'failed' }\nexec = ['sh', '-c', 'exit 3']\n\
                 [async.b]\nexec = ['sh', '-c', 'exit 4']\n",
            )
            .status(4),
        several("the last-declared foreground failure")
            .policy("all")
            .args(&["-F", "echo 1; exit 5", "-F", "echo 2; exit 6", "-F", "echo 3"])
            .says("1\n2\n3\n")
            .status(6),
        several("nothing failed")
            .policy("all")
            .args(&["-D", "echo background", "-F", "true"])
            .says("background\n")
            .status(0),
        several("a killed service counts")
            .policy("all")
            .args(&["-D", "kill -KILL $BASHPID", "-F", "exit 0"])
            .status(137),
        several("all by TrivialRC's name")
            .policy("wait_all")
            .args(&["-D", "exit 2", "-D", "exit 3", "-F", "exit 4"])
            .status(3),
    ]);
}

#[test]
fn err_ends_with_the_first_failure_or_with_the_last_unit() {
    run_each(&[
        several("a service fails while the foreground runs")
            .policy("err")
            .args(&["-D", "exit 3", "-F", NEVER_D])
            .status(3),
        several("the foreground fails while services run")
            .policy("err")
            .args(&["-D", NEVER_D, "-F", "exit 0", "-F", "exit 4", "-F", "echo not reached"])
            .says("")
            .status(4),
        several("nothing fails")
            .policy("err")
            .args(&["-D", "exit 0", "-F", "exit 0", "-F", "echo last"])
            .says("last\n")
            .status(0),
        several("a declared service fails beside one that doesn't end")
            .policy("err")
            .toml(
                "[async.never]\nexec = 'cat ${W}/never'\n\
                 [async.bad]\nexec = ['sh', '-c', 'exit 7']\n",
            )
            .status(7),
        several("a one-shot fails")
            .policy("err")
            .toml(
                "[async.never]\nexec = 'cat ${W}/never'\n\
                 [async.bad]\nexec = ['sh', '-c', 'exit 7']\noneshot = true\n",
            )
            .status(7),
    ]);
}

#[test]
fn with_nothing_to_wait_for_trc_ends_at_once() {
    let mut rows = Vec::new();
    for policy in ["any", "all", "err"] {
        rows.push(several("no units at all").policy(policy).says("").status(0));
        rows.push(
            several("boot and halt units only")
                .policy(policy)
                .toml("[boot.b]\nscript = 'echo boot'\n[halt.h]\nscript = 'echo halt'\n")
                .says("boot\nhalt\n")
                .status(0),
        );
        rows.push(
            several("one-shots that succeed")
                .policy(policy)
                .toml(
                    "[async.a]\nexec = 'true'\noneshot = true\n\
                     [sync.b]\nexec = 'true'\noneshot = true\n",
                )
                .status(0),
        );
        rows.push(
            several("every unit disabled")
                .policy(policy)
                .toml("[async.a]\nexec = 'false'\nenabled = false\n")
                .status(0),
        );
    }
    run_each(&rows);
}

#[test]
fn forever_goes_on_when_everything_has_ended() {
    let running = Trc::with(&["-D", "exit 3", "-F", "exit 4"])
        .env("TRC_WAIT", "forever")
        .env("TRC_LOG_LEVEL", "info")
        .spawn();
    running.wait_for_times("(exitcode=", 2).signal(TERM);
    running.finish().status(143);
}

#[test]
fn forever_waits_with_no_units_at_all() {
    Trc::new()
        .env("TRC_WAIT", "forever")
        .env("TRC_LOG_LEVEL", "info")
        .signalled("The wait policy: wait_forever", INT)
        .status(130);
}

#[test]
fn a_one_shots_success_stops_nothing() {
    for policy in ["any", "err"] {
        let running = Trc::toml(
            "[async.job]\nexec = 'true'\noneshot = true\n\
             [async.service]\nafter = ['job']\nscript = 'echo ready; read x <$W/never'\n",
        )
        .env("TRC_WAIT", policy)
        .spawn();
        running.wait_for("ready").signal(USR1);
        // If the one-shot had ended the run, the exit status would be 143.
        running.finish().status(138);
    }
}

#[test]
fn a_unit_that_another_waits_for_to_succeed_is_a_one_shot() {
    let running = Trc::toml(
        "[async.job]\nexec = 'true'\n\
         [async.service]\nafter = { job = 'succeeded' }\n\
         script = 'echo ready; read x <$W/never'\n",
    )
    .spawn();
    running.wait_for("ready").signal(USR1);
    running.finish().status(138);
}

#[test]
fn a_one_shot_that_fails_stops_the_run_under_any() {
    Trc::toml(
        "[async.job]\nexec = ['sh', '-c', 'exit 3']\noneshot = true\n\
         [async.service]\nexec = 'cat ${W}/never'\n",
    )
    .run()
    .status(3);
}

#[test]
fn success_decides_what_failure_is() {
    run_each(&[
        several("exit 0 of a unit whose success is 1")
            .toml("[sync.x]\nexec = 'true'\nsuccess = [1]\n")
            .status(1),
        several("exit 1 of a unit whose success is 1")
            .toml("[sync.x]\nexec = 'false'\nsuccess = [1]\n")
            .status(0),
        several("143 counted as success")
            .policy("all")
            .toml("[async.x]\nexec = ['sh', '-c', 'kill -TERM $$$$']\nsuccess = [0, 143]\n")
            .status(0),
        several("another failure")
            .policy("all")
            .toml("[async.x]\nexec = ['sh', '-c', 'exit 4']\nsuccess = [0, 3]\n")
            .status(4),
        several("a service that succeeds ends nonetheless")
            .toml("[async.x]\nexec = ['sh', '-c', 'exit 3']\nsuccess = [3]\n")
            .status(143),
        several("success of a boot unit")
            .toml("[boot.x]\nexec = ['sh', '-c', 'exit 3']\nsuccess = [3]\n")
            .args(&["-F", "echo reached"])
            .says("reached\n")
            .status(0),
    ]);
}

#[test]
fn on_failure_stops_the_run_or_ignores_the_failure() {
    run_each(&[
        several("stop under forever")
            .policy("forever")
            .toml(
                "[async.x]\nexec = ['sh', '-c', 'exit 3']\non_failure = 'stop'\n\
                 [async.never]\nexec = 'cat ${W}/never'\n",
            )
            .status(3),
        several("stop under all")
            .policy("all")
            .toml(
                "[async.x]\nexec = ['sh', '-c', 'exit 3']\non_failure = 'stop'\n\
                 [async.never]\nexec = 'cat ${W}/never'\n",
            )
            .status(3),
        several("ignore under all")
            .policy("all")
            .toml("[async.x]\nexec = ['sh', '-c', 'exit 3']\non_failure = 'ignore'\n")
            .status(0),
        several("ignore under err, beside a later failure")
            .policy("err")
            .toml(
                "[async.x]\nexec = ['sh', '-c', 'exit 3']\non_failure = 'ignore'\n\
                 [async.y]\nafter = { x = 'failed' }\nexec = ['sh', '-c', 'exit 4']\n",
            )
            .status(4),
    ]);
}

#[test]
fn exit_maps_what_comes_out_of_all_this() {
    run_each(&[
        several("a status")
            .toml("[exit]\n3 = 0\n[sync.x]\nexec = ['sh', '-c', 'exit 3']\n")
            .status(0),
        several("success").toml("[exit]\n0 = 9\n[sync.x]\nexec = 'true'\n").status(9),
        several("after the halts")
            .toml("[exit]\n5 = 6\n[sync.x]\nexec = 'true'\n")
            .args(&["-H", "exit 5"])
            .status(6),
        several("once only")
            .toml("[exit]\n3 = 4\n4 = 5\n[sync.x]\nexec = ['sh', '-c', 'exit 3']\n")
            .status(4),
    ]);
    Trc::toml(&format!("[exit]\n138 = 0\n[sync.x]\nscript = '''{NEVER}'''\n"))
        .signalled("ready", USR1)
        .status(0);
}

/// A number cannot distinguish a stop from a service that died, but a reason can.
#[test]
fn exit_stopped_is_for_a_stop_from_outside_that_everything_has_obeyed() {
    let obeys = "trap 'exit 0' TERM";
    let fails = "trap 'exit 3' TERM";
    let rows = [
        ("it obeys", obeys, TERM, 0),
        ("it dies of the signal", ":", TERM, 0),
        ("by a key", obeys, INT, 0),
        ("it fails when it is told", fails, TERM, 143),
        ("another signal", obeys, USR1, 138),
        ("it has to be killed", "trap '' TERM", TERM, 143),
    ];
    table(
        &rows,
        |row| row.0.to_owned(),
        |(_, does, signal, status)| {
            let toml = format!(
                "exit.stopped = 0\n[async.web]\noutput = 'inherit'\nstop.timeout = '300ms'\n\
                 script = '''{does}; {UNTIL_TRAP}'''\n"
            );
            Trc::toml(&toml).signalled("ready", *signal).status(*status);
        },
    );
    let died = "[exit]\nstopped = 0\n[async.web]\nexec = 'true'\n";
    let last =
        "async.web exited with 0, but it is a service, which should not exit; write oneshot = true";
    Trc::toml(died).run().status(143).stderr_has(last);
}

/// postgres exits with 0 when it is asked to stop.
#[test]
fn exit_unit_gives_that_units_own_status_on_a_stop() {
    let rows = [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)];
    table(
        &rows,
        |row| row.0.to_owned(),
        |(end, status)| {
            let toml = format!(
                "exit.unit.db = 'own'\n[async.web]\nexec = 'cat ${{W}}/never'\n\
                 [async.db]\noutput = 'inherit'\nscript = '''trap '{end}' TERM; {UNTIL_TRAP}'''\n"
            );
            Trc::toml(&toml).signalled("ready", TERM).status(*status);
        },
    );
}

#[test]
fn a_units_own_status_may_be_asked_for_by_a_variable_and_for_units_of_the_command_line() {
    for (variable, words) in [
        ("TRC_EXIT__UNIT__CMD", vec!["bash", "-c"]),
        ("TRC_EXIT__UNIT__D1", vec!["-D"]),
        ("TRC_EXIT__STOPPED", vec!["-D"]),
    ] {
        let value = if variable.ends_with("STOPPED") { "0" } else { "own" };
        let script = format!("trap 'exit 0' TERM; {UNTIL_TRAP}");
        Trc::with(&words).arg(script).env(variable, value).signalled("ready", TERM).status(0);
    }
}

#[test]
fn halt_scripts_see_the_status_and_the_last_ones_own_is_trcs() {
    run_each(&[
        several("_exit_status")
            .args(&["-H", "echo status $_exit_status; exit 9", "-F", "exit 5"])
            .says("status 5\n")
            .status(9),
        several("a failure turned into success").args(&["-H", "exit 0", "-F", "exit 5"]).status(0),
        several("the last of two")
            .args(&["-H", "exit 8", "-H", "exit 7", "-F", "exit 5"])
            .status(7),
        several("every halt runs, failed ones or not")
            .args(&["-H", "echo one; exit 8", "-H", "echo two", "-F", "exit 5"])
            .says("one\ntwo\n")
            .status(0),
        several("a service's end")
            .args(&["-H", "echo $_exit_status; exit $_exit_status", "-D", "exit 5"])
            .says("143\n")
            .status(143),
        several("each sees the run's own, not the one's before it")
            .args(&["-H", "true", "-H", "exit 9", "-H", "exit ${_exit_status}", "exit", "5"])
            .status(5),
        several("also after a declared one")
            .toml("[halt.h]\nexec = ['sh', '-c', 'echo $TRC_EXIT_STATUS; exit 6']\n")
            .args(&["-H", "echo $_exit_status; exit ${_exit_status}", "-F", "exit 5"])
            .says("5\n5\n")
            .status(5),
        several("a success that a declared one has spoilt")
            .toml(
                "[halt.g]\nexec = ['sh', '-c', 'exit 6']\n\
                 [halt.h]\nexec = ['sh', '-c', 'echo $TRC_EXIT_STATUS']\n",
            )
            .args(&["-F", "exit 0"])
            .says("0\n")
            .status(6),
    ]);
}

#[test]
fn declared_halt_units_change_a_success_only() {
    run_each(&[
        several("its success leaves a failure")
            .toml("[halt.h]\nexec = 'true'\n")
            .args(&["-F", "exit 5"])
            .status(5),
        several("its failure leaves a failure")
            .toml("[halt.h]\nexec = ['sh', '-c', 'exit 6']\n")
            .args(&["-F", "exit 5"])
            .status(5),
        several("its failure turns a success into its own")
            .toml("[halt.h]\nexec = ['sh', '-c', 'exit 6']\n")
            .args(&["-F", "exit 0"])
            .status(6),
        several("the first failure stays")
            .toml(
                "[halt.g]\nexec = ['sh', '-c', 'exit 6']\n\
                 [halt.h]\nexec = ['sh', '-c', 'exit 7']\n",
            )
            .args(&["-F", "exit 0"])
            .status(6),
        several("what it sees")
            .toml("[halt.h]\nexec = ['sh', '-c', 'echo $TRC_UNIT $TRC_STAGE $TRC_EXIT_STATUS']\n")
            .args(&["-F", "exit 5"])
            .says("halt.h halt 5\n")
            .status(5),
    ]);
}

#[test]
fn halt_units_see_the_reason_of_the_end() {
    let toml = "[async.web]\nexec = ['sh', '-c', 'exit 3']\n\
                [halt.h]\nexec = ['sh', '-c', 'echo reason: $TRC_EXIT_REASON']\n";
    let outcome = Trc::toml(toml).env("TRC_LOG_LEVEL", "warn").run();
    outcome.status(3).stdout_lines_exactly(&["reason: .*web.*3.*"]);
}

#[test]
fn why_it_ended_is_one_line_when_the_status_is_not_0() {
    let outcome = Trc::with(&["-D", NEVER_D, "-F", "exit 5"]).run();
    outcome.status(5).stdout_is("");
    let err = outcome.err();
    if err.lines().count() != 1 || !err.contains("F1") && !err.contains("exit 5") {
        outcome.fail("standard error should be one line that says why");
    }
    Trc::with(&["-D", NEVER_D, "-F", "exit 0"]).run().status(0).stderr_is("");
}

#[test]
fn the_reason_is_in_the_termination_message_of_the_pods_own_path() {
    let unit = "[sync.a]\nscript = 'echo last words; exit 7'\noutput = 'prefix'\n";
    let run = |value: &str, message: Option<&str>| {
        let trc = Trc::toml(&format!("log.termination = {value}\n{unit}"));
        let trc = message.into_iter().fold(trc, |trc, text| trc.file("message", text));
        let path = trc.path("message");
        // The directory goes with the outcome.
        let running = trc.spawn();
        running.wait_for_end();
        let text = std::fs::read_to_string(path).ok();
        (running.finish(), text)
    };
    let (outcome, text) =
        run("'${W}/message'", Some("an earlier and much longer message, of which nothing is left"));
    outcome.status(7).stderr_lacks("cannot write");
    assert_eq!(text.as_deref(), Some("sync.a failed with status 7; its last output: last words"));
    let (outcome, text) = run("'${W}/message'", None);
    outcome.status(7).stderr_lacks("cannot write");
    assert_eq!(text, None, "Kubernetes creates it");
    let (outcome, text) = run("false", Some("as it was"));
    outcome.status(7).stderr_lacks("cannot write");
    assert_eq!(text.as_deref(), Some("as it was"));
    let (outcome, _) = run("'${W}'", None);
    outcome.status(7).stderr_has(": Is a directory; set").stderr_has("set [log] termination to");
    let (outcome, _) = run("'message'", None);
    outcome.status(78).stderr_has("trc.toml:1:19").stderr_has("the path must begin with `/`");
}

#[test]
fn a_boot_failure_starts_nothing_else_and_runs_no_halts() {
    for args in [
        ["-B", "exit 22"],
        ["-B", "false; echo not reached"],
        ["-B", "kill -KILL $BASHPID"],
        ["-B", "no-such-command"],
    ] {
        let expected = match args[1] {
            "exit 22" => 22,
            "no-such-command" => 127,
            text if text.starts_with("kill") => 137,
            _ => 1,
        };
        Trc::with(&args)
            .args(&["-B", "echo boot", "-D", "echo async", "-F", "echo sync", "-H", "echo halt"])
            .run()
            .status(expected)
            .stdout_is("");
    }
}

#[test]
fn halt_units_that_run_always_do_so_although_boot_failed() {
    let halts = "[halt.a]\nscript = 'echo not reached'\n\
                 [halt.b]\nalways = true\nscript = 'echo b $_exit_status; exit 0'\n\
                 [halt.c]\nalways = true\nexec = ['sh', '-c', 'echo c $TRC_EXIT_REASON; exit 3']\n";
    let boot = "[boot.x]\nscript = 'exit 22'\n";
    let outcome = Trc::toml(&format!("log.level = 'error'\n{boot}{halts}")).run();
    outcome.status(22).stdout_is("b 22\nc boot failed: boot.x failed with status 22\n");
    // After a boot that succeeds, it runs like all other halt units.
    let halts = halts.replace("not reached", "a");
    let outcome = Trc::toml(&format!("log.level = 'error'\n{halts}")).arg("true").run();
    outcome.status(3).stdout_is(
        "a\nb 0\nc every unit has ended\n"
            .replace("every unit has ended", "sync.cmd exited with 0")
            .as_str(),
    );
}

#[test]
fn a_halt_script_that_runs_always_turns_no_failure_of_boot_into_success() {
    for (name, toml) in
        [("trc.d/halt.x", "halt.x.always = true\n"), ("unused", "halt.H1.always = true\n")]
    {
        Trc::toml(&format!("log.level = 'error'\n{toml}"))
            .file(name, "echo halt\n")
            .args(&["-B", "exit 22", "-H", "echo halt; exit 0"])
            .run()
            .status(22)
            .stdout_is("halt\n");
    }
}

#[test]
fn a_boot_failure_is_the_status_under_every_policy() {
    table(&POLICIES, ToString::to_string, |policy| {
        Trc::with(&["-B", "exit 22", "-H", "exit 0", "-F", "exit 5"])
            .env("TRC_WAIT", policy)
            .run()
            .status(22);
    });
}

#[test]
fn exit_0_ends_that_boot_script_only() {
    Trc::with(&["-B", "exit 0; echo not reached", "-B", "echo boot", "-F", "echo sync"])
        .run()
        .status(0)
        .stdout_is("boot\nsync\n");
}

// ---- after ----------------------------------------------------------------------

#[test]
fn a_unit_waits_for_its_condition() {
    let rows = [
        ("succeeded", "true", "", "0"),
        ("exited", "true", "", "0"),
        ("exited", "exit 3", "", "3"),
        ("failed", "exit 3", "", "3"),
        // A service without a readiness check would be settled when it has started.
        ("settled", "exit 3", "oneshot = true", "3"),
    ];
    table(
        &rows,
        |row| format!("{row:?}"),
        |(condition, first, key, status)| {
            Trc::toml(&format!(
                "[async.b]\nafter = {{ a = '{condition}' }}\nscript = 'echo b'\n\
                 [async.a]\nscript = 'echo a; {first}'\n{key}\n"
            ))
            .env("TRC_WAIT", "all")
            .env("TRC_LOG_LEVEL", "warn")
            .env("TRC_LOG__OUTPUT", "inherit")
            .run()
            .status(status.parse().unwrap())
            .stdout_is("a\nb\n");
        },
    );
}

#[test]
fn started_is_enough_for_a_unit_that_waits_for_started() {
    Trc::toml(
        "[async.b]\nafter = { a = 'started' }\nscript = 'echo ready'\noneshot = true\n\
         [async.a]\nexec = 'cat ${W}/never'\n",
    )
    .signalled("ready", USR1)
    .status(138);
}

#[test]
fn a_bare_name_means_started_for_a_service_and_succeeded_for_a_one_shot() {
    Trc::toml(
        "[async.c]\nafter = ['a', 'b']\nscript = 'echo ready $(cat $W/done)'\noneshot = true\n\
         [async.b]\nscript = 'echo b >$W/done'\noneshot = true\n\
         [async.a]\nexec = 'cat ${W}/never'\n",
    )
    .signalled("ready b", USR1)
    .status(138);
}

#[test]
fn a_condition_that_can_no_longer_hold_fails_the_unit_with_the_status_that_caused_it() {
    let rows = [
        // The condition, how the other unit exits, and the exit status of the one that waits.
        ("succeeded", "exit 4", 4),
        ("succeeded", "kill -KILL $BASHPID", 137),
        // A failure is never 0.
        ("failed", "exit 0", 1),
    ];
    table(
        &rows,
        |row| format!("{row:?}"),
        |&(condition, first, expected)| {
            let outcome = Trc::toml(&format!(
                "[async.db]\nscript = '{first}'\n\
                 [sync.web]\nafter = {{ db = '{condition}' }}\nscript = 'echo not reached'\n"
            ))
            .env("TRC_LOG_LEVEL", "warn")
            .run();
            outcome.status(expected).stdout_is("").stderr_has("web").stderr_has("db");
        },
    );
}

#[test]
fn the_log_names_the_whole_chain_that_led_to_a_failure() {
    let outcome = Trc::toml(
        "[async.db]\nscript = 'exit 4'\n\
         [async.migrate]\nafter = { db = 'succeeded' }\nscript = 'echo not reached'\n\
         [sync.web]\nafter = { migrate = 'succeeded' }\nscript = 'echo not reached'\n",
    )
    .run();
    outcome.status(4).stdout_lacks("not reached");
    let chain = outcome
        .err()
        .lines()
        .any(|line| ["web", "migrate", "db"].iter().all(|name| line.contains(name)));
    if !chain {
        outcome.fail("one line of standard error should name web, migrate and db");
    }
}

#[test]
fn what_is_well_and_was_waited_for_to_fail_is_told_as_such() {
    for (other, how) in [("script = 'true'", "exited with 0"), ("ready.file = '/'", "is ready")] {
        let outcome = Trc::toml(&format!(
            "log.level = 'warn'\nwait = 'all'\n[async.db]\n{other}\n\
             [sync.web]\nafter = {{ db = 'failed' }}\nscript = 'echo not reached'\n"
        ))
        .run();
        let why = "sync.web could not be started: it waits for async.db, which";
        outcome.status(1).stdout_is("").stderr_has(&format!("{why} {how}\n"));
    }
}

#[test]
fn a_drop_in_runs_before_a_unit_that_knows_nothing_of_it() {
    let base = "[sync.web]\nscript = 'echo web'\n";
    let hook =
        |rest: &str| format!("script = 'echo hook'\noneshot = true\nbefore = ['web']\n{rest}");
    let with = |hook: String| Trc::toml(base).file("trc.d/async.hook.toml", hook).run();
    let lines = [r"hook", r"<async/\d+\]: Exiting on the background \(exitcode=0\).*", "web"];
    with(hook("output = 'inherit'")).status(0).stdout_lines(&lines);
    let hook_fails = hook("").replace("echo hook", "exit 7");
    with(hook_fails)
        .status(7)
        .stdout_lacks("\nweb\n")
        .stderr_has("cannot start sync.web: it waits for async.hook, which failed with status 7");
    with(hook("enabled = false")).status(0).stdout_has("\nweb\n").stdout_lacks("hook");
    with(hook("").replace("'web'", "'wbe'"))
        .status(78)
        .stderr_has("async.hook.toml:3:11")
        .stderr_has("there is no unit `wbe`")
        .stderr_has("did you mean `web`?");
}

#[test]
fn only_runs_a_unit_and_what_it_stands_on() {
    let toml = "wait = 'all'\n[boot.a]\nscript = 'echo boot'\n\
        [async.db]\noneshot = true\noutput = 'inherit'\nscript = 'echo db'\n\
        [async.spy]\noneshot = true\noutput = 'inherit'\nscript = 'echo spy'\nprofiles = ['debug']\n\
        [sync.web]\nafter = ['db', 'spy']\nscript = 'echo web'\n[sync.app]\nscript = 'echo app'\n\
        [halt.z]\nscript = 'echo halt'\n";
    let run = |args: &[&str], profiles: &str| {
        let trc = Trc::toml(toml).args(args).env("TRC_LOG_LEVEL", "warn");
        trc.env("TRC_PROFILES", profiles).run()
    };
    run(&["--only", "web"], "").status(0).stdout_is("boot\ndb\nweb\nhalt\n");
    run(&["--only", "app"], "debug").status(0).stdout_is("boot\napp\nhalt\n");
    let all = run(&[], "debug");
    all.status(0).stdout_has("spy\n").stdout_has("web\napp\nhalt\n");
    let wrong = run(&["--only", "wbe"], "");
    wrong.status(78).stdout_is("").stderr_has("there is no unit `wbe`").stderr_has("`web`");
    run(&["--only", ","], "").status(64).stderr_has("this names no unit");
    run(&["--bare", "--only", "web", "true"], "").status(64).stderr_has("--bare cannot be used");
}

#[test]
fn a_disabled_unit_takes_every_edge_to_it_with_it() {
    Trc::toml(
        "[async.db]\nscript = 'exit 4'\nenabled = false\n\
         [sync.web]\nafter = { db = 'succeeded' }\nscript = 'echo reached'\n",
    )
    .env("TRC_LOG_LEVEL", "warn")
    .run()
    .status(0)
    .stdout_is("reached\n");
}

/// trc used to wait forever for a unit that had never been started.
#[test]
fn a_halt_unit_waits_for_no_unit_that_never_ran() {
    let toml = "
        [async.a]
        exec = 'sleep 100'
        [async.never]
        exec = 'true'
        after = { a = 'exited' }
        [sync.main]
        exec = 'true'
        [halt.h]
        script = 'echo halt'
        after = { never = 'exited' }
    ";
    Trc::toml(toml).run().status(0).stdout_has("halt\n");
}

/// A NUL in the output of a service kept trc from starting any halt unit.
#[test]
fn halt_units_run_whatever_a_service_printed() {
    let toml = "
        [async.a]
        exec = ['sh', '-c', 'printf \"a\\000b\\033[1m\\n\"; exit 3']
        [halt.h]
        script = 'echo \"halt: $TRC_EXIT_REASON\"'
    ";
    let outcome = Trc::toml(toml).run();
    outcome.status(3).stdout_has("halt: async.a failed with status 3; its last output: a b [1m");
}

/// If the run went on, nothing above level info used to say so.
#[test]
fn a_failure_that_the_run_goes_on_after_is_a_warning() {
    let rows = [
        ("any", "[async.db]\nexec = ['sh', '-c', 'exit 3']", "async.db failed with status 3"),
        ("any", "[async.db]\nscript = 'kill -9 $$'", "async.db was killed by SIGKILL"),
        (
            "any",
            "[async.db]\nexec = 'false'\non_failure = 'ignore'",
            "async.db failed with status 1; ignoring it (on_failure)",
        ),
        ("any", "[async.db]\nexec = 'true'\nsuccess = [1]", "async.db exited with 0"),
        ("all", "[sync.first]\nscript = 'exit 4'", "sync.first failed with status 4"),
        ("all", "[sync.first]\nscript = 'exit 4'\n[halt.h]\nscript = 'exit 6'", "halt.h failed"),
        (
            "any",
            "[boot.b]\nexec = 'false'\non_failure = 'ignore'",
            "boot.b failed with status 1; ignoring it (on_failure)",
        ),
    ];
    table(
        &rows,
        |row| row.1.to_owned(),
        |(policy, units, said)| {
            for format in ["trc", "json"] {
                let toml = format!(
                    "wait = '{policy}'\nlog = {{ level = 'warn', format = '{format}' }}\n{units}\n\
                     [sync.web]\nscript = 'echo ready; read x <$W/go'\n"
                );
                let running = Trc::toml(&toml).spawn();
                // A halt unit's turn comes later.
                running.wait_for(if said.starts_with("halt") { "ready" } else { said });
                running.open_gate("go");
                let text = running.finish().err();
                let line = text.lines().find(|line| line.contains(said)).unwrap_or_default();
                assert!(!line.is_empty(), "{text}");
                if format == "json" {
                    let fields = [r#""level":"warn""#, r#""event":"failed""#];
                    assert!(fields.iter().all(|field| line.contains(field)), "{line}");
                }
            }
        },
    );
}

#[test]
fn what_was_told_to_stop_does_not_fail_and_is_no_warning() {
    let toml = format!(
        "log.level = 'warn'\n[async.a]\noutput = 'inherit'\nscript = '''trap 'exit 3' TERM; {UNTIL_TRAP}'''\n"
    );
    Trc::toml(&toml).signalled("ready", TERM).status(143).stderr_lacks("failed");
}

/// The last line used to name a signal that nobody had sent a second time.
#[test]
fn halt_units_that_the_time_ran_out_for_are_not_cut_short_by_a_signal() {
    let toml = format!(
        "wait = 'all'\nshutdown.timeout = '200ms'\n[sync.s]\nexec = 'true'\n\
         [halt.h]\nscript = '''{NEVER}'''\n"
    );
    let running = Trc::toml(&toml).spawn();
    running.wait_for("ready").signal(TERM);
    let said = "there was no time left for halt units: shutdown.timeout is 0.2 s; before that ";
    running.finish().status(143).stderr_has(said).stderr_lacks("SIGTERM cut");
}

#[test]
fn halt_units_that_a_second_signal_ends_are_cut_short_by_it() {
    let toml = format!("wait = 'all'\n[sync.s]\nexec = 'true'\n[halt.h]\nscript = '''{NEVER}'''\n");
    let running = Trc::toml(&toml).env("TRC_LOG_LEVEL", "debug").spawn();
    running.wait_for("ready").signal(TERM).wait_for("Got SIGTERM").signal(INT);
    running.finish().status(130).stderr_has("SIGINT cut the halt units short; before that ");
}
