//! trc as PID 1 of real containers. Needs a container engine, as `container/mod.rs` says:
//!
//!     TRC_CONTAINER_ENGINE=docker cargo test --test suite containers:: -- --ignored

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::container::{
    Container, Ended, ROOT, Run, STAMP, call, engine, podman, remember, static_binary,
};
use regex::Regex;
use tempfile::TempDir;

/// TrivialRC's command line, as it was published.
const SEED: &str = "docker run --rm vorakl/centos-opensmtpd -H 'if [[ ${_exit_status} -eq 138 ]]; then exit 0; else exit ${_exit_status}; fi' -D 'sleep 3; smtpctl show status && kill -10 ${MAINPID}'";

/// Its halt unit.
const HALT: &str = "if [[ ${_exit_status} -eq 138 ]]; then exit 0; else exit ${_exit_status}; fi";

/// Waits until the mail server is up, in place of `sleep 3`.
const UP: &str = "until smtpctl show status >/dev/null 2>&1; do sleep 0.1; done; ";

/// The images of this run.
#[derive(Clone, Copy)]
enum Image {
    /// The image of `Dockerfile.example`, as it is.
    Mail,
    /// The image of `examples/opensmtpd/declared`, based on that.
    MailDeclared,
    /// Debian and trc.
    Debian,
    /// The same, with a user of its own and without `/tmp`.
    Plain,
    /// Debian's cron.
    Cron,
    /// Nothing but trc and a static program.
    Scratch,
}

impl Image {
    /// Returns the name of the image, and builds it on the first call.
    fn name(self) -> &'static str {
        static NAMES: [OnceLock<String>; 6] = [const { OnceLock::new() }; 6];
        NAMES[self as usize].get_or_init(|| self.build())
    }

    fn build(self) -> String {
        let name = format!("trc-test-{}-{}", self.label(), std::process::id());
        remember(&name);
        let trc = static_binary();
        let folder = TempDir::new().unwrap();
        let put = |from: &Path, to: &str| {
            let to = folder.path().join(to);
            fs::copy(from, &to).unwrap_or_else(|why| panic!("{}: {why}", from.display()));
        };
        let write = |text: &str| fs::write(folder.path().join("Dockerfile"), text).unwrap();
        let here = folder.path().to_str().unwrap();
        match self {
            Self::Mail => {
                let file = format!("{ROOT}/Dockerfile.example");
                call(&["build", "-f", &file, "-t", &name, ROOT]);
                return name;
            }
            Self::MailDeclared => {
                let image = format!("IMAGE={}", Self::Mail.name());
                let dir = format!("{ROOT}/examples/opensmtpd/declared");
                call(&["build", "--build-arg", &image, "-t", &name, &dir]);
                return name;
            }
            Self::Debian => {
                put(trc, "trc");
                write(
                    "FROM debian:bookworm-slim\nCOPY trc /usr/local/bin/trc\n\
                     ENTRYPOINT [\"/usr/local/bin/trc\"]\n",
                );
            }
            Self::Plain => {
                let base = Self::Debian.name();
                write(&format!("FROM {base}\nRUN rm -r /tmp\nUSER 12345:12345\n"));
            }
            Self::Cron => {
                let unit = "exec = 'cron -f'\nstop = { timeout = '5s' }\n";
                fs::write(folder.path().join("async.cron.toml"), unit).unwrap();
                let base = Self::Debian.name();
                write(&format!(
                    "FROM {base}\nRUN apt-get update \
                     && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends cron \
                     && rm -rf /var/lib/apt/lists/*\n\
                     COPY async.cron.toml /etc/trc.d/async.cron.toml\n"
                ));
            }
            Self::Scratch => {
                put(trc, "trc");
                put(Path::new("/bin/busybox"), "busybox");
                // busybox acts as the program that it is named after, and none of these is a shell.
                write(
                    "FROM scratch\nCOPY trc /trc\nCOPY busybox /app/busybox\n\
                     COPY busybox /app/cat\nCOPY busybox /app/echo\nCOPY busybox /app/sleep\n\
                     COPY busybox /app/kill\nCOPY busybox /app/false\nCOPY busybox /app/env\n\
                     ENV PATH=/app\nENTRYPOINT [\"/trc\"]\n",
                );
            }
        }
        call(&["build", "-t", &name, here]);
        name
    }

    fn label(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::MailDeclared => "mail-declared",
            Self::Debian => "debian",
            Self::Plain => "plain",
            Self::Cron => "cron",
            Self::Scratch => "scratch",
        }
    }
}

/// TrivialRC's log, line by line. The lines of the mail server are in between.
#[track_caller]
fn is_the_seeds_log(ended: &Ended, unit: &str) {
    let test = r"sleep 3; smtpctl show status && kill -10 \$\{MAINPID\}";
    let halt = regex::escape(HALT);
    ended.status(0);
    ended.lines(&[
        r"<main/1\]: The wait policy: wait_any",
        &format!(r"<async/\d+\]: Launching on the background: {unit}"),
        &format!(r"<async/\d+\]: Launching on the background: {test}"),
        "MDA running",
        "MTA running",
        "SMTP running",
        r"<main/1\]: Trying to terminate sub-processes\.\.\.",
        r"<main/1\]: terminating the child process <pid=\d+>",
        &format!(r"<async/\d+\]: Exiting on the background \(exitcode=0\): {unit}"),
        &format!(r"<halt/\d+\]: Running the shutdown command: {halt}"),
        &format!(r"<main/1\]: Exiting from the shutdown command \(exitcode=0\): {halt}"),
        r"<main/1\]: Exited \(exitcode=0\)",
    ]);
    // The test has just sent its signal, so it exits by itself or is stopped with the others.
    ended.lines(&[&format!(r"<async/\d+\]: Exiting on the background \(exitcode=0\): {test}")]);
    // All of trc's lines are of these kinds, and none reports a problem.
    let own = Regex::new(&format!("^{STAMP}")).unwrap();
    let known = Regex::new(
        r"\[(main|async|halt)/\d+\]: (The wait policy|Launching on|Running the|Exiting (on|from)|Trying to|stopping async\.opensmtpd:|terminating the|Exited)",
    )
    .unwrap();
    if let Some(line) = ended.text.lines().find(|line| own.is_match(line) && !known.is_match(line))
    {
        ended.fail(&format!("what does this say: {line}"));
    }
}

/// Runs TrivialRC's command line as it is, except for the names of the engine and of the image.
fn seed(image: Image) -> Ended {
    let words = SEED.strip_prefix("docker run --rm vorakl/centos-opensmtpd ").unwrap();
    let engine = engine();
    let text = format!("exec {} run --rm {} {words}", engine.display(), image.name());
    let mut command = Command::new("bash");
    command.args(["-c", &text]);
    Container::spawn(String::new(), command, None, TempDir::new().unwrap()).wait()
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_seeds_command_line_tests_the_image() {
    is_the_seeds_log(&seed(Image::Mail), r"/etc/trc\.d/async\.opensmtpd");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_seeds_command_line_tests_an_image_whose_unit_is_declared() {
    is_the_seeds_log(&seed(Image::MailDeclared), "opensmtpd: /usr/sbin/smtpd -d");
}

/// The mail server with a test and a defect.
fn mail(test: &str) -> Run {
    Run::new(Image::Mail.name(), &["-H", HALT, "-D", test])
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_mail_server_whose_configuration_is_broken_fails() {
    let test = "sleep 30; kill -10 ${MAINPID}";
    let ended = mail(test).mount("/etc/smtpd.conf", "listen on nonsense {\n").run();
    ended.status(143).reason(
        r"<main/1\]: halt\.H1 failed with status 143; before that async\.opensmtpd failed with status 1",
    );
    // The container exits with the exit status of the declared unit.
    let ended = Run::new(Image::MailDeclared.name(), &["-H", HALT, "-D", test])
        .mount("/etc/smtpd.conf", "listen on nonsense {\n")
        .run();
    ended.status(1).reason(
        r"<main/1\]: halt\.H1 failed with status 1; before that async\.opensmtpd failed with status 1",
    );
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_mail_server_that_is_killed_before_its_test_fails() {
    // There is no pkill, so this finds the child of PID 1 that is smtpd.
    let test = format!(
        "{UP}for p in $(cat /proc/1/task/1/children); do \
         [[ $(readlink /proc/$p/exe) != */smtpd ]] || kill -9 $p; done; \
         sleep 30; smtpctl show status && kill -10 ${{MAINPID}}"
    );
    let ended = mail(&test).run();
    ended.status(143).reason(
        r"<main/1\]: halt\.H1 failed with status 143; before that async\.opensmtpd was killed by SIGKILL",
    );
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_test_that_fails_fails_the_container() {
    let ended = mail(&format!("{UP}smtpctl show nonsense && kill -10 ${{MAINPID}}")).run();
    ended.status(143).reason(
        r"<main/1\]: halt\.H1 failed with status 143; before that async\.D1 failed with status 255",
    );
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_mail_server_stops_well_within_ten_seconds() {
    let container =
        Run::new(Image::Mail.name(), &["-D", &format!("{UP}echo up; sleep 1000")]).start();
    container.wait_for("up");
    container.stop_in_time();
    container.wait().status(143).lacks("did not exit in time").lines(&[
        r"<async/\d+\]: Exiting on the background \(exitcode=0\): /etc/trc\.d/async\.opensmtpd",
    ]);
}

// FROM scratch: there is nothing but trc and a program.

fn scratch(toml: &str) -> Run {
    Run::new(Image::Scratch.name(), &[]).mount("/etc/trc.toml", toml)
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn in_an_image_from_scratch_exec_units_run_in_all_stages() {
    let ended = scratch(
        "[boot.first]\nexec = 'echo in boot'\n\
         [async.service]\nexec = 'sleep 1000'\n\
         [sync.main]\nexec = ['echo', 'in sync as ${NAME:-it was}']\n\
         [halt.last]\nexec = ['cat', '/proc/self/comm']\n",
    )
    .run();
    ended.status(0).lines(&[
        r"<async/\d+\]: Launching on the background: service: sleep 1000",
        "in sync as it was",
        r"<async/\d+\]: Exiting on the background \(exitcode=143\): service: sleep 1000",
        "cat",
        r"<main/1\]: Exited \(exitcode=0\)",
    ]);
    ended.lines(&["in boot", "in sync as it was"]);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn in_an_image_from_scratch_a_units_status_is_the_containers() {
    let ended =
        scratch("[async.service]\nexec = 'sleep 1000'\n[sync.main]\nexec = 'false'\n").run();
    ended.status(1).reason(r"<main/1\]: sync\.main failed with status 1");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn in_an_image_from_scratch_a_command_is_run_as_by_tini() {
    Run::new(Image::Scratch.name(), &["echo", "alone"])
        .run()
        .status(0)
        .lines(&["alone"])
        .lacks(STAMP);
    Run::new(Image::Scratch.name(), &["/app/false"]).run().status(1).lacks(STAMP);
    let ended = Run::new(Image::Scratch.name(), &["/app/nothing"]).run();
    ended.status(127).reason(r"<main/1\]: .*/app/nothing.*");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn in_an_image_from_scratch_signals_stop_the_units() {
    for (signal, status) in [("TERM", 143), ("USR1", 138), ("INT", 130), ("RTMIN+3", 165)] {
        let container = scratch("[async.service]\nexec = 'sleep 1000'\n").start();
        container.wait_for(r"<async/\d+\]: Launching on the background: service: sleep 1000");
        call(&["kill", "--signal", signal, &container.name]);
        container.wait().status(status).lines(&[
            r"<async/\d+\]: Exiting on the background \(exitcode=143\): service: sleep 1000",
        ]);
    }
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn in_an_image_from_scratch_a_script_is_an_error_that_names_the_unit() {
    let ended = scratch("[async.web]\nscript = 'echo started'\n").run();
    ended.status(78).lacks("^started");
    ended.lines(&[
        r"<main/1\]: error: async\.web needs a shell, and neither bash nor sh is in PATH",
    ]);
    let ended = Run::new(Image::Scratch.name(), &["-D", "echo started"]).run();
    ended.status(78).lacks("^started").lines(&[r"<main/1\]: error: async\.D1 needs a shell, .*"]);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn an_image_is_changed_by_variables_when_it_is_run() {
    let toml = "[async.service]\nexec = 'sleep 1000'\n[sync.main]\nexec = 'echo as built'\n";
    let changed = scratch(toml).env("TRC_SYNC__MAIN__EXEC", "echo 'as  wanted'");
    changed.run().status(0).lines(&["as  wanted"]).lacks("^as built");
    let quiet = scratch(toml).env("TRC_LOG_LEVEL", "warn").run();
    quiet.status(0).lines(&["as built"]).lacks(STAMP);
    let without = scratch(toml).env("TRC_ASYNC__SERVICE__ENABLED", "false").run();
    without.status(0).lines(&["as built"]).lacks("sleep 1000");
    let wrong = scratch(toml).env("TRC_ASYNC__SERVICE__EXCE", "x").run();
    wrong.status(78).lacks("^as built");
}

/// `TRC_PORT_80_TCP` comes from links of docker and services of Kubernetes.
#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn variables_that_engines_inject_are_a_warning() {
    let ended = scratch("[sync.main]\nexec = 'echo runs'\n")
        .env("TRC_PORT_80_TCP", "tcp://10.0.0.1:80")
        .run();
    ended.status(0).lines(&[r"<main/1\]: .*TRC_PORT_80_TCP.*"]).lines(&["runs"]);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn an_image_is_changed_by_its_arguments_when_it_is_run() {
    let toml = "[sync.main]\nexec = 'echo as built'\n";
    let file = |run: Run| run.mount("/etc/trc.toml", toml);
    let args = ["--config", "sync.main.exec=echo as wanted", "--config", "log.format=json"];
    let ended = file(Run::new(Image::Scratch.name(), &args)).run();
    ended.status(0).lines(&[r#"\{.*"event":"started".*"#]);
    ended.lines(&["as wanted"]).lacks("^as built");
    let args = ["--config", "sync.main.exce=echo"];
    let ended = file(Run::new(Image::Scratch.name(), &args)).run();
    ended.status(78).lines(&[r".*did you mean `exec`.*"]).lacks("^as built");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_drop_in_that_is_mounted_is_run_or_changes_one_key() {
    let toml =
        "[sync.main]\nexec = 'cat /proc/self/environ'\nenv = { COLOUR = 'red', SIZE = 'big' }\n";
    let ended = scratch(toml)
        .mount("/etc/trc.d/boot.added.toml", "exec = 'echo added'\n")
        .mount("/etc/trc.d/sync.main.toml", "env = { COLOUR = 'blue' }\n")
        .run();
    ended.status(0).lines(&["added"]);
    ended.lines(&[".*COLOUR=blue.*"]).lines(&[".*SIZE=big.*"]).lacks("COLOUR=red");
}

// Debian: there is a shell.

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn stop_and_kill_give_128_and_the_signals_number_in_time() {
    // A service that ignores SIGTERM, and an orphan in a session of its own that does the same.
    let stubborn = "trap '' TERM; setsid bash -c 'trap \"\" TERM; while :; do sleep 1000; done' & \
                    echo up; while :; do sleep 1000; done";
    for (args, status) in [
        (["stop", "-t", "10"], 143),
        (["kill", "--signal", "TERM"], 143),
        (["kill", "--signal", "USR1"], 138),
    ] {
        let container = Run::new(Image::Debian.name(), &["-D", stubborn]).start();
        container.wait_for("up");
        let start = Instant::now();
        call(&[args[0], args[1], args[2], &container.name]);
        let ended = container.wait();
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        ended.status(status).lines(&[r"<main/1\]: .*did not exit in time.*"]);
    }
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_halt_unit_runs_within_the_ten_seconds() {
    let stubborn = "trap '' TERM; echo up; while :; do sleep 1000; done";
    let container =
        Run::new(Image::Debian.name(), &["-D", stubborn, "-H", "echo halted; exit $_exit_status"])
            .start();
    container.wait_for("up");
    call(&["stop", "-t", "10", &container.name]);
    container.wait().status(143).lines(&["halted"]);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_shell_on_a_terminal_has_job_control() {
    let container = Run::new(Image::Debian.name(), &["bash", "--norc", "--noprofile"])
        // The output has no escape sequences.
        .env("TERM", "dumb")
        .start_on_a_terminal();
    // The terminal echoes what is typed, so the expected text must look different.
    container.type_in("sleep 1000 &\n").wait_for(r".*\[1\] \d+");
    container
        .type_in("kill -STOP %1; sleep 0.2; jobs\n")
        .wait_for(r".*\[1\]\+ +Stopped +sleep 1000");
    container.type_in("echo $((40 + 2)) $$\n").wait_for(r"42 \d+");
    // Ctrl-C reaches only the foreground job, which is cat, once it has answered.
    container.type_in("echo rea''dy; cat\n").wait_for("ready");
    container.type_in("typed\n").wait_for_times(2, "typed");
    container.type_in("\x03").wait_for(r"bash-[\d.]+# ");
    container.type_in("kill -KILL %1; tty; exit $((2 + 3))\n");
    let ended = container.wait();
    ended.status(5).lines(&["/dev/.*"]).lacks("no job control|cannot set terminal");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn ctrl_c_on_a_terminal_stops_the_container() {
    let container =
        Run::new(Image::Debian.name(), &["-D", "sleep 1000", "-F", "echo up; sleep 1000"])
            .start_on_a_terminal();
    container.wait_for("up").type_in("\x03");
    container.wait().status(130);
}

/// All kinds of units, in a container where nothing can be written, and where trc runs as an
/// unknown user.
#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_read_only_root_a_plain_user_and_no_tmp_are_enough() {
    let mut run = Run::new(
        Image::Plain.name(),
        &[
            "-B",
            "export X=boot; f() { echo from a function; }; big=$(printf '%0200000d' 1)",
            "-D",
            "echo up $X; sleep 1000",
            "-F",
            "f; id -u; echo ${#big}; touch /x 2>/dev/null || echo read-only; \
             test -e /tmp || echo no tmp; sleep 1000",
            "-H",
            "echo halted; exit $_exit_status",
        ],
    )
    .options(&["--read-only"]);
    if podman() {
        run = run.options(&["--read-only-tmpfs=false"]);
    }
    let container = run.start();
    container.wait_for("up boot").wait_for("no tmp").stop_in_time();
    let ended = container.wait();
    ended.status(143);
    ended.lines(&["from a function", "12345", "200000", "read-only", "no tmp", "halted"]);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_plain_user_is_signalled_too() {
    let container = Run::new(Image::Plain.name(), &["-D", "echo up; sleep 1000"]).start();
    container.wait_for("up");
    call(&["kill", "--signal", "USR1", &container.name]);
    container.wait().status(138);
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn the_reason_is_left_where_kubernetes_looks_for_it() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("termination-log");
    fs::write(&file, "").unwrap();
    let volume = format!("{}:/dev/termination-log", file.display());
    let run = |args: &[&str]| {
        let ended = Run::new(Image::Debian.name(), args).options(&["-v", &volume]).run();
        (ended.status, fs::read_to_string(&file).unwrap())
    };
    let (status, reason) = run(&["-F", "echo last words; exit 7"]);
    assert_eq!((status, reason.trim_end()), (7, "sync.F1 failed with status 7"));
    let (status, reason) = run(&["-F", "kill -10 $MAINPID; sleep 1000"]);
    assert_eq!(status, 138);
    assert!(reason.starts_with("stopped by SIGUSR1 from sync.F1 (pid "), "{reason}");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn an_orphan_of_a_cron_job_is_reaped_and_one_that_runs_is_stopped() {
    // /bin/sh runs the job. PID 1 adopts what the job leaves behind.
    let lasting = "trap 'echo stopped >> /out/log; exit' TERM; echo lasting >> /out/log; while :; do sleep 0.1; done";
    let job = format!(
        "#!/bin/sh\n(sleep 0.1; echo short >> /out/log) &\nsetsid sh -c '{}' &\n",
        lasting.replace('\'', r"'\''")
    );
    let (run, folder) = Run::new(Image::Cron.name(),
        &["-D", "until grep -qs short /out/log && grep -qs lasting /out/log; do sleep 0.1; done
                 for n in {1..50}; do sleep 0.1; zombies=$(grep -lE '^State:.Z' /proc/[0-9]*/status || :)
                 [[ $zombies ]] || { echo no zombies; break; }; done; sleep 1000"],
    )
    .mount("/job", &job)
    .mount("/etc/cron.d/job", "@reboot root sh /job\n")
    .folder("/out");
    let container = run.start();
    container.wait_for("no zombies");
    assert!(!fs::read_to_string(folder.join("log")).unwrap().contains("stopped"));
    call(&["stop", "-t", "10", &container.name]);
    // This has to happen before the container and its directory are removed.
    let log = || fs::read_to_string(folder.join("log")).unwrap();
    let text = log();
    assert!(text.contains("stopped"), "the orphan had no time to end: {text}");
    container
        .wait()
        .status(143)
        .lacks("did not exit in time")
        .lines(&[r"<async/\d+\]: Launching on the background: cron: cron -f"]);
}
