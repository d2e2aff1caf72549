//! Files that were written on Windows, whose lines end with `\r\n`.

use crate::common::{TERM, Trc, table};

const TRCCTL: &str = env!("CARGO_BIN_EXE_trcctl");

/// The names and the texts of files.
type Files = Vec<(&'static str, String)>;

/// Returns a text with the line endings of Windows.
fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

#[test]
fn no_cr_of_a_file_with_crlf_reaches_a_shell_or_a_value() {
    let boot = "x=boot\nexport y=\"$x\"\nif true; then\n  z=1\nfi\n";
    let sync = "printf '%s|' \"$y\" \"$z\" \"$v\" $1\nreturn 0\n";
    let value = "v = '''\na\nb'''\n";
    let shells = ["bash", "dash"];
    let rows: [(&str, Files); 5] = [
        (
            "strings of three quotes",
            vec![(
                "trc.toml",
                format!(
                    "[env]\n{value}[boot.b]\nscript = \"\"\"\n{}\"\"\"\n[sync.s]\nscript = '''\n{sync}'''\n",
                    boot.replace('"', "\\\"")
                ),
            )],
        ),
        (
            "script files",
            vec![
                ("trc.toml", format!("[env]\n{value}")),
                ("trc.d/boot.b", boot.to_owned()),
                ("trc.d/sync.s", format!("#!/bin/sh\n{sync}")),
            ],
        ),
        (
            "script files beside trc.toml",
            vec![
                ("trc.toml", format!("[env]\n{value}")),
                ("trc.boot.b", boot.to_owned()),
                ("trc.sync.s", sync.to_owned()),
            ],
        ),
        (
            "unit files",
            vec![
                ("trc.toml", format!("[env]\n{value}")),
                ("trc.d/boot.b.toml", format!("script = '''\n{boot}'''\n")),
                ("trc.d/sync.s.toml", format!("script = '''\n{sync}'''\n")),
            ],
        ),
        (
            "fragments",
            vec![
                ("trc.d/00.toml", format!("[env]\n{value}")),
                ("trc.d/10.toml", format!("[boot.b]\nscript = '''\n{boot}'''\n")),
                ("trc.d/20.toml", format!("[sync.s]\nscript = '''\n{sync}'''\n")),
            ],
        ),
    ];
    let rows: Vec<_> =
        shells.iter().flat_map(|shell| rows.iter().map(move |row| (shell, row))).collect();
    table(
        &rows,
        |(shell, (name, _))| format!("{name}, {shell}"),
        |(shell, (_, files))| {
            let trc = files.iter().fold(Trc::new(), |trc, (name, text)| trc.file(name, crlf(text)));
            let shell = format!("shell=['{shell}', '-c']");
            let outcome = trc.args(&["--log-level", "warn", "--config", &shell]).run();
            outcome.status(0).stdout_is("boot|1|a\nb|").stderr_is("");
        },
    );
}

#[test]
fn a_cr_that_is_written_as_an_escape_is_meant() {
    let toml = "log.level = 'warn'\n[sync.s]\nscript = \"\"\"\nprintf %s 'a\\r\n'\nprintf 'b\\\\r'\"\"\"\n";
    Trc::new().file("trc.toml", crlf(toml)).run().status(0).stdout_is("a\r\nb\r");
}

#[test]
fn a_place_in_a_file_with_crlf_is_the_right_one() {
    let toml = crlf("wait = 'any'\n[sync.s]\n  exce = 'true'\n");
    Trc::new().file("trc.toml", toml).run().status(78).stderr_has("trc.toml:3:3\n");
}

#[test]
fn a_program_whose_interpreter_is_not_there_is_told_with_the_interpreters_name() {
    let crlf = r"its interpreter /bin/sh\r does not exist: the file has CRLF line endings, and the CR is part of the name; convert them (";
    let rows = [
        ("#!/bin/sh\r\necho\r\n", crlf),
        ("#!/no/python3\nprint()\n", "its interpreter /no/python3 does not exist ("),
    ];
    for (text, why) in rows {
        for exec in ["$W/program", "program", "${W}/program"] {
            let trc = Trc::new().executable("program", text);
            let exec = exec.replace("$W", trc.dir().to_str().unwrap());
            let path = format!("{}:/usr/bin:/bin", trc.dir().display());
            let outcome = trc
                .file("trc.toml", format!("[sync.s]\nexec = '{exec}'\n"))
                .env("PATH", path)
                .run();
            outcome.status(127).stderr_has(&format!("{exec}: {why}"));
        }
    }
}

#[test]
fn the_interpreter_of_a_probe_and_of_a_stop_command_is_named_too() {
    let why = r"/program: its interpreter /bin/sh\r does not exist: the file has CRLF line endings, and the CR is part of the name; convert them";
    for keys in [
        "ready = { exec = '${W}/program', within = '100ms' }",
        "health = { exec = '${W}/program', every = '10ms', failures = 1, then = 'stop' }",
        "stop.exec = ['${W}/program']",
    ] {
        let toml = format!(
            "wait = 'any'\n[async.x]\nexec = ['sh', '-c', 'echo up; exec cat $W/never']\n{keys}\n"
        );
        let trc = Trc::toml(&toml).executable("program", "#!/bin/sh\r\necho\r\n");
        let running = trc.spawn();
        if keys.starts_with("stop") {
            running.wait_for("up\n").signal(TERM);
        }
        running.finish().stderr_has(why);
    }
}

#[test]
fn check_points_out_what_has_crlf_line_endings() {
    let trc = Trc::new().executable("program", "#!/bin/sh\r\n").executable("well", "#!/bin/sh\n");
    let (program, well) = (trc.path("program"), trc.path("well"));
    let toml = format!(
        "[async.a]\nexec = '{0}'\n[async.b]\nexec = '{1}'\nstop.exec = ['{0}']\n",
        program.display(),
        well.display()
    );
    let directory = trc.dir().to_owned();
    let outcome = trc
        .file("trc.toml", toml)
        .file("trc.d/boot.x", "x=1\r\n")
        .file("trc.d/boot.y", "x=1\n")
        .program(TRCCTL)
        .args(&["check", "-w"])
        .arg(directory)
        .run();
    outcome.status(0);
    let executed = r"program cannot be executed: its first line ends with a CR, so the kernel looks for the interpreter /bin/sh\r";
    assert_eq!(outcome.err().matches(executed).count(), 2, "{}", outcome.err());
    outcome.stderr_has("boot.x: this script has CRLF line endings").stderr_has("3 warnings");
}
