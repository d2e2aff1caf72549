//! The configuration files, and what can be wrong with them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::{Case, ids};

#[test]
fn drop_ins_with_odd_names_work_and_other_files_are_noted() {
    let case = Case::new()
        .file(OsStr::from_bytes(b"trc.d/async.a\xff b"), "")
        .file("trc.d/README", "")
        .file("trc.d/async.x~", "")
        .file("trc.d/.async.x", "")
        .file("trc.d/asycn.x", "")
        .file("trc.async.web.toml", "");
    assert_eq!(ids(&case.config()), ["async.a\\xff b"]);
    assert_eq!(
        case.remarks(),
        [
            "warning trc.async.web.toml: skipped: it is neither a unit nor a fragment (units in TOML belong in trc.d)",
            "note trc.d/.async.x: skipped: it is neither a unit nor a fragment",
            "note trc.d/README: skipped: it is neither a unit nor a fragment",
            "warning trc.d/asycn.x: skipped: it is neither a unit nor a fragment (did you mean the stage `async`?)",
            "note trc.d/async.x~: skipped: it is neither a unit nor a fragment",
        ]
    );
}

#[test]
fn a_missing_drop_in_directory_is_fine_and_an_unreadable_one_is_not() {
    let case = Case::new();
    let path = case.path("trc.d");
    std::fs::remove_dir(&path).unwrap();
    assert_eq!(case.errors(), [""; 0]);
    std::fs::write(&path, "").unwrap();
    let says = "error trc.d: cannot read the directory trc.d:";
    assert_eq!(case.errors(), [format!("{says} Not a directory")]);
    std::fs::remove_file(&path).unwrap();
    symlink("nowhere", &path).unwrap();
    assert_eq!(case.errors(), [format!("{says} No such file or directory")]);
}

#[test]
fn what_is_named_as_a_unit_must_be_a_file() {
    for name in ["trc.d/async.x", "trc.d/async.x.toml", "trc.d/x.toml", "trc.toml", "trc.async.x"] {
        let says = |why: &str| [format!("error {name}: cannot read {name}: {why}")];

        let case = Case::new();
        std::fs::create_dir(case.path(name)).unwrap();
        assert_eq!(case.errors(), says("it is a directory"));

        // Opening it would block until somebody writes.
        let case = Case::new();
        nix::unistd::mkfifo(&case.path(name), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(case.errors(), says("it is not a regular file"));

        let case = Case::new();
        symlink("/dev/zero", case.path(name)).unwrap();
        assert_eq!(case.errors(), says("it is not a regular file"));

        let case = Case::new();
        symlink("nowhere", case.path(name)).unwrap();
        assert_eq!(case.errors(), says("No such file or directory"));
    }
}

#[test]
fn a_symbolic_link_to_a_file_is_as_good_as_the_file() {
    // Kubernetes mounts files in this way.
    let case = Case::new().file("real", "exec = \"x\"");
    std::fs::create_dir(case.path("trc.d/..2024")).unwrap();
    symlink("../real", case.path("trc.d/async.x.toml")).unwrap();
    assert_eq!(ids(&case.config()), ["async.x"]);
}

#[test]
fn a_file_too_large_to_be_one_is_refused() {
    let case = Case::new().toml("");
    let file = std::fs::File::options().write(true).open(case.path("trc.toml")).unwrap();
    file.set_len(17 << 20).unwrap();
    assert_eq!(case.errors(), ["error trc.toml: cannot read trc.toml: it is larger than 4 MiB"]);
}

#[test]
fn a_byte_order_mark_and_windows_lines_are_no_trouble() {
    let case = Case::new().toml("\u{feff}wait = \"all\"\r\n[async.web]\r\nexce = \"x\"\r\n");
    assert_eq!(
        case.errors(),
        ["error trc.toml:3:1: unknown key `exce` in `[async.web]` (did you mean `exec`?)"]
    );
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let case = Case::new().set("TRC_CONFIG", "/nowhere/a.toml").arguments(&[
        "-c",
        "/nowhere/b.toml",
        "-c",
        "wait",
        "-c",
        "/tmp",
    ]);
    assert_eq!(
        case.errors(),
        [
            "error TRC_CONFIG: cannot read /nowhere/a.toml: No such file or directory",
            "error --config /nowhere/b.toml: cannot read /nowhere/b.toml: No such file or directory",
            "error --config wait: cannot read wait: No such file or directory (trc takes it for the name of a file, because it is not KEY=VALUE)",
            "error --config /tmp: cannot read /tmp: it is a directory (name a file here; -w or TRC_WORKDIR names the directory that has trc.toml and trc.d)",
        ]
    );
    for (directory, why) in
        [("/nowhere", "No such file or directory"), ("/dev/null", "it is not a directory")]
    {
        let case = Case::new().arguments(&["-w", directory]);
        assert_eq!(case.errors(), [format!("error -w: cannot read {directory}: {why}")]);
    }
    let case = Case::new().toml("").arguments(&["-w", "DIR/trc.toml"]);
    let errors = case.errors();
    let help = format!("(name the directory that the file is in: {})", case.dir.path().display());
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].contains("it is not a directory") && errors[0].ends_with(&help),
        "{errors:?}"
    );
}

/// trc used to skip these files silently, or to run them as scripts without a warning.
#[test]
fn a_drop_in_that_is_not_what_it_was_meant_for_is_a_warning() {
    let skipped = |name: &str, help: &str| {
        format!("warning trc.d/{name}: skipped: it is neither a unit nor a fragment ({help})")
    };
    let script = "a script is a unit if its name begins with a stage: boot.10-init, async.web";
    let settings = "settings must be TOML, in a file whose name ends in .toml";
    let odd = "to declare the unit in TOML, name the file async.web.toml; trc skips names that begin with `.`";
    let names = [
        "10-init.sh",
        "README",
        "async.web.conf",
        "boot.x.py",
        "compose.yml",
        "nginx.conf",
        "service.web",
    ];
    let case = names.iter().fold(Case::new(), |case, name| case.file(format!("trc.d/{name}"), "x"));
    let remarks = case.remarks();
    let warnings: Vec<_> = remarks.iter().filter(|said| said.starts_with("warning")).collect();
    assert_eq!(
        warnings,
        [
            &skipped("10-init.sh", script),
            &format!(
                "warning trc.d/async.web.conf: the shell reads this file as a script, because of its name ({odd})"
            ),
            "warning trc.d/boot.x.py: the shell reads this file as a script, whatever language it is in (to run another interpreter, write `exec` in boot.x.toml)",
            &skipped("compose.yml", settings),
            &skipped("nginx.conf", settings),
            &skipped("service.web", "did you mean the stage `async`?"),
        ]
    );
    assert_eq!(ids(&case.config()), ["async.web.conf", "boot.x.py"]);
}

/// The parser's errors about each line of it were told.
#[test]
fn a_file_in_another_format_is_told_to_be_toml() {
    let help = "write the settings as TOML, in a file whose name ends in .toml";
    for (name, format) in [("web.yaml", "YAML"), ("web.yml", "YAML"), ("web.json", "JSON")] {
        let case = Case::new().file(name, "{\n  services:\n    web: nginx\n");
        let said = format!("error {name}: this file is {format}, but trc reads only TOML ({help})");
        let path = case.path(name).to_str().unwrap().to_owned();
        let flagged = case.arguments(&["-c", &path]).errors();
        let case = Case::new().file(name, "{\n  services:\n    web: nginx\n");
        let path = case.path(name);
        let set = case.set("TRC_CONFIG", path).errors();
        for errors in [flagged, set] {
            assert_eq!(errors.as_slice(), std::slice::from_ref(&said));
        }
    }
    // The name alone is no reason to refuse it.
    let case = Case::new().file("web.yaml", "wait = 'all'\n").arguments(&["-c", "DIR/web.yaml"]);
    assert_eq!(case.errors(), [""; 0]);
}

/// Each of its keys was an unknown key at the top of a fragment.
#[test]
fn a_file_of_a_unit_whose_stage_is_mistyped_is_told_its_name() {
    let what = "this file has the keys of a unit, but its name does not begin with a stage";
    for (name, right) in [
        ("aync.web.toml", "async.web.toml"),
        ("asnyc.my.web.toml", "async.my.web.toml"),
        ("service.web.toml", "async.web.toml"),
        ("tets.web.toml", "test.web.toml"),
    ] {
        let case = Case::new().file(format!("trc.d/{name}"), "exec = 'x'\nuser = 'www'\n");
        let expected = format!("error trc.d/{name}: {what} (did you mean {right}?)");
        assert_eq!(case.errors(), [expected]);
    }
    // A fragment may have such a name.
    let case = Case::new().file("trc.d/service.web.toml", "env.A = 1\n[async.web]\nexec = 'x'\n");
    assert_eq!(ids(&case.config()), ["async.web"]);
}
