//! `trcctl check`: what it reports about a configuration, and its exit status.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// A directory of configuration files.
struct Case {
    dir: TempDir,
}

impl Case {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("trc.d")).unwrap();
        Self { dir }
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    fn toml(self, text: &str) -> Self {
        self.file("trc.toml", text)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Runs `trcctl check`.
fn check(case: &Case, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_trcctl"))
        .args(["check", "-w"])
        .arg(case.dir.path())
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn check_says_what_would_run() {
    let case = Case::new().toml("[async.web]\nexec = \"x\"");
    let place = case.path("trc.toml");
    let says = format!(
        "ok: 2 units in {}\n  async.web  {}:1:8\n  sync.F1    -F\n",
        case.dir.path().display(),
        place.display()
    );
    assert_eq!(check(&case, &["-F", "y"]), (Some(0), says, String::new()));
}

/// An image that has two users and a few programs.
fn image() -> TempDir {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    for name in ["etc/trc.d", "usr/bin", "srv/web", "lib"] {
        std::fs::create_dir_all(path(name)).unwrap();
    }
    let elf = std::fs::read(env!("CARGO_BIN_EXE_trc")).unwrap();
    let files: &[(&str, &[u8], u32)] = &[
        ("etc/passwd", b"root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n", 0o644),
        ("etc/group", b"root:x:0:\nwww-data:x:33:\n", 0o644),
        ("usr/bin/sh", b"#!/usr/bin/python3\n", 0o755),
        ("usr/bin/python3", b"#!/bin/sh\n", 0o755),
        ("usr/bin/dynamic", &elf, 0o755),
        ("usr/bin/tool", b"#!/bin/sh\n", 0o644),
        ("usr/bin/text", b"echo\n", 0o755),
        ("usr/bin/crlf", b"#!/bin/sh\r\necho\r\n", 0o755),
        ("usr/bin/perl-script", b"#!/usr/bin/perl -w\n", 0o755),
        ("usr/bin/env", b"#!/bin/sh\n", 0o755),
        ("usr/bin/env-script", b"#!/usr/bin/env -S ruby -w\n", 0o755),
        ("usr/bin/env-typo", b"#!/usr/bin/env pyton3\n", 0o755),
        ("usr/bin/nameless", b"#!\n", 0o755),
    ];
    for (name, text, mode) in files {
        std::fs::write(path(name), text).unwrap();
        std::fs::set_permissions(path(name), PermissionsExt::from_mode(*mode)).unwrap();
    }
    // An absolute link leads to a file of the image.
    std::os::unix::fs::symlink("/usr/bin", path("bin")).unwrap();
    dir
}

/// Checks a configuration in an image.
fn check_image(toml: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
    let dir = image();
    std::fs::write(dir.path().join("etc/trc.toml"), toml).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_trcctl"))
        .args(["check", "--root"])
        .arg(dir.path())
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let root = dir.path().display().to_string();
    let text = |bytes| String::from_utf8(bytes).unwrap().replace(&root, "ROOT");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn everything_that_a_unit_needs_and_the_image_lacks_is_an_error() {
    for (keys, message, help) in [
        (
            "exec = 'pyton3 -m x'",
            "async.a cannot start: there is no program pyton3 in PATH (",
            "did you mean `python3`?",
        ),
        ("exec = '/usr/bin/none'", "async.a cannot start: /usr/bin/none does not exist", ""),
        ("exec = '/srv/web'", "async.a cannot start: /srv/web is a directory", ""),
        ("exec = 'tool'", "there is no program tool in PATH", ""),
        (
            "exec = '/usr/bin/tool'",
            "async.a cannot start: /usr/bin/tool is not executable",
            "chmod +x",
        ),
        (
            "exec = 'text'",
            "/usr/bin/text is neither a program for Linux nor a script",
            "`#!/bin/sh`",
        ),
        (
            "exec = 'crlf'",
            "the first line of /usr/bin/crlf ends with a CR, so the kernel looks for the interpreter /bin/sh\\r",
            "sed -i",
        ),
        (
            "exec = 'perl-script'",
            "/usr/bin/perl-script needs the interpreter /usr/bin/perl, which does not exist",
            "",
        ),
        ("exec = 'env-script'", "/usr/bin/env-script needs ruby, which is not in PATH", ""),
        ("exec = 'env-typo'", "needs pyton3, which is not in PATH", "did you mean `python3`?"),
        ("exec = 'nameless'", "the first line of /usr/bin/nameless names no", "`#!/bin/sh`"),
        ("exec = 'dynamic'", "/usr/bin/dynamic needs the loader /", "link it statically"),
        (
            "exec = 'sh'\nstop.exec = 'none'",
            "stop.exec of async.a cannot run: there is no program none",
            "",
        ),
        (
            "exec = 'sh'\nready.exec = 'none'",
            "ready.exec of async.a cannot run: there is no program none",
            "",
        ),
        (
            "exec = 'sh'\npre_start.exec = '/none'",
            "pre_start of async.a cannot run: /none does not exist",
            "",
        ),
        ("exec = 'sh'\nenv.PATH = '/srv'", "there is no program sh in PATH (/srv)", ""),
        (
            "script = 'echo'\nenv.PATH = '/srv'",
            "there is no shell: neither bash nor sh is in PATH",
            "write `exec`",
        ),
        ("exec = 'sh'\nuser = 'www'", "async.a: there is no user www in /etc/passwd", ""),
        (
            "exec = 'sh'\nuser = 'www-dat'",
            "there is no user www-dat in /etc/passwd",
            "did you mean `www-data`?",
        ),
        ("exec = 'sh'\ngroups = ['ssl-cert']", "there is no group ssl-cert in /etc/group", ""),
        (
            "exec = 'sh'\ndirs = { '/a' = { owner = 'redis' } }",
            "there is no user redis in /etc/passwd",
            "",
        ),
        ("exec = 'sh'\ncwd = '/srv/none'", "async.a: its cwd /srv/none does not exist", "`dirs`"),
        ("exec = 'sh'\ncwd = '/usr/bin/sh'", "its cwd /usr/bin/sh is not a directory", ""),
        (
            "exec = 'sh'\noutput = { file = '/var/log/a/b.log' }",
            "the directory of its output file /var/log/a/b.log does not exist",
            "`dirs`",
        ),
        ("exec = 'sh'\nfiles.'/a'.template = '/b'", "the template /b does not exist", ""),
        ("exec = 'sh'\nenv_file = ['/etc/none']", "its env_file /etc/none does not exist", ""),
    ] {
        let (status, out, err) = check_image(&format!("[async.a]\n{keys}\n"), &[]);
        assert_eq!((status, &*out), (Some(78), ""), "{keys}: {err}");
        assert!(err.contains(message) && err.contains(help), "{keys}: {err}");
        assert!(
            err.contains("\n  --> ROOT/etc/trc.toml:") && err.ends_with("\n1 error\n"),
            "{err}"
        );
    }
}

#[test]
fn files_that_exist_or_will_exist_are_not_reported() {
    for keys in [
        "exec = 'sh'",
        "exec = 'python3 x'\nuser = 'www-data'\ngroup = '1234'\ncwd = '/srv/web'",
        "exec = '/bin/sh'",
        "exec = './tool'",
        "exec = ['${PROGRAM}']",
        "exec = 'sh'\ncwd = '/srv/new'\ndirs = ['/srv/new/deep']",
        "exec = 'sh'\ncwd = '/run/web'",
        "exec = 'sh'\noutput = { file = '/var/log/web/a.log' }\ndirs = ['/var/log/web']",
        "exec = 'sh'\nenv.TOKEN = { file = '/run/secrets/token' }",
        "script = 'none at all'",
    ] {
        let (status, out, err) = check_image(&format!("[async.a]\n{keys}\n"), &["--strict"]);
        assert_eq!((status, &*err), (Some(0), ""), "{keys}");
        assert!(out.starts_with("ok: 1 unit in ROOT/etc\n"), "{out}");
    }
}

#[test]
fn a_user_that_a_boot_unit_may_add_is_only_a_warning() {
    let toml = "[boot.setup]\nscript = 'adduser web'\n[async.a]\nexec = 'sh'\nuser = 'web'\n";
    let (status, out, err) = check_image(toml, &[]);
    assert!(status == Some(0) && out.starts_with("ok: 2 units"), "{err}");
    assert!(err.starts_with("warning: async.a: there is no user web in /etc/passwd"), "{err}");
    assert!(err.contains("= note: a boot unit may add what is missing\n"), "{err}");
    let (status, out, err) = check_image(toml, &["--strict"]);
    assert!(status == Some(78) && out.is_empty() && err.ends_with("1 warning\n"), "{err}");
    // Nobody prepares anything for boot units themselves.
    let (status, _, _) = check_image("[boot.setup]\nexec = 'none'\n", &[]);
    assert_eq!(status, Some(78));
}

#[test]
fn errors_are_also_printed_as_json_sarif_and_annotations() {
    let toml = "[async.a]\nexec = 'none'\n";
    let (status, out, err) = check_image(toml, &["--format", "github"]);
    assert_eq!((status, &*err), (Some(78), ""));
    assert!(
        out.starts_with("::error file=ROOT/etc/trc.toml,line=2,col=1::async.a cannot"),
        "{out}"
    );
    for (format, pointer) in [("json", "/0/message"), ("sarif", "/runs/0/results/0/message/text")] {
        let (status, out, _) = check_image(toml, &["--format", format]);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        let message = json.pointer(pointer).unwrap().as_str().unwrap();
        assert!(status == Some(78) && message.starts_with("async.a cannot start: "), "{message}");
    }
    let (status, out, _) = check_image("[async.a]\nexec = 'sh'\n", &["--format", "json"]);
    assert_eq!((status, &*out), (Some(0), "[]\n"));
}

#[test]
fn a_root_that_does_not_exist_is_an_error_of_the_command_line() {
    let (status, _, err) =
        check(&Case::new().toml("[async.a]\nexec = 'a'"), &["--root", "/no/such"]);
    assert!(
        status == Some(64) && err.contains("--root /no/such: No such file or directory"),
        "{err}"
    );
}

#[test]
fn words_of_other_programs_get_a_tip() {
    for (arguments, tip) in [
        (&["ps"][..], "`trcctl status` shows"),
        (&["htop"], "`trcctl top`"),
        (&["kill", "web"], "`trcctl signal` sends"),
        (&["logs", "--tail", "3"], "`trcctl logs -n 10`"),
        (&["--tail"], "`trcctl logs -n 10`"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_trcctl")).args(arguments).output().unwrap();
        let says = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{says}");
        assert!(
            says.contains(&format!("tip: {tip}")) && says.matches("tip").count() == 1,
            "{says}"
        );
    }
}

#[test]
fn check_says_which_units_are_external() {
    let case = Case::new().toml("[boot.db]\nready.tcp = 80\n[async.web]\nexec = 'x'");
    let (_, says, _) = check(&case, &[]);
    let marked: Vec<&str> = says.lines().filter(|line| line.contains("external")).collect();
    assert!(
        matches!(marked[..], [db] if db.starts_with("  boot.db") && db.ends_with("toml:1:7  (external: nothing to start)")),
        "{says}"
    );
}

#[test]
fn check_says_which_units_do_not_start_by_themselves() {
    let case = Case::new().toml("[async.idle]\nexec = 'x'\nautostart = false");
    let (_, says, _) = check(&case, &[]);
    assert!(says.contains("toml:1:8  (autostart = false)\n"), "{says}");
}

#[test]
fn check_says_which_units_run_on_a_schedule() {
    let case = Case::new().toml("[async.job]\nexec = 'x'\nschedule = '30  4 * * mon-fri'");
    let (_, says, _) = check(&case, &[]);
    assert!(says.contains("(runs on its schedule: 30 4 * * MON-FRI)\n"), "{says}");
}

#[test]
fn check_says_why_units_are_not_there() {
    let case = Case::new().toml(
        "[async.debug]\nexec = 'x'\nprofiles = 'debug'\n[async.off]\nexec = 'x'\nenabled = false\n\
         [async.web]\nexec = 'x'\n[sync.app]\nexec = 'x'\n",
    );
    let (status, out, err) = check(&case, &["--only", "web"]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    let (listed, not_there) = out.split_once("not there: ").unwrap();
    assert!(listed.starts_with("ok: 1 unit in ") && listed.contains("  async.web  "), "{out}");
    assert_eq!(
        not_there,
        "async.debug has the profile debug, which is not in TRC_PROFILES\n\
         not there: async.off is disabled\nnot there: sync.app is left out by --only\n"
    );
}

/// trcctl used to take it as a command, and to report that all is well.
#[test]
fn check_takes_neither_a_directory_nor_a_file_with_settings_as_a_command() {
    let case = Case::new().toml("[async.web]\nexec = \"x\"");
    for (path, help) in [(case.path("trc.d"), "-w"), (case.path("trc.toml"), "-c")] {
        let path = path.to_str().unwrap();
        let (status, out, err) = check(&case, &[path]);
        assert_eq!((status, out.as_str()), (Some(64), ""));
        assert!(err.contains(&format!("not a command: write {help} {path}")), "{err}");
    }
}

#[test]
fn check_says_where_nothing_is_declared() {
    let case = Case::new();
    let says = format!("ok: there are no units in {}\n", case.dir.path().display());
    assert_eq!(check(&case, &[]), (Some(0), says, String::new()));
}

/// trcctl used to report that all is well in a directory that nobody meant.
#[test]
fn check_fails_where_there_is_no_configuration() {
    let case = Case::new();
    std::fs::remove_dir(case.path("trc.d")).unwrap();
    let says = format!(
        "error: there is no configuration: {} has neither a trc.toml nor a trc.d\n   = help: name the directory of the configuration with `-w DIR`\n\n1 error\n",
        case.dir.path().display()
    );
    assert_eq!(check(&case, &[]), (Some(78), String::new(), says));
    let (status, out, _) = check(&case, &["true"]);
    assert_eq!(status, Some(0));
    assert!(out.starts_with("ok: 1 unit in "), "{out}");
}

/// The directory in which people run it may have a trc.toml, which is not that of the image.
#[test]
fn check_of_an_image_without_a_configuration_says_where_it_looked() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().to_str().unwrap();
    for why in ["does not exist", "has neither a trc.toml nor a trc.d"] {
        let output = Command::new(env!("CARGO_BIN_EXE_trcctl"))
            .args(["check", "--root", root])
            .env_clear()
            .output()
            .unwrap();
        let says = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{says}");
        let none = format!("error: there is no configuration: {root}/etc {why}\n");
        let help = "= help: with --root, trcctl reads the configuration in the image's /etc;";
        assert!(says.contains(&none) && says.contains(help), "{says}");
        _ = std::fs::create_dir(dir.path().join("etc"));
    }
}

#[test]
fn check_says_what_is_wrong_in_a_test_run_only() {
    let case = Case::new().toml("[async.web]\nexec = 'x'\n[test.t]\nexec = 'x'\nafter = ['wbe']\n");
    let (status, _, err) = check(&case, &[]);
    assert_eq!(status, Some(78));
    assert!(err.contains("there is no unit `wbe`"), "{err}");
}

/// `trc` used to accept it, and `trcctl check` to refuse it.
#[test]
fn a_disabled_unit_that_a_test_is_about_is_a_warning_of_check() {
    let case = Case::new()
        .toml("[async.web]\nexec = 'x'\nenabled = false\n[test.t]\nexec = 'x'\nafter = ['web']\n");
    let (status, _, err) = check(&case, &[]);
    assert_eq!(status, Some(0));
    let warning = "warning: test.t will be skipped: async.web is disabled\n";
    assert!(err.starts_with(warning), "{err}");
}

/// trcctl reads the current directory if it has files for trc, as `trcctl test` does, unless
/// another one is named.
#[test]
fn check_reads_the_current_directory_if_that_is_configured() {
    let (here, there) = (Case::new().toml("[async.web]\nexec = 'x'"), Case::new());
    let said = |arguments: &[&str], variable: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_trcctl"))
            .arg("check")
            .args(arguments)
            .current_dir(here.dir.path())
            .env_clear()
            .env(variable, there.dir.path())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().lines().next().unwrap().to_owned()
    };
    let in_here = format!("ok: 1 unit in {}", here.dir.path().canonicalize().unwrap().display());
    let elsewhere = format!("ok: there are no units in {}", there.dir.path().display());
    assert_eq!(said(&[], "OTHER"), in_here);
    for (arguments, variable) in [
        (&["-w", there.dir.path().to_str().unwrap()][..], "OTHER"),
        (&[], "TRC_WORKDIR"),
        (&[], "RC_WORK_DIR"),
    ] {
        assert_eq!(said(arguments, variable), elsewhere, "{arguments:?} {variable}");
    }
}

#[test]
fn check_does_not_need_the_variables_of_a_test() {
    let case = Case::new().toml("[test.t]\nexec = 'x'\nexpect.stdout = '${NOPE}'\n");
    let (status, out, err) = check(&case, &[]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("ok: 0 units, 1 test in "), "{out}");
    assert_eq!(check(&case, &["--test"]).0, Some(78));
}

#[test]
fn check_says_what_is_wrong() {
    let case = Case::new();
    let says = "error: unknown key `wiat`\n  --> --config wiat=all\n   = help: did you mean `wait`?\n\n\
                error: unknown key `usr` in `[sync.x]`\n  --> --config sync.x.usr=1\n   = help: did you mean `user`?\n\n\
                2 errors\n";
    assert_eq!(
        check(&case, &["-c", "wiat=all", "-c", "sync.x.usr=1"]),
        (Some(78), String::new(), says.to_owned())
    );
    assert_eq!(check(&case, &["--bare"]).0, Some(64));
    let (status, _, err) = check(&case, &["--nope"]);
    assert_eq!(status, Some(64));
    assert!(err.contains("unexpected argument '--nope'"), "{err}");
}

#[test]
fn check_hints_at_a_reason_where_a_number_hides_more_than_a_stop() {
    for (exit, hints) in [("143 = 0", true), ("130 = 0", true), ("138 = 0", false)] {
        let case = Case::new().toml(&format!("[exit]\n{exit}\n[async.web]\nexec = \"x\"\n"));
        let (status, _, err) = check(&case, &[]);
        assert_eq!((status, err.contains("`[exit] stopped = 0`")), (Some(0), hints), "{err}");
    }
    let case = Case::new().toml("[exit]\n143 = 0\nstopped = 0\n[async.web]\nexec = \"x\"\n");
    assert_eq!(check(&case, &[]).2, "");
}

#[test]
fn check_hints_at_the_stop_signal_of_apaches_images() {
    for (text, hints) in [
        ("[async.web]\nexec = \"/usr/local/bin/httpd-foreground\"\n", true),
        ("[sync.web]\nexec = \"httpd-foreground\"\n", false),
        ("signals.WINCH = \"stop\"\n[async.web]\nexec = \"apache2-foreground\"\n", false),
        ("[async.web]\nexec = \"nginx\"\n", false),
    ] {
        let (status, _, err) = check(&Case::new().toml(text), &[]);
        assert_eq!((status, err.contains("WINCH = \"stop\"")), (Some(0), hints), "{err}");
    }
}

/// Its tests passed as long as the second unit was slow to find out that its port is in use.
#[test]
fn check_hints_at_units_that_are_ready_when_the_same_port_is_open() {
    let web = "[async.web]\nexec = 'x'\nready.tcp = 80\n";
    for (other, hints) in [
        ("[async.api]\nexec = 'x'\nready.tcp = 80\n", true),
        ("[async.api]\nexec = 'x'\nready.tcp = 81\n", false),
        ("[async.api]\nexec = 'x'\nready.http = 'http://localhost/'\n", false),
        ("[async.outside]\nready.tcp = 80\n", false),
    ] {
        let (status, _, err) = check(&Case::new().toml(&format!("{web}{other}")), &[]);
        let says = "`ready` of async.api and of async.web is the same port";
        assert_eq!((status, err.contains(says)), (Some(0), hints), "{err}");
    }
}

/// Runs `trcctl check` with a shell in `PATH`.
fn check_with_shell(case: &Case, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_trcctl"))
        .args(["check", "-w"])
        .arg(case.dir.path())
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .unwrap();
    let dir = format!("{}/", case.dir.path().display());
    let err = String::from_utf8(output.stderr).unwrap().replace(&dir, "");
    (output.status.code(), err)
}

/// It used to fail only when the unit was started.
#[test]
fn check_finds_what_the_shell_can_not_parse() {
    let lines = "'''";
    let case = Case::new()
        .toml(&format!(
            "shell = ['bash', '-c']\n[boot.a]\nscript = {lines}\nif true; then\n  echo\nfii\n{lines}\n\
             [boot.b]\nscript = {lines}shopt -s extglob\necho !(x)\nlocal x=$(date){lines}\n"
        ))
        .file("trc.d/async.web", "echo a\necho )\n");
    let (status, err) = check_with_shell(&case, &["-F", "for"]);
    assert_eq!(status, Some(78), "{err}");
    for says in [
        "error: bash cannot parse the script of boot.a: syntax error: unexpected end of file",
        "--> trc.toml:7:1",
        "error: bash cannot parse the script of async.web: syntax error near unexpected token `)'",
        "--> trc.d/async.web:2:1",
        "error: bash cannot parse the script of sync.F1: ",
        "--> -F\n",
        "3 errors\n",
    ] {
        assert!(err.contains(says), "{says}: {err}");
    }
}

/// It used to be reported even if the configuration said how long a stop may take.
#[test]
fn check_does_not_speak_of_docker_where_the_budget_is_written() {
    let text = "[async.web]\nexec = 'x'\nstop.timeout = '20s'\n";
    let warning = "stopping may take 22 s, but docker sends SIGKILL after 10 s";
    let (_, err) = check_with_shell(&Case::new().toml(text), &[]);
    assert!(err.contains(warning), "{err}");
    let written = format!("shutdown.timeout = '30s'\n{text}");
    assert_eq!(check_with_shell(&Case::new().toml(&written), &[]), (Some(0), String::new()));
}

#[test]
fn lint_says_which_containers_it_does_not_find() {
    let compose = "services:\n  web:\n    build: .\n  db:\n    image: postgres\n";
    let case = Case::new().toml("[async.web]\nexec = 'x'\n").file("compose.yaml", compose);
    let lint = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_trcctl"))
            .arg("lint")
            .args(arguments)
            .current_dir(case.dir.path())
            .env_clear()
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let ok = |names: &str| (Some(0), format!("ok: {names}\n"), String::new());
    // The one that is built runs trc.
    assert_eq!(lint(&["compose.yaml"]), ok("service web in compose.yaml"));
    assert_eq!(lint(&["--service", "db", "compose.yaml"]), ok("service db in compose.yaml"));
    for (arguments, why) in [
        (&["--service", "wbe", "compose.yaml"][..], "no service and no container named wbe"),
        (&["none.yaml"], "cannot read none.yaml: No such file or directory"),
        (&[], "<FILE>"),
    ] {
        let (status, out, err) = lint(arguments);
        assert_eq!((status, out.as_str()), (Some(64), ""), "{err}");
        assert!(err.contains(why), "{err}");
    }
}
