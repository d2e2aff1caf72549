//! `trcctl test --image`: the tests of images that need no trc of their own.
//!
//! Most of these tests use a program that stands for docker, keeps its command lines and says what a
//! file says. The last ones need a container engine, as `container/mod.rs` says:
//!
//!     TRC_CONTAINER_ENGINE=docker cargo test --test suite trcctl_image:: -- --ignored

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::common::{INT, Outcome, Trc, table};
use crate::container::{Run, build, call, engine, static_binary};
use serde_json::{Value, json};
use tempfile::TempDir;

const TRCCTL: &str = env!("CARGO_BIN_EXE_trcctl");

/// docker, as far as `trcctl` uses it. `run` keeps a copy of what is mounted.
const DOCKER: &str = r#"#!/bin/sh
printf '%s\n' "$*" >>"$W/calls"
case $1 in
image) cat "$W/inspected" 2>/dev/null || { echo "Error: No such image: $3" >&2; exit 1; } ;;
start) cat "$W/events"; exit "$(cat "$W/status")" ;;
run)
    for word; do
        case $word in *:/.trcctl:ro,z) cp -r "${word%%:*}" "$W/mounted" ;; esac
    done
    cat "$W/said" >&2
    cat "$W/events"
    [ ! -e "$W/hang" ] || { trap 'echo stopped >>"$W/calls"; exit 130' INT; echo up >&2; while :; do read x <"$W/never"; done; }
    exit "$(cat "$W/status")" ;;
esac
"#;

/// A run in which the test `front` has this outcome.
fn events(outcome: &str, status: u8) -> String {
    let plan = json!({"event": "plan", "version": 1, "tests": [{"name": "test.front"}]});
    let point = json!({"event": "point", "name": "test.front", "kind": "test", "outcome": outcome,
        "why": if outcome == "failed" { json!("connection refused") } else { Value::Null }, "took_ms": 3});
    let end = json!({"event": "end", "version": 1, "name": "trc", "host": "box", "took_ms": 1200,
        "began": "2026-11-24T16:49:28.001Z", "status": status, "passed": status == 0,
        "counts": {"passed": u8::from(status == 0), "failed": u8::from(status != 0)}});
    format!("{plan}\n{point}\n{end}\n")
}

/// The header of a static program for this processor.
fn static_program(machine: u8) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18] = machine;
    bytes
}

const AMD64: u8 = 62;
const ARM64: u8 = 183;

/// `trcctl test --image shop` with an image that has this configuration.
fn image(config: &Value) -> Trc {
    let inspected = json!([{"Architecture": "amd64", "Os": "linux", "Config": config}]);
    let trc = Trc::new().program(TRCCTL).executable("docker", DOCKER);
    let (docker, temporary) = (trc.path("docker"), trc.path("tmp"));
    fs::create_dir(&temporary).unwrap();
    trc.file("inspected", inspected.to_string())
        .file("events", events("passed", 0))
        .file("said", "")
        .file("status", "0")
        .file("trc", static_program(AMD64))
        .file("tests.toml", "[test.front]\nexpect.tcp = 80\n")
        .env("TMPDIR", temporary)
        .env("TRC_CONTAINER_ENGINE", docker)
        .args(&["test", "--image", "shop"])
}

/// The same, with a trc and a file with tests.
fn wrapped(config: &Value) -> Trc {
    let trc = image(config);
    let own = trc.path("trc");
    trc.arg("--trc").arg(own).args(&["--tests", "tests.toml"])
}

/// Returns the calls of the engine, with the process ID and the folder in words.
#[track_caller]
fn calls(outcome: &Outcome) -> Vec<String> {
    let text = fs::read_to_string(outcome.path("calls")).unwrap_or_default();
    let folder = regex::Regex::new(r"\S+/tmp/trcctl-\w+").unwrap();
    let container = regex::Regex::new(r"trcctl-test-\d+").unwrap();
    let text = folder.replace_all(&text, "FOLDER");
    container.replace_all(&text, "NAME").lines().map(str::to_owned).collect()
}

/// Checks that no file is left on this machine.
#[track_caller]
fn nothing_left(outcome: &Outcome) {
    let left = fs::read_dir(outcome.path("tmp")).unwrap().count();
    if left > 0 {
        outcome.fail("the folder for the container should be gone");
    }
}

#[test]
fn a_second_run_can_start_the_same_container() {
    let arguments = ["--repeat", "3", "--same-container"];
    let outcome = wrapped(&json!({"Cmd": ["server"]})).args(&arguments).run();
    outcome.status(0);
    let calls = calls(&outcome);
    let begins = |call: &String, start: &str| call.starts_with(start);
    assert!(begins(&calls[1], "run --name NAME "), "{calls:?}");
    assert_eq!(
        calls[2..],
        ["start --attach NAME", "start --attach NAME", "rm --force --volumes NAME"]
    );
    nothing_left(&outcome);
}

#[test]
fn an_image_without_trc_gets_one_and_a_unit_of_its_command() {
    let config = json!({"Entrypoint": ["/entry", "$HOME"], "Cmd": ["-g", "daemon off;"],
        "User": "www", "WorkingDir": "/srv", "Env": ["A=b"], "StopSignal": "SIGQUIT",
        "Healthcheck": {"Test": ["CMD-SHELL", "curl -f localhost"], "Timeout": 3_000_000_000_u64}});
    let trc = wrapped(&config).file("test.more.toml", "expect.tcp = 81\n");
    let outcome = trc
        .args(&["--tests", "test.more.toml", "--run-arg", "-e 'B=c d' --network none"])
        .args(&["-c", "log.level=debug", "--strict", "front"])
        .run();
    outcome.status(0).stderr_is("").stdout_lines_exactly(&[
        "ok    test.front      3 ms",
        "",
        "1 test passed; no stop drill; 1.2 s",
    ]);
    assert_eq!(
        calls(&outcome),
        [
            "image inspect shop",
            "run --rm --name NAME -e B=c d --network none -v FOLDER:/.trcctl:ro,z --no-healthcheck --entrypoint \
             /.trcctl/trc shop -w /.trcctl/etc -c log.level=debug -c /.trcctl/tests/tests.toml \
             --test-strict --report events=- --test=front",
            "rm --force --volumes NAME",
        ]
    );
    let mounted = |name: &str| fs::read_to_string(outcome.path("mounted").join(name)).unwrap();
    assert_eq!(
        mounted("etc/trc.toml"),
        "[async.app]\n\
         exec = [\"/entry\", \"$$HOME\", \"-g\", \"daemon off;\"]\n\
         stop.signal = \"SIGQUIT\"\n\
         ready.exec = [\"/bin/sh\", \"-c\", \"curl -f localhost\"]\n\
         ready.timeout = \"3000ms\"\n\
         ready.within = \"90s\"\n"
    );
    assert_eq!(mounted("tests/tests.toml"), "[test.front]\nexpect.tcp = 80\n");
    assert_eq!(mounted("etc/trc.d/test.more.toml"), "expect.tcp = 81\n");
    nothing_left(&outcome);
}

#[test]
fn the_words_after_the_dashes_replace_the_images_cmd() {
    let config = json!({"Entrypoint": ["/entry"], "Cmd": ["serve"]});
    let outcome = wrapped(&config).args(&["--", "work", "-q", "2"]).run();
    outcome.status(0);
    let unit = fs::read_to_string(outcome.path("mounted/etc/trc.toml")).unwrap();
    assert_eq!(unit, "[async.app]\nexec = [\"/entry\", \"work\", \"-q\", \"2\"]\n");
}

#[test]
fn a_file_with_tests_may_say_when_the_unit_is_ready() {
    let config = json!({"Cmd": ["serve"], "Healthcheck": {"Test": ["CMD", "true"]}});
    let trc = wrapped(&config).file("tests.toml", "[async.app]\nready.tcp = 80\n[test.a]\n");
    let outcome = trc.run();
    let unit = fs::read_to_string(outcome.status(0).path("mounted/etc/trc.toml")).unwrap();
    assert_eq!(unit, "[async.app]\nexec = [\"serve\"]\n");
}

#[test]
fn an_image_with_trc_is_used_as_it_is() {
    let config = json!({"Entrypoint": ["/usr/local/bin/trc", "-w", "/srv"], "Cmd": ["serve"],
        "Env": ["TRC_WORKDIR=/other"]});
    let trc = image(&config).file("test.more", "exit 0\n").file("more.toml", "");
    let outcome = trc.args(&["--tests", "test.more", "--tests", "more.toml", "web"]).run();
    outcome.status(0).stderr_lines(&[
        "note: the image shop runs trc \\(/usr/local/bin/trc\\): its own trc and its own configuration \
         are tested",
    ]);
    assert_eq!(
        calls(&outcome)[1],
        "run --rm --name NAME -v FOLDER/etc/trc.d/test.more:/srv/trc.d/test.more:ro,z \
         -v FOLDER:/.trcctl:ro,z --entrypoint /usr/local/bin/trc shop -c /.trcctl/tests/more.toml \
         --report events=- --test=web -w /srv serve"
    );
    nothing_left(&outcome);
}

#[test]
fn a_failure_has_its_story_its_status_and_a_hint() {
    let config = json!({"Cmd": ["serve"], "ExposedPorts": {"8080/tcp": {}}});
    let failed = || {
        wrapped(&config)
            .file("events", events("failed", 1))
            .file("status", "1")
            .file("said", "2026-11-24 16:49:28 trc [main/1]: a line of the log\n")
    };
    let outcome = failed().run();
    outcome.status(1).stdout_lines(&[
        "FAIL  test.front +3 ms",
        "test.front",
        "  connection refused",
    ]);
    outcome.stderr_is(
        "note: the image exposes port 8080, and nothing says when it is ready\n  \
         with `[async.app] ready = { tcp = 8080 }` in a file of --tests, the tests wait for it\n",
    );
    // A page with another text is no sign of a server that is not ready.
    let text = events("failed", 1).replace("connection refused", "its body lacks a word");
    failed().file("events", text).run().status(1).stderr_is("");
    failed().arg("-v").run().status(1).stderr_has("trc [main/1]: a line of the log\n");
}

#[test]
fn reports_are_written_on_this_machine() {
    let trc = wrapped(&json!({"Cmd": ["serve"]})).file("events", events("failed", 1));
    let trc = trc.file("status", "1");
    let outcome = trc.args(&["--report", "junit=j.xml", "--report", "json=j.json"]).run();
    outcome.status(1);
    let junit = fs::read_to_string(outcome.path("j.xml")).unwrap();
    assert!(junit.contains(r#"failures="1""#) && junit.contains("connection refused"), "{junit}");
    let report = fs::read_to_string(outcome.path("j.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["host"], &report["status"]), (&json!("box"), &json!(1)));
    assert_eq!(report["points"][0]["name"], "test.front");
    // trc itself writes none: it would write it into its container.
    assert!(!calls(&outcome)[1].contains("j.xml"));
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_runs() {
    let trc = wrapped(&json!({"Cmd": ["serve"]}));
    let outcome = trc.args(&["--report", "junit=none/j.xml"]).run();
    let why = "error: cannot write the report none/j.xml: there is no directory none\n";
    outcome.status(78).stderr_is(why);
    assert!(calls(&outcome).is_empty());
}

#[test]
fn what_cannot_be_tested_is_told_and_why() {
    type Change = fn(Trc) -> Trc;
    let serves = || json!({"Cmd": ["serve"]});
    let cases: &[(&str, Value, Change, i32, &str)] = &[
        (
            "no engine",
            serves(),
            |trc| trc.env("TRC_CONTAINER_ENGINE", "").env("PATH", "/nonexistent"),
            127,
            "error: cannot find docker or podman in PATH\n  name a container engine with --engine PATH or \
             TRC_CONTAINER_ENGINE\n",
        ),
        (
            "an engine that is not there",
            serves(),
            |trc| trc.args(&["--engine", "/nonexistent/docker"]),
            125,
            "error: cannot run /nonexistent/docker: No such file or directory\n",
        ),
        (
            "no image",
            serves(),
            |trc| {
                fs::remove_file(trc.path("inspected")).unwrap();
                trc
            },
            125,
            "error: cannot inspect the image shop: Error: No such image: shop\n  `docker images` lists the \
             images of this machine; `docker pull shop` fetches one\n",
        ),
        (
            "no command",
            json!({"Entrypoint": null, "Cmd": null}),
            |trc| trc,
            125,
            "error: the image shop has neither ENTRYPOINT nor CMD: say what it shall run with `-- CMD…`\n",
        ),
        (
            "another processor",
            serves(),
            |trc| trc.file("trc", static_program(ARM64)),
            126,
            "error: the image shop is for amd64, and $W/trc is for arm64\n  name a static trc for amd64 with \
             --trc PATH\n",
        ),
        (
            "no program",
            serves(),
            |trc| trc.file("trc", "#!/bin/sh\n"),
            126,
            "error: $W/trc is not a program for Linux (ELF)\n",
        ),
        (
            "no file with tests",
            serves(),
            |trc| trc.args(&["--tests", "none.toml"]),
            78,
            "error: cannot read none.toml: No such file or directory\n",
        ),
        (
            "its own trc and another",
            json!({"Entrypoint": ["trc"]}),
            |trc| trc,
            78,
            "error: the image shop runs its own trc (trc): leave out --trc $W/trc\n",
        ),
        (
            "output of the engine that is not its own",
            serves(),
            |trc| trc.file("inspected", "<html>"),
            125,
            "error: cannot understand what `$W/docker image inspect shop` printed: expected value at line \
             1 column 1\n",
        ),
    ];
    for (what, config, change, status, expected) in cases {
        let outcome = change(wrapped(config)).run();
        let dir = outcome.path("").display().to_string();
        let expected = expected.replace("$W/", &dir);
        if outcome.err() != expected {
            outcome.fail(&format!("{what}: it should say {expected}"));
        }
        outcome.status(*status).stdout_is("");
        assert!(!calls(&outcome).iter().any(|call| call.starts_with("run")), "{what}");
        nothing_left(&outcome);
    }
}

#[test]
fn an_image_without_trc_needs_a_file_with_tests() {
    let trc = image(&json!({"Cmd": ["serve"]}));
    let own = trc.path("trc");
    let outcome = trc.arg("--trc").arg(own).run();
    outcome.status(78).stderr_is(
        "error: the image shop has no trc, and so no tests of its own\n  \
         name a file with tests, such as --tests tests.toml\n",
    );
}

#[test]
fn a_trc_that_needs_a_loader_is_refused_and_another_is_found() {
    let dynamic = Path::new("/bin/sh");
    let config = json!({"Cmd": ["serve"]});
    let trc = image(&config).args(&["--tests", "tests.toml", "--trc"]).arg(dynamic);
    let outcome = trc.run();
    outcome.status(126).stderr_lines(&[
        "error: /bin/sh is linked dynamically, and an image need not have what it needs \
         \\(/lib.*/ld-.*\\)",
        "  `cargo static` builds a static trc: name it with --trc PATH",
    ]);
    // Without --trc, the first static one is used, wherever it is.
    let trc = image(&config).executable("bin/trc", "");
    let trc = trc.file("bin/trc", static_program(AMD64)).args(&["--tests", "tests.toml"]);
    let path = format!("{}:/usr/bin:/bin", trc.path("bin").display());
    trc.env("PATH", path).run().status(0);
}

#[test]
fn an_engine_that_fails_is_shown_with_what_it_said() {
    let trc = wrapped(&json!({"Cmd": ["serve"]})).file("events", "").file("status", "125");
    let outcome = trc.file("said", "docker: the mount is denied\n").run();
    outcome
        .status(125)
        .stdout_is("")
        .stderr_is("docker: the mount is denied\nerror: docker could not run the container\n");
    assert_eq!(calls(&outcome)[2], "rm --force --volumes NAME");
    nothing_left(&outcome);
}

#[test]
fn ctrl_c_reaches_the_engine_and_nothing_is_left() {
    let trc = wrapped(&json!({"Cmd": ["serve"]})).file("hang", "").file("events", "");
    let outcome = trc.arg("-v").signalled("up\n", INT);
    outcome.status(130);
    assert_eq!(calls(&outcome)[2..], ["stopped", "rm --force --volumes NAME"]);
    nothing_left(&outcome);
}

#[test]
fn a_series_runs_a_container_for_each_run() {
    let config = json!({"Cmd": ["serve", "${HOME}"], "Env": ["PORT=80"]});
    let trc =
        wrapped(&config).file("tests.toml", "[test.front]\nexpect.tcp = '127.0.0.1:${PORT}'\n");
    let outcome = trc.args(&["--faults", "all"]).run();
    outcome.status(0).stdout_lines(&[
        "ok    as it is .*",
        "ok    freeze-app .* async\\.app is suspended for 5 s",
        "skip  kill-app .* async\\.app has no `restart`",
    ]);
    let runs: Vec<String> =
        calls(&outcome).into_iter().filter(|call| call.starts_with("run")).collect();
    assert_eq!(runs.len(), 2);
    assert!(
        runs[1].contains("-c /.trcctl/tests/tests.toml -c /.trcctl/tests/trcctl.run.toml"),
        "{runs:?}"
    );
    assert!(runs[1].ends_with("--test=freeze-app,test.front"), "{runs:?}");
    nothing_left(&outcome);
    let own = image(&json!({"Entrypoint": ["trc"]})).args(&["--faults", "all"]).run();
    own.status(78).stderr_has(
        "error: the configuration of an image that has its own trc cannot be seen from here\n  \
         put trcctl into the image, and run it there\n",
    );
    // The same run again and again needs to know nothing.
    let own = image(&json!({"Entrypoint": ["trc"]})).args(&["--repeat", "2"]).run();
    own.status(0).stdout_has("2 runs passed; ");
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let cases: [(&[&str], &str); 7] = [
        (&["--tests", "a.toml"], "--image <IMAGE>"),
        (&["--image", "a", "-w", "."], "'--image <IMAGE>' cannot be used with '--workdir <DIR>'"),
        (
            &["--image", "a", "--run-arg", "-it"],
            "--run-arg cannot have -it: trc's events would not",
        ),
        (
            &["--image", "a", "--run-arg=--entrypoint=b"],
            "--run-arg cannot have --entrypoint=b: trc takes",
        ),
        (&["--image", "a", "--run-arg", "'"], "--run-arg ': a quote is not closed"),
        (&["--image", "a", "--same-container"], "--repeat <N>"),
        (&["--repeat", "2", "--same-container"], "--image <IMAGE>"),
    ];
    table(
        &cases,
        |case| format!("{:?}", case.0),
        |(arguments, why)| {
            let trc = Trc::new().program(TRCCTL).arg("test").args(arguments);
            trc.run().status(64).stderr_has(why);
        },
    );
}

/// A server in an image that has nothing else: no trc, no shell, no libc.
fn scratch() -> String {
    let dockerfile = "FROM scratch\nCOPY busybox /busybox\nCOPY page /www/index.html\nCOPY page /www/up\n\
        ENV PORT=8080\nWORKDIR /www\nUSER 1234:1234\nSTOPSIGNAL SIGKILL\nEXPOSE 8080\n\
        ENTRYPOINT [\"/busybox\", \"httpd\", \"-f\", \"-p\"]\nCMD [\"8080\"]\n";
    let page = tempfile::NamedTempFile::new().unwrap();
    fs::write(page.path(), "Welcome").unwrap();
    fs::set_permissions(page.path(), fs::Permissions::from_mode(0o644)).unwrap();
    build("page", dockerfile, &[(Path::new("/bin/busybox"), "busybox"), (page.path(), "page")])
}

const PAGE: &str = "\
[async.app]
ready = { tcp = 8080 }

[test.front]
description = \"the front page greets the visitor\"
expect = { http = { url = \"http://127.0.0.1:8080/\", body = \"Welcome\" }, listening = 8080 }

[test.place]
exec = [\"/busybox\", \"sh\", \"-c\", \"pwd; echo $PORT\"]
expect = { uid = 1234, running = \"busybox\", stdout = [\"/www\", \"8080\"] }
";

/// Runs `trcctl test --image` with a real engine. Returns its exit status and all its output.
fn tested(image: &str, tests: &str, more: &[&str]) -> (i32, String, TempDir) {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("tests.toml"), tests).unwrap();
    let mut command = Command::new(TRCCTL);
    command.args(["test", "--image", image, "--engine"]).arg(engine());
    command.args(["--tests", "tests.toml"]).args(more).current_dir(dir.path());
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    (output.status.code().unwrap(), text, dir)
}

/// Lets the tests with a real engine run one at a time: each checks that it leaves no container.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Checks that no container is left.
#[track_caller]
fn no_container_left() {
    let all = call(&["ps", "--all", "--format", "{{.Names}}"]);
    assert!(!all.contains("trcctl-test-"), "{all}");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_real_image_from_scratch_is_tested_and_tells_what_is_wrong() {
    let _alone = alone();
    let image = scratch();
    let trc = static_binary().to_str().unwrap();
    let wrong = PAGE.replace("body = \"Welcome\"", "body = \"Hello\"");
    let more: &[&[&str]] =
        &[&[], &["--run-arg=--read-only"], &["--run-arg", "--user 0:0 --cap-drop=ALL"]];
    for more in more {
        let tests = if more.len() == 2 { PAGE.replace("1234", "0") } else { PAGE.to_owned() };
        let (status, text, dir) =
            tested(&image, &tests, &[&["--trc", trc, "--report", "junit=j.xml"], *more].concat());
        assert!(
            status == 0 && text.contains("2 tests passed; stop drill clean"),
            "{more:?} {text}"
        );
        assert!(fs::read_to_string(dir.path().join("j.xml")).unwrap().contains("test.front"));
    }
    let (status, text, _dir) = tested(&image, &wrong, &["--trc", trc]);
    assert!(status == 1 && text.contains("its body lacks \"Hello\": \"Welcome\""), "{text}");
    let (status, text, _dir) = tested(&image, PAGE, &["--trc", trc, "--list"]);
    assert!(status == 0 && text.starts_with("front  the front page"), "{text}");
    let (status, text, _dir) = tested(&image, "[test.a]\nexpekt = 1\n", &["--trc", trc]);
    assert!(status == 78 && text.contains("/.trcctl/tests/tests.toml:2:1"), "{text}");
    let restarts = PAGE.replace("[async.app]\n", "[async.app]\nrestart = \"always\"\n");
    let (status, text, _dir) = tested(&image, &restarts, &["--trc", trc, "--faults", "kill"]);
    assert!(status == 0 && text.contains("2 runs passed"), "{text}");
    let (status, text, _dir) = tested("localhost/no-such-image", PAGE, &["--trc", trc]);
    assert!(
        status == 125 && text.contains("cannot inspect the image localhost/no-such-image"),
        "{text}"
    );
    no_container_left();
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_real_container_is_started_again_with_the_files_of_its_first_start() {
    let _alone = alone();
    let image = scratch();
    let trc = static_binary().to_str().unwrap();
    let tests = "[async.app]\nready = { tcp = 8080 }\n[boot.pid]\n\
        exec = ['/busybox', 'sh', '-c', '[ ! -e /tmp/pid ] || { echo is there; exit 1; }; echo 1 >/tmp/pid']\n\
        [test.front]\nexpect.http = 'http://127.0.0.1:8080/'\n";
    let run = |tests: &str, more: &[&str]| {
        let fixed = ["--trc", trc, "--run-arg=--user 0:0 --tmpfs /run", "--repeat", "2"];
        let (status, text, _dir) = tested(&image, tests, &[&fixed[..], more].concat());
        no_container_left();
        (status, text)
    };
    // The image has no /tmp.
    let tests = tests.replace("/tmp/pid", "/pid");
    let (status, text) = run(&tests, &[]);
    assert!(status == 0 && text.contains("2 runs passed"), "{text}");
    let (status, text) = run(&tests, &["--same-container"]);
    assert!(status == 1 && text.contains("1 run passed, 1 failed"), "{text}");
    assert!(text.contains("FAIL  run 2") && text.contains("is there"), "{text}");
    let (status, text) = run(PAGE.split("[test.place]").next().unwrap(), &["--same-container"]);
    assert!(status == 0 && text.contains("2 runs passed"), "{text}");
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn a_real_image_with_trc_has_its_own_tests_and_those_of_the_command_line() {
    let _alone = alone();
    let file = "FROM scratch\nCOPY trc /trc\nCOPY busybox /busybox\nCOPY trc.toml /etc/trc.toml\n\
        ENTRYPOINT [\"/trc\"]\n";
    let dir = TempDir::new().unwrap();
    let toml = dir.path().join("trc.toml");
    let own = "[async.web]\nexec = '/busybox httpd -f -p 8080'\nready.tcp = 8080\n\
        [test.own]\nexpect.tcp = 8080\n";
    fs::write(&toml, own).unwrap();
    let files =
        [(static_binary(), "trc"), (Path::new("/bin/busybox"), "busybox"), (&toml, "trc.toml")];
    let image = build("own-trc", file, &files);
    let tests = "[test.more]\nexpect.running = 'busybox'\n";
    let (status, text, _dir) = tested(&image, tests, &[]);
    assert!(text.contains("test.own ") && text.contains("test.more "), "{text}");
    // busybox httpd dies of SIGTERM, and PID 1 of the image stops it in time.
    assert!(status == 0 && text.contains("2 tests passed; stop drill clean"), "{text}");
    no_container_left();
}

#[test]
#[ignore = "needs TRC_CONTAINER_ENGINE"]
fn ctrl_c_stops_and_removes_a_real_container() {
    let _alone = alone();
    let image = scratch();
    let hangs = "[async.says]\nexec = '/busybox echo up'\noneshot = true\n\
        [test.hangs]\nexec = ['/busybox', 'sleep', '600']\n";
    let trc = Trc::new().program(TRCCTL).file("tests.toml", hangs);
    let trc =
        trc.env("PATH", std::env::var_os("PATH").unwrap()).args(&["test", "-v", "--image", &image]);
    let trc = trc.arg("--trc").arg(static_binary()).arg("--engine").arg(engine());
    let running = trc.args(&["--tests", "tests.toml"]).survivors_allowed().spawn();
    running.wait_for("]: up\n");
    running.signal(INT);
    let outcome = running.finish();
    outcome.stdout_has("stopped by SIGINT");
    no_container_left();
    // The image is as it was.
    Run::new(&image, &["--help"]).run();
}
