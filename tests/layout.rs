//! What trc makes before it starts a unit: directories, with their owners and modes, and files from
//! templates.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;

use crate::common::{HUP, TERM, Trc, children_of, has, kill, root};

/// The number of the user `nobody`, and of its group.
const NOBODY: u32 = 65534;

/// Returns the owner, the group and the mode of a file, and does not follow links.
fn stat(path: impl AsRef<Path>) -> (u32, u32, u32) {
    let path = path.as_ref();
    let found =
        fs::symlink_metadata(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    (found.uid(), found.gid(), found.mode() & 0o7777)
}

/// Creates a trc with a unit that has these keys, and exits at once.
fn unit(keys: &str) -> Trc {
    Trc::toml(&format!("wait = 'all'\n[sync.x]\nexec = 'true'\n{keys}\n"))
}

/// Gives a file to another user.
fn give(path: impl AsRef<Path>, uid: u32) {
    lchown(path, Some(uid), Some(uid)).unwrap();
}

#[test]
fn directories_are_made_before_the_command_is_executed() {
    let toml = "[sync.x]\ndirs = ['${W}/a/b/c', '${W}/d']\n\
                exec = ['sh', '-c', 'cd $$W; echo a/b/c/ d/ | xargs ls -d']\n";
    Trc::toml(toml).run().status(0).stdout_has("\na/b/c/\nd/\n");
}

#[test]
fn a_directory_belongs_to_the_user_of_its_unit_and_those_on_the_way_to_root() {
    if !root() {
        return;
    }
    // The umask of trc does not matter.
    let toml = "wait = 'all'\n[sync.x]\nuser = 'nobody'\ndirs = ['${W}/a/b']\n\
                exec = ['sh', '-c', 'touch $$W/a/b/file && umask']\n";
    let trc = Trc::toml(toml).before("umask 077").spawn();
    trc.wait_for_end();
    let (a, b) = (stat(trc.path("a")), stat(trc.path("a/b")));
    trc.finish().status(0).stdout_has("0077\n");
    assert_eq!((a, b), ((0, 0, 0o755), (NOBODY, NOBODY, 0o755)));
}

#[test]
fn a_directory_gets_its_owner_and_mode_whether_it_exists_or_not() {
    if !root() {
        return;
    }
    for exists in [false, true] {
        for (keys, expected) in [
            ("owner = 'nobody'", (NOBODY, NOBODY, 0o755)),
            ("owner = 'nobody:daemon', mode = '2750'", (NOBODY, 1, 0o2750)),
            ("owner = '12:34', mode = '1777'", (12, 34, 0o1777)),
            ("owner = 0, mode = '0700'", (0, 0, 0o700)),
            // It keeps the owner that it has.
            ("mode = '0000'", (if exists { 7 } else { 0 }, if exists { 7 } else { 0 }, 0)),
        ] {
            let trc = unit(&format!("dirs = {{ '${{W}}/a' = {{ {keys} }} }}"));
            if exists {
                fs::create_dir(trc.path("a")).unwrap();
                fs::set_permissions(trc.path("a"), Permissions::from_mode(0o755)).unwrap();
                give(trc.path("a"), 7);
            }
            let running = trc.spawn();
            running.wait_for_end();
            assert_eq!(stat(running.path("a")), expected, "{keys}, exists: {exists}");
            running.finish().status(0);
        }
    }
}

#[test]
fn trc_needs_no_privileges_for_its_own_directories() {
    if !root() {
        return;
    }
    let trc = unit("dirs = { '${W}/own/a' = { mode = '0300' }, '${W}/own/b' = {} }");
    fs::create_dir(trc.path("own")).unwrap();
    chown(trc.path("own"), Some(NOBODY), Some(NOBODY)).unwrap();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let running = trc.wrap(&nobody).spawn();
    running.wait_for_end();
    let found = (stat(running.path("own/a")), stat(running.path("own/b")));
    running.finish().status(0);
    assert_eq!(found, ((NOBODY, NOBODY, 0o300), (NOBODY, NOBODY, 0o755)));
}

/// Creates a tree in which the top and some others belong to a user, and the rest to another.
fn tree(trc: &Trc, top: u32, rest: u32) {
    for (name, uid) in [("t", top), ("t/d", rest), ("t/d/e", rest)] {
        fs::create_dir(trc.path(name)).unwrap();
        give(trc.path(name), uid);
    }
    for name in ["t/f", "t/d/e/g"] {
        fs::write(trc.path(name), "").unwrap();
        give(trc.path(name), rest);
    }
    symlink(trc.path("outside"), trc.path("t/link")).unwrap();
    symlink(trc.dir(), trc.path("t/d/up")).unwrap();
    fs::write(trc.path("outside"), "").unwrap();
}

#[test]
fn what_is_in_a_directory_gets_its_owner_if_recurse_says_so() {
    if !root() {
        return;
    }
    for (recurse, top, changes) in [
        ("never", 7, false),
        ("never", NOBODY, false),
        ("if-top-differs", 7, true),
        ("if-top-differs", NOBODY, false),
        ("always", 7, true),
        ("always", NOBODY, true),
    ] {
        let trc = unit(&format!(
            "dirs = {{ '${{W}}/t' = {{ owner = 'nobody', recurse = '{recurse}' }} }}"
        ));
        tree(&trc, top, 8);
        let running = trc.spawn();
        running.wait_for_end();
        let expected = if changes { NOBODY } else { 8 };
        for name in ["t/d", "t/d/e", "t/f", "t/d/e/g"] {
            assert_eq!(stat(running.path(name)).0, expected, "{name} with {recurse} from {top}");
        }
        assert_eq!(stat(running.path("t")).0, NOBODY, "{recurse}");
        // The links lead there.
        assert_eq!((stat(running.path("outside")).0, stat(running.path("")).0), (0, 0));
        running.finish().status(0);
    }
}

#[test]
fn the_top_changes_last_so_that_an_interrupted_start_is_repeated() {
    if !root() || !has("strace") {
        return;
    }
    // The child is killed when it changes the owner of the second thing.
    let inject = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fchownat"];
    let kill = ["-e", "inject=fchownat:signal=SIGKILL:when=2"];
    let keys = "dirs = { '${W}/t' = { owner = 'nobody', recurse = 'if-top-differs' } }";
    let trc = unit(keys);
    tree(&trc, 7, 8);
    let running = trc.wrap(&[&inject[..], &kill[..]].concat()).spawn();
    running.wait_for_end();
    assert_eq!(stat(running.path("t")).0, 7);
    let changed = ["t/d", "t/d/e", "t/f", "t/d/e/g"].map(|name| stat(running.path(name)).0);
    assert!(changed.contains(&8), "{changed:?}");
    running.finish().status(137).stderr_lacks("bug in trc");
}

#[test]
fn links_that_root_has_made_are_followed() {
    if !root() {
        return;
    }
    let trc = unit("dirs = { '${W}/var/run/x' = { owner = 'nobody' } }");
    fs::create_dir_all(trc.path("var")).unwrap();
    symlink("../run", trc.path("var/run")).unwrap();
    let running = trc.spawn();
    running.wait_for_end();
    assert_eq!(stat(running.path("run/x")).0, NOBODY);
    running.finish().status(0);
}

#[test]
fn a_link_that_a_unit_has_put_into_its_own_directory_is_not_followed() {
    if !root() {
        return;
    }
    // The unit replaces its directory, or one on the way to it, by a link to a directory of root.
    for (link, path) in [("cache", "cache"), ("sub", "sub/victim")] {
        let toml = format!(
            "log.level = 'info'\n[async.x]\nuser = 'nobody'\nrestart = {{ when = 'always', max = 1 }}\n\
             dirs = ['${{W}}/own', '${{W}}/own/{path}']\n\
             exec = ['sh', '-c', 'cd $$W/own && mv {link} old && ln -s $$W/secret {link}']\n"
        );
        let trc = Trc::toml(&toml);
        fs::create_dir_all(trc.path("secret/victim")).unwrap();
        let running = trc.spawn();
        running.wait_for_end();
        let found = (stat(running.path("secret")).0, stat(running.path("secret/victim")).0);
        assert_eq!(found, (0, 0), "{path}");
        running.finish().status(126).stderr_has(&format!(
            "/own/{path}: {link} is a symbolic link that nobody may have made"
        ));
    }
}

#[test]
fn a_file_of_root_that_was_linked_to_a_directory_does_not_change_its_owner() {
    if !root() {
        return;
    }
    let trc = unit("dirs = { '${W}/t' = { owner = 'nobody', recurse = 'always' } }");
    fs::create_dir(trc.path("t")).unwrap();
    give(trc.path("t"), NOBODY);
    fs::write(trc.path("shadow"), "").unwrap();
    fs::hard_link(trc.path("shadow"), trc.path("t/shadow")).unwrap();
    let running = trc.spawn();
    running.wait_for_end();
    assert_eq!(stat(running.path("shadow")).0, 0);
    running.finish().status(126).stderr_has("/t/shadow has several hard links");
}

#[test]
fn something_in_the_way_is_an_error_that_says_what_it_is() {
    for (kind, says) in [
        ("file", "/a/b: it is a regular file (trc.toml:4:9)"),
        ("fifo", "/a/b: it is a FIFO (trc.toml:4:9)"),
        ("above", "/a/b: a: not a directory (trc.toml:4:9)"),
    ] {
        let mut trc = unit("dirs = ['${W}/a/b']");
        trc = match kind {
            "file" => trc.file("a/b", ""),
            "fifo" => trc.file("a/c", "").fifo("a/b"),
            _ => trc.file("a", ""),
        };
        let says = says.replace("trc.toml", trc.path("trc.toml").to_str().unwrap());
        let outcome = trc.run();
        outcome.status(126).stderr_has("cannot start sync.x: cannot make the directory /");
        outcome.stderr_has(&says);
    }
}

#[test]
fn a_directory_that_cannot_be_made_says_why() {
    for (keys, says) in [
        ("dirs = ['/proc/nowhere/x']", "cannot make the directory /proc/nowhere/x: "),
        ("dirs = { '/run' = { owner = 'nobdy' } }", "there is no user `nobdy` in /etc/passwd"),
        ("dirs = { '/run' = { owner = '0:nogrp' } }", "there is no group `nogrp` in /etc/group"),
        ("dirs = ['${NOWHERE}/x']", "the variable NOWHERE is not set"),
        ("dirs = ['${EMPTY}x']", "cannot make x: its path must begin with `/`"),
    ] {
        unit(keys).env("EMPTY", "").run().status(126).stderr_has(says);
    }
}

#[test]
fn a_unit_that_is_restarted_has_its_directories_again() {
    let toml = "wait = 'all'\n[async.x]\nrestart = { when = 'on-failure', backoff = '1ms' }\n\
                dirs = ['${W}/a']\n\
                exec = ['sh', '-c', 'rmdir $$W/a && mkdir $$W/b 2>/dev/null && exit 1; exit 0']\n";
    Trc::toml(toml).run().status(0);
}

/// Suspends the child of trc when it makes its first directory.
const HELD: [&str; 8] = [
    "strace",
    "-f",
    "-o",
    "/dev/null",
    "-e",
    "trace=mkdirat",
    "-e",
    "inject=mkdirat:signal=SIGSTOP:when=1",
];

#[test]
fn nothing_waits_for_the_directories_of_a_unit_but_the_unit() {
    if !has("strace") {
        return;
    }
    for stop in [
        "stop.signal = 'SIGTERM'",
        "stop.signal = 'SIGQUIT'",
        // By default, this signal does nothing.
        "stop.signal = 'SIGWINCH'",
        // There is nothing that this could stop.
        "stop.exec = 'false'",
    ] {
        let toml = format!(
            "log.level = 'info'\n[async.slow]\nexec = 'sleep 1000'\ndirs = ['${{W}}/a']\n{stop}\n\
             stop.timeout = '1h'\n[async.other]\nafter = {{ slow = 'started' }}\nexec = 'sleep 1000'\n\
             [async.quick]\nexec = ['sh', '-c', 'echo quick; exec sleep 1000']\n[shutdown]\ntimeout = '2h'\n"
        );
        let running = Trc::toml(&toml).wrap(&HELD).spawn();
        running.wait_for("]: quick");
        kill(children_of(running.pid())[0], TERM);
        let outcome = running.finish();
        outcome.status(143).stdout_lacks("other");
        outcome.stderr_lacks("bug in trc").stderr_lacks("killing").stderr_lacks("failed");
    }
}

/// Otherwise, clients of trc would wait for the end of a connection that trc has closed.
#[test]
fn the_process_that_makes_directories_holds_nothing_of_trcs() {
    if !has("strace") {
        return;
    }
    let toml = "[async.slow]\nexec = 'sleep 1000'\ndirs = ['${W}/a']\n\
                [async.quick]\nexec = ['sh', '-c', 'echo quick; exec sleep 1000']\n";
    let running = Trc::toml(toml).control().wrap(&HELD).spawn();
    running.wait_for("]: quick");
    let trc = children_of(running.pid())[0];
    let slow = children_of(trc)[0];
    let files = |pid| {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let links = files.filter_map(|file| fs::read_link(file.path()).ok());
        links.map(|link| link.to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let (own, held) = (files(trc), files(slow));
    let sockets =
        |files: &[String]| files.iter().filter(|file| file.starts_with("socket:")).count();
    assert!(sockets(&own) > 0 && sockets(&held) == 0, "{own:?} {held:?}");
    assert!(!held.iter().any(|file| file.contains("signalfd")), "{held:?}");
    kill(trc, TERM);
    running.finish().status(143);
}

#[test]
fn a_signal_for_the_command_does_not_end_the_work_before_it() {
    if !has("strace") {
        return;
    }
    let toml = "log.level = 'info'\nwait = 'all'\n[signals]\nHUP = { forward = 'HUP' }\n\
                [async.slow]\nexec = ['sh', '-c', 'ls -d $$W/a']\ndirs = ['${W}/a']\n\
                [async.quick]\nexec = ['sh', '-c', \"trap 'exit 0' HUP; echo quick; while :; do sleep 0.01; done\"]\n";
    let running = Trc::toml(toml).wrap(&HELD).spawn();
    running.wait_for("]: quick");
    let trc = children_of(running.pid())[0];
    kill(trc, HUP);
    running.wait_until("the other unit has got it", || children_of(trc).len() == 1);
    for pid in children_of(trc) {
        kill(pid, libc::SIGCONT);
    }
    running.finish().status(0).stdout_has("/a\n");
}

#[test]
fn a_file_is_made_from_its_template() {
    let toml = "[sync.x]\nexec = ['cat', '${W}/conf']\nenv.PORT = '80'\n\
                [sync.x.files.'${W}/conf']\ntemplate = '${W}/conf.in'\nvars = ['PORT', 'NAME', 'TRC_UNIT']\n";
    let trc = Trc::toml(toml)
        .env("NAME", "a b\nc ${PORT}")
        .file("conf.in", "listen ${PORT};\nhost $host ${host} $PORT;\n${NAME} ${TRC_UNIT}\n");
    trc.run()
        .status(0)
        .stdout_has("listen 80;\nhost $host ${host} $PORT;\na b\nc ${PORT} sync.x\n");
}

#[test]
fn a_file_is_made_from_a_text_with_secrets_and_variables_that_were_cleared() {
    let toml = "[sync.x]\nexec = ['cat', '${W}/conf']\nenv_clear = true\n\
                env.SECRET = { file = '${W}/secret' }\ndirs = ['${W}/etc']\n\
                files.'${W}/conf'.text = '${OUTER} ${SECRET} ${NO:-<${SECRET}>}'\n";
    Trc::toml(toml)
        .env("OUTER", "outer")
        .file("secret", "hush\n")
        .unrecorded()
        .run()
        .status(0)
        .stdout_has("outer hush <hush>");
}

#[test]
fn a_file_has_an_owner_and_a_mode_and_its_directory_is_made_first() {
    if !root() {
        return;
    }
    for (keys, expected) in [
        ("", (NOBODY, NOBODY, 0o644)),
        (", owner = 'root:daemon', mode = '0640'", (0, 1, 0o640)),
        (", owner = 0, mode = '4755'", (0, 0, 0o4755)),
        (", owner = 'daemon', mode = '6755'", (1, 1, 0o6755)),
    ] {
        let trc = unit(&format!(
            "user = 'nobody'\ndirs = ['${{W}}/etc']\nfiles = {{ '${{W}}/etc/conf' = {{ text = 'x'{keys} }} }}"
        ));
        let running = trc.before("umask 077").spawn();
        running.wait_for_end();
        assert_eq!(stat(running.path("etc/conf")), expected, "{keys}");
        let left: Vec<_> = fs::read_dir(running.path("etc")).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        running.finish().status(0);
    }
}

#[test]
fn a_file_is_written_only_if_it_changes() {
    let version = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        (found.ino(), found.ctime(), found.ctime_nsec())
    };
    for (text, mode, same) in [
        ("v 1\n", 0o644, true),
        ("v 2\n", 0o644, false),
        ("v 10", 0o644, false),
        ("v 1\n", 0o600, false),
    ] {
        let trc = unit("files = { '${W}/conf' = { text = \"v ${V}\\n\" } }").env("V", "1");
        fs::write(trc.path("conf"), text).unwrap();
        fs::set_permissions(trc.path("conf"), Permissions::from_mode(mode)).unwrap();
        let before = version(&trc.path("conf"));
        let running = trc.spawn();
        running.wait_for_end();
        assert_eq!(version(&running.path("conf")) == before, same, "{text:?} {mode:o}");
        assert_eq!(fs::read_to_string(running.path("conf")).unwrap(), "v 1\n");
        assert_eq!(stat(running.path("conf")).2, 0o644);
        running.finish().status(0);
    }
}

#[test]
fn a_fault_of_a_template_has_a_line_and_a_column() {
    for (keys, says) in [
        ("template = '${W}/conf.in'", "/conf.in:2:5: the variable NOWHERE is not set (/"),
        ("text = \"a\\n b ${NO:?set it}\"", "/conf: line 2, column 4 of `text`: NO: set it (/"),
        ("template = '${W}/none'", "/none: No such file or directory (/"),
        ("template = '${W}'", ": it is not a regular file (/"),
        ("template = '${W}/large'", "/large: it is larger than 1 MiB (/"),
    ] {
        let trc = unit(&format!("files = {{ '${{W}}/conf' = {{ {keys} }} }}"))
            .file("conf.in", "a\nü b ${NOWHERE}\n")
            .file("large", vec![b'x'; (1 << 20) + 1]);
        let outcome = trc.run();
        outcome.status(126).stderr_has("cannot start sync.x: cannot write /").stderr_has(says);
        outcome.stderr_has("trc.toml:4:11)");
    }
}

#[test]
fn a_file_that_cannot_be_written_says_why() {
    for (path, says) in [
        ("${W}/none/conf", "/none/conf: its directory does not exist; a path in `dirs` makes it"),
        ("${W}", ": it is a directory"),
        ("${W}/go", "/go: it is a FIFO"),
        ("${EMPTY}conf", "cannot make conf: its path must begin with `/`"),
        ("/proc/sys/kernel/none", "cannot write /proc/sys/kernel/none: "),
    ] {
        let keys = format!("files = {{ '{path}' = {{ text = 'x' }} }}");
        unit(&keys).env("EMPTY", "").run().status(126).stderr_has(says);
    }
}

#[test]
fn a_link_that_a_unit_has_put_in_the_place_of_its_file_is_not_followed() {
    if !root() {
        return;
    }
    let trc =
        unit("files = { '${W}/own/conf' = { text = 'x' }, '${W}/root/conf' = { text = 'x' } }");
    for name in ["own", "root"] {
        fs::create_dir(trc.path(name)).unwrap();
    }
    let trc = trc.file("secret", "safe").file("mine", "old");
    // root has made this link, so that its target is what is meant.
    symlink("../mine", trc.path("root/conf")).unwrap();
    symlink(trc.path("secret"), trc.path("own/conf")).unwrap();
    give(trc.path("own"), NOBODY);
    give(trc.path("own/conf"), NOBODY);
    let running = trc.spawn();
    running.wait_for_end();
    assert_eq!(fs::read_to_string(running.path("secret")).unwrap(), "safe");
    running.finish().status(126).stderr_has("conf is a symbolic link that nobody may have made");

    let trc = unit("files = { '${W}/root/conf' = { text = 'x' } }").file("mine", "old");
    fs::create_dir(trc.path("root")).unwrap();
    symlink("../mine", trc.path("root/conf")).unwrap();
    let running = trc.spawn();
    running.wait_for_end();
    assert_eq!(fs::read_to_string(running.path("mine")).unwrap(), "x");
    assert!(fs::symlink_metadata(running.path("root/conf")).unwrap().is_symlink());
    running.finish().status(0);
}

#[test]
fn the_old_file_is_whole_if_trc_is_killed_while_it_writes_the_new_one() {
    if !has("strace") {
        return;
    }
    for call in ["fchmod", "fsync", "renameat"] {
        let trc = unit("files = { '${W}/conf' = { text = 'the new text' } }")
            .file("conf", "the old text");
        let (trace, inject) =
            (format!("trace={call}"), format!("inject={call}:error=EINTR:signal=SIGKILL:when=1"));
        let words = ["strace", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let running = trc.wrap(&words).unrecorded().spawn();
        running.wait_for_end();
        assert_eq!(fs::read_to_string(running.path("conf")).unwrap(), "the old text", "{call}");
        running.finish().status(137);
    }
}

#[test]
fn each_instance_of_a_unit_has_its_own_and_they_may_share_a_file() {
    let toml = "wait = 'all'\n[async.worker]\ninstances = 4\noneshot = true\n\
                dirs = ['${W}/run/${INSTANCE}', '${W}/run/shared']\n\
                exec = ['cat', '${W}/run/${INSTANCE}/conf', '${W}/run/shared/conf']\n\
                files.'${W}/run/${INSTANCE}/conf'.text = \"own-${INSTANCE}\\n\"\n\
                files.'${W}/run/shared/conf'.text = \"shared by ${N:?}\\n\"\n";
    let running = Trc::toml(toml).env("N", "4").spawn();
    running.wait_for_end();
    let left: Vec<_> = fs::read_dir(running.path("run/shared")).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let outcome = running.finish();
    for instance in 1..=4 {
        outcome.stdout_has(&format!("own-{instance}\n"));
    }
    assert_eq!(outcome.status(0).out().matches("shared by 4").count(), 4);
}
